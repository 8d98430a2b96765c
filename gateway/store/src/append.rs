//! What an append answers.
use kop_wire::{Offset, Timestamp};

/// Where a batch stands in its log, once it is as durable as the engine promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the batch's first record.
    pub base_offset: Offset,
    /// The log's first offset at that moment (`log_start_offset` of a produce response).
    pub log_start: Offset,
    /// The batch had been appended before by the same idempotent producer; nothing was written now,
    /// and `base_offset` is where it was written then.
    pub duplicate: bool,
    /// The timestamp that the log gave the records, where it does
    /// ([`log_append_time`](crate::TopicSettings::log_append_time)).
    pub log_append_time: Option<Timestamp>,
}
