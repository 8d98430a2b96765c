//! JoinGroup: who may take part in a rebalance, and who sets one off.
use super::{Group, Member, Round, State, Turn};
use crate::{GroupError, Join, Joined, JoinedMember, MemberId, Name, Reply, Ticket};

/// How long a member that has never been part of a generation may wait in a rebalance. Longer than
/// any session, because its client sends no heartbeats meanwhile; bounded, because it may be gone.
const NEW_MEMBER_JOIN_TIMEOUT_MS: u64 = 5 * 60 * 1_000;
/// More protocols than this no client has; comparing them costs their number squared.
const MAX_PROTOCOLS: usize = 256;

impl Group {
    /// Answers at once, or when the rebalance is over.
    pub(crate) fn join(&mut self, turn: &mut Turn<'_>, ticket: Ticket, join: &Join) {
        if let Err(error) = self.try_join(turn, ticket, join) {
            turn.reply(ticket, Reply::Join(Err(error)));
        }
    }

    fn try_join(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        join: &Join,
    ) -> Result<(), GroupError> {
        self.check_room(turn, join)?;
        self.check_protocols(join)?;
        match (&join.member, &join.instance) {
            (None, None) => self.join_new(turn, ticket, join),
            (None, Some(instance)) => match self.instances.get(instance).cloned() {
                Some(predecessor) => self.stand_in(turn, ticket, join, &predecessor),
                None => self.add(turn, ticket, join, join.fresh_member.clone()),
            },
            (Some(id), None) if self.pending.contains(id) => {
                self.add(turn, ticket, join, id.clone());
            }
            (Some(id), instance) => {
                self.check_identity(id, instance.as_ref())?;
                self.rejoin(turn, ticket, join, id)?;
            }
        }
        Ok(())
    }

    fn check_room(&self, turn: &Turn<'_>, join: &Join) -> Result<(), GroupError> {
        let known = join.member.as_ref().or_else(|| {
            let instance = join.instance.as_ref()?;
            self.instances.get(instance)
        });
        let has_place =
            known.is_some_and(|id| self.members.contains_key(id) || self.pending.contains(id));
        let size = self.members.len() + self.pending.len();
        let bytes = self.bytes(known) + Member::new(join).bytes();
        if (!has_place && size >= turn.config.max_group_size) || bytes > turn.config.max_group_bytes
        {
            return Err(GroupError::GroupFull);
        }
        Ok(())
    }

    /// A member must share the group's protocol type, and a protocol with all other members.
    fn check_protocols(&self, join: &Join) -> Result<(), GroupError> {
        let has_some = (1..=MAX_PROTOCOLS).contains(&join.protocols.len());
        let nothing_said = join.protocol_type.as_str().is_empty() || !has_some;
        let others = self.members.iter().filter(|(id, member)| {
            let is_same_run = Some(*id) == join.member.as_ref();
            let is_same_instance = join.instance.is_some() && member.instance == join.instance;
            !is_same_run && !is_same_instance
        });
        let others: Vec<&Member> = others.map(|(_, member)| member).collect();
        let is_other_type =
            !others.is_empty() && self.protocol_type.as_ref() != Some(&join.protocol_type);
        let shares_one = join
            .protocols
            .iter()
            .any(|protocol| others.iter().all(|other| other.supports(&protocol.name)));
        if nothing_said || is_other_type || !shares_one {
            return Err(GroupError::InconsistentProtocol);
        }
        Ok(())
    }

    fn join_new(&mut self, turn: &mut Turn<'_>, ticket: Ticket, join: &Join) {
        let id = join.fresh_member.clone();
        if !join.requires_member_id {
            self.add(turn, ticket, join, id);
            return;
        }
        turn.set(turn.session_timer(&id), join.session_timeout_ms);
        self.pending.insert(id.clone());
        turn.reply(ticket, Reply::Join(Err(GroupError::MemberIdRequired(id))));
    }

    fn add(&mut self, turn: &mut Turn<'_>, ticket: Ticket, join: &Join, id: MemberId) {
        self.pending.remove(&id);
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
            self.leader = Some(id.clone());
        }
        if let Some(instance) = &join.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        let mut member = Member::new(join);
        member.joining = Some(ticket);
        self.members.insert(id.clone(), member);
        turn.set(turn.session_timer(&id), NEW_MEMBER_JOIN_TIMEOUT_MS);
        if let State::Preparing(Round::First { newcomers, .. }) = &mut self.state {
            *newcomers = true;
        }
        self.rebalance(turn);
    }

    fn rejoin(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        join: &Join,
        id: &MemberId,
    ) -> Result<(), GroupError> {
        let member = self.members.get(id).ok_or(GroupError::UnknownMember)?;
        let is_changed = member.protocols != join.protocols;
        let is_leader = self.leader.as_ref() == Some(id);
        let starts_over = match self.state {
            State::Preparing(_) => true,
            // The answer to its join got lost.
            State::Completing => is_changed,
            // A leader joins again to have partitions assigned anew.
            State::Stable => is_changed || is_leader,
            State::Empty => return Err(GroupError::UnknownMember),
        };
        if starts_over {
            self.wait_in_join(turn, ticket, join, id);
            self.rebalance(turn);
        } else {
            self.touch(turn, id);
            let joined = self.joined(id);
            turn.reply(ticket, Reply::Join(joined));
        }
        Ok(())
    }

    /// Parks the join of a known member.
    pub(super) fn wait_in_join(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        join: &Join,
        id: &MemberId,
    ) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        member.update(join);
        if let Some(earlier) = member.joining.replace(ticket) {
            let superseded = Err(GroupError::RebalanceInProgress);
            turn.reply(earlier, Reply::Join(superseded));
        }
        if member.is_new {
            turn.set(turn.session_timer(id), NEW_MEMBER_JOIN_TIMEOUT_MS);
        } else {
            // Who waits is alive; the rebalance's own timer ends the wait.
            turn.cancel(turn.session_timer(id));
        }
    }

    /// The generation as a member of it is told.
    pub(super) fn joined(&self, id: &MemberId) -> Result<Joined, GroupError> {
        let (Some(protocol_type), Some(protocol), Some(leader)) =
            (&self.protocol_type, &self.protocol, &self.leader)
        else {
            return Err(GroupError::UnknownMember);
        };
        let members = if id == leader {
            self.roster(protocol)
        } else {
            Vec::new()
        };
        Ok(Joined {
            generation: self.generation,
            protocol_type: protocol_type.clone(),
            protocol: protocol.clone(),
            leader: leader.clone(),
            member: id.clone(),
            members,
            skip_assignment: false,
        })
    }

    pub(super) fn roster(&self, protocol: &Name) -> Vec<JoinedMember> {
        self.members
            .iter()
            .map(|(id, member)| JoinedMember {
                member: id.clone(),
                instance: member.instance.clone(),
                metadata: member.metadata(Some(protocol)),
            })
            .collect()
    }
}
