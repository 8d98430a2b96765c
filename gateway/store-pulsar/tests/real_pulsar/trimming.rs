//! Records that Pulsar's retention has removed are out of range, and their offsets are not given out again.
use super::*;

/// Has Pulsar remove every ledger of the partition, none of which has a reader.
pub(super) async fn trim_all(name: &TopicName) {
    let http = reqwest::Client::new();
    let none = r#"{"retentionTimeInMinutes": 0, "retentionSizeInMB": 0}"#;
    let url = admin_url(name, "retention").replace("-partition-0/", "/");
    let set = http.post(url).header("content-type", "application/json");
    let set = set.body(none).send().await.unwrap();
    assert!(set.status().is_success(), "{set:?}");
    // Nothing is removed from the ledger that is written to; a topic that is loaded has a new one.
    unload(name).await;
    let emptied = async {
        loop {
            let stats = http.get(admin_url(name, "internalStats")).send();
            let stats: serde_json::Value = stats.await.unwrap().json().await.unwrap();
            if stats
                .get("numberOfEntries")
                .and_then(serde_json::Value::as_u64)
                == Some(0)
            {
                return;
            }
            let trim = http.post(admin_url(name, "trim")).send().await.unwrap();
            assert!(trim.status().is_success(), "{trim:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, emptied).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_go_on_where_they_were_though_all_records_were_trimmed() {
    let options = options(EntryFormat::Kafka);
    let first = store(&options).await;
    let name = new_topic(&first).await;
    let partition = open(&first, &name).await;
    for n in 0..5 {
        let appended = partition.append(batch(&["a", "b", "c"])).await.unwrap();
        assert_eq!(appended.base_offset, Offset(n * 3));
    }
    first.close().await;
    trim_all(&name).await;

    let second = store(&options).await;
    let partition = open(&second, &name).await;
    let marks = partition.watermarks();
    assert_eq!((marks.log_start, marks.high), (Offset(15), Offset(15)));
    assert!(matches!(
        partition.read(Offset(3), PLENTY).await,
        Err(ReadError::OutOfRange { .. })
    ));
    let appended = partition.append(batch(&["next"])).await.unwrap();
    // A new owner may have written a barrier, which has an offset of its own.
    let base = appended.base_offset;
    assert!((15..=16).contains(&base.0), "{base:?}");
    assert_eq!(
        values(&partition, base.0).await,
        [(base.0, "next".to_owned())]
    );
    assert_eq!(second.metrics().offset_mismatches, 0);
    second.close().await;
}

/// Changes something by the admin API.
async fn admin(method: reqwest::Method, url: String, body: &str) {
    let request = reqwest::Client::new().request(method, url);
    let request = request.header("content-type", "application/json");
    let answer = request.body(body.to_owned()).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

async fn set_retention(name: &TopicName, retention: &str) {
    let url = admin_url(name, "retention").replace("-partition-0/", "/");
    admin(reqwest::Method::POST, url, retention).await;
}

const KEEPS_NOTHING: &str = r#"{"retentionTimeInMinutes": 0, "retentionSizeInMB": 0}"#;
const KEEPS_ALL: &str = r#"{"retentionTimeInMinutes": -1, "retentionSizeInMB": -1}"#;

async fn ledgers(name: &TopicName) -> usize {
    let stats = reqwest::get(admin_url(name, "internalStats"))
        .await
        .unwrap();
    let stats: serde_json::Value = stats.json().await.unwrap();
    let ledgers = stats.get("ledgers").and_then(serde_json::Value::as_array);
    ledgers.map_or(0, Vec::len)
}

async fn third_ledger(name: &TopicName) -> u64 {
    let id = async {
        loop {
            let stats = reqwest::get(admin_url(name, "internalStats"))
                .await
                .unwrap();
            let stats: serde_json::Value = stats.json().await.unwrap();
            let id = stats.pointer("/ledgers/2/ledgerId");
            if let Some(id) = id.and_then(serde_json::Value::as_u64) {
                return id;
            }
        }
    };
    timeout(DEADLINE, id).await.unwrap()
}

/// A log that is open, with a reader in it, loses its older ledgers and keeps the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_open_goes_on_behind_the_ledgers_that_were_trimmed() {
    let store = store(&options(EntryFormat::Kafka)).await;
    let name = new_topic(&store).await;
    set_retention(&name, KEEPS_ALL).await;
    let partition = open(&store, &name).await;
    // Each time that the topic is loaded it begins a new ledger.
    for ledger in 0..3 {
        for n in 0..10 {
            let appended = timeout(DEADLINE, async {
                loop {
                    if let Ok(appended) = partition.append(batch(&[&format!("{ledger}-{n}")])).await
                    {
                        return appended;
                    }
                }
            });
            assert_eq!(appended.await.unwrap().base_offset, Offset(ledger * 10 + n));
        }
        unload(&name).await;
    }
    // One that knows the log from before reads from Pulsar, and leaves its reader parked in the midst.
    let other = self::store(&options(EntryFormat::Kafka)).await;
    let theirs = open(&other, &name).await;
    let little = ReadLimit {
        max_bytes: 100,
        at_least_one: true,
    };
    assert!(!theirs.read(Offset(0), little).await.unwrap().is_empty());
    // A subscription at the beginning of the third ledger keeps that one, and no other.
    let third = third_ledger(&name).await;
    let position = format!(r#"{{"ledgerId": {third}, "entryId": 0, "partitionIndex": -1}}"#);
    admin(
        reqwest::Method::PUT,
        admin_url(&name, "subscription/keeps"),
        &position,
    )
    .await;
    let before = ledgers(&name).await;
    set_retention(&name, KEEPS_NOTHING).await;
    let trimmed = async {
        while ledgers(&name).await > before - 2 {
            admin(reqwest::Method::POST, admin_url(&name, "trim"), "").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, trimmed).await.unwrap();

    // The parked reader may still have what it was sent; nobody is given anything else than what was there.
    for partition in [&partition, &theirs] {
        for from in [0, 5, 12] {
            match partition.read(Offset(from), PLENTY).await {
                Ok(read) => assert!(!read.is_empty()),
                Err(ReadError::OutOfRange { log_start, high }) => {
                    assert_eq!((log_start, high), (Offset(20), Offset(30)));
                }
                Err(error) => panic!("{error}"),
            }
        }
        let rest: Vec<(i64, String)> = (0..10).map(|n| (20 + n, format!("2-{n}"))).collect();
        assert_eq!(values(partition, 20).await, rest);
        let appended = partition.watermarks().high;
        assert_eq!(appended, Offset(30));
    }
    // To those who come anew the log begins there.
    let newcomer = self::store(&options(EntryFormat::Kafka)).await;
    let fresh = open(&newcomer, &name).await;
    assert_eq!(fresh.watermarks().log_start, Offset(20));
    assert!(matches!(
        fresh.read(Offset(12), PLENTY).await,
        Err(ReadError::OutOfRange { .. })
    ));
    for store in [&store, &other, &newcomer] {
        assert_eq!(store.metrics().offset_mismatches, 0);
        store.close().await;
    }
}

/// Why `retention.ms` sets no message TTL: what a Pulsar subscription has not read stays beyond retention,
/// and a TTL would take it from that subscription.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_native_subscription_has_not_read_stays_until_its_time_to_live_is_over() {
    let store = store(&options(EntryFormat::Kafka)).await;
    let name = new_topic(&store).await;
    let partition = open(&store, &name).await;
    for n in 0..5 {
        partition.append(batch(&[&format!("{n}")])).await.unwrap();
    }
    store.close().await;
    let subscription = admin_url(&name, "subscription/native");
    let earliest = r#"{"ledgerId": -1, "entryId": -1, "partitionIndex": -1}"#;
    admin(reqwest::Method::PUT, subscription.clone(), earliest).await;
    set_retention(&name, KEEPS_NOTHING).await;
    unload(&name).await;
    for _ in 0..5 {
        admin(reqwest::Method::POST, admin_url(&name, "trim"), "").await;
    }
    let second = self::store(&options(EntryFormat::Kafka)).await;
    let partition = open(&second, &name).await;
    assert_eq!(partition.watermarks().log_start, Offset(0));
    assert_eq!(values(&partition, 0).await.len(), 5);
    second.close().await;

    // What a broker does by itself when a message is older than its time to live.
    let over = async {
        loop {
            let url = admin_url(&name, "subscription/native/expireMessages/1");
            // While one expiry is under way, and where nothing is left to expire, it is a conflict.
            drop(reqwest::Client::new().post(url).send().await.unwrap());
            let stats = reqwest::get(admin_url(&name, "stats")).await.unwrap();
            let stats: serde_json::Value = stats.json().await.unwrap();
            let backlog = stats.pointer("/subscriptions/native/msgBacklog");
            if backlog.and_then(serde_json::Value::as_u64) == Some(0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(DEADLINE, over).await.unwrap();
    trim_all(&name).await;
    let third = self::store(&options(EntryFormat::Kafka)).await;
    let partition = open(&third, &name).await;
    assert_eq!(partition.watermarks().log_start, Offset(5));
    third.close().await;
}
