//! A static member that has restarted takes its former run's place (KIP-345).
use super::{Group, State, Turn};
use crate::{GroupError, Join, MemberId, Reply, Ticket};

impl Group {
    pub(super) fn stand_in(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        join: &Join,
        predecessor: &MemberId,
    ) {
        let id = join.fresh_member.clone();
        let led = self.leader.as_ref() == Some(predecessor);
        self.replace(turn, predecessor, &id);
        if self.state != State::Stable {
            self.wait_in_join(turn, ticket, join, &id);
            self.rebalance(turn);
            return;
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.update(join);
        }
        if self.choose_protocol() != self.protocol {
            self.wait_in_join(turn, ticket, join, &id);
            self.rebalance(turn);
            return;
        }
        // The assignment stands; only the log must learn the new id.
        self.touch(turn, &id);
        let record = self.record(turn);
        turn.out.records.push(record);
        let joined = self.joined(&id).map(|mut joined| {
            if join.may_skip_assignment {
                joined.skip_assignment = led;
            } else if led {
                // An older client assigns whenever it leads. Told that its former run leads, it
                // asks for the assignment that stands.
                joined.leader = predecessor.clone();
                joined.members = Vec::new();
            }
            joined
        });
        turn.reply(ticket, Reply::Join(joined));
    }

    /// Gives the member another id, and tells the former run's waiting requests.
    fn replace(&mut self, turn: &mut Turn<'_>, from: &MemberId, to: &MemberId) {
        let Some(mut member) = self.members.remove(from) else {
            return;
        };
        turn.cancel(turn.session_timer(from));
        if let Some(ticket) = member.joining.take() {
            turn.reply(ticket, Reply::Join(Err(GroupError::FencedInstance)));
        }
        if let Some(ticket) = member.syncing.take() {
            turn.reply(ticket, Reply::Sync(Err(GroupError::FencedInstance)));
        }
        if let Some(instance) = &member.instance {
            self.instances.insert(instance.clone(), to.clone());
        }
        if self.leader.as_ref() == Some(from) {
            self.leader = Some(to.clone());
        }
        if self.unsynced.remove(from) {
            self.unsynced.insert(to.clone());
        }
        self.members.insert(to.clone(), member);
    }
}
