//! How a shard stands as a whole, for metrics.
use std::collections::BTreeMap;

use crate::{GroupId, GroupState, Groups, Name, classic::Group, hard::GroupOffsets};

/// A shard's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// How many groups are in each state.
    pub groups: BTreeMap<GroupState, usize>,
    /// Members of all groups.
    pub members: usize,
    /// Committed offsets of all groups.
    pub offsets: usize,
    /// Some of them, or all: those of the first groups by name.
    pub listed: Vec<GroupOffset>,
}

/// An offset that a group has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOffset {
    /// The group.
    pub group: GroupId,
    /// The topic, by the name it has in records.
    pub topic: Name,
    /// The partition's number.
    pub partition: i32,
    /// The next offset the group will read.
    pub offset: i64,
}

impl Groups {
    /// The shard's numbers, with `most` committed offsets at the most.
    pub(crate) fn survey(&self, most: usize) -> Survey {
        let mut groups = BTreeMap::new();
        for id in self.ids() {
            *groups.entry(self.state(id)).or_default() += 1;
        }
        let with_offsets = self.hard.ids().into_iter();
        let listed = with_offsets.flat_map(|id| {
            let known = self.hard.offsets(id).into_iter();
            known
                .flat_map(GroupOffsets::iter)
                .map(|(topic, partition, committed)| GroupOffset {
                    group: id.clone(),
                    topic: topic.clone(),
                    partition,
                    offset: committed.offset,
                })
        });
        Survey {
            groups,
            members: self.live.values().map(Group::size).sum(),
            offsets: self.hard.all_offsets().map(|(_, known)| known.len()).sum(),
            listed: listed.take(most).collect(),
        }
    }
}
