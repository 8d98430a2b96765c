//! Of each key the newest record stays.
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_700_000_000_000;
const DAY: i64 = 24 * 3_600_000;

/// Whenever there is something to compact, it is.
const EAGER: (&str, &str) = ("min.cleanable.dirty.ratio", "0");
const COMPACT: (&str, &str) = ("cleanup.policy", "compact");

fn record(time: i64, key: &str, value: Option<&str>) -> Record {
    Record {
        timestamp: Timestamp(time),
        key: Some(Bytes::from(key.to_owned())),
        value: value.map(|value| Bytes::from(value.to_owned())),
        ..Record::default()
    }
}

fn batch_of(records: &[(&str, Option<&str>)]) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    for (key, value) in records {
        builder.push(record(NOW, key, *value));
    }
    builder.build().unwrap()
}

async fn put(partition: &EmbeddedPartition, records: &[(&str, Option<&str>)]) {
    append(partition, batch_of(records)).await;
}

/// Offset, key and value of every record.
async fn left(partition: &EmbeddedPartition) -> Vec<(i64, String, Option<String>)> {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let mut left = Vec::new();
    for batch in batches(partition).await {
        for record in batch.records().unwrap() {
            let key = record.key.as_ref().map(text).unwrap_or_default();
            left.push((record.offset.0, key, record.value.as_ref().map(text)));
        }
    }
    left
}

fn entry(offset: i64, key: &str, value: Option<&str>) -> (i64, String, Option<String>) {
    (offset, key.to_owned(), value.map(str::to_owned))
}

#[tokio::test]
async fn the_newest_record_of_each_key_stays_where_it_is() {
    let directory = temporary();
    let store = Hands::at(NOW).open(directory.path());
    let log = create_with(&store, "a", &[COMPACT, EAGER]).await;
    put(
        &log,
        &[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))],
    )
    .await;
    put(&log, &[("b", Some("2"))]).await;
    put(&log, &[("c", Some("1")), ("a", Some("3"))]).await;
    let before = log.watermarks();
    store.tidy().await;
    let expected = [
        entry(3, "b", Some("2")),
        entry(4, "c", Some("1")),
        entry(5, "a", Some("3")),
    ];
    assert_eq!(left(&log).await, expected);
    assert_eq!(log.watermarks(), before, "the log is as long as it was");
    // A consumer that stands in a gap goes on behind it.
    let fetched = log.read(Offset(1), PLENTY).await.unwrap();
    let next = Batch::split(Bytes::from(fetched.chunks.concat())).next();
    assert_eq!(next.unwrap().unwrap().header().base_offset, Offset(3));
    put(&log, &[("c", Some("2"))]).await;
    store.tidy().await;
    let headers: Vec<_> = batches(&log).await.iter().map(|b| *b.header()).collect();
    assert_eq!(headers[1].base_offset, Offset(4));
    assert_eq!(
        (headers[1].last_offset_delta, headers[1].record_count),
        (1, 1)
    );
    drop((log, store));
    let store = open(directory.path());
    let log = partition(&store, "a", 0).await;
    let expected = [
        entry(3, "b", Some("2")),
        entry(5, "a", Some("3")),
        entry(6, "c", Some("2")),
    ];
    assert_eq!(left(&log).await, expected);
    let found = log.offset_at(Timestamp(0)).await.unwrap().unwrap();
    assert_eq!(found.offset, Offset(3));
}

#[tokio::test]
async fn a_deletion_is_told_for_a_while_and_then_forgotten() {
    let directory = temporary();
    let hands = Hands::at(NOW);
    let store = hands.open(directory.path());
    let log = create_with(&store, "a", &[COMPACT, EAGER]).await;
    put(&log, &[("a", Some("1")), ("b", Some("1"))]).await;
    put(&log, &[("a", None)]).await;
    put(&log, &[("c", Some("1"))]).await;
    store.tidy().await;
    let told = [
        entry(1, "b", Some("1")),
        entry(2, "a", None),
        entry(3, "c", Some("1")),
    ];
    assert_eq!(left(&log).await, told);
    let horizon = batches(&log).await[1].header().delete_horizon();
    assert_eq!(horizon, Some(Timestamp(NOW + DAY)));
    hands.forward(DAY);
    store.tidy().await;
    assert_eq!(left(&log).await, told, "a day is not over");
    // The store remembers to look, though nothing is appended and it was closed meanwhile.
    drop((log, store));
    let store = hands.open(directory.path());
    let log = partition(&store, "a", 0).await;
    hands.forward(1);
    store.tidy().await;
    let forgotten = [entry(1, "b", Some("1")), entry(3, "c", Some("1"))];
    assert_eq!(left(&log).await, forgotten);
}

#[tokio::test]
async fn the_end_of_a_log_stays_its_end() {
    let directory = temporary();
    let hands = Hands::at(NOW);
    let store = hands.open(directory.path());
    let log = create_with(&store, "a", &[COMPACT, EAGER, ("delete.retention.ms", "0")]).await;
    put(&log, &[("a", Some("1"))]).await;
    put(&log, &[("a", None), ("a", None)]).await;
    store.tidy().await;
    hands.forward(1);
    store.tidy().await;
    assert_eq!(left(&log).await, []);
    let end = batches(&log).await;
    assert_eq!(end.len(), 1);
    assert_eq!(end[0].header().record_count, 0);
    drop((log, store));
    let store = hands.open(directory.path());
    let log = partition(&store, "a", 0).await;
    assert_eq!(log.watermarks().high, Offset(3));
    put(&log, &[("b", Some("1"))]).await;
    store.tidy().await;
    assert_eq!(left(&log).await, [entry(3, "b", Some("1"))]);
    assert_eq!(batches(&log).await.len(), 1, "it is no longer the end");
}

#[tokio::test]
async fn compaction_waits_as_the_topic_says() {
    let directory = temporary();
    let hands = Hands::at(NOW);
    let store = hands.open(directory.path());
    let twice = [("a", Some("1")), ("a", Some("2"))];
    // Half of the log must be new: after the first round nothing is, and a little is too little.
    let ratio = create_with(&store, "ratio", &[COMPACT]).await;
    put(&ratio, &[("x", Some(&"x".repeat(5_000)))]).await;
    store.tidy().await;
    put(&ratio, &twice).await;
    store.tidy().await;
    assert_eq!(left(&ratio).await.len(), 3);
    put(&ratio, &[("y", Some(&"y".repeat(6_000)))]).await;
    store.tidy().await;
    assert_eq!(left(&ratio).await.len(), 3);
    // However little is new, some time it is old.
    let lag = [COMPACT, ("max.compaction.lag.ms", "60000")];
    let overdue = create_with(&store, "overdue", &lag).await;
    put(&overdue, &[("x", Some(&"x".repeat(5_000)))]).await;
    store.tidy().await;
    put(&overdue, &twice).await;
    store.tidy().await;
    assert_eq!(left(&overdue).await.len(), 3);
    hands.forward(60_001);
    store.tidy().await;
    assert_eq!(left(&overdue).await.len(), 2);
    // What is young stays whole.
    let lag = [COMPACT, EAGER, ("min.compaction.lag.ms", "100000")];
    let young = create_with(&store, "young", &lag).await;
    put(&young, &twice).await;
    store.tidy().await;
    assert_eq!(left(&young).await.len(), 2);
    hands.forward(40_000);
    store.tidy().await;
    assert_eq!(left(&young).await, [entry(1, "a", Some("2"))]);
}

#[tokio::test]
async fn transactions_are_left_as_they_are_but_for_what_others_supersede() {
    let directory = temporary();
    let store = Hands::at(NOW).open(directory.path());
    let log = create_with(&store, "a", &[COMPACT, EAGER]).await;
    let transactional = |control: bool, key: &str| {
        let mut builder = BatchBuilder::new(Compression::None)
            .producer(9, 0, if control { -1 } else { 0 })
            .transactional(true)
            .control(control);
        builder.push(record(NOW, key, Some("in a transaction")));
        builder.build().unwrap()
    };
    put(&log, &[("a", Some("before")), ("b", Some("before"))]).await;
    append(&log, transactional(false, "a")).await;
    append(&log, transactional(true, "b")).await;
    put(&log, &[("c", Some("1"))]).await;
    store.tidy().await;
    // Whether the transaction counts is not known, so it supersedes nothing.
    assert_eq!(left(&log).await.len(), 5);
    put(&log, &[("a", Some("after")), ("b", Some("after"))]).await;
    store.tidy().await;
    let expected = [
        entry(3, "b", Some("in a transaction")),
        entry(4, "c", Some("1")),
        entry(5, "a", Some("after")),
        entry(6, "b", Some("after")),
    ];
    assert_eq!(left(&log).await, expected);
    let first = *batches(&log).await[0].header();
    assert!(first.is_transactional() && first.record_count == 0);
    assert_eq!((first.base_offset, first.producer_id), (Offset(2), 9));
}

#[tokio::test]
async fn producers_are_known_when_their_batches_were_superseded() {
    let directory = temporary();
    let store = Hands::at(NOW).open(directory.path());
    let log = create_with(&store, "a", &[COMPACT, EAGER]).await;
    let batch = |sequence: i32| {
        let mut builder = BatchBuilder::new(Compression::None).producer(7, 0, sequence);
        builder.push(record(NOW, "k", Some(&sequence.to_string())));
        builder.build().unwrap()
    };
    for sequence in 0..4 {
        append(&log, batch(sequence)).await;
    }
    put(&log, &[("k", Some("other"))]).await;
    store.tidy().await;
    assert_eq!(left(&log).await, [entry(4, "k", Some("other"))]);
    drop((log, store));
    let store = open(directory.path());
    let log = partition(&store, "a", 0).await;
    let again = append(&log, batch(3)).await;
    assert_eq!((again.base_offset, again.duplicate), (Offset(3), true));
    let gap = log.append(batch(5)).await;
    assert!(
        matches!(gap, Err(AppendError::OutOfOrderSequence { .. })),
        "{gap:?}"
    );
    assert_eq!(append(&log, batch(4)).await.base_offset, Offset(5));
}

#[tokio::test]
async fn records_without_a_key_from_before_a_topic_was_compacted_go() {
    let directory = temporary();
    let store = Hands::at(NOW).open(directory.path());
    let log = create_with(&store, "a", &[EAGER]).await;
    append(&log, plain(2)).await;
    put(&log, &[("a", Some("1")), ("a", Some("2"))]).await;
    store.tidy().await;
    assert_eq!(left(&log).await.len(), 4);
    let from = TopicConfig::of([EAGER]).unwrap();
    let to = TopicConfig::of([EAGER, COMPACT]).unwrap();
    store.configure(&name("a"), &from, to).await.unwrap();
    store.tidy().await;
    assert_eq!(left(&log).await, [entry(3, "a", Some("2"))]);
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(u8, Option<u8>)>, Compression),
    Tidy,
    Forward(i64),
    Truncate(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let records = prop::collection::vec((0..6_u8, prop::option::weighted(0.8, any::<u8>())), 1..6);
    let codec = prop_oneof![
        Just(Compression::None),
        Just(Compression::Gzip),
        Just(Compression::Zstd)
    ];
    prop_oneof![
        8 => (records, codec).prop_map(|(records, codec)| Step::Append(records, codec)),
        3 => Just(Step::Tidy),
        2 => (0..100_000_i64).prop_map(Step::Forward),
        1 => any::<u8>().prop_map(Step::Truncate),
        1 => Just(Step::Reopen),
    ]
}

const DELETE_RETENTION: i64 = 60_000;

/// What was appended, and when.
#[derive(Debug, Default)]
struct Model {
    records: Vec<(i64, Option<String>, i64)>,
    start: usize,
}

impl Model {
    /// The place of the newest record of each key, from the start of the log on.
    fn newest(&self) -> BTreeMap<i64, usize> {
        let records = self.records.iter().enumerate().skip(self.start);
        records.map(|(place, (key, ..))| (*key, place)).collect()
    }

    /// What is in the log is what was put there, where it was put, and the newest value of each key is
    /// there; a deletion may be forgotten after a while.
    fn check(&self, left: &[(i64, String, Option<String>)], now_ms: i64) {
        assert!(left.is_sorted_by(|a, b| a.0 < b.0));
        let left: BTreeMap<_, _> = left.iter().map(|(o, k, v)| (*o, (k, v))).collect();
        for (offset, (key, value)) in &left {
            let (wanted_key, wanted, _) = &self.records[usize::try_from(*offset).unwrap()];
            assert_eq!((*key, *value), (&wanted_key.to_string(), wanted));
        }
        for (key, place) in self.newest() {
            let (_, value, time) = &self.records[place];
            let is_there = left.contains_key(&i64::try_from(place).unwrap());
            let may_be_forgotten = value.is_none() && now_ms - time > DELETE_RETENTION;
            assert!(is_there || may_be_forgotten, "lost {key} at {place}");
        }
    }
}

async fn run(steps: Vec<Step>) {
    let directory = temporary();
    let hands = Hands::at(NOW);
    let mut store = hands.open(directory.path());
    let retention = DELETE_RETENTION.to_string();
    let config = [COMPACT, EAGER, ("delete.retention.ms", &*retention)];
    let mut log = create_with(&store, "a", &config).await;
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Append(records, codec) => {
                let mut builder = BatchBuilder::new(codec);
                for (key, value) in records {
                    let value = value.map(|value| value.to_string().repeat(10));
                    builder.push(record(hands.now_ms(), &key.to_string(), value.as_deref()));
                    model.records.push((key.into(), value, hands.now_ms()));
                }
                append(&log, builder.build().unwrap()).await;
            }
            Step::Tidy => {
                store.tidy().await;
                let now: Vec<_> = left(&log).await;
                let inside: Vec<_> = now
                    .into_iter()
                    .filter(|(offset, ..)| *offset >= i64::try_from(model.start).unwrap())
                    .collect();
                model.check(&inside, hands.now_ms());
                let keys: Vec<_> = inside.iter().map(|(_, key, _)| key).collect();
                let each_once: std::collections::BTreeSet<_> = keys.iter().collect();
                assert_eq!(keys.len(), each_once.len(), "nothing superseded is left");
            }
            Step::Forward(by_ms) => hands.forward(by_ms),
            Step::Truncate(part) => {
                let range = model.records.len() - model.start;
                model.start += range * usize::from(part) / 1024;
                let start = Offset(i64::try_from(model.start).unwrap());
                log.truncate_before(start).await.unwrap();
            }
            Step::Reopen => {
                drop((log, store));
                store = hands.open(directory.path());
                log = partition(&store, "a", 0).await;
            }
        }
        let high = i64::try_from(model.records.len()).unwrap();
        assert_eq!(log.watermarks().high, Offset(high));
        let now = left(&log).await;
        let inside: Vec<_> = now
            .into_iter()
            .filter(|(offset, ..)| *offset >= i64::try_from(model.start).unwrap())
            .collect();
        model.check(&inside, hands.now_ms());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_is_appended_and_compacted_the_newest_value_of_each_key_is_there(
        steps in prop::collection::vec(step(), 1..25)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps));
    }
}
