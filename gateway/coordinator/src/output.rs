//! What a shard wants done.
use bytes::Bytes;

use crate::{
    CommittedOffset, DescribedGroup, GroupError, GroupId, InstanceId, ListedGroup, MemberId, Name,
    Record, Survey,
};

/// Everything that follows from one command. The order within each list is the order to keep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// To be appended to the shard's log, and replayed once they are durable.
    pub records: Vec<Record>,
    /// To be given once the records are durable and replayed.
    pub replies: Vec<(Ticket, Reply)>,
    /// To be applied at once.
    pub timers: Vec<TimerChange>,
    /// What happened, for those who count.
    pub counts: Counts,
}

/// How often something happened in one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rebalances that ended: generations that began, those without members included.
    pub rebalances: u64,
    /// Offsets committed.
    pub committed_offsets: u64,
    /// Offsets that outlived their retention.
    pub expired_offsets: u64,
}

impl Output {
    /// Puts what `later` wants behind what `self` wants.
    pub fn extend(&mut self, later: Self) {
        let Self {
            records,
            replies,
            timers,
            counts,
        } = later;
        self.records.extend(records);
        self.replies.extend(replies);
        self.timers.extend(timers);
        self.counts.rebalances += counts.rebalances;
        self.counts.committed_offsets += counts.committed_offsets;
        self.counts.expired_offsets += counts.expired_offsets;
    }
}

/// Stands for a request that waits for its reply. Whoever hands out tickets hands each out once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The answer to a [`Request`](crate::Request) or a list, of the same kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To a join.
    Join(Result<Joined, GroupError>),
    /// To a sync.
    Sync(Result<Synced, GroupError>),
    /// To a heartbeat.
    Heartbeat(Result<(), GroupError>),
    /// To a leave: the whole of it, or each member's in the order asked.
    Leave(Result<Vec<Result<(), GroupError>>, GroupError>),
    /// To a commit: the whole of it, or each offset's in the order asked.
    CommitOffsets(Result<Vec<Result<(), GroupError>>, GroupError>),
    /// To a fetch of offsets.
    FetchOffsets(Vec<FetchedOffset>),
    /// To a description; `None` where there is no such group.
    DescribeGroup(Option<DescribedGroup>),
    /// To the deletion of a group.
    DeleteGroup(Result<(), GroupError>),
    /// To the deletion of offsets: the whole of it, or each offset's in the order asked.
    DeleteOffsets(Result<Vec<Result<(), GroupError>>, GroupError>),
    /// To a list: the shard's groups by name.
    ListGroups(Vec<ListedGroup>),
    /// To a topic's end: how many offsets were forgotten.
    ForgetTopic(usize),
    /// To who looks at the whole shard.
    Survey(Survey),
}

/// A member is part of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The generation.
    pub generation: i32,
    /// The group's protocol type.
    pub protocol_type: Name,
    /// The protocol that was chosen.
    pub protocol: Name,
    /// Who assigns.
    pub leader: MemberId,
    /// The member itself.
    pub member: MemberId,
    /// All members, for the leader; empty for everyone else.
    pub members: Vec<JoinedMember>,
    /// The leader is not to assign: the assignment stands (KIP-814).
    pub skip_assignment: bool,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// The member.
    pub member: MemberId,
    /// Set for a static member.
    pub instance: Option<InstanceId>,
    /// Its subscription under the chosen protocol.
    pub metadata: Bytes,
}

/// A member's share in a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The group's protocol type.
    pub protocol_type: Option<Name>,
    /// The protocol that was chosen.
    pub protocol: Option<Name>,
    /// What the leader assigned; empty where it named nothing for the member.
    pub assignment: Bytes,
}

/// One partition's committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedOffset {
    /// The topic, by the name it has in records.
    pub topic: Name,
    /// The partition's number.
    pub partition: i32,
    /// `None` where the group has committed none.
    pub committed: Option<CommittedOffset>,
}

/// A timer's name. Setting a timer that runs already moves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// The group's rebalance waits no longer for members to join.
    Join(GroupId),
    /// The group waits no longer for members to sync.
    Sync(GroupId),
    /// The member has been silent for too long.
    Session(GroupId, MemberId),
    /// It is time to look for offsets that have outlived their retention.
    Expiry,
}

/// A timer is to be set, moved or stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerChange {
    /// Hand [`Command::Timer`](crate::Command::Timer) in at this time, in the milliseconds that
    /// `handle` is given.
    Set(Timer, u64),
    /// Do not.
    Cancel(Timer),
}
