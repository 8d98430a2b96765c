//! What the log says, and nothing else.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{CommittedOffset, GroupId, GroupMetadata, Name, Record};

/// The durable state of a shard. [`Hard::replay`] is the one way to change it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hard {
    groups: HashMap<GroupId, GroupMetadata>,
    offsets: HashMap<GroupId, GroupOffsets>,
}

/// A group's committed offsets, by topic (as stored) and partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GroupOffsets {
    topics: BTreeMap<Name, BTreeMap<i32, CommittedOffset>>,
    count: usize,
}

impl Hard {
    /// Makes what one record says so; `at` is the record's timestamp in the log, in milliseconds since
    /// the epoch, negative where it has none. Replaying the same records gives the same state.
    pub fn replay(&mut self, record: &Record, at: i64) {
        match record {
            Record::Group { group, value } => match value {
                Some(metadata) => {
                    let mut metadata = metadata.clone();
                    // Most records do not say since when: since they were written.
                    let written = Some(at).filter(|at| *at >= 0);
                    metadata.state_timestamp = metadata.state_timestamp.or(written);
                    self.groups.insert(group.clone(), metadata);
                }
                None => {
                    self.groups.remove(group);
                }
            },
            Record::Offset {
                group,
                topic,
                partition,
                value,
            } => match value {
                Some(committed) => {
                    let offsets = self.offsets.entry(group.clone()).or_default();
                    offsets.insert(topic, *partition, committed.clone());
                }
                None => self.forget(group, topic, *partition),
            },
        }
    }

    fn forget(&mut self, group: &GroupId, topic: &Name, partition: i32) {
        let Some(offsets) = self.offsets.get_mut(group) else {
            return;
        };
        offsets.remove(topic, partition);
        if offsets.topics.is_empty() {
            self.offsets.remove(group);
        }
    }

    /// The generation of a group that the log has.
    #[must_use]
    pub fn group(&self, group: &GroupId) -> Option<&GroupMetadata> {
        self.groups.get(group)
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = (&GroupId, &GroupMetadata)> {
        self.groups.iter()
    }

    /// Whether the log has anything of the group.
    pub(crate) fn knows(&self, group: &GroupId) -> bool {
        self.groups.contains_key(group) || self.offsets.contains_key(group)
    }

    /// Every group that the log has anything of, by name.
    pub(crate) fn ids(&self) -> BTreeSet<&GroupId> {
        self.groups.keys().chain(self.offsets.keys()).collect()
    }

    pub(crate) fn all_offsets(&self) -> impl Iterator<Item = (&GroupId, &GroupOffsets)> {
        self.offsets.iter()
    }

    pub(crate) fn offsets(&self, group: &GroupId) -> Option<&GroupOffsets> {
        self.offsets.get(group)
    }
}

impl GroupOffsets {
    fn insert(&mut self, topic: &Name, partition: i32, committed: CommittedOffset) {
        let partitions = self.topics.entry(topic.clone()).or_default();
        if partitions.insert(partition, committed).is_none() {
            self.count += 1;
        }
    }

    fn remove(&mut self, topic: &Name, partition: i32) {
        let Some(partitions) = self.topics.get_mut(topic) else {
            return;
        };
        if partitions.remove(&partition).is_some() {
            self.count -= 1;
        }
        if partitions.is_empty() {
            self.topics.remove(topic);
        }
    }

    pub(crate) fn get(&self, topic: &Name, partition: i32) -> Option<&CommittedOffset> {
        self.topics.get(topic)?.get(&partition)
    }

    /// The topics, each with its partitions' offsets.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (&Name, &BTreeMap<i32, CommittedOffset>)> {
        self.topics.iter()
    }

    /// The partitions of one topic.
    pub(crate) fn partitions(&self, topic: &Name) -> impl Iterator<Item = i32> {
        let partitions = self.topics.get(topic).into_iter();
        partitions.flat_map(|partitions| partitions.keys().copied())
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Name, i32, &CommittedOffset)> {
        self.topics.iter().flat_map(|(topic, partitions)| {
            partitions
                .iter()
                .map(move |(partition, committed)| (topic, *partition, committed))
        })
    }
}
