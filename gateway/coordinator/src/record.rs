//! The records of `__consumer_offsets`, in Kafka's schema.
//!
//! What is written is what the oldest reader still about understands, which is KoP: key version 1 and
//! value version 1 for an offset, key version 2 and value version 1 for a group. Only a group with a
//! static member is written as value version 3, because version 1 has no place for
//! `group.instance.id`; KoP has no static members, so it cannot have made such a group. What version 1
//! cannot say is not kept at all (a commit's leader epoch), so that a replay gives what was there.
//!
//! All versions up to 4 are read. Records of other kinds (KIP-848 groups) are left alone.
use bytes::Bytes;

use crate::{GroupId, InstanceId, MemberId, Name};

mod read;
mod write;

#[cfg(test)]
mod tests;

/// One durable change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A committed offset, or that there is none any more.
    Offset {
        /// The group.
        group: GroupId,
        /// The topic, by the name it has in records.
        topic: Name,
        /// The partition's number.
        partition: i32,
        /// `None` is a tombstone.
        value: Option<CommittedOffset>,
    },
    /// A group's generation and members, or that there is no such group any more.
    Group {
        /// The group.
        group: GroupId,
        /// `None` is a tombstone.
        value: Option<GroupMetadata>,
    },
}

/// How far a group has read a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset the group will read.
    pub offset: i64,
    /// The leader epoch of the last record read, −1 where it is not known. Read from newer records;
    /// never written.
    pub leader_epoch: i32,
    /// A text the client wants to find again.
    pub metadata: Name,
    /// When it was committed, in milliseconds since the epoch.
    pub commit_timestamp: i64,
    /// When it may be forgotten, in milliseconds since the epoch, where its client said, or where KoP
    /// wrote it; `None` leaves that to the coordinator (KIP-211).
    pub expire_timestamp: Option<i64>,
}

/// A generation of a group as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The class of protocols, `consumer` for consumers.
    pub protocol_type: Name,
    /// The generation, which only rises.
    pub generation: i32,
    /// The protocol that was chosen; `None` in an empty group.
    pub protocol: Option<Name>,
    /// Who assigns; `None` in an empty group.
    pub leader: Option<MemberId>,
    /// Since when the group is in this state, in milliseconds since the epoch. Replay fills it in from
    /// the record's own timestamp where the value does not say.
    pub state_timestamp: Option<i64>,
    /// The members and their assignments.
    pub members: Vec<MemberMetadata>,
}

/// A member of a generation as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberMetadata {
    /// The member.
    pub member: MemberId,
    /// Set for a static member.
    pub instance: Option<InstanceId>,
    /// The client id it connected with.
    pub client_id: Name,
    /// Where it connected from.
    pub client_host: Name,
    /// How long a rebalance waits for it, in milliseconds.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent, in milliseconds.
    pub session_timeout_ms: i32,
    /// Its subscription under the chosen protocol.
    pub subscription: Bytes,
    /// Its assignment.
    pub assignment: Bytes,
}

/// Why bytes are not a record of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes end too early.
    #[error("record ends too early")]
    Short,
    /// A length is negative or larger than what follows.
    #[error("record has an impossible length")]
    Length,
    /// A text is not UTF-8.
    #[error("record has a text that is not UTF-8")]
    Text,
    /// Something that must be there is null.
    #[error("record lacks a field")]
    Null,
    /// A version newer than any that is known here.
    #[error("record of unknown version {0}")]
    Version(i16),
}

impl Record {
    /// The group that the record is about.
    #[must_use]
    pub fn group(&self) -> &GroupId {
        match self {
            Self::Offset { group, .. } | Self::Group { group, .. } => group,
        }
    }

    /// The key and value to append; no value is a tombstone.
    #[must_use]
    pub fn encode(&self) -> (Bytes, Option<Bytes>) {
        match self {
            Self::Offset {
                group,
                topic,
                partition,
                value,
            } => (
                write::offset_key(group, topic, *partition),
                value.as_ref().map(write::offset_value),
            ),
            Self::Group { group, value } => (
                write::group_key(group),
                value.as_ref().map(write::group_value),
            ),
        }
    }

    /// The record with this key and value; `None` where the key is of a kind that means nothing here.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Self>, RecordError> {
        read::record(key, value)
    }
}
