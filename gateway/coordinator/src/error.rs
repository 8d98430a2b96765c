//! Why a group operation was refused.
use crate::MemberId;

/// What a client is told when its group operation is refused. Each variant is one Kafka error code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The group id is empty.
    #[error("invalid group id")]
    InvalidGroupId,
    /// The session timeout is outside what the coordinator allows.
    #[error("invalid session timeout")]
    InvalidSessionTimeout,
    /// A new member must ask again with this id (KIP-394).
    #[error("a member id is required; {0} is yours")]
    MemberIdRequired(MemberId),
    /// The coordinator knows no such member: it never joined, left, or was removed for its silence.
    #[error("unknown member")]
    UnknownMember,
    /// Another run of the same `group.instance.id` has taken this one's place (KIP-345).
    #[error("another member has the same group instance id")]
    FencedInstance,
    /// The member speaks of a generation that is not the group's.
    #[error("not the group's generation")]
    IllegalGeneration,
    /// The member supports none of the protocols that all others support.
    #[error("inconsistent group protocol")]
    InconsistentProtocol,
    /// The group rebalances; the member must join again.
    #[error("rebalance in progress")]
    RebalanceInProgress,
    /// The group, or the shard, is full.
    #[error("group is full")]
    GroupFull,
    /// The assignment is larger than what the coordinator keeps for a group.
    #[error("assignment too large")]
    AssignmentTooLarge,
    /// The text stored with an offset is too long.
    #[error("offset metadata too large")]
    OffsetMetadataTooLarge,
    /// The group has committed offsets for too many partitions.
    #[error("too many committed offsets")]
    TooManyOffsets,
    /// There is no such group.
    #[error("no such group")]
    GroupNotFound,
    /// The group has members, so it stays.
    #[error("group has members")]
    GroupNotEmpty,
    /// Members read the topic, so its offsets stay.
    #[error("group is subscribed to the topic")]
    SubscribedToTopic,
}
