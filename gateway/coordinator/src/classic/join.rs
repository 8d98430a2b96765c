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

    /// Whether there is room for whoever joins. A member for whom there is none is one no longer: the
    /// group may have more than it is allowed now, and those who come last go (KIP-389).
    fn check_room(&mut self, turn: &mut Turn<'_>, join: &Join) -> Result<(), GroupError> {
        let known = join.member.clone().or_else(|| {
            let instance = join.instance.as_ref()?;
            self.instances.get(instance).cloned()
        });
        let bytes = self.bytes(known.as_ref()) + Member::new(join).bytes();
        if bytes > turn.config.max_group_bytes {
            return Err(GroupError::GroupFull);
        }
        if self.has_place(turn, join, known.as_ref()) {
            return Ok(());
        }
        if let Some(id) = &known {
            self.pending.remove(id);
            turn.cancel(turn.session_timer(id));
            self.drop_member(turn, id);
            self.complete_if_all_joined(turn);
        }
        Err(GroupError::GroupFull)
    }

    fn has_place(&self, turn: &Turn<'_>, join: &Join, known: Option<&MemberId>) -> bool {
        let most = turn.config.max_group_size;
        let asks_for_id = known.is_none() && join.instance.is_none() && join.requires_member_id;
        if asks_for_id && self.pending.len() >= most {
            // Kafka gives out ids without end. Here there are as many as there may be members.
            return false;
        }
        let member = known.and_then(|id| self.members.get(id));
        match self.state {
            State::Empty => true,
            State::Preparing(_) => {
                let joining = self.members.values().filter(|m| m.joining.is_some());
                member.is_some_and(|m| m.joining.is_some()) || joining.count() < most
            }
            State::Completing | State::Stable => member.is_some() || self.members.len() < most,
        }
    }

    /// A member must share the group's protocol type, and a protocol with all members, its former self
    /// included.
    fn check_protocols(&self, join: &Join) -> Result<(), GroupError> {
        let has_some = (1..=MAX_PROTOCOLS).contains(&join.protocols.len());
        let says_nothing = join.protocol_type.as_str().is_empty() || !has_some;
        let fits = || {
            let is_shared = |name: &Name| self.members.values().all(|member| member.supports(name));
            self.protocol_type.as_ref() == Some(&join.protocol_type)
                && join.protocols.iter().any(|own| is_shared(&own.name))
        };
        if says_nothing || (self.state != State::Empty && !fits()) {
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
        // As in Kafka, only the very first generation of a group waits longer for more members.
        if self.generation == 0
            && let State::Preparing(Round::First { newcomers, .. }) = &mut self.state
        {
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
