//! A classic consumer group: its members decide among themselves, the coordinator only referees.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

use crate::{
    GroupConfig, GroupError, GroupId, GroupMetadata, InstanceId, MemberId, MemberMetadata, Name,
    Output, Record, Reply, Ticket, Timer, TimerChange, command,
};

mod describe;
mod heartbeat;
mod join;
mod leave;
mod member;
mod rebalance;
mod stand_in;
mod sync;

pub(crate) use member::Member;

/// What a group takes besides its members, in bytes: the structures and its name.
const GROUP_OVERHEAD: usize = 512;
/// What a member takes besides its subscription and assignment: its id in several places, timers.
const MEMBER_OVERHEAD: usize = 512;

/// Where a group stands in its cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No members. Committed offsets may be there.
    ///
    /// action: heartbeats and syncs know no member; clients that are no members may commit.
    /// transition: a first member joins → `Preparing`.
    Empty,
    /// Waits for all members to join.
    ///
    /// action: joins wait; heartbeats and syncs are told of the rebalance; members may still commit.
    /// transition: all have joined, or the timer has run out → `Completing`, or `Empty` if none is
    /// left.
    Preparing(Round),
    /// Waits for the leader's assignment.
    ///
    /// action: followers' syncs wait; a changed or additional join starts over; nobody commits.
    /// transition: the leader syncs → `Stable`; members change, or someone does not sync in time →
    /// `Preparing`.
    Completing,
    /// Everyone has, or may have, an assignment.
    ///
    /// action: syncs are answered at once.
    /// transition: members or their subscriptions change → `Preparing`.
    Stable,
}

/// What a waiting rebalance waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// For all known members.
    Members,
    /// For members nobody knows of yet: the group was empty, and more are likely to come.
    First {
        /// Milliseconds by which the wait may still be prolonged.
        remaining_ms: u64,
        /// Someone has joined since the timer was set.
        newcomers: bool,
    },
}

/// The soft state of one group.
#[derive(Debug)]
pub(crate) struct Group {
    state: State,
    generation: i32,
    protocol_type: Option<Name>,
    protocol: Option<Name>,
    leader: Option<MemberId>,
    members: BTreeMap<MemberId, Member>,
    /// Static members by their own names.
    instances: HashMap<InstanceId, MemberId>,
    /// Ids given out that have not joined yet (KIP-394).
    pending: BTreeSet<MemberId>,
    /// Members of this generation that have not synced yet.
    unsynced: BTreeSet<MemberId>,
}

/// One command's surroundings: the time, the rules, the group's name, and where effects go.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) now: u64,
    pub(crate) config: &'a GroupConfig,
    pub(crate) group: &'a GroupId,
    pub(crate) out: &'a mut Output,
}

impl Turn<'_> {
    fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.out.replies.push((ticket, reply));
    }

    fn set(&mut self, timer: Timer, after_ms: u64) {
        let at = self.now.saturating_add(after_ms);
        self.out.timers.push(TimerChange::Set(timer, at));
    }

    fn cancel(&mut self, timer: Timer) {
        self.out.timers.push(TimerChange::Cancel(timer));
    }

    fn join_timer(&self) -> Timer {
        Timer::Join(self.group.clone())
    }

    fn sync_timer(&self) -> Timer {
        Timer::Sync(self.group.clone())
    }

    fn session_timer(&self, member: &MemberId) -> Timer {
        Timer::Session(self.group.clone(), member.clone())
    }
}

impl Group {
    /// A group without members that continues after this generation.
    pub(crate) fn after(generation: i32) -> Self {
        Self {
            state: State::Empty,
            generation,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: HashMap::new(),
            pending: BTreeSet::new(),
            unsynced: BTreeSet::new(),
        }
    }

    /// The group as the log has it; its members have a session's time to show themselves.
    pub(crate) fn resume(turn: &mut Turn<'_>, metadata: &GroupMetadata) -> Self {
        let mut group = Self::after(metadata.generation);
        for stored in &metadata.members {
            let protocol = metadata.protocol.as_ref();
            let member = Member::resume(stored, protocol);
            turn.set(
                turn.session_timer(&stored.member),
                member.session_timeout_ms,
            );
            if let Some(instance) = &member.instance {
                group
                    .instances
                    .insert(instance.clone(), stored.member.clone());
            }
            group.members.insert(stored.member.clone(), member);
        }
        if !group.members.is_empty() {
            group.state = State::Stable;
            group.protocol_type = Some(metadata.protocol_type.clone());
            group.protocol.clone_from(&metadata.protocol);
            group.leader.clone_from(&metadata.leader);
        }
        if group.members.len() > turn.config.max_group_size {
            // Those who join again first stay.
            group.rebalance(turn);
        }
        group
    }

    /// Nobody is here, and the log (which has this generation, or a later one) knows as much.
    pub(crate) fn is_forgettable(&self, logged_generation: i32) -> bool {
        self.members.is_empty() && self.pending.is_empty() && self.generation <= logged_generation
    }

    /// The log has forgotten the group. Nobody is bound to its generation where there are no members.
    pub(crate) fn start_over(&mut self) {
        if self.state == State::Empty {
            self.generation = 0;
        }
    }

    /// The generation the group is in, which the log may not have yet.
    #[cfg(test)]
    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    /// Who the group is, for the log.
    fn record(&self, turn: &Turn<'_>) -> Record {
        let has_static = !self.instances.is_empty();
        let timestamp = i64::try_from(turn.now).unwrap_or(i64::MAX);
        let protocol_type = self.protocol_type.clone();
        Record::Group {
            group: turn.group.clone(),
            value: Some(GroupMetadata {
                protocol_type: protocol_type.unwrap_or_else(Name::empty),
                generation: self.generation,
                protocol: self.protocol.clone(),
                leader: self.leader.clone(),
                // Where the record must be of a newer version anyway, it may as well say since when.
                state_timestamp: has_static.then_some(timestamp),
                members: self.member_records(),
            }),
        }
    }

    fn member_records(&self) -> Vec<MemberMetadata> {
        let to_i32 = |ms: u64| i32::try_from(ms).unwrap_or(i32::MAX);
        self.members
            .iter()
            .map(|(id, member)| MemberMetadata {
                member: id.clone(),
                instance: member.instance.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                rebalance_timeout_ms: to_i32(member.rebalance_timeout_ms),
                session_timeout_ms: to_i32(member.session_timeout_ms),
                subscription: member.metadata(self.protocol.as_ref()),
                assignment: member.assignment.clone(),
            })
            .collect()
    }

    /// Whether this is the live run of a member of the group, whatever its generation.
    fn check_identity(
        &self,
        member: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(), GroupError> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(GroupError::UnknownMember),
                Some(current) if current != member => return Err(GroupError::FencedInstance),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member) {
            Ok(())
        } else {
            Err(GroupError::UnknownMember)
        }
    }

    /// Whether this is the live run of a member, speaking of the group's generation.
    fn check(&self, member: &command::Member) -> Result<(), GroupError> {
        self.check_identity(&member.member, member.instance.as_ref())?;
        if member.generation == self.generation {
            Ok(())
        } else {
            Err(GroupError::IllegalGeneration)
        }
    }

    /// Bytes of subscriptions and assignments, `except` one member's.
    fn bytes(&self, except: Option<&MemberId>) -> usize {
        self.members
            .iter()
            .filter(|(id, _)| Some(*id) != except)
            .map(|(_, member)| member.bytes())
            .sum()
    }

    /// Bytes that the group takes in memory, nearly.
    pub(crate) fn weight(&self) -> usize {
        let members = self.members.len() + self.pending.len();
        GROUP_OVERHEAD + members * MEMBER_OVERHEAD + self.bytes(None)
    }

    /// Starts the member's session anew.
    fn touch(&self, turn: &mut Turn<'_>, id: &MemberId) {
        if let Some(member) = self.members.get(id) {
            turn.set(turn.session_timer(id), member.session_timeout_ms);
        }
    }

    fn longest_rebalance_timeout_ms(&self) -> u64 {
        let timeouts = self.members.values().map(|m| m.rebalance_timeout_ms);
        timeouts.max().unwrap_or(0)
    }

    fn assignment(&self, id: &MemberId) -> Bytes {
        self.members
            .get(id)
            .map(|member| member.assignment.clone())
            .unwrap_or_default()
    }
}
