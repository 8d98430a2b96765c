//! Groups and offsets that someone wants gone.
use crate::{
    DeleteOffsets, GroupError, GroupId, Groups, Name, OffsetToDelete, Output, Record,
    classic::{State, Turn},
    hard::Hard,
    subscription,
};

/// The protocol type of groups whose subscriptions the coordinator can read.
const CONSUMER: &str = "consumer";

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
        if !self.exists(id) {
            return Err(GroupError::GroupNotFound);
        }
        let subscribed = self.subscribed(id)?;
        let known = self.hard.offsets(id);
        let mut outcomes = Vec::with_capacity(delete.offsets.len());
        for offset in delete.offsets {
            let OffsetToDelete {
                topic,
                also_known_as,
                partition,
            } = offset;
            let mut names = std::iter::once(&topic).chain(&also_known_as);
            if names.any(|name| subscribed.includes(name)) {
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

    fn subscribed(&self, id: &GroupId) -> Result<Subscribed, GroupError> {
        let live = self.live.get(id).filter(|g| g.state() != State::Empty);
        let Some(group) = live else {
            return Ok(Subscribed::To(Vec::new()));
        };
        if group.protocol_type().map(Name::as_str) != Some(CONSUMER) {
            // What its members read is known to them alone.
            return Err(GroupError::GroupNotEmpty);
        }
        let mut topics = Vec::new();
        for subscription in group.subscriptions() {
            match subscription::topics(subscription) {
                Some(some) => topics.extend(some),
                None => return Ok(Subscribed::Perhaps),
            }
        }
        Ok(Subscribed::To(topics))
    }
}

/// What a group's members read.
enum Subscribed {
    To(Vec<Name>),
    /// A member speaks a dialect that is not understood: it might read anything.
    Perhaps,
}

impl Subscribed {
    fn includes(&self, topic: &Name) -> bool {
        match self {
            Self::To(topics) => topics.contains(topic),
            Self::Perhaps => true,
        }
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
    out.records.push(Record::Group {
        group: id.clone(),
        value: None,
    });
}
