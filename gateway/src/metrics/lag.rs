//! How consumer groups stand, looked at when Prometheus asks.
//!
//! Only what this gateway has at hand is looked at: shards that run, and ends of partitions without a
//! call to anybody else. On the embedded store that is everything; on Pulsar it is the shards that
//! clients have asked this gateway for, and the partitions that they have used through it.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt as _, stream};
use kop_coordinator::{GroupOffset, GroupState, Survey};
use kop_store::{Partition as _, PartitionId};
use kop_wire::{Offset, TopicName};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::series::{gauge, gauges};
use crate::{gateway::Gateway, store::Store};

/// Partitions whose ends are looked at, at a time.
const AT_ONCE: usize = 32;

/// How groups stood when they were last looked at. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Lag(Arc<Mutex<Option<Seen>>>);

/// What a look found.
#[derive(Debug, Default)]
struct Seen {
    shards: usize,
    groups: BTreeMap<GroupState, usize>,
    members: usize,
    offsets: usize,
    listed: Vec<Read>,
    ends: BTreeMap<PartitionId, Offset>,
}

/// How far a group has read a partition.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Read {
    group: String,
    partition: PartitionId,
    committed: i64,
}

impl Lag {
    /// Looks at the groups of a gateway.
    pub(super) async fn look(&self, gateway: &Gateway) {
        let most = gateway.config.limits.metrics_offsets;
        let start = matches!(gateway.store, Store::Embedded(_));
        let surveys = gateway.coordination.survey(start, most).await;
        let mut seen = Seen {
            shards: surveys.len(),
            ..Seen::default()
        };
        for survey in surveys {
            seen.add(&gateway.store, survey);
        }
        seen.listed.sort();
        seen.listed.truncate(most);
        let partitions = seen.listed.iter().map(|read| read.partition.clone());
        seen.ends = ends(gateway, partitions.collect()).await;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }
}

impl Seen {
    fn add(&mut self, store: &Store, survey: Survey) {
        let Survey {
            groups,
            members,
            offsets,
            listed,
        } = survey;
        for (state, count) in groups {
            *self.groups.entry(state).or_default() += count;
        }
        self.members += members;
        self.offsets += offsets;
        let named = listed.into_iter().filter_map(|listed| {
            let GroupOffset {
                group,
                topic,
                partition: index,
                offset: committed,
            } = listed;
            let topic: TopicName = store.topic_from_stored(topic.as_str())?;
            Some(Read {
                group: group.to_string(),
                partition: PartitionId { topic, index },
                committed,
            })
        });
        self.listed.extend(named);
    }
}

/// Where the partitions end, as far as that is at hand.
async fn ends(
    gateway: &Gateway,
    partitions: BTreeSet<PartitionId>,
) -> BTreeMap<PartitionId, Offset> {
    let looked = stream::iter(partitions)
        .map(|id| end(gateway, id))
        .buffer_unordered(AT_ONCE);
    looked.filter_map(std::future::ready).collect().await
}

async fn end(gateway: &Gateway, id: PartitionId) -> Option<(PartitionId, Offset)> {
    let end = match &gateway.store {
        // Opening one there asks nobody else.
        Store::Embedded(_) => {
            let partition = gateway.partitions.get(&gateway.store, &id).await.ok();
            partition.map(|partition| partition.watermarks().high)
        }
        Store::Pulsar(_) => gateway.partitions.end(&id),
    };
    Some((id, end?))
}

impl Collector for Lag {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = &*seen else {
            return Ok(());
        };
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let encoder = &mut encoder;
        gauge(
            encoder,
            (
                "kop_group_shards",
                "Partitions of __consumer_offsets that this gateway coordinates and has looked at",
            ),
            count(seen.shards),
        )?;
        gauges(
            encoder,
            ("kop_groups", "Consumer groups, by state"),
            seen.groups
                .iter()
                .map(|(state, n)| ([("state", state.to_string())], count(*n))),
        )?;
        gauge(
            encoder,
            ("kop_group_members", "Members of all consumer groups"),
            count(seen.members),
        )?;
        gauge(
            encoder,
            (
                "kop_group_offsets",
                "Committed offsets of all consumer groups",
            ),
            count(seen.offsets),
        )?;
        gauge(
            encoder,
            (
                "kop_group_offsets_not_listed",
                "Committed offsets without lines of their own: those beyond --metrics-max-offsets",
            ),
            count(seen.offsets - seen.listed.len()),
        )?;
        gauges(
            encoder,
            (
                "kop_group_committed_offset",
                "Offset that a group has committed for a partition",
            ),
            seen.listed
                .iter()
                .map(|read| (of_group(read), read.committed)),
        )?;
        gauges(
            encoder,
            (
                "kop_group_lag_records",
                "Records between the offset that a group has committed and the partition's end",
            ),
            seen.listed.iter().filter_map(|read| {
                let end = seen.ends.get(&read.partition)?;
                let lag = end.0.saturating_sub(read.committed).max(0);
                Some((of_group(read), lag))
            }),
        )?;
        gauges(
            encoder,
            (
                "kop_partition_end_offset",
                "End of a partition for which a group has committed an offset",
            ),
            seen.ends.iter().map(|(partition, end)| {
                let topic = ("topic", partition.topic.to_string());
                ([topic, ("partition", partition.index.to_string())], end.0)
            }),
        )
    }
}

fn of_group(read: &Read) -> [(&'static str, String); 3] {
    [
        ("group", read.group.clone()),
        ("topic", read.partition.topic.to_string()),
        ("partition", read.partition.index.to_string()),
    ]
}
