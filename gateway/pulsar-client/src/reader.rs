//! Reading entries.
use std::fmt;

use bytes::Bytes;
use pulsar_protocol::MessageMetadata;

use crate::ReadError;

/// Position of an entry in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// Ledger.
    pub ledger: u64,
    /// Number in the ledger.
    pub entry: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ledger, self.entry)
    }
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReaderStart {
    /// At the first entry.
    Earliest,
    /// Behind the last entry.
    Latest,
    /// At that entry, itself included; at the next one where it is gone.
    At(EntryId),
}

/// How a reader is opened.
#[derive(Debug, Clone)]
pub struct ReaderOptions {
    /// Bytes of entries to have on their way or waiting, about: entries are whole, and their sizes
    /// are not known before they come.
    pub receive_bytes_budget: usize,
    /// Read what compaction has left.
    pub read_compacted: bool,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            receive_bytes_budget: 1024 * 1024,
            read_compacted: false,
        }
    }
}

/// An entry as the broker gave it out.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its position.
    pub id: EntryId,
    /// Index of its **last** message; `None` where the broker has no index interceptor, had none
    /// when the entry was written, or does not show it.
    pub index: Option<u64>,
    /// When the broker took it, milliseconds since the epoch.
    pub broker_timestamp: Option<u64>,
    /// What the producer put before the payload.
    pub metadata: MessageMetadata,
    /// The payload, still compressed.
    pub payload: Bytes,
}

/// A reader of one topic, or partition of one. Dropping it closes it.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// The next entry, when there is one; `None` at the end of a terminated topic.
    ///
    /// Safe to cancel: no entry is lost when the future is dropped.
    ///
    /// # Errors
    /// Where an entry is damaged or the reader has ended. Every later call fails as well.
    pub async fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        Ok(None)
    }

    /// The topic's last entry; `None` where it has none. May skip markers.
    ///
    /// # Errors
    /// Where the reader has ended or the broker does not answer.
    pub async fn last_message_id(&self) -> Result<Option<EntryId>, ReadError> {
        Ok(None)
    }
}
