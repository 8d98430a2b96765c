//! What a read is asked for and answers.
use bytes::Bytes;
use kop_wire::{Offset, Timestamp};

use crate::Watermarks;

/// How much a read may return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimit {
    /// Bytes of batches at the most.
    pub max_bytes: usize,
    /// Return the first batch even where it alone is larger than `max_bytes`, so that a consumer
    /// makes progress (KIP-74).
    pub at_least_one: bool,
}

/// Whole batches in order, and the watermarks they were read under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The batches' bytes; concatenated they are what a fetch response carries. One batch may be
    /// several chunks (a fresh header and a slice of shared payload), a chunk several batches.
    pub chunks: Vec<Bytes>,
    /// The watermarks at the time of the read.
    pub watermarks: Watermarks,
}

impl Fetched {
    /// Bytes in all chunks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// Whether no batch was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.iter().all(Bytes::is_empty)
    }
}

/// A record's offset and its timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampedOffset {
    /// The record's offset.
    pub offset: Offset,
    /// The record's timestamp.
    pub timestamp: Timestamp,
}
