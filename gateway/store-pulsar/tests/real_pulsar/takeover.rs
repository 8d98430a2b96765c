//! Partitions that go from one gateway to another, both of which live.
use kop_store::{AppendError, OpenError};

use super::*;

/// A gateway that says since when it leads everything.
#[derive(Debug)]
struct LeadsSince(i32);

impl Views for LeadsSince {
    fn number(&self) -> i32 {
        self.0
    }

    fn led_since(&self, _: &PartitionId) -> Option<i32> {
        Some(self.0)
    }
}

/// Two gateways of one Pulsar that know of each other.
async fn two(options: &PulsarOptions) -> [PulsarStore; 2] {
    let stores = [store(options).await, store(options).await];
    for store in &stores {
        store.follow(Arc::new(LeadsSince(1)));
        store.note_others();
        store.mark_producer_ids().await.unwrap();
    }
    stores
}

fn give_up_everything(store: &PulsarStore) {
    store.keep_only(|_| false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_got_its_id_elsewhere_writes_nothing_twice_where_its_partition_goes() {
    for format in [EntryFormat::Pulsar, EntryFormat::Kafka] {
        let [first, second] = two(&options(format)).await;
        // The first one's ids are older than the second one's, and the other way round.
        for (one, other) in [(&first, &second), (&second, &first)] {
            let id = one.allocate_producer_ids(1).await.unwrap().start;
            let name = new_topic(one).await;
            let partition = open(other, &name).await;
            let appended = partition.append(idempotent(id, 0, &["a", "b"])).await;
            assert_eq!(appended.unwrap().base_offset, Offset(0), "a new topic");

            give_up_everything(other);
            // What comes before its task has heard of it is still written, and counts.
            let refused = timeout(DEADLINE, async {
                loop {
                    if let Err(error) = partition.append(batch(&["late"])).await {
                        return error;
                    }
                }
            });
            let refused = refused.await.expect("it is given up");
            assert!(matches!(refused, AppendError::NotOwner), "{refused:?}");
            let read = partition.read(Offset(0), PLENTY).await;
            assert!(matches!(read, Err(ReadError::NotOwner)), "{read:?}");

            let partition = open(one, &name).await;
            let again = partition.append(idempotent(id, 0, &["a", "b"])).await;
            let again = again.unwrap();
            assert!(again.duplicate);
            assert_eq!(again.base_offset, Offset(0));
            let next = partition.append(idempotent(id, 2, &["c"])).await.unwrap();
            assert!(!next.duplicate);
            let all = values(&partition, 0).await;
            let texts = all.iter().map(|(_, value)| value.as_str());
            let texts: Vec<&str> = texts.filter(|value| *value != "late").collect();
            assert_eq!(texts, ["a", "b", "c"]);
            give_up_everything(one);
        }
        for store in [first, second] {
            assert_eq!(store.metrics().offset_mismatches, 0);
            store.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_read_further_elsewhere_is_not_told_that_there_is_no_such_offset() {
    let [first, second] = two(&options(EntryFormat::Kafka)).await;
    let name = new_topic(&first).await;
    let partition = open(&first, &name).await;
    partition.append(batch(&["a"])).await.unwrap();
    // Opened before the others were written, and asked before they have come.
    let behind = open(&second, &name).await;
    for value in ["b", "c", "d"] {
        let appended = partition.append(batch(&[value])).await.unwrap();
        let read = behind.read(appended.base_offset + 1, PLENTY).await;
        assert!(read.is_ok(), "{read:?}");
    }
    let read = behind.read(Offset(5), PLENTY).await;
    assert!(
        matches!(read, Err(ReadError::OutOfRange { .. })),
        "{read:?}"
    );
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_lost_its_log_proves_and_writes_nothing_until_it_is_read_anew() {
    let options = options(EntryFormat::Kafka);
    let [first, second] = two(&options).await;
    let name = TopicName::new(kop_store::CONSUMER_OFFSETS).unwrap();
    let topic = NewTopic {
        name: name.clone(),
        partitions: 1,
        config: TopicConfig::new(),
    };
    first.create(topic).await.unwrap();
    let id = PartitionId {
        topic: name.clone(),
        index: 0,
    };
    let keyed = |value: &str| {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(Record {
            key: Some(Bytes::from("key")),
            value: Some(Bytes::from(value.to_owned())),
            ..Record::default()
        });
        builder.build().unwrap()
    };
    let one = first.open(&id).await.unwrap();
    one.append(keyed("one")).await.unwrap();
    one.confirm().await.unwrap();
    // By asking the broker, too.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    one.confirm().await.unwrap();
    let taken = second.open(&id).await;
    assert!(matches!(taken, Err(OpenError::NotOwner)), "{taken:?}");

    give_up_everything(&first);
    let confirmed = one.confirm().await;
    assert!(
        matches!(confirmed, Err(AppendError::NotOwner)),
        "{confirmed:?}"
    );
    let other = second.open(&id).await.unwrap();
    let texts = |values: Vec<(i64, String)>| values.into_iter().map(|v| v.1).collect::<Vec<_>>();
    assert_eq!(texts(values(&other, 0).await), ["one"]);
    other.append(keyed("two")).await.unwrap();

    // The broker takes it away, and nobody else wants it: still it is read anew first.
    let admin = environment("KOP_TEST_PULSAR_ADMIN");
    let namespace = &options.metadata_namespace;
    let path = format!("public/{namespace}/{name}-partition-0/unload");
    let url = format!("{admin}/admin/v2/persistent/{path}");
    let answer = reqwest::Client::new().put(url).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let lost = timeout(DEADLINE, async {
        while other.confirm().await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    lost.await.expect("it is noticed");
    let refused = other.append(keyed("stale")).await;
    assert!(refused.is_err(), "{refused:?}");
    let again = second.open(&id).await.unwrap();
    again.confirm().await.unwrap();
    assert_eq!(texts(values(&again, 0).await), ["one", "two"]);
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_a_long_log_over_reads_little_of_it_and_writes_nothing_twice() {
    const BATCHES: i32 = 2_500;
    const RECORDS: i32 = 20;
    const AT_ONCE: i32 = 100;
    for format in [EntryFormat::Pulsar, EntryFormat::Kafka] {
        let [first, second] = two(&options(format)).await;
        let ids = first.allocate_producer_ids(3).await.unwrap();
        let [early, busy, late] = [0, 1, 2].map(|n| ids.start + n);
        let name = new_topic(&first).await;
        let partition = open(&first, &name).await;
        // One producer wrote at the very beginning only.
        let appended = partition.append(idempotent(early, 0, &["early"])).await;
        assert_eq!(appended.unwrap().base_offset, Offset(0));
        let values: Vec<String> = (0..RECORDS).map(|n| format!("value {n}")).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let mut bases = Vec::new();
        for chunk in 0..BATCHES / AT_ONCE {
            let batches = (0..AT_ONCE).map(|n| (chunk * AT_ONCE + n) * RECORDS);
            let appends = batches.map(|at| partition.append(idempotent(busy, at, &values)));
            for appended in futures::future::join_all(appends).await {
                bases.push(appended.unwrap().base_offset);
            }
        }
        assert_eq!(first.metrics().rebuild_entries, 0);
        let next_of_busy = BATCHES * RECORDS;

        // There, and back again, where the log has not grown much: each time all is known.
        let mut expected = bases.last().copied().unwrap() + i64::from(RECORDS);
        for (giver, taker) in [(&first, &second), (&second, &first), (&first, &second)] {
            give_up_everything(giver);
            let before = taker.metrics();
            let partition = open(taker, &name).await;
            let again = partition.append(idempotent(early, 0, &["early"])).await;
            let again = again.unwrap();
            assert!(again.duplicate, "{format:?}");
            assert_eq!(again.base_offset, Offset(0));
            for (batch, base) in bases.iter().enumerate().rev().take(5) {
                let at = i32::try_from(batch).unwrap() * RECORDS;
                let again = partition.append(idempotent(busy, at, &values)).await;
                let again = again.unwrap();
                assert!(again.duplicate);
                assert_eq!(again.base_offset, *base);
            }
            let gap = idempotent(busy, next_of_busy + 1, &values);
            assert!(partition.append(gap).await.is_err());
            let appended = partition.append(batch(&["plain"])).await.unwrap();
            assert!(appended.base_offset >= expected);
            expected = appended.base_offset + 1;
            // Its id is not known here, and older than this gateway's.
            let appended = partition.append(idempotent(late, 0, &["late"])).await;
            expected = expected.max(appended.unwrap().base_offset);
            let after = taker.metrics();
            let read = after.rebuild_entries - before.rebuild_entries;
            let readers = after.readers_opened - before.readers_opened;
            eprintln!("{format:?}: a takeover read {read} entries with {readers} readers");
            assert!(read < 1_000, "{read} entries of {BATCHES} were read");
            assert!(readers < 8, "{readers} readers");
        }
        for store in [first, second] {
            assert_eq!(store.metrics().offset_mismatches, 0);
            store.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_have_had_a_predecessor_trusts_no_empty_log() {
    let options = options(EntryFormat::Kafka);
    let [first, _] = two(&options).await;
    let name = new_topic(&first).await;
    let third = store(&options).await;
    third.follow(Arc::new(LeadsSince(2)));
    third.note_others();
    third.mark_producer_ids().await.unwrap();
    let id = third.allocate_producer_ids(1).await.unwrap().start;
    let partition = open(&third, &name).await;
    let appended = partition.append(idempotent(id, 0, &["a"])).await.unwrap();
    assert_eq!(third.metrics().barriers, 1);
    assert_eq!(appended.base_offset, Offset(1), "behind the barrier");
    assert_eq!(values(&partition, 0).await, [(1, "a".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_behind_a_first_one_that_was_never_written_waits_for_it() {
    let [store, _] = two(&options(EntryFormat::Kafka)).await;
    let name = new_topic(&store).await;
    store.mark_producer_ids().await.unwrap();
    let id = store.allocate_producer_ids(1).await.unwrap().start;
    let partition = open(&store, &name).await;
    let behind = partition.append(idempotent(id, 2, &["c"])).await;
    let refused = AppendError::OutOfOrderSequence {
        expected: 0,
        found: 2,
    };
    assert_eq!(behind.unwrap_err().to_string(), refused.to_string());
    partition
        .append(idempotent(id, 0, &["a", "b"]))
        .await
        .unwrap();
    partition.append(idempotent(id, 2, &["c"])).await.unwrap();
    let written: Vec<String> = values(&partition, 0)
        .await
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    assert_eq!(written, ["a", "b", "c"]);
}
