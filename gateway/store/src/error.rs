//! What an engine may refuse, and why. Each operation has its own small enum.
use kop_wire::{Offset, TopicName};

use crate::UnsupportedConfig;

/// A cause inside an engine: I/O, a connection, an answer of a remote system.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why the catalog could not answer.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The engine cannot answer now; asking again later may help.
    #[error("store unavailable")]
    Unavailable(#[source] Cause),
}

/// Why a topic was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is a topic of that name.
    #[error("topic {0} already exists")]
    Exists(TopicName),
    /// The engine cannot hold such a topic; the text says what is wrong with it.
    #[error("topic refused: {0}")]
    Refused(String),
    /// The engine cannot honour an option that is set for it.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedConfig),
    /// The engine cannot answer now; asking again later may help.
    #[error("store unavailable")]
    Unavailable(#[source] Cause),
}

/// Why a topic's configuration was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// There is no topic of that name.
    #[error("unknown topic {0}")]
    Unknown(TopicName),
    /// Its configuration is no longer the one that was to be changed.
    #[error("configuration of topic {0} was changed by someone else")]
    Changed(TopicName),
    /// The engine cannot honour an option.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedConfig),
    /// The engine cannot answer now; asking again later may help.
    #[error("store unavailable")]
    Unavailable(#[source] Cause),
}

/// Why a topic was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// There is no topic of that name.
    #[error("unknown topic {0}")]
    Unknown(TopicName),
    /// The engine cannot answer now; asking again later may help.
    #[error("store unavailable")]
    Unavailable(#[source] Cause),
}

/// Why a topic was given no more partitions.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// There is no topic of that name.
    #[error("unknown topic {0}")]
    Unknown(TopicName),
    /// It has as many partitions, or more.
    #[error("topic has {partitions} partitions already")]
    NotMore {
        /// How many it has.
        partitions: u32,
    },
    /// The engine cannot hold such a topic; the text says why.
    #[error("more partitions refused: {0}")]
    Refused(String),
    /// The engine cannot answer now; asking again later may help.
    #[error("store unavailable")]
    Unavailable(#[source] Cause),
}

/// Why a partition was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such topic, or it has fewer partitions.
    #[error("unknown topic or partition")]
    Unknown,
    /// Someone else owns the partition.
    #[error("not the owner of the partition")]
    NotOwner,
    /// The log cannot be served with Kafka offsets; the text says why and what to do.
    #[error("partition cannot be served: {0}")]
    Unusable(String),
    /// The engine cannot answer now; asking again later may help.
    #[error("store unavailable")]
    Unavailable(#[source] Cause),
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// An idempotent producer's batch does not follow its last one.
    #[error("sequence out of order: expected {expected}, found {found}")]
    OutOfOrderSequence {
        /// The sequence number that would have followed.
        expected: i32,
        /// The batch's first sequence number.
        found: i32,
    },
    /// A newer epoch of the same producer id has written already.
    #[error("producer epoch {found} is older than {current}")]
    StaleProducerEpoch {
        /// The newest epoch seen.
        current: i16,
        /// The batch's epoch.
        found: i16,
    },
    /// The batch is larger than the engine can store.
    #[error("batch of {size} bytes is larger than {limit}")]
    TooLarge {
        /// The batch's size in bytes.
        size: usize,
        /// What the engine takes.
        limit: usize,
    },
    /// The batch cannot be stored as it is; the text says what is wrong with it.
    #[error("batch refused: {0}")]
    Refused(String),
    /// The topic was deleted.
    #[error("topic deleted")]
    Deleted,
    /// Someone else owns the partition. The batch was not written.
    #[error("not the owner of the partition")]
    NotOwner,
    /// The batch was not given an offset, and no other one will be; the text says why and what to do.
    #[error("partition cannot be served: {0}")]
    Unusable(String),
    /// Whether the batch was written is not known; the client retries.
    #[error("store unavailable")]
    Unavailable(#[source] Cause),
    /// The engine's disk takes no writes now, and nothing of the batch was stored; asking again later
    /// may help.
    #[error("not stored")]
    Storage(#[source] Cause),
}

/// Why a log was not made to begin later.
#[derive(Debug, thiserror::Error)]
pub enum TruncateError {
    /// The offset is after the last.
    #[error("offset out of range {log_start}..={high}")]
    OutOfRange {
        /// First offset of the log.
        log_start: Offset,
        /// High watermark of the log.
        high: Offset,
    },
    /// The topic was deleted.
    #[error("topic deleted")]
    Deleted,
    /// The engine cannot do that; the text says what to do instead.
    #[error("not truncated: {0}")]
    Refused(String),
    /// The engine cannot answer now; asking again later may help.
    #[error("store unavailable")]
    Unavailable(#[source] Cause),
}

/// Why a partition could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Another gateway has the partition now.
    #[error("not the partition's owner")]
    NotOwner,
    /// The offset asked for is before the first or after the last.
    #[error("offset out of range {log_start}..={high}")]
    OutOfRange {
        /// First offset of the log.
        log_start: Offset,
        /// High watermark of the log.
        high: Offset,
    },
    /// The topic was deleted.
    #[error("topic deleted")]
    Deleted,
    /// What is stored there cannot be served with Kafka offsets; the text says why and what to do.
    #[error("unreadable entry: {0}")]
    Unreadable(String),
    /// The engine cannot answer now; asking again later may help.
    #[error("store unavailable")]
    Unavailable(#[source] Cause),
}
