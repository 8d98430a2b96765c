//! SyncGroup: the leader's assignment reaches every member.
use std::collections::HashMap;

use bytes::Bytes;

use super::{Group, State, Turn};
use crate::{GroupError, MemberId, Name, Reply, Sync, Synced, Ticket};

impl Group {
    /// Answers at once, or when the leader has assigned.
    pub(crate) fn sync(&mut self, turn: &mut Turn<'_>, ticket: Ticket, sync: Sync) {
        if let Err(error) = self.try_sync(turn, ticket, sync) {
            turn.reply(ticket, Reply::Sync(Err(error)));
        }
    }

    fn try_sync(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        sync: Sync,
    ) -> Result<(), GroupError> {
        self.check(&sync.member)?;
        let differs = |said: &Option<Name>, known: &Option<Name>| said.is_some() && said != known;
        if differs(&sync.protocol_type, &self.protocol_type)
            || differs(&sync.protocol, &self.protocol)
        {
            return Err(GroupError::InconsistentProtocol);
        }
        let id = sync.member.member;
        match self.state {
            State::Empty => Err(GroupError::UnknownMember),
            State::Preparing(_) => Err(GroupError::RebalanceInProgress),
            State::Completing => {
                self.wait_in_sync(turn, ticket, &id);
                if self.leader.as_ref() == Some(&id) {
                    if self.can_keep(turn, &sync.assignments) {
                        self.assign(turn, sync.assignments);
                    } else {
                        self.interrupt_syncs(turn, &GroupError::AssignmentTooLarge);
                        self.rebalance(turn);
                    }
                }
                Ok(())
            }
            State::Stable => {
                self.note_synced(turn, &id);
                self.touch(turn, &id);
                let synced = self.synced(&id);
                turn.reply(ticket, Reply::Sync(Ok(synced)));
                Ok(())
            }
        }
    }

    /// Whether the group's record has room for the assignments.
    fn can_keep(&self, turn: &Turn<'_>, assignments: &[(MemberId, Bytes)]) -> bool {
        let bytes: usize = assignments.iter().map(|(_, bytes)| bytes.len()).sum();
        self.bytes(None) + bytes <= turn.config.max_group_bytes
    }

    fn wait_in_sync(&mut self, turn: &mut Turn<'_>, ticket: Ticket, id: &MemberId) {
        self.note_synced(turn, id);
        turn.cancel(turn.session_timer(id));
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        if let Some(earlier) = member.syncing.replace(ticket) {
            let superseded = Err(GroupError::RebalanceInProgress);
            turn.reply(earlier, Reply::Sync(superseded));
        }
    }

    fn note_synced(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        if self.unsynced.remove(id) && self.unsynced.is_empty() {
            turn.cancel(turn.sync_timer());
        }
    }

    fn assign(&mut self, turn: &mut Turn<'_>, assignments: Vec<(MemberId, Bytes)>) {
        let mut assignments: HashMap<_, _> = assignments.into_iter().collect();
        for (id, member) in &mut self.members {
            member.assignment = assignments.remove(id).unwrap_or_default();
        }
        self.state = State::Stable;
        let record = self.record(turn);
        turn.out.records.push(record);
        for (id, ticket) in self.take_syncing() {
            self.touch(turn, &id);
            let synced = self.synced(&id);
            turn.reply(ticket, Reply::Sync(Ok(synced)));
        }
    }

    pub(super) fn take_syncing(&mut self) -> Vec<(MemberId, Ticket)> {
        self.members
            .iter_mut()
            .filter_map(|(id, member)| Some((id.clone(), member.syncing.take()?)))
            .collect()
    }

    fn synced(&self, id: &MemberId) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self.assignment(id),
        }
    }

    /// The time to sync is over: who has not is out, and the rest start over.
    pub(crate) fn sync_timer_ran_out(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::Empty | State::Preparing(_) => {}
            State::Completing | State::Stable => {
                let missing = std::mem::take(&mut self.unsynced);
                for id in &missing {
                    self.drop_member(turn, id);
                }
                if !missing.is_empty() {
                    self.rebalance(turn);
                }
            }
        }
    }
}
