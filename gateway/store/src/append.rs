//! What an append answers.
use kop_wire::Offset;

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
}
