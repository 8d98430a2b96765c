//! Heartbeat, and what else shows that a member is alive.
use super::{Group, State, Turn};
use crate::{CommitOffsets, GroupError, Heartbeat, MemberId, Reply, Ticket, command};

impl Group {
    pub(crate) fn heartbeat(&mut self, turn: &mut Turn<'_>, ticket: Ticket, beat: &Heartbeat) {
        let result = self.check(&beat.member).and_then(|()| {
            if self.state == State::Empty {
                return Err(GroupError::UnknownMember);
            }
            self.stay(turn, &beat.member.member);
            match self.state {
                State::Preparing(_) => Err(GroupError::RebalanceInProgress),
                State::Empty | State::Completing | State::Stable => Ok(()),
            }
        });
        turn.reply(ticket, Reply::Heartbeat(result));
    }

    /// Starts the session anew, unless the member has a request waiting: then none runs.
    fn stay(&self, turn: &mut Turn<'_>, id: &MemberId) {
        let waits = |m: &super::Member| m.joining.is_some() || m.syncing.is_some();
        if !self.members.get(id).is_some_and(waits) {
            self.touch(turn, id);
        }
    }

    /// Whether the commit's sender may commit for the group. A member that may is alive.
    pub(crate) fn admit_commit(
        &self,
        turn: &mut Turn<'_>,
        commit: &CommitOffsets,
    ) -> Result<(), GroupError> {
        let is_member = commit.member.is_some() || commit.instance.is_some();
        if commit.generation < 0 && !is_member {
            // Not a member, and only an empty group takes commits from such.
            return if self.state == State::Empty {
                Ok(())
            } else {
                Err(GroupError::UnknownMember)
            };
        }
        if commit.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        let member = commit.member.clone().unwrap_or_else(MemberId::empty);
        self.check(&command::Member {
            group: commit.group.clone(),
            generation: commit.generation,
            member: member.clone(),
            instance: commit.instance.clone(),
        })?;
        match self.state {
            // It has yet to learn what it is assigned, so it cannot have read it.
            State::Completing => Err(GroupError::RebalanceInProgress),
            State::Empty => Err(GroupError::UnknownMember),
            State::Preparing(_) | State::Stable => {
                self.stay(turn, &member);
                Ok(())
            }
        }
    }
}
