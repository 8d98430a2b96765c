//! What a shard may be told.
use bytes::Bytes;

use crate::{GroupId, InstanceId, MemberId, Name, Ticket, Timer};

/// What happened: someone asked, or a timer ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A client's request; its answer will carry the ticket.
    Request(Ticket, Request),
    /// Someone wants to know all groups of the shard; the answer will carry the ticket.
    ListGroups(Ticket),
    /// Someone wants to know how the shard stands, with at most so many committed offsets; the answer
    /// will carry the ticket.
    Survey(Ticket, usize),
    /// A topic, by the name it has in records, is gone, and so are all offsets committed for it; the
    /// answer will carry the ticket.
    ForgetTopic(Ticket, Name),
    /// A timer that an earlier output set is due.
    Timer(Timer),
}

impl Command {
    /// Whether the command removes what the log has, so that it must not be handed in before the
    /// records of all earlier outputs are replayed: an offset that is being committed would be missed,
    /// or its tombstone would come after it.
    #[must_use]
    pub fn sweeps(&self) -> bool {
        match self {
            Self::Request(_, Request::DeleteGroup(_) | Request::DeleteOffsets(_))
            | Self::ForgetTopic(..)
            | Self::Timer(Timer::Expiry) => true,
            Self::Request(..) | Self::ListGroups(_) | Self::Survey(..) | Self::Timer(_) => false,
        }
    }
}

/// A client's request about one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// To become, or stay, a member through a rebalance.
    Join(Join),
    /// To get the assignment of a generation, and to give it where the member leads.
    Sync(Sync),
    /// To stay a member.
    Heartbeat(Heartbeat),
    /// To be a member no longer.
    Leave(Leave),
    /// To record how far the group has read.
    CommitOffsets(CommitOffsets),
    /// To learn how far the group has read.
    FetchOffsets(FetchOffsets),
    /// To learn who is in the group.
    DescribeGroup(DescribeGroup),
    /// To remove a group without members, and its offsets.
    DeleteGroup(DeleteGroup),
    /// To remove some of a group's offsets.
    DeleteOffsets(DeleteOffsets),
}

impl Request {
    /// Whether the group may need more or less room afterwards.
    pub(crate) fn may_change_membership(&self) -> bool {
        match self {
            Self::Join(_) | Self::Sync(_) | Self::Leave(_) | Self::DeleteGroup(_) => true,
            Self::Heartbeat(_)
            | Self::CommitOffsets(_)
            | Self::FetchOffsets(_)
            | Self::DescribeGroup(_)
            | Self::DeleteOffsets(_) => false,
        }
    }

    /// The group that the request is about.
    #[must_use]
    pub fn group(&self) -> &GroupId {
        match self {
            Self::Join(join) => &join.group,
            Self::Sync(sync) => &sync.member.group,
            Self::Heartbeat(heartbeat) => &heartbeat.member.group,
            Self::Leave(leave) => &leave.group,
            Self::CommitOffsets(commit) => &commit.group,
            Self::FetchOffsets(fetch) => &fetch.group,
            Self::DescribeGroup(describe) => &describe.group,
            Self::DeleteGroup(delete) => &delete.group,
            Self::DeleteOffsets(delete) => &delete.group,
        }
    }
}

/// JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The group.
    pub group: GroupId,
    /// The id the coordinator gave the member before; `None` for a new one.
    pub member: Option<MemberId>,
    /// The id the member gets if it needs one. Unused otherwise.
    pub fresh_member: MemberId,
    /// Set for a static member.
    pub instance: Option<InstanceId>,
    /// The connection's client id.
    pub client_id: Name,
    /// Where the client connects from.
    pub client_host: Name,
    /// The class of protocols, `consumer` for consumers.
    pub protocol_type: Name,
    /// The protocols the member supports, the preferred one first.
    pub protocols: Vec<Protocol>,
    /// How long the member may be silent, in milliseconds.
    pub session_timeout_ms: u64,
    /// How long a rebalance waits for the member, in milliseconds.
    pub rebalance_timeout_ms: u64,
    /// A new dynamic member is told its id and must join again with it (KIP-394, JoinGroup ≥ 4).
    pub requires_member_id: bool,
    /// The client understands that a leader may be told not to assign (KIP-814, JoinGroup ≥ 9).
    pub may_skip_assignment: bool,
}

/// A protocol (for consumers: an assignor) and what the member has to say under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// Its name.
    pub name: Name,
    /// The member's subscription, opaque to the coordinator.
    pub metadata: Bytes,
}

/// How a member of a generation identifies itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The group.
    pub group: GroupId,
    /// The generation the member believes in.
    pub generation: i32,
    /// The member.
    pub member: MemberId,
    /// Set for a static member.
    pub instance: Option<InstanceId>,
}

/// SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// Who asks.
    pub member: Member,
    /// What the member holds the protocol type to be; `None` in versions that do not say.
    pub protocol_type: Option<Name>,
    /// What the member holds the chosen protocol to be; `None` in versions that do not say.
    pub protocol: Option<Name>,
    /// Each member's assignment; only the leader's counts.
    pub assignments: Vec<(MemberId, Bytes)>,
}

/// Heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Who is alive.
    pub member: Member,
}

/// LeaveGroup, for one member or (version 3 and newer) for several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leave {
    /// The group.
    pub group: GroupId,
    /// Who leaves; the answer has one result for each, in this order.
    pub members: Vec<Leaving>,
}

/// Who leaves a group: by member id, or a static member by its instance id alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// The member; `None` where only the instance is known.
    pub member: Option<MemberId>,
    /// Set for a static member.
    pub instance: Option<InstanceId>,
}

/// OffsetCommit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOffsets {
    /// The group.
    pub group: GroupId,
    /// The committing member's generation; negative from a client that is no member.
    pub generation: i32,
    /// The committing member; `None` from a client that is no member.
    pub member: Option<MemberId>,
    /// Set for a static member.
    pub instance: Option<InstanceId>,
    /// How long the offsets are to be kept from now on, in milliseconds, whatever the coordinator's own
    /// retention; `None` from version 5 on, and where a client does not say (KIP-211).
    pub retention_ms: Option<u64>,
    /// What is committed; the answer has one result for each, in this order.
    pub offsets: Vec<OffsetToCommit>,
}

/// One partition's offset in a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetToCommit {
    /// The topic, by the name it has in records.
    pub topic: Name,
    /// The partition's number.
    pub partition: i32,
    /// The next offset the group will read.
    pub offset: i64,
    /// A text the client wants to find again.
    pub metadata: String,
}

/// OffsetFetch, for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOffsets {
    /// The group.
    pub group: GroupId,
    /// Which partitions.
    pub wanted: Wanted,
}

/// Which committed offsets a fetch is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All that the group has.
    All,
    /// Those of these topics (by the names they have in records) and partitions. The answer has one
    /// result for each, in this order.
    These(Vec<(Name, i32)>),
}

/// DescribeGroups, for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeGroup {
    /// The group.
    pub group: GroupId,
}

/// DeleteGroups, for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteGroup {
    /// The group.
    pub group: GroupId,
}

/// OffsetDelete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteOffsets {
    /// The group.
    pub group: GroupId,
    /// What is to be removed; the answer has one result for each, in this order.
    pub offsets: Vec<OffsetToDelete>,
}

/// One partition whose offset is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetToDelete {
    /// The topic, by the name it has in records.
    pub topic: Name,
    /// The partition's number.
    pub partition: i32,
}
