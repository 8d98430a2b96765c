//! Kafka bytes: frames, messages, record batches viewed in place.
//!
//! Everything here is pure: bytes in, values out, no clock, no I/O. All input is taken to be hostile:
//! a parser answers an error, never panics, and never allocates more than a stated limit.
//!
//! Messages (requests, responses, their headers) come from [`kafka_protocol`]; record batches are
//! ours, because the gateway looks at their headers only and passes the rest on as it came.
pub use kafka_protocol;

pub mod compression;
pub mod frame;

mod batch;
mod offset;
mod topic_name;

pub use batch::{
    Batch, BatchBuilder, BatchError, BatchHeader, BuildError, InvalidRecords, MAX_RECORDS, Record,
    RecordFault, RecordRules, Records, TimestampType, Validator,
};
pub use compression::Compression;
pub use offset::{Offset, Timestamp};
pub use topic_name::{InvalidTopicName, TopicName};
