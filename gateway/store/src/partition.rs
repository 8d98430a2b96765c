//! One append-only log of record batches.
use std::future::Future;

use kop_wire::{Batch, Offset, Timestamp};

use crate::{
    AppendError, Appended, Fetched, ReadError, ReadLimit, TimestampedOffset, TopicSettings,
    TruncateError, Watermarks, producer_state::ActiveProducer,
};

/// A handle to one partition's log. Clones are handles to the same log.
pub trait Partition: Send + Sync + Clone + 'static {
    /// Appends one batch and answers when it is durable.
    ///
    /// Batches whose `append` was *first polled* in some order by one task are written in that order,
    /// so a caller may poll many at once (pipelining). An append that has been polled once runs to its
    /// end whether or not anyone still waits for the answer. Sequence numbers of idempotent producers are
    /// checked here ([`producer_state`](crate::producer_state)); the base offset the batch carries is
    /// ignored. A control batch or a transactional one is the caller's business, and so is what the
    /// topic's settings ask of a batch, except that where timestamps are the log's
    /// ([`TopicSettings::log_append_time`]) the engine sets them.
    fn append(&self, batch: Batch) -> impl Future<Output = Result<Appended, AppendError>> + Send;

    /// Whole batches from the one that holds `from` on, their base offsets set, as many as fit.
    ///
    /// Reads what is there and does not wait for more: at the end it answers no batches. The first
    /// batch may begin before `from`, and offsets may have gaps; where everything from `from` to the
    /// high watermark is a gap, an empty batch covers it, so that a client's position reaches the end.
    /// Where `from` is behind the high watermark and not behind [the end](Self::end), there is nothing to
    /// read yet, and the high watermark that is answered is `from`: to its reader that is the end.
    fn read(
        &self,
        from: Offset,
        limit: ReadLimit,
    ) -> impl Future<Output = Result<Fetched, ReadError>> + Send;

    /// What holds for the topic now, from memory.
    fn settings(&self) -> TopicSettings;

    /// Where the log begins and ends, from memory.
    fn watermarks(&self) -> Watermarks;

    /// The end of the log as far as anybody can have come: not below what another process has served to a
    /// reader, nor below an offset that a reader committed behind it. It may be above the high watermark,
    /// which is what this handle knows. An engine whose partitions nobody else can have knows all.
    fn end(&self) -> impl Future<Output = Result<Offset, ReadError>> + Send {
        std::future::ready(Ok(self.watermarks().high))
    }

    /// Proves that nobody else has been able to append since this handle's log was opened: the proof was
    /// made after the call, or a moment before it that is too short for another to take over. What is
    /// answered from memory, like a group's committed offsets, rests on it. An append that succeeded is
    /// such a proof itself. An engine whose partitions nobody else can have answers at once.
    ///
    /// # Errors
    /// [`NotOwner`](AppendError::NotOwner) where another may have taken over, and
    /// [`Unavailable`](AppendError::Unavailable) where that cannot be found out.
    fn confirm(&self) -> impl Future<Output = Result<(), AppendError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Waits until the high watermark is above `past`, or the partition can no longer be read.
    fn advanced(&self, past: Offset) -> impl Future<Output = ()> + Send;

    /// The first record, by offset, whose timestamp is `time` or later; `None` where there is none.
    fn offset_at(
        &self,
        time: Timestamp,
    ) -> impl Future<Output = Result<Option<TimestampedOffset>, ReadError>> + Send;

    /// The first record, by offset, of those with the newest timestamp; `None` where no record has one
    /// (KIP-734).
    fn newest(&self) -> impl Future<Output = Result<Option<TimestampedOffset>, ReadError>> + Send;

    /// The idempotent producers that the engine remembers for this log, by their ids. An engine that
    /// learns of them as it owns a log knows those who have written since then.
    fn producers(&self) -> impl Future<Output = Result<Vec<ActiveProducer>, ReadError>> + Send;

    /// Bytes of the log's batches, as they are stored, before what the engine adds to them.
    fn stored_bytes(&self) -> impl Future<Output = Result<u64, ReadError>> + Send;

    /// Makes `offset` the log's first: what stands before it is no longer read, and may be removed. A
    /// log that begins later already stays as it is.
    fn truncate_before(
        &self,
        offset: Offset,
    ) -> impl Future<Output = Result<(), TruncateError>> + Send;
}
