//! Topics that are compacted: Pulsar leaves the newest record of each key, each at its offset, and every
//! reader comes to the end.
use kop_store::{CreateError, Topic};
use serde_json::{Value, json};

use super::{trimming::trim_all, *};

type Found = (i64, String, Option<String>);

fn compact() -> TopicConfig {
    TopicConfig::of([("cleanup.policy", "compact")]).unwrap()
}

/// Whether these brokers are too old to compact topics with their offsets.
async fn is_too_old() -> bool {
    let admin = environment("KOP_TEST_PULSAR_ADMIN");
    let version = reqwest::get(format!("{admin}/admin/v2/brokers/version"));
    let version = version.await.unwrap().text().await.unwrap();
    version.trim_matches('"').starts_with("3.")
}

fn new(name: &TopicName) -> NewTopic {
    NewTopic {
        name: name.clone(),
        partitions: 1,
        config: compact(),
    }
}

/// A compacted topic, where the brokers can.
async fn compacted_topic(store: &PulsarStore) -> Option<Topic> {
    let name = TopicName::new(&format!("real-{}", Uuid::new_v4())).unwrap();
    let created = store.create(new(&name)).await;
    if !is_too_old().await {
        return Some(created.unwrap());
    }
    match created {
        Err(CreateError::Unsupported(why)) => {
            assert_eq!((why.name, &*why.value), ("cleanup.policy", "compact"));
            assert!(why.reason.contains("4.0 or newer"), "{}", why.reason);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.find(&name).await.unwrap(), None);
    None
}

fn keyed(codec: Compression, records: &[(&str, Option<&str>)]) -> Batch {
    let mut builder = BatchBuilder::new(codec);
    for (i, (key, value)) in records.iter().enumerate() {
        builder.push(Record {
            timestamp: Timestamp(1_700_000_000_000 + i as i64),
            key: Some(Bytes::from((*key).to_owned())),
            value: value.map(|value| Bytes::from(value.to_owned())),
            headers: vec![(Bytes::from("h"), None)],
            ..Record::default()
        });
    }
    builder.build().unwrap()
}

async fn policy(name: &TopicName, policy: &str) -> Value {
    let url = admin_url(name, policy).replace("-partition-0/", "/");
    let answer = reqwest::get(url).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// Has Pulsar compact the topic, and waits until it has.
async fn compact_now(name: &TopicName) {
    let http = reqwest::Client::new();
    let url = admin_url(name, "compaction");
    let answer = http.put(&url).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let done = async {
        loop {
            let status: Value = http.get(&url).send().await.unwrap().json().await.unwrap();
            match status.get("status").and_then(Value::as_str) {
                Some("RUNNING") => tokio::time::sleep(Duration::from_millis(50)).await,
                Some("SUCCESS") => return,
                _ => panic!("{status}"),
            }
        }
    };
    timeout(DEADLINE, done).await.unwrap();
}

/// All records from `from` to the end; every offset is covered by some batch.
async fn records(partition: &impl Partition, from: i64) -> Vec<Found> {
    let high = partition.watermarks().high;
    let mut next = Offset(from);
    let mut found = Vec::new();
    while next < high {
        let read = timeout(DEADLINE, partition.read(next, PLENTY)).await;
        let read = read.expect("in time").unwrap();
        assert!(!read.is_empty(), "nothing at {next} below {high}");
        for batch in Batch::split(read.chunks.concat().into()) {
            let batch = batch.unwrap();
            assert!(batch.header().base_offset <= next, "a hole before {next}");
            for record in batch.records().unwrap() {
                assert_eq!(record.headers, [(Bytes::from("h"), None)]);
                let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
                let key = text(record.key.unwrap());
                found.push((record.offset.0, key, record.value.map(text)));
            }
            next = next.max(batch.header().base_offset + batch.header().offsets());
        }
    }
    found.retain(|(offset, ..)| *offset >= from);
    found
}

/// What is to be found: offset, key and value.
fn found(expected: &[(i64, &str, &str)]) -> Vec<Found> {
    let one = |(offset, key, value): &(i64, &str, &str)| {
        (*offset, (*key).to_owned(), Some((*value).to_owned()))
    };
    expected.iter().map(one).collect()
}

/// A value that is longer than what compaction leaves of other records.
fn large() -> String {
    "x".repeat(3000)
}

/// A topic with twelve records that was compacted, and of which Pulsar has nothing else any more.
async fn compacted_and_removed(options: &PulsarOptions) -> Option<TopicName> {
    let store = store(options).await;
    let name = compacted_topic(&store).await?.name;
    let threshold = policy(&name, "compactionThreshold").await;
    assert_eq!(threshold, json!(104_857_600));
    let kept = json!({"retentionTimeInMinutes": 1440, "retentionSizeInMB": -1});
    assert_eq!(policy(&name, "retention").await, kept);

    let partition = open(&store, &name).await;
    let batches: [(_, &[_]); 6] = [
        (Compression::None, &[("a", Some("1")), ("b", Some("1"))]),
        (
            Compression::Zstd,
            &[("a", Some("2")), ("c", Some(&large()))],
        ),
        // Superseded as a whole, so nothing is left of it.
        (Compression::Lz4, &[("b", Some("2")), ("d", Some("1"))]),
        (
            Compression::Gzip,
            &[("b", Some("3")), ("e", Some("")), ("d", None)],
        ),
        (
            Compression::Snappy,
            &[("", Some("no key")), ("f", Some("1"))],
        ),
        (Compression::None, &[("f", None)]),
    ];
    for (codec, records) in batches {
        partition.append(keyed(codec, records)).await.unwrap();
    }
    assert_eq!(partition.watermarks().high, Offset(12));
    compact_now(&name).await;
    // As long as Pulsar has the entries, everything is there.
    assert_eq!(records(&partition, 0).await.len(), 12);
    assert_eq!(store.metrics().compacted_reads, 0);
    assert_eq!(store.metrics().offset_mismatches, 0);
    store.close().await;
    trim_all(&name).await;
    Some(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_record_of_each_key_stays_at_its_offset() {
    // The topic is written so that Pulsar sees its keys, whatever the gateway's own setting is.
    let options = options(EntryFormat::Kafka);
    let Some(name) = compacted_and_removed(&options).await else {
        return;
    };
    let store = store(&options).await;
    let partition = open(&store, &name).await;
    let marks = partition.watermarks();
    assert_eq!((marks.log_start, marks.high), (Offset(0), Offset(12)));
    let large = large();
    let left = [
        (2, "a", "2"),
        (3, "c", large.as_str()),
        (6, "b", "3"),
        (7, "e", ""),
        (9, "", "no key"),
    ];
    for from in 0..=12 {
        let expected: Vec<_> = left.iter().copied().filter(|(o, ..)| *o >= from).collect();
        assert_eq!(records(&partition, from).await, found(&expected), "{from}");
    }
    let beyond = partition.read(Offset(13), PLENTY).await;
    assert!(matches!(beyond, Err(ReadError::OutOfRange { .. })));
    assert!(store.metrics().compacted_reads > 0);
    let early = partition.offset_at(Timestamp(0)).await.unwrap().unwrap();
    assert_eq!(early.offset, Offset(2));
    let newest = partition.newest().await.unwrap().unwrap();
    let expected = (Offset(3), 1_700_000_000_001);
    assert_eq!((newest.offset, newest.timestamp.0), expected);
    assert_eq!(store.metrics().offset_mismatches, 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compacted_before_is_compacted_with_what_came_since() {
    let options = options(EntryFormat::Pulsar);
    let Some(name) = compacted_and_removed(&options).await else {
        return;
    };
    let first = store(&options).await;
    let partition = open(&first, &name).await;
    let tail = [("a", None), ("e", Some("2")), ("g", Some("1"))];
    let appended = partition.append(keyed(Compression::Lz4, &tail)).await;
    let tail = appended.unwrap().base_offset.0;
    let all = records(&partition, 0).await;
    assert_eq!(all.len(), 8);
    assert_eq!(all[5], (tail, "a".to_owned(), None));
    first.close().await;
    compact_now(&name).await;
    trim_all(&name).await;

    let second = store(&options).await;
    let partition = open(&second, &name).await;
    let large = large();
    let left = [
        (3, "c", large.as_str()),
        (6, "b", "3"),
        (9, "", "no key"),
        (tail + 1, "e", "2"),
        (tail + 2, "g", "1"),
    ];
    assert_eq!(records(&partition, 0).await, found(&left));
    assert_eq!(records(&partition, 7).await, found(&left[2..]));
    assert_eq!(partition.watermarks().log_start, Offset(0));

    // Going back would lose what only compaction has.
    let nothing = TopicConfig::new();
    let back = second.configure(&name, &compact(), nothing).await;
    assert!(
        matches!(&back, Err(ConfigureError::Unsupported(why)) if why.reason.contains("lost")),
        "{back:?}"
    );
    for store in [first, second] {
        assert_eq!(store.metrics().offset_mismatches, 0);
        store.close().await;
    }
}

/// Has Pulsar remove all ledgers of the partition but the one that is written to.
async fn trim(name: &TopicName) {
    let http = reqwest::Client::new();
    let none = json!({"retentionTimeInMinutes": 0, "retentionSizeInMB": 0});
    let url = admin_url(name, "retention").replace("-partition-0/", "/");
    let set = http.post(url).header("content-type", "application/json");
    let set = set.body(none.to_string()).send().await.unwrap();
    assert!(set.status().is_success(), "{set:?}");
    let trimmed = async {
        loop {
            let stats = http.get(admin_url(name, "internalStats")).send();
            let stats: Value = stats.await.unwrap().json().await.unwrap();
            if stats
                .get("ledgers")
                .and_then(Value::as_array)
                .unwrap()
                .len()
                == 1
            {
                return;
            }
            let trim = http.post(admin_url(name, "trim")).send().await.unwrap();
            assert!(trim.status().is_success(), "{trim:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, trimmed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pulsar_still_has_is_given_out_with_its_deletions() {
    let options = options(EntryFormat::Pulsar);
    let first = store(&options).await;
    let Some(Topic { name, .. }) = compacted_topic(&first).await else {
        return;
    };
    let partition = open(&first, &name).await;
    let old = [
        keyed(Compression::None, &[("a", Some("1")), ("b", Some("1"))]),
        keyed(Compression::None, &[("b", Some("2")), ("c", Some("1"))]),
    ];
    for batch in old {
        partition.append(batch).await.unwrap();
    }
    unload(&name).await;
    first.close().await;
    let second = store(&options).await;
    let partition = open(&second, &name).await;
    // Only deletions stand behind what goes, so compaction has nothing there.
    let gone = keyed(Compression::None, &[("a", None)]);
    let begin = partition.append(gone).await.unwrap().base_offset.0;
    let gone = keyed(Compression::None, &[("b", None)]);
    let last = partition.append(gone).await.unwrap().base_offset.0;
    compact_now(&name).await;
    trim(&name).await;
    second.close().await;

    let third = store(&options).await;
    let partition = open(&third, &name).await;
    assert_eq!(partition.watermarks().log_start, Offset(0));
    let mut expected = found(&[(3, "c", "1")]);
    expected.push((begin, "a".to_owned(), None));
    expected.push((last, "b".to_owned(), None));
    assert_eq!(records(&partition, 0).await, expected);
    for from in 0..=last {
        let left = expected.iter().filter(|(offset, ..)| *offset >= from);
        let left: Vec<_> = left.cloned().collect();
        assert_eq!(records(&partition, from).await, left, "{from}");
    }
    assert!(third.metrics().compacted_reads > 0);
    for store in [second, third] {
        assert_eq!(store.metrics().offset_mismatches, 0);
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_goes_on_while_what_it_reads_is_compacted_and_removed() {
    let options = options(EntryFormat::Pulsar);
    let first = store(&options).await;
    let Some(Topic { name, .. }) = compacted_topic(&first).await else {
        return;
    };
    let partition = open(&first, &name).await;
    for round in 0..20 {
        let value = format!("{round}");
        let once = format!("once{round}");
        let batch = keyed(
            Compression::None,
            &[("k", Some(&value)), (&once, Some("v"))],
        );
        partition.append(batch).await.unwrap();
    }
    first.close().await;
    let second = store(&options).await;
    let partition = open(&second, &name).await;
    let one = ReadLimit {
        max_bytes: 1,
        at_least_one: true,
    };
    // The reader stands in the middle of the entries when they go.
    for from in [0, 2, 4] {
        let read = partition.read(Offset(from), one).await.unwrap();
        assert!(!read.is_empty());
    }
    compact_now(&name).await;
    trim_all(&name).await;
    let expected: Vec<_> = (3..20)
        .map(|round| (round * 2 + 1, format!("once{round}"), Some("v".to_owned())))
        .collect();
    let mut read = timeout(DEADLINE, async {
        loop {
            // The broker gave the topic to itself anew: what was on its way is asked for again.
            match partition.read(Offset(6), PLENTY).await {
                Ok(_) => return records(&partition, 6).await,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    })
    .await
    .unwrap();
    // What the reader had been given before may still be among it.
    read.retain(|(offset, key, _)| key != "k" || *offset == 38);
    let newest = read.pop_if(|(_, key, _)| key != "k");
    assert_eq!(newest.as_ref(), expected.last());
    assert_eq!(
        read.pop(),
        Some((38, "k".to_owned(), Some("19".to_owned())))
    );
    assert_eq!(read, expected[..16]);
    assert_eq!(second.metrics().offset_mismatches, 0);
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_may_begin_and_end_to_be_compacted_as_long_as_nothing_went() {
    let options = options(EntryFormat::Pulsar);
    let store = store(&options).await;
    let name = new_topic(&store).await;
    let partition = open(&store, &name).await;
    let batch = keyed(Compression::None, &[("k", Some("1")), ("k", Some("2"))]);
    partition.append(batch).await.unwrap();
    let nothing = TopicConfig::new();
    let begun = store.configure(&name, &nothing, compact()).await;
    if is_too_old().await {
        assert!(
            matches!(begun, Err(ConfigureError::Unsupported(_))),
            "{begun:?}"
        );
        return;
    }
    assert_eq!(begun.unwrap().config, compact());
    assert!(partition.settings().compacts);
    compact_now(&name).await;
    let ended = store.configure(&name, &compact(), nothing.clone()).await;
    assert_eq!(ended.unwrap().config, nothing);
    let stats = reqwest::get(admin_url(&name, "internalStats"))
        .await
        .unwrap();
    let stats: Value = stats.json().await.unwrap();
    assert_eq!(stats.pointer("/cursors/__compaction"), None, "{stats}");
    assert_eq!(records(&partition, 0).await.len(), 2);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_whose_keys_pulsar_cannot_see_are_not_compacted() {
    let options = options(EntryFormat::Kafka);
    let store = store(&options).await;
    let name = new_topic(&store).await;
    let configured = store.configure(&name, &TopicConfig::new(), compact()).await;
    match configured {
        Err(ConfigureError::Unsupported(why)) if is_too_old().await => {
            assert!(why.reason.contains("4.0 or newer"), "{}", why.reason);
        }
        Err(ConfigureError::Unsupported(why)) => {
            assert!(why.reason.contains("entry format kafka"), "{}", why.reason);
        }
        other => panic!("{other:?}"),
    }
    store.close().await;
}
