//! Groups and offsets that someone wants gone.
use crate::{
    DeleteOffsets, GroupError, GroupId, Groups, Name, OffsetToDelete, Output, Record,
    classic::{State, Turn},
    hard::Hard,
    subscription::Subscribed,
};

impl Groups {
    /// Removes a group that has no members, and all its offsets.
    pub(crate) fn delete_group(
        &mut self,
        now: u64,
        out: &mut Output,
        id: &GroupId,
    ) -> Result<(), GroupError> {
        if !self.exists(id) {
            return Err(GroupError::GroupNotFound);
        }
        if self.live.get(id).is_some_and(|g| g.state() != State::Empty) {
            return Err(GroupError::GroupNotEmpty);
        }
        if let Some(group) = self.live.remove(id) {
            group.disband(&mut Turn {
                now,
                config: &self.config,
                group: id,
                out,
            });
        }
        bury(&self.hard, id, out);
        Ok(())
    }

    /// Removes offsets that no member reads on from.
    pub(crate) fn delete_offsets(
        &self,
        out: &mut Output,
        delete: DeleteOffsets,
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        let id = &delete.group;
        if id.as_str().is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        if !self.exists(id) {
            return Err(GroupError::GroupNotFound);
        }
        let subscribed = self.subscribed(id);
        if let Subscribed::Foreign = subscribed {
            return Err(GroupError::GroupNotEmpty);
        }
        let is_read = |topic: &Name| match &subscribed {
            Subscribed::To(subscription) => subscription.includes(topic),
            Subscribed::Unreadable | Subscribed::Foreign => true,
        };
        let known = self.hard.offsets(id);
        let mut outcomes = Vec::with_capacity(delete.offsets.len());
        for offset in delete.offsets {
            let OffsetToDelete { topic, partition } = offset;
            if is_read(&topic) {
                outcomes.push(Err(GroupError::SubscribedToTopic));
                continue;
            }
            if known.is_some_and(|known| known.get(&topic, partition).is_some()) {
                out.records.push(Record::Offset {
                    group: id.clone(),
                    topic,
                    partition,
                    value: None,
                });
            }
            outcomes.push(Ok(()));
        }
        Ok(outcomes)
    }

    /// Removes all offsets of a topic that is no more, and says how many.
    pub(crate) fn forget_topic(&self, out: &mut Output, topic: &Name) -> usize {
        let before = out.records.len();
        for id in self.hard.ids() {
            let partitions = self.hard.offsets(id).into_iter();
            let partitions = partitions.flat_map(|known| known.partitions(topic));
            out.records
                .extend(partitions.map(|partition| Record::Offset {
                    group: id.clone(),
                    topic: topic.clone(),
                    partition,
                    value: None,
                }));
        }
        out.records.len() - before
    }
}

/// Tombstones for all that the log has of a group.
pub(crate) fn bury(hard: &Hard, id: &GroupId, out: &mut Output) {
    let offsets = hard.offsets(id).into_iter().flat_map(|known| known.iter());
    let offsets = offsets.map(|(topic, partition, _)| Record::Offset {
        group: id.clone(),
        topic: topic.clone(),
        partition,
        value: None,
    });
    out.records.extend(offsets);
    // A group that never had members has no record of its own.
    if hard.group(id).is_some() {
        out.records.push(Record::Group {
            group: id.clone(),
            value: None,
        });
    }
}
