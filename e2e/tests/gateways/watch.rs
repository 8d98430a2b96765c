//! Looks at what groups have committed all the while: it never goes back, whoever is asked.

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::OffsetFetchRequest;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kop_e2e::wire::{Connection, text};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::{PARTITIONS, TOPIC};

/// A thread that looks.
pub(super) struct Commits {
    stop: Arc<AtomicBool>,
    looking: JoinHandle<Result<usize>>,
}

impl Commits {
    /// Asks each of the gateways for the offsets of each of the groups, again and again.
    pub(super) fn watch(addresses: Vec<String>, groups: &[String]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, groups) = (Arc::clone(&stop), groups.to_vec());
        let looking = std::thread::spawn(move || {
            let mut highest: HashMap<(String, i32), i64> = HashMap::new();
            let mut looks = 0;
            while !stopped.load(Ordering::Relaxed) {
                for address in &addresses {
                    for group in &groups {
                        // One that is down, or that does not coordinate the group, says nothing.
                        let Ok(offsets) = offsets(address, group) else {
                            continue;
                        };
                        looks += 1;
                        for (partition, offset) in offsets {
                            let seen = highest.entry((group.clone(), partition)).or_insert(offset);
                            ensure!(
                                offset >= *seen,
                                "{group} had committed {seen} of partition {partition}, and {address} \
                                 says {offset}"
                            );
                            *seen = offset;
                        }
                    }
                }
                std::thread::yield_now();
                pause();
            }
            Ok(looks)
        });
        Self { stop, looking }
    }

    /// Ends it, and tells how often an answer came.
    pub(super) fn end(self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        self.looking.join().ok().context("the thread panicked")?
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pause between two looks, so that looking is not the load"
)]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(50));
}

fn offsets(address: &str, group: &str) -> Result<Vec<(i32, i64)>> {
    let topic = OffsetFetchRequestTopic::default()
        .with_name(text(TOPIC).into())
        .with_partition_indexes((0..PARTITIONS).collect());
    let request = OffsetFetchRequest::default()
        .with_group_id(text(group).into())
        .with_topics(Some(vec![topic]));
    let answer = Connection::connect(address)?.call(7, &request)?;
    ensure!(answer.error_code == 0, "{}", answer.error_code);
    let topic = answer.topics.first().context("the topic")?;
    let offset = |partition: &kafka_protocol::messages::offset_fetch_response::OffsetFetchResponsePartition| {
        (partition.partition_index, partition.committed_offset)
    };
    Ok(topic.partitions.iter().map(offset).collect())
}
