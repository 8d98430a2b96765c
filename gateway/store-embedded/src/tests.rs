use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use bytes::Bytes;
use kop_store::{
    AppendError, Appended, Catalog, NewTopic, Partition, PartitionId, ReadError, ReadLimit,
    TopicConfig,
    conformance::{self, Capabilities},
};
use kop_wire::{Batch, BatchBuilder, Compression, Offset, Record, Timestamp, TopicName};
use tempfile::TempDir;

use crate::{
    Clock, Durability, EmbeddedOptions, EmbeddedPartition, EmbeddedStore, OpenStoreError,
    format::BatchKey, keyspaces::Keyspaces,
};

mod compaction;
mod directory;
mod reopening;
mod retention;
mod segments;

const PLENTY: ReadLimit = ReadLimit {
    max_bytes: 1 << 20,
    at_least_one: true,
};

/// A clock that a test turns.
#[derive(Debug, Clone, Default)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn at(now_ms: i64) -> Self {
        Self(Arc::new(AtomicI64::new(now_ms)))
    }

    fn forward(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }

    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn open(&self, directory: &Path) -> EmbeddedStore {
        let hands = self.clone();
        let options = EmbeddedOptions {
            clock: Clock::from_fn(move || hands.now_ms()),
            ..EmbeddedOptions::new(directory.to_owned(), Durability::Os)
        };
        EmbeddedStore::open(options).unwrap()
    }
}

/// Makes a topic of one partition with that configuration.
async fn create_with(
    store: &EmbeddedStore,
    topic: &str,
    config: &[(&str, &str)],
) -> EmbeddedPartition {
    let new = NewTopic {
        name: name(topic),
        partitions: 1,
        config: TopicConfig::of(config.iter().copied()).unwrap(),
    };
    store.create(new).await.unwrap();
    partition(store, topic, 0).await
}

/// All batches from the start of the log on, their checksums right.
async fn batches(partition: &EmbeddedPartition) -> Vec<Batch> {
    let mut position = partition.watermarks().log_start;
    let mut all = Vec::new();
    while position < partition.watermarks().high {
        let fetched = partition.read(position, PLENTY).await.unwrap();
        for batch in Batch::split(Bytes::from(fetched.chunks.concat())) {
            let batch = batch.unwrap();
            assert_eq!(crc32c::crc32c(&batch.bytes()[21..]), batch.header().crc);
            assert!(batch.header().last_offset() >= position, "a read goes on");
            position = batch.header().last_offset() + 1;
            all.push(batch);
        }
    }
    all
}

fn temporary() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn try_open(directory: &Path) -> Result<EmbeddedStore, OpenStoreError> {
    EmbeddedStore::open(EmbeddedOptions::new(directory.to_owned(), Durability::Os))
}

fn open(directory: &Path) -> EmbeddedStore {
    try_open(directory).unwrap()
}

fn name(text: &str) -> TopicName {
    TopicName::new(text).unwrap()
}

async fn create(store: &EmbeddedStore, topic: &str, partitions: u32) -> EmbeddedPartition {
    store
        .create(NewTopic {
            name: name(topic),
            partitions,
            config: TopicConfig::new(),
        })
        .await
        .unwrap();
    partition(store, topic, 0).await
}

/// The key-value store's handles, without which the store is not closed.
fn keyspaces(store: &EmbeddedStore) -> Keyspaces {
    store.engine.opened.get().unwrap()
}

/// How many batches the store holds.
fn indexed(store: &EmbeddedStore) -> usize {
    let keys = keyspaces(store)
        .batches
        .iter()
        .map(|item| item.key().unwrap());
    keys.filter(|key| BatchKey::decode(key).is_ok()).count()
}

async fn partition(store: &EmbeddedStore, topic: &str, index: i32) -> EmbeddedPartition {
    store
        .open(&PartitionId {
            topic: name(topic),
            index,
        })
        .await
        .unwrap()
}

/// A batch of an idempotent producer, each record of 100 bytes.
fn sequenced(producer_id: i64, sequence: i32, records: i32) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None).producer(producer_id, 0, sequence);
    for _ in 0..records {
        builder.push(Record {
            timestamp: Timestamp(1_700_000_000_000),
            value: Some(Bytes::from(vec![b'x'; 100])),
            ..Record::default()
        });
    }
    builder.build().unwrap()
}

fn plain(records: i32) -> Batch {
    sequenced(-1, -1, records)
}

async fn append(partition: &EmbeddedPartition, batch: Batch) -> Appended {
    partition.append(batch).await.unwrap()
}

async fn count(partition: &EmbeddedPartition, from: Offset) -> usize {
    let mut position = from;
    let mut records = 0;
    while position < partition.watermarks().high {
        let fetched = partition.read(position, PLENTY).await.unwrap();
        for batch in Batch::split(Bytes::from(fetched.chunks.concat())) {
            let batch = batch.unwrap();
            records += batch.records().unwrap().len();
            position = batch.header().last_offset() + 1;
        }
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_what_every_engine_promises() {
    for durability in [Durability::Sync, Durability::Os] {
        let directory = temporary();
        let options = EmbeddedOptions::new(directory.path().to_owned(), durability);
        let store = EmbeddedStore::open(options).unwrap();
        conformance::run_all(&store, Capabilities::default()).await;
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_topic_needs_a_sensible_number_of_partitions_and_no_tenant() {
    let directory = temporary();
    let store = open(directory.path());
    for (topic, partitions) in [("a", 0), ("a", 10_001), ("public/default/a", 1)] {
        let created = store
            .create(NewTopic {
                name: name(topic),
                partitions,
                config: TopicConfig::new(),
            })
            .await;
        assert!(
            matches!(created, Err(kop_store::CreateError::Refused(_))),
            "{created:?}"
        );
    }
}

#[tokio::test]
async fn older_batches_are_read_from_disk_and_newer_ones_from_memory() {
    let directory = temporary();
    let store = open(directory.path());
    let partition = create(&store, "a", 1).await;
    // More than the tails of all logs may hold.
    let batch = plain(5_000);
    let batches = 40 * 1024 * 1024 / batch.bytes().len() + 1;
    for _ in 0..batches {
        append(&partition, batch.clone()).await;
    }
    assert_eq!(count(&partition, Offset(0)).await, batches * 5_000);
    assert_eq!(count(&partition, Offset(7)).await, batches * 5_000);
}

#[tokio::test]
async fn a_closed_store_takes_nothing_and_can_still_be_read() {
    let directory = temporary();
    let store = open(directory.path());
    let partition = create(&store, "a", 1).await;
    append(&partition, plain(3)).await;
    store.close().await.unwrap();
    let refused = partition.append(plain(1)).await;
    assert!(
        matches!(refused, Err(AppendError::Unavailable(_))),
        "{refused:?}"
    );
    assert_eq!(count(&partition, Offset(0)).await, 3);
    partition.advanced(Offset(3)).await;
    assert!(store.close().await.is_err(), "closed once");
}
