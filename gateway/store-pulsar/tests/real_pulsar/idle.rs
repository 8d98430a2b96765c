//! Partitions that nobody uses are closed, and what they were goes on exactly when they are asked for again.
use futures::future::join_all;
use kop_store::AppendError;
use serde_json::Value;
use tokio::time::Instant;

use super::*;

/// Partitions of these are closed almost as soon as nobody holds them.
fn hasty(entry_format: EntryFormat, unused_open: Duration) -> PulsarOptions {
    PulsarOptions {
        unused_open,
        ..options(entry_format)
    }
}

/// Names of the producers and of the subscriptions that the broker has on a topic's partition.
async fn at_the_broker(name: &TopicName) -> [Vec<String>; 2] {
    let admin = environment("KOP_TEST_PULSAR_ADMIN");
    let url = format!("{admin}/admin/v2/persistent/public/default/{name}-partition-0/stats");
    let answer = reqwest::get(url).await.unwrap().error_for_status().unwrap();
    let stats: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let producers = stats.get("publishers").unwrap().as_array().unwrap().iter();
    let name = |producer: &Value| {
        producer
            .get("producerName")
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    let subscriptions = stats
        .get("subscriptions")
        .unwrap()
        .as_object()
        .unwrap()
        .keys();
    [
        producers.map(name).collect(),
        subscriptions.cloned().collect(),
    ]
}

/// Waits until nothing of the store is at the broker.
async fn closed(store: &PulsarStore, name: &TopicName) {
    let gone = async {
        while store.open_partitions() > 0
            || at_the_broker(name).await.iter().any(|all| !all.is_empty())
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, gone).await.expect("it is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_partition_leaves_the_broker_and_its_producers_go_on_exactly() {
    for format in [EntryFormat::Pulsar, EntryFormat::Kafka] {
        let store = store(&hasty(format, Duration::from_millis(300))).await;
        let name = new_topic(&store).await;
        let ids = store.allocate_producer_ids(2).await.unwrap();
        let (id, other) = (ids.start, ids.start + 1);
        let partition = open(&store, &name).await;
        for (sequence, texts) in [(0, &["a", "b"][..]), (2, &["c"])] {
            partition
                .append(idempotent(id, sequence, texts))
                .await
                .unwrap();
        }
        let [producers, _] = at_the_broker(&name).await;
        assert_eq!(producers, ["kop-owner"]);
        partition.watermarks();
        let reader = async {
            while at_the_broker(&name).await[1].is_empty() {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, reader).await.expect("the tail reader");
        drop(partition);
        closed(&store, &name).await;
        assert_eq!(store.metrics().partitions_unused, 1);

        let partition = open(&store, &name).await;
        assert_eq!(partition.watermarks().high, Offset(3));
        // Again, as a client whose answer was lost sends it.
        for (sequence, texts, base) in [(0, &["a", "b"][..], 0), (2, &["c"], 2)] {
            let again = partition
                .append(idempotent(id, sequence, texts))
                .await
                .unwrap();
            assert!(again.duplicate);
            assert_eq!(again.base_offset, Offset(base));
        }
        let gap = partition.append(idempotent(id, 4, &["e"])).await;
        let is_gap = |error: &AppendError| {
            matches!(
                error,
                AppendError::OutOfOrderSequence {
                    expected: 3,
                    found: 4
                }
            )
        };
        assert!(gap.as_ref().is_err_and(is_gap), "{gap:?}");
        let next = partition.append(idempotent(id, 3, &["d"])).await.unwrap();
        assert!(!next.duplicate);
        // One that has its id from this gateway and has written nothing here.
        let first = partition
            .append(idempotent(other, 0, &["z"]))
            .await
            .unwrap();
        assert!(!first.duplicate);
        assert_eq!(first.base_offset, next.base_offset + 1);
        let texts: Vec<String> = values(&partition, 0)
            .await
            .into_iter()
            .map(|v| v.1)
            .collect();
        assert_eq!(texts, ["a", "b", "c", "d", "z"]);
        assert_eq!(store.metrics().offset_mismatches, 0);
        store.close().await;
    }
}

/// Opened by whoever read it, closed, and then written to for the first time.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_record_of_a_topic_that_was_closed_before_it_has_offset_0() {
    let store = store(&hasty(EntryFormat::Kafka, Duration::from_millis(200))).await;
    let name = new_topic(&store).await;
    let id = store.allocate_producer_ids(1).await.unwrap().start;
    drop(open(&store, &name).await);
    closed(&store, &name).await;
    let partition = open(&store, &name).await;
    let appended = partition.append(idempotent(id, 0, &["a"])).await.unwrap();
    assert_eq!(appended.base_offset, Offset(0));
    drop(partition);
    closed(&store, &name).await;
    // Another topic of that name is new again.
    store.delete(&name).await.unwrap();
    let topic = NewTopic {
        name: name.clone(),
        partitions: 1,
        config: TopicConfig::new(),
    };
    store.create(topic).await.unwrap();
    let partition = open(&store, &name).await;
    let appended = partition.append(idempotent(id, 0, &["b"])).await.unwrap();
    assert!(!appended.duplicate);
    assert_eq!(appended.base_offset, Offset(0));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_gateway_takes_an_unused_partition_at_once() {
    let options = hasty(EntryFormat::Kafka, Duration::from_millis(200));
    let first = store(&options).await;
    let second = store(&options).await;
    for store in [&first, &second] {
        store.note_others();
        store.mark_producer_ids().await.unwrap();
    }
    let name = new_topic(&first).await;
    let id = first.allocate_producer_ids(1).await.unwrap().start;
    for (sequence, (one, other)) in (0..).zip([(&first, &second), (&second, &first)]) {
        let partition = open(one, &name).await;
        let appended = partition.append(idempotent(id, sequence, &["a"])).await;
        let appended = appended.unwrap();
        drop(partition);
        closed(one, &name).await;
        let began = Instant::now();
        let partition = open(other, &name).await;
        let again = partition.append(idempotent(id, sequence, &["a"])).await;
        let again = again.unwrap();
        assert!(again.duplicate);
        assert_eq!(again.base_offset, appended.base_offset);
        // Brokers give the name of a holder that does not answer away after five seconds.
        assert!(
            began.elapsed() < Duration::from_secs(4),
            "{:?}",
            began.elapsed()
        );
        drop(partition);
        closed(other, &name).await;
    }
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_records_keeps_the_partition_open_and_is_woken_at_once() {
    let unused = Duration::from_millis(100);
    let store = store(&hasty(EntryFormat::Pulsar, unused)).await;
    let (quiet, busy) = (new_topic(&store).await, new_topic(&store).await);
    let partition = open(&store, &quiet).await;
    let waiting = tokio::spawn(async move {
        partition.advanced(Offset(0)).await;
        values(&partition, 0).await
    });
    // Others come and go meanwhile.
    for closings in 1..=5 {
        drop(open(&store, &busy).await);
        let gone = async {
            while store.metrics().partitions_unused < closings {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, gone).await.expect("it is closed");
    }
    assert_eq!(store.open_partitions(), 1);
    let client = Client::new(ClientOptions::new(environment("KOP_TEST_PULSAR")));
    let topic = format!("persistent://public/default/{quiet}-partition-0");
    let native = native_producer(&client, &topic).await;
    native_send(&native, 0, "native").await;
    let seen = timeout(DEADLINE, waiting).await.expect("woken").unwrap();
    assert_eq!(seen, [(0, "native".to_owned())]);
    store.close().await;
}

/// Producers that pause just as long as it takes to close their partition, each with batches in flight.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_closed_again_and_again_loses_repeats_and_reorders_nothing() {
    const PRODUCERS: usize = 3;
    const ROUNDS: i32 = 25;
    const AT_ONCE: i32 = 4;
    for format in [EntryFormat::Pulsar, EntryFormat::Kafka] {
        let store = store(&hasty(format, Duration::from_millis(1))).await;
        let name = new_topic(&store).await;
        let first = store.allocate_producer_ids(3).await.unwrap().start;
        let writers = (first..).take(PRODUCERS).map(|id| {
            let (store, name) = (store.clone(), name.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for round in 0..ROUNDS {
                    let partition = open(&store, &name).await;
                    let sequences = round * AT_ONCE..(round + 1) * AT_ONCE;
                    let text = |n: i32| format!("{id} {n}");
                    let appends = sequences
                        .clone()
                        .map(|n| partition.append(idempotent(id, n, &[&text(n)])));
                    let appended = join_all(appends).await;
                    drop(partition);
                    let opened = store.metrics().partitions_unused;
                    let pause = async {
                        while store.metrics().partitions_unused == opened {
                            tokio::task::yield_now().await;
                        }
                    };
                    // Others may keep it open.
                    let _ = timeout(Duration::from_millis(200), pause).await;
                    for (n, appended) in sequences.zip(appended) {
                        acknowledged.push((appended.unwrap().base_offset.0, text(n)));
                    }
                    // The last one once more, whoever opens it next.
                    let n = (round + 1) * AT_ONCE - 1;
                    let partition = open(&store, &name).await;
                    let again = partition.append(idempotent(id, n, &[&text(n)])).await;
                    let again = again.unwrap();
                    assert!(again.duplicate);
                    assert_eq!(again.base_offset.0, acknowledged.last().unwrap().0);
                }
                acknowledged
            })
        });
        let mut all = Vec::new();
        for acknowledged in join_all(writers).await {
            let acknowledged = acknowledged.unwrap();
            assert!(acknowledged.is_sorted());
            all.extend(acknowledged);
        }
        all.sort();
        let partition = open(&store, &name).await;
        assert_eq!(values(&partition, 0).await, all);
        let metrics = store.metrics();
        eprintln!("{format:?}: closed {} times", metrics.partitions_unused);
        assert!(metrics.partitions_unused > 20, "{metrics:?}");
        assert_eq!(metrics.offset_mismatches, 0);
        store.close().await;
    }
}
