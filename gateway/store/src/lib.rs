//! The port between Kafka's protocol and what stores its records.
//!
//! An engine offers a [`Catalog`] of topics and, for each partition, a [`Partition`]: an append-only
//! log of Kafka record batches. Two traits are the whole surface. An engine knows nothing of groups,
//! transactions or connections: those are built above it, as records in ordinary partitions
//! (`__consumer_offsets`, `__transaction_state`).
//!
//! What an engine must keep, whatever it is made of, stands in the module `conformance` (feature
//! `testing`).
#[cfg(feature = "testing")]
pub mod conformance;

mod append;
mod catalog;
mod error;
mod finding;
mod partition;
mod read;
mod watermark;

pub mod producer_state;
pub mod topic_config;

pub use append::Appended;
pub use catalog::{
    CONSUMER_OFFSETS, Catalog, NewTopic, PartitionId, TRANSACTION_STATE, Topic, TopicClass,
};
pub use error::{
    AppendError, CatalogError, Cause, ConfigureError, CreateError, DeleteError, GrowError,
    OpenError, ReadError, TruncateError,
};
pub use finding::{Finding, FindingState, Remedy};
pub use partition::Partition;
pub use read::{Fetched, ReadLimit, TimestampedOffset};
pub use topic_config::{TopicConfig, TopicDefaults, TopicSettings, UnsupportedConfig};
pub use watermark::Watermarks;
