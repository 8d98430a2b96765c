//! Writing entries.
use std::future::Future;

use bytes::Bytes;
use pulsar_protocol::MessageMetadata;

use crate::{Cause, SendError};

/// How a producer is opened.
#[derive(Debug, Clone, Default)]
pub struct ProducerOptions {
    /// Its name. The broker refuses a second live producer of a name chosen here. `None` lets the
    /// broker choose a unique one.
    pub name: Option<String>,
    /// What it demands of other producers.
    pub access: AccessMode,
}

/// What a producer demands of others on its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessMode {
    /// Others may write too.
    #[default]
    Shared,
    /// No other: refused with `Fenced` or `Busy` where there is one.
    Exclusive,
    /// No other: those that are there are closed.
    ExclusiveWithFencing,
}

/// Why a producer has ended.
pub type CloseReason = Cause;

/// An entry to be written.
#[derive(Debug, Clone)]
pub struct OutgoingEntry {
    /// Rises from entry to entry; receipts carry it.
    pub sequence_id: u64,
    /// By so much the topic's index rises; at least 1. Set `metadata.num_messages_in_batch` to the
    /// same where the entry is a batch.
    pub num_messages: u32,
    /// What stands before the payload. Written as it is.
    pub metadata: MessageMetadata,
    /// The payload in parts, none of which is copied.
    pub payload: Vec<Bytes>,
    /// Whether a checksum is computed that broker and readers verify.
    pub checksum: bool,
}

/// Where an entry is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Ledger.
    pub ledger: u64,
    /// Number in the ledger.
    pub entry: u64,
    /// The entry's sequence id.
    pub sequence_id: u64,
}

/// A producer on one topic, or partition of one. Dropping it closes it.
#[derive(Debug)]
pub struct Producer {
    name: String,
    last_sequence_id: i64,
}

impl Producer {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Highest sequence id that the broker knows of a producer of this name (with deduplication
    /// on); −1 where it knows none.
    #[must_use]
    pub fn last_sequence_id(&self) -> i64 {
        self.last_sequence_id
    }

    /// Largest entry (metadata and payload) that the broker takes, in bytes.
    #[must_use]
    pub fn max_message_size(&self) -> usize {
        pulsar_protocol::frame::DEFAULT_MAX_MESSAGE_SIZE
    }

    /// Puts an entry in line to be written, at once and in the order of the calls; the future is
    /// its receipt. Dropping the future does not take the entry back.
    ///
    /// At most 900 entries of a connection are written and without receipt; others wait in line,
    /// up to a bound: see [`ready`](Self::ready).
    pub fn send(
        &self,
        _entry: OutgoingEntry,
    ) -> impl Future<Output = Result<Receipt, SendError>> + Send + 'static {
        std::future::ready(Err(SendError::NotSent(Cause::Closed)))
    }

    /// Waits until the connection takes more without queueing it: call it before accepting work.
    pub async fn ready(&self) {}

    /// Resolves when the broker, the connection or [`close`](Self::close) has ended the producer.
    /// It is not re-created.
    pub fn closed(&self) -> impl Future<Output = CloseReason> + Send + 'static {
        std::future::ready(Cause::Closed)
    }

    /// Ends the producer and waits until the broker has let go of its name. Entries that wait for
    /// a receipt get it first or fail.
    pub async fn close(&self) {}
}
