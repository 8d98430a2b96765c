//! What was acknowledged survives `kill -9`.
#![expect(clippy::unwrap_used, reason = "functions of a test are a test")]
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use bytes::Bytes;
use kop_store::{Catalog, NewTopic, Partition, PartitionId, ReadLimit, TopicConfig};
use kop_store_embedded::{Durability, EmbeddedOptions, EmbeddedPartition, EmbeddedStore};
use kop_wire::{Batch, BatchBuilder, Compression, Offset, Record, TopicName};

const DIRECTORY: &str = "KOP_CRASH_TEST_DIRECTORY";
const PARTITIONS: u32 = 3;

async fn partitions(directory: &Path, durability: Durability) -> Vec<EmbeddedPartition> {
    let options = EmbeddedOptions::new(directory.to_owned(), durability);
    let store = EmbeddedStore::open(options).unwrap();
    let name = TopicName::new("a").unwrap();
    if store.find(&name).await.unwrap().is_none() {
        store
            .create(NewTopic {
                name: name.clone(),
                partitions: PARTITIONS,
                config: TopicConfig::new(),
            })
            .await
            .unwrap();
    }
    let mut opened = Vec::new();
    for index in 0..i32::try_from(PARTITIONS).unwrap() {
        let id = PartitionId {
            topic: name.clone(),
            index,
        };
        opened.push(store.open(&id).await.unwrap());
    }
    opened
}

fn batch(value: String) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(Record {
        value: Some(Bytes::from(value)),
        ..Record::default()
    });
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that the other test kills"]
async fn append_until_killed() {
    let directory = std::env::var_os(DIRECTORY).unwrap();
    let opened = partitions(Path::new(&directory), Durability::Os).await;
    let tasks = opened.into_iter().enumerate().map(|(index, partition)| {
        tokio::spawn(async move {
            for n in 0.. {
                let value = format!("{index}/{n} {}", "x".repeat(2_000));
                let appended = partition.append(batch(value)).await.unwrap();
                println!("acknowledged {index} {}", appended.base_offset);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// The number of records in a log, each of which must be the one that was sent there.
async fn verified(partition: &EmbeddedPartition, index: usize) -> i64 {
    let limit = ReadLimit {
        max_bytes: 1 << 20,
        at_least_one: true,
    };
    let mut position = Offset(0);
    while position < partition.watermarks().high {
        let fetched = partition.read(position, limit).await.unwrap();
        for batch in Batch::split(Bytes::from(fetched.chunks.concat())) {
            let batch = batch.unwrap();
            Batch::parse(batch.bytes().clone()).expect("the checksum is right");
            for record in batch.records().unwrap() {
                let sent = format!("{index}/{position} ");
                assert_eq!(record.offset, position);
                assert!(record.value.unwrap().starts_with(sent.as_bytes()));
                position = position + 1;
            }
        }
    }
    position.0
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = [0; PARTITIONS as usize];
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "append_until_killed", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            let Some(line) = line.strip_prefix("acknowledged ") else {
                continue;
            };
            // The kill may cut the last line short.
            let Some((index, offset)) = line.split_once(' ') else {
                continue;
            };
            let (index, offset): (usize, i64) = (index.parse().unwrap(), offset.parse().unwrap());
            acknowledged[index] = offset + 1;
            seen += 1;
            if seen == 1_000 * round {
                child.kill().unwrap();
                break;
            }
        }
        child.wait().unwrap();
        assert!(
            seen >= 1_000 * round,
            "the process ended on its own after {seen} records"
        );
        let opened = partitions(directory.path(), Durability::Sync).await;
        for (index, partition) in opened.iter().enumerate() {
            let found = verified(partition, index).await;
            assert!(
                found >= acknowledged[index],
                "{found} of {} in {index}",
                acknowledged[index]
            );
            assert_eq!(partition.watermarks().high, Offset(found));
        }
        // The next round numbers its records from 0 again: begin with an empty topic.
        drop(opened);
        clear(directory.path()).await;
        acknowledged = [0; PARTITIONS as usize];
    }
}

async fn clear(directory: &Path) {
    let options = EmbeddedOptions::new(directory.to_owned(), Durability::Os);
    let store = EmbeddedStore::open(options).unwrap();
    store.delete(&TopicName::new("a").unwrap()).await.unwrap();
    store.close().await.unwrap();
}
