//! LeaveGroup, and members that leave without a word.
use super::{Group, State, Turn};
use crate::{GroupError, Leave, Leaving, MemberId, Reply, Ticket};

impl Group {
    pub(crate) fn leave(&mut self, turn: &mut Turn<'_>, ticket: Ticket, leave: &Leave) {
        let results = leave
            .members
            .iter()
            .map(|leaving| self.leave_one(turn, leaving))
            .collect();
        turn.reply(ticket, Reply::Leave(Ok(results)));
    }

    fn leave_one(&mut self, turn: &mut Turn<'_>, leaving: &Leaving) -> Result<(), GroupError> {
        let id = match (&leaving.member, &leaving.instance) {
            (Some(id), _) if self.pending.contains(id) => {
                self.give_up_pending(turn, &id.clone());
                return Ok(());
            }
            (Some(id), instance) => {
                self.check_identity(id, instance.as_ref())?;
                id.clone()
            }
            (None, Some(instance)) => {
                let current = self.instances.get(instance);
                current.cloned().ok_or(GroupError::UnknownMember)?
            }
            (None, None) => return Err(GroupError::UnknownMember),
        };
        self.remove(turn, &id);
        Ok(())
    }

    /// A session has run out.
    pub(crate) fn session_ran_out(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        if self.pending.contains(id) {
            self.give_up_pending(turn, id);
        } else if self.members.contains_key(id) {
            self.remove(turn, id);
        }
    }

    fn give_up_pending(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        self.pending.remove(id);
        turn.cancel(turn.session_timer(id));
        self.complete_if_all_joined(turn);
    }

    fn remove(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        self.drop_member(turn, id);
        match self.state {
            State::Completing | State::Stable => self.rebalance(turn),
            State::Preparing(_) => self.complete_if_all_joined(turn),
            State::Empty => {}
        }
    }

    /// Takes the member out, without regard for what that means to the group.
    pub(super) fn drop_member(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        let Some(member) = self.members.remove(id) else {
            return;
        };
        turn.cancel(turn.session_timer(id));
        if let Some(ticket) = member.joining {
            turn.reply(ticket, Reply::Join(Err(GroupError::UnknownMember)));
        }
        if let Some(ticket) = member.syncing {
            turn.reply(ticket, Reply::Sync(Err(GroupError::UnknownMember)));
        }
        if let Some(instance) = &member.instance
            && self.instances.get(instance) == Some(id)
        {
            self.instances.remove(instance);
        }
        self.unsynced.remove(id);
        if self.leader.as_ref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }
}
