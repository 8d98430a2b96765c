//! The engine against a running Pulsar (3.0 or newer) that has the index interceptor and shows entry
//! metadata to clients:
//!
//! ```text
//! KOP_TEST_PULSAR=pulsar://127.0.0.1:6650 KOP_TEST_PULSAR_ADMIN=http://127.0.0.1:8080 \
//!     cargo test -p kop-store-pulsar --features real-pulsar --test real_pulsar
//! ```
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod anew;
mod compaction;
mod configs;
mod deletion;
mod feeding;
mod idle;
mod markers;
mod round_trips;
mod takeover;
mod times;
mod trimming;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use kop_store::{
    Catalog as _, ConfigureError, NewTopic, Partition, PartitionId, ReadError, ReadLimit,
    TopicConfig, TopicDefaults,
    conformance::{self, Capabilities},
};
use kop_store_pulsar::{EntryFormat, PulsarOptions, PulsarStore, Views};
use kop_wire::{Batch, BatchBuilder, Compression, Offset, Record, Timestamp, TopicName};
use pulsar_client::{
    Client, ClientOptions, MessageMetadata, OutgoingEntry, Producer, ProducerOptions,
};
use tokio::time::timeout;
use uuid::Uuid;

/// What the engine does and leaves out.
const CAPABILITIES: Capabilities = Capabilities {
    truncates: true,
    configures: true,
    log_append_time: false,
};

const PLENTY: ReadLimit = ReadLimit {
    max_bytes: 1 << 20,
    at_least_one: true,
};
const DEADLINE: Duration = Duration::from_secs(60);

fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} says where the Pulsar is"))
}

fn options(entry_format: EntryFormat) -> PulsarOptions {
    PulsarOptions {
        service_url: environment("KOP_TEST_PULSAR"),
        admin_url: environment("KOP_TEST_PULSAR_ADMIN"),
        authentication: None,
        ca_file: None,
        tenant: "public".to_owned(),
        namespace: "default".to_owned(),
        metadata_namespace: format!("kafka-{}", Uuid::new_v4()),
        entry_format,
        offsets_partitions: 5,
        tail_cache_bytes: 64 << 20,
        read_ahead_bytes: 128 << 20,
        node_name: "test".to_owned(),
        topic_defaults: TopicDefaults::default(),
        unused_open: PulsarOptions::UNUSED_OPEN,
    }
}

async fn store(options: &PulsarOptions) -> PulsarStore {
    PulsarStore::connect(options.clone())
        .await
        .expect("the Pulsar serves")
}

async fn new_topic(store: &PulsarStore) -> TopicName {
    let name = TopicName::new(&format!("real-{}", Uuid::new_v4())).unwrap();
    store
        .create(NewTopic {
            name: name.clone(),
            partitions: 1,
            config: TopicConfig::new(),
        })
        .await
        .unwrap();
    name
}

async fn open<'a>(store: &PulsarStore, name: &TopicName) -> impl Partition + use<'a> {
    store
        .open(&PartitionId {
            topic: name.clone(),
            index: 0,
        })
        .await
        .unwrap()
}

fn batch(values: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    push(&mut builder, values);
    builder.build().unwrap()
}

fn idempotent(id: i64, sequence: i32, values: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new(Compression::Lz4).producer(id, 0, sequence);
    push(&mut builder, values);
    builder.build().unwrap()
}

fn push(builder: &mut BatchBuilder, values: &[&str]) {
    for value in values {
        builder.push(Record {
            timestamp: Timestamp(1_700_000_000_000),
            value: Some(Bytes::from((*value).to_owned())),
            ..Record::default()
        });
    }
}

/// All values from `from` to the high watermark as it is now, with their offsets; every offset is
/// covered by some batch.
async fn values(partition: &impl Partition, from: i64) -> Vec<(i64, String)> {
    let limit = ReadLimit {
        max_bytes: 1 << 20,
        at_least_one: true,
    };
    let high = partition.watermarks().high;
    let mut next = Offset(from);
    let mut values = Vec::new();
    while next < high {
        let read = timeout(DEADLINE, partition.read(next, limit))
            .await
            .expect("in time")
            .unwrap();
        assert!(!read.is_empty(), "nothing at {next} below {high}");
        let chunks: Vec<u8> = read.chunks.concat();
        for batch in Batch::split(chunks.into()) {
            let batch = batch.unwrap();
            assert!(
                batch.header().base_offset <= next,
                "a hole before {:?}",
                batch.header()
            );
            for record in batch.records().unwrap() {
                if record.offset >= next {
                    let value = record.value.unwrap_or_default().to_vec();
                    values.push((record.offset.0, String::from_utf8(value).unwrap()));
                }
            }
            next = next.max(batch.header().base_offset + batch.header().offsets());
        }
    }
    values
}

async fn native_producer(client: &Client, topic: &str) -> Producer {
    client
        .producer(topic, ProducerOptions::default())
        .await
        .unwrap()
}

async fn native_send(producer: &Producer, sequence_id: u64, value: &str) {
    let metadata = MessageMetadata {
        producer_name: producer.name().to_owned(),
        sequence_id,
        publish_time: 1_700_000_000_000,
        ..MessageMetadata::default()
    };
    let entry = OutgoingEntry {
        sequence_id,
        num_messages: 1,
        metadata,
        payload: vec![Bytes::from(value.to_owned())],
        checksum: true,
    };
    producer.send(entry).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_what_every_store_keeps_in_pulsar_format() {
    let store = store(&options(EntryFormat::Pulsar)).await;
    conformance::run_all(&store, CAPABILITIES).await;
    assert_eq!(store.metrics().offset_mismatches, 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_what_every_store_keeps_in_kafka_format() {
    let store = store(&options(EntryFormat::Kafka)).await;
    conformance::run_all(&store, CAPABILITIES).await;
    assert_eq!(store.metrics().offset_mismatches, 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_offsets_outlive_a_store_that_was_closed_and_one_that_died() {
    for format in [EntryFormat::Pulsar, EntryFormat::Kafka] {
        let options = options(format);
        let first = store(&options).await;
        let name = new_topic(&first).await;
        let partition = open(&first, &name).await;
        for n in 0..10 {
            let appended = partition
                .append(batch(&[&format!("a{n}"), "x"]))
                .await
                .unwrap();
            assert_eq!(appended.base_offset, Offset(n * 2));
        }
        first.close().await;

        let second = store(&options).await;
        let partition = open(&second, &name).await;
        assert_eq!(partition.watermarks().high, Offset(20));
        assert_eq!(values(&partition, 0).await.len(), 20);
        let appended = partition.append(batch(&["b"])).await.unwrap();
        assert_eq!(appended.base_offset, Offset(20));
        // The second is not closed: the third finds the name taken until it is dropped.
        drop(partition);
        second.close().await;

        let third = store(&options).await;
        let partition = open(&third, &name).await;
        let appended = partition.append(batch(&["c"])).await.unwrap();
        assert_eq!(appended.base_offset, Offset(21));
        let all = values(&partition, 0).await;
        assert_eq!(all.len(), 22);
        assert_eq!(all[21], (21, "c".to_owned()));
        assert_eq!(values(&partition, 15).await[0], (15, "x".to_owned()));
        third.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_outlives_the_gateway_writes_nothing_twice() {
    for format in [EntryFormat::Pulsar, EntryFormat::Kafka] {
        let options = options(format);
        let first = store(&options).await;
        let id = first.allocate_producer_ids(1).await.unwrap().start;
        let name = new_topic(&first).await;
        let partition = open(&first, &name).await;
        for n in 0..4 {
            partition
                .append(idempotent(id, n * 2, &["p", "q"]))
                .await
                .unwrap();
        }
        first.close().await;

        let second = store(&options).await;
        let partition = open(&second, &name).await;
        let again = partition
            .append(idempotent(id, 6, &["p", "q"]))
            .await
            .unwrap();
        assert!(again.duplicate);
        assert_eq!(again.base_offset, Offset(6));
        let next = partition.append(idempotent(id, 8, &["r"])).await.unwrap();
        assert!(!next.duplicate);
        // One barrier was written to be sure of the end, and takes an offset that is covered.
        assert_eq!(next.base_offset, Offset(9));
        let offsets: Vec<i64> = values(&partition, 0).await.iter().map(|v| v.0).collect();
        assert_eq!(offsets, [0, 1, 2, 3, 4, 5, 6, 7, 9]);
        assert_eq!(values(&partition, 8).await, [(9, "r".to_owned())]);
        let newer = second.allocate_producer_ids(1).await.unwrap().start;
        assert!(newer > id);
        assert!(
            partition
                .append(idempotent(id, 20, &["gap"]))
                .await
                .is_err()
        );
        second.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_stay_exact_while_a_native_producer_writes_between() {
    for format in [EntryFormat::Pulsar, EntryFormat::Kafka] {
        let store = store(&options(format)).await;
        let name = new_topic(&store).await;
        let partition = open(&store, &name).await;
        let client = Client::new(ClientOptions::new(environment("KOP_TEST_PULSAR")));
        let topic = format!("persistent://public/default/{name}-partition-0");
        let native = native_producer(&client, &topic).await;
        let natives = tokio::spawn(async move {
            for n in 0..300 {
                native_send(&native, n, &format!("native {n}")).await;
            }
        });
        let mut acknowledged = Vec::new();
        for round in 0..60 {
            let batches: Vec<Batch> = (0..5)
                .map(|n| batch(&[&format!("kafka {round} {n}"), "more"]))
                .collect();
            let appends = batches.into_iter().map(|batch| partition.append(batch));
            for (n, appended) in futures::future::join_all(appends).await.iter().enumerate() {
                let base = appended.as_ref().unwrap().base_offset.0;
                acknowledged.push((base, format!("kafka {round} {n}")));
            }
        }
        natives.await.unwrap();
        timeout(DEADLINE, partition.advanced(Offset(899)))
            .await
            .expect("all 900 are seen");
        // From memory, and again as a newcomer reads it from Pulsar.
        let limit = ReadLimit {
            max_bytes: 10_000,
            at_least_one: true,
        };
        drop(partition.read(Offset(0), limit).await.unwrap());
        let all = values(&partition, 0).await;
        assert_eq!(
            all.iter().map(|v| v.0).collect::<Vec<_>>(),
            (0..900).collect::<Vec<_>>()
        );
        for (offset, value) in &acknowledged {
            assert_eq!(&all[usize::try_from(*offset).unwrap()].1, value);
        }
        assert!(acknowledged.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(store.metrics().offset_mismatches, 0);
        store.close().await;

        let newcomer = self::store(&options(format)).await;
        let partition = open(&newcomer, &name).await;
        assert_eq!(values(&partition, 0).await, all);
        for from in [1, 450, 777, 899] {
            let rest = values(&partition, from).await;
            assert_eq!(rest, all[usize::try_from(from).unwrap()..]);
        }
        assert_eq!(newcomer.metrics().offset_mismatches, 0);
        newcomer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_natives_write_wakes_those_who_wait() {
    let store = store(&options(EntryFormat::Pulsar)).await;
    let name = new_topic(&store).await;
    let partition = open(&store, &name).await;
    let client = Client::new(ClientOptions::new(environment("KOP_TEST_PULSAR")));
    let topic = format!("persistent://public/default/{name}-partition-0");
    let native = native_producer(&client, &topic).await;
    let waits = partition.advanced(Offset(0));
    let (_, woken) = tokio::join!(native_send(&native, 0, "hello"), timeout(DEADLINE, waits));
    woken.expect("woken by the native record");
    assert_eq!(values(&partition, 0).await, [(0, "hello".to_owned())]);
    let appended = partition.append(batch(&["kafka"])).await.unwrap();
    assert_eq!(appended.base_offset, Offset(1));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_may_read_but_not_write() {
    let options = options(EntryFormat::Kafka);
    let owner = store(&options).await;
    let name = new_topic(&owner).await;
    let partition = open(&owner, &name).await;
    partition.append(batch(&["mine"])).await.unwrap();
    let other = store(&options).await;
    let theirs = open(&other, &name).await;
    assert_eq!(values(&theirs, 0).await, [(0, "mine".to_owned())]);
    let refused = theirs.append(batch(&["theirs"])).await;
    assert!(
        matches!(refused, Err(kop_store::AppendError::NotOwner)),
        "{refused:?}"
    );
    owner.close().await;
    let appended = theirs.append(batch(&["theirs"])).await.unwrap();
    assert_eq!(appended.base_offset, Offset(1));
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_deleted_by_others_is_gone() {
    let options = options(EntryFormat::Kafka);
    let first = store(&options).await;
    let name = new_topic(&first).await;
    let partition = open(&first, &name).await;
    partition.append(batch(&["x"])).await.unwrap();
    let other = store(&options).await;
    other.delete(&name).await.unwrap();
    let gone = async {
        loop {
            match partition.append(batch(&["y"])).await {
                Err(kop_store::AppendError::Deleted) => return,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    timeout(DEADLINE, gone).await.expect("noticed");
    let limit = ReadLimit {
        max_bytes: 100,
        at_least_one: true,
    };
    assert!(matches!(
        partition.read(Offset(0), limit).await,
        Err(ReadError::Deleted)
    ));
    first.close().await;
    other.close().await;
}

/// The admin API's path of a partition's Pulsar topic.
fn admin_url(name: &TopicName, rest: &str) -> String {
    let admin = environment("KOP_TEST_PULSAR_ADMIN");
    format!("{admin}/admin/v2/persistent/public/default/{name}-partition-0/{rest}")
}

/// Has the broker move the partition away and back.
async fn unload(name: &TopicName) {
    let url = admin_url(name, "unload");
    let answer = reqwest::Client::new().put(url).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotent_producer_writes_once_while_the_topic_is_unloaded() {
    for format in [EntryFormat::Pulsar, EntryFormat::Kafka] {
        let store = store(&options(format)).await;
        let id = store.allocate_producer_ids(1).await.unwrap().start;
        let name = new_topic(&store).await;
        let partition = open(&store, &name).await;
        let unloaded = Arc::new(AtomicBool::new(false));
        let producer = tokio::spawn({
            let (partition, unloaded) = (partition.clone(), Arc::clone(&unloaded));
            async move {
                let mut acknowledged = Vec::new();
                // Five in flight, as Kafka's clients; what fails is sent again in order.
                let goes_on = |round: &i32| *round < 60 || !unloaded.load(Ordering::Relaxed);
                for round in (0..).take_while(goes_on) {
                    let mut first = 0;
                    while first < 5 {
                        let appends = (first..5).map(|n| {
                            let value = format!("{round}.{n}");
                            partition.append(idempotent(id, round * 5 + n, &[&value]))
                        });
                        let answers = futures::future::join_all(appends).await;
                        for answer in answers {
                            let Ok(appended) = answer else { break };
                            let value = format!("{round}.{first}");
                            acknowledged.push((appended.base_offset.0, value));
                            first += 1;
                        }
                    }
                }
                acknowledged
            }
        });
        for unloads in 0..=6 {
            if unloads > 0 {
                unload(&name).await;
            }
            let high = partition.watermarks().high;
            timeout(DEADLINE, partition.advanced(high + 20))
                .await
                .expect("appends go on");
        }
        unloaded.store(true, Ordering::Relaxed);
        let acknowledged = timeout(DEADLINE * 2, producer)
            .await
            .expect("all written")
            .unwrap();
        let all = values(&partition, 0).await;
        assert_eq!(all, acknowledged);
        assert_eq!(store.metrics().offset_mismatches, 0);
        assert!(store.metrics().owners_taken > 1);
        store.close().await;
        let newcomer = self::store(&options(format)).await;
        assert_eq!(values(&open(&newcomer, &name).await, 0).await, acknowledged);
        newcomer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_group_log_is_read_whole_by_the_next_gateway() {
    let options = options(EntryFormat::Kafka);
    let name = TopicName::new(kop_store::CONSUMER_OFFSETS).unwrap();
    let mut written = Vec::new();
    for gateway in 0..3 {
        let store = store(&options).await;
        if gateway == 0 {
            store
                .create(NewTopic {
                    name: name.clone(),
                    partitions: 1,
                    config: TopicConfig::new(),
                })
                .await
                .unwrap();
        }
        let partition = open(&store, &name).await;
        assert_eq!(values(&partition, 0).await, written);
        for n in 0..3 {
            let mut builder = BatchBuilder::new(Compression::None);
            for key in ["a", "b"] {
                let value = format!("{gateway}.{n}.{key}");
                builder.push(Record {
                    timestamp: Timestamp(1_700_000_000_000),
                    key: Some(Bytes::from(key)),
                    value: Some(value.clone().into()),
                    ..Record::default()
                });
                written.push((0, value));
            }
            let appended = partition.append(builder.build().unwrap()).await.unwrap();
            let base = appended.base_offset.0;
            let from = written.len() - 2;
            for (record, offset) in written[from..].iter_mut().zip(base..) {
                record.0 = offset;
            }
        }
        assert_eq!(values(&partition, 0).await, written);
        store.close().await;
    }
}

/// What one life of a gateway acknowledged: the next sequence number and where each record stands.
type Acknowledged = (i32, Vec<(i64, String)>);

/// Writes idempotently, one record a batch and five batches in flight, until told to stop.
async fn write_on(
    partition: impl Partition,
    id: i64,
    acknowledged: std::sync::Arc<std::sync::Mutex<Acknowledged>>,
    until: i32,
) {
    loop {
        let next = acknowledged.lock().unwrap().0;
        if next >= until {
            return;
        }
        let appends = (next..until.min(next + 5))
            .map(|n| partition.append(idempotent(id, n, &[&format!("r{n}")])));
        let mut appends: futures::stream::FuturesOrdered<_> = appends.collect();
        while let Some(Ok(appended)) = futures::StreamExt::next(&mut appends).await {
            let mut acknowledged = acknowledged.lock().unwrap();
            let n = acknowledged.0;
            acknowledged.0 += 1;
            acknowledged
                .1
                .push((appended.base_offset.0, format!("r{n}")));
        }
    }
}

#[test]
fn a_gateway_that_is_killed_loses_and_repeats_nothing() {
    for format in [EntryFormat::Pulsar, EntryFormat::Kafka] {
        let options = options(format);
        let acknowledged = std::sync::Arc::<std::sync::Mutex<Acknowledged>>::default();
        let mut found: Option<(TopicName, i64)> = None;
        for life in 1..=5 {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let (topic, id) = runtime.block_on(async {
                let store = store(&options).await;
                let (name, id) = match found.clone() {
                    Some(found) => found,
                    None => {
                        let ids = store.allocate_producer_ids(1).await.unwrap();
                        (new_topic(&store).await, ids.start)
                    }
                };
                let partition = open(&store, &name).await;
                let last = life == 5;
                let next = acknowledged.lock().unwrap().0;
                let until = if last { next + 100 } else { i32::MAX };
                let writer =
                    tokio::spawn(write_on(partition.clone(), id, acknowledged.clone(), until));
                if last {
                    timeout(DEADLINE, writer).await.expect("written").unwrap();
                    let all = values(&partition, 0).await;
                    assert_eq!(all, acknowledged.lock().unwrap().1);
                    assert_eq!(store.metrics().offset_mismatches, 0);
                    store.close().await;
                } else {
                    let high = partition.watermarks().high;
                    timeout(DEADLINE, partition.advanced(high + 60))
                        .await
                        .expect("it writes");
                }
                (name, id)
            });
            found = Some((topic, id));
            // Sockets are closed with everything that is on its way in them.
            runtime.shutdown_background();
        }
    }
}
