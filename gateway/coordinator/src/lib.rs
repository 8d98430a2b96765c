//! Consumer groups and committed offsets as a pure state machine.
//!
//! [`Groups`] is one shard of the coordinator: all groups whose records live in one partition of
//! `__consumer_offsets`. It has no clock, no randomness, no I/O and no callbacks:
//!
//! * [`Groups::handle`] takes a command and the time, and returns an [`Output`]: records to append,
//!   replies to give once those records are durable, and timers to start or stop.
//! * [`Groups::replay`] is the only way durable state changes. Start-up reads the log and replays it;
//!   normal work appends records and then replays them. Recovery and running are one code path.
//!
//! Who is waiting for what, the members of a rebalance under way and their timers are *soft* state:
//! `handle` changes it, and a restart loses it, as in Kafka.
//!
//! It serves the classic group protocol (JoinGroup, SyncGroup, Heartbeat, LeaveGroup) with static
//! membership (KIP-345) and required member ids (KIP-394), lists, describes and deletes groups, and
//! forgets offsets that nobody uses (KIP-211). It knows no transactions and none of KIP-848's consumer
//! groups.
mod classic;
mod command;
mod config;
mod error;
mod expiry;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod groups;
mod hard;
mod name;
mod offsets;
mod output;
mod overview;
mod partition;
mod record;
mod removal;
mod subscription;
mod survey;
mod topic_names;

pub use command::{
    Command, CommitOffsets, DeleteGroup, DeleteOffsets, DescribeGroup, FetchOffsets, Heartbeat,
    Join, Leave, Leaving, Member, OffsetToCommit, OffsetToDelete, Protocol, Request, Sync, Wanted,
};
pub use config::GroupConfig;
pub use error::GroupError;
pub use groups::Groups;
pub use hard::Hard;
pub use name::{GroupId, InstanceId, MemberId, Name, NameTooLong};
pub use output::{
    Counts, FetchedOffset, Joined, JoinedMember, Output, Reply, Synced, Ticket, Timer, TimerChange,
};
pub use overview::{DescribedGroup, DescribedMember, GroupState, ListedGroup};
pub use partition::partition_of;
pub use record::{CommittedOffset, GroupMetadata, MemberMetadata, Record, RecordError};
pub use survey::{GroupOffset, Survey};
pub use topic_names::TopicNames;
