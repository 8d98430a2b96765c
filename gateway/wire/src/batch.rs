//! Record batches of magic 2, viewed in place.
//!
//! | at | bytes | field |
//! | --- | --- | --- |
//! | 0 | 8 | base offset |
//! | 8 | 4 | length of what follows |
//! | 12 | 4 | leader epoch |
//! | 16 | 1 | magic, 2 |
//! | 17 | 4 | CRC-32C of what follows |
//! | 21 | 2 | attributes |
//! | 23 | 4 | last offset delta |
//! | 27 | 8 | base timestamp |
//! | 35 | 8 | max timestamp |
//! | 43 | 8 | producer id |
//! | 51 | 2 | producer epoch |
//! | 53 | 4 | base sequence |
//! | 57 | 4 | record count |
//! | 61 | … | records, compressed as the attributes say |
//!
//! The checksum begins behind the two fields that a broker sets, so a broker gives a batch its place
//! without touching the rest.
use bytes::Bytes;

use crate::{Offset, Timestamp, compression::CompressionError};

mod builder;
mod header;
mod record;
mod source;
mod stamp;
#[cfg(test)]
mod tests;
mod validate;

pub use builder::{BatchBuilder, BuildError};
pub use header::{BatchHeader, TimestampType};
pub use record::{MAX_RECORDS, Record, Records};
pub use validate::{InvalidRecords, RecordFault, RecordRules, Validator};

/// Bytes of the two first fields, which the length does not count.
const LENGTH_END: usize = 12;
/// Bytes in front of the records.
const HEADER_LEN: usize = 61;
/// Bytes that a broker may write: base offset, length, leader epoch.
const PLACE_LEN: usize = 16;
/// Where the checksummed bytes begin.
const CRC_FROM: usize = 21;
/// Where the max timestamp stands.
const MAX_TIMESTAMP_AT: usize = 35;

/// Exactly one record batch of magic 2 over shared bytes; its header is parsed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

/// Bytes that are no record batch.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// They end before the batch does.
    #[error("batch of {needed} bytes is cut short at {found}")]
    Truncated {
        /// The batch's size in bytes, as far as it is known.
        needed: usize,
        /// How many bytes there are.
        found: usize,
    },
    /// There are bytes behind the batch.
    #[error("{0} bytes behind the batch")]
    Trailing(usize),
    /// The length field cannot be that of a batch.
    #[error("batch length {0} is no length")]
    Length(i32),
    /// The format is an old one (0, 1), or one that is not known.
    #[error("record format {0} is not supported")]
    Magic(i8),
    /// The checksum is wrong.
    #[error("batch checksum is {computed:08x}, its header says {stored:08x}")]
    Crc {
        /// What the header says.
        stored: u32,
        /// What it should say.
        computed: u32,
    },
    /// The compression codec is not known.
    #[error("compression codec {0} is not known")]
    Codec(i16),
    /// Record count and offsets do not fit together.
    #[error("batch of {record_count} records with last offset delta {last_offset_delta}")]
    Count {
        /// Number of records, as the header says.
        record_count: i32,
        /// Last offset less the first, as the header says.
        last_offset_delta: i32,
    },
    /// The batch holds more records than are unpacked.
    #[error("batch of {0} records is more than is unpacked")]
    TooManyRecords(i32),
    /// A record is not well formed.
    #[error("damaged record: {0}")]
    Record(&'static str),
    /// The records do not decompress.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

impl Batch {
    /// Checks what a producer sent: one whole batch and nothing else, its checksum right, at least one
    /// record, and an offset for each. The records themselves are looked into by a [`Validator`].
    ///
    /// # Errors
    /// Anything that is wrong with the bytes.
    pub fn parse(bytes: Bytes) -> Result<Self, BatchError> {
        let batch = Self::parse_stored(bytes)?;
        let computed = crc32c::crc32c(batch.bytes.get(CRC_FROM..).unwrap_or_default());
        if computed != batch.header.crc {
            return Err(BatchError::Crc {
                stored: batch.header.crc,
                computed,
            });
        }
        let BatchHeader {
            record_count,
            last_offset_delta,
            ..
        } = batch.header;
        if record_count == 0 || i64::from(record_count) != batch.header.offsets() {
            return Err(BatchError::Count {
                record_count,
                last_offset_delta,
            });
        }
        Ok(batch)
    }

    /// Checks what a store kept: one whole batch and nothing else. The checksum is not computed, and
    /// offsets without records are fine: Kafka's cleaner leaves such batches.
    ///
    /// # Errors
    /// Anything that is wrong with the header.
    pub fn parse_stored(bytes: Bytes) -> Result<Self, BatchError> {
        let size = size(&bytes)?;
        if bytes.len() < size {
            return Err(BatchError::Truncated {
                needed: size,
                found: bytes.len(),
            });
        }
        if bytes.len() > size {
            return Err(BatchError::Trailing(bytes.len() - size));
        }
        let header = BatchHeader::parse(&bytes)?;
        Ok(Self { header, bytes })
    }

    /// The batches of which `bytes` are made, each checked as by [`Batch::parse_stored`]. Ends at the
    /// first error.
    pub fn split(bytes: Bytes) -> impl Iterator<Item = Result<Self, BatchError>> {
        let mut rest = bytes;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let first = size(&rest).and_then(|size| {
                if rest.len() < size {
                    return Err(BatchError::Truncated {
                        needed: size,
                        found: rest.len(),
                    });
                }
                Self::parse_stored(rest.split_to(size))
            });
            if first.is_err() {
                rest = Bytes::new();
            }
            Some(first)
        })
    }

    /// The batch's header.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch, header included.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The records as they stand behind the header, still compressed.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(HEADER_LEN.min(self.bytes.len())..)
    }

    /// The batch's bytes with another base offset and leader epoch: a fresh head of 16 bytes and a
    /// slice of the rest. The checksum stays right.
    #[must_use]
    pub fn place(&self, base: Offset, leader_epoch: i32) -> [Bytes; 2] {
        let length = self.bytes.get(8..LENGTH_END).unwrap_or_default();
        let mut head = [0; PLACE_LEN];
        let fields = base.0.to_be_bytes().into_iter();
        let fields = fields
            .chain(length.iter().copied())
            .chain(leader_epoch.to_be_bytes());
        for (byte, field) in head.iter_mut().zip(fields) {
            *byte = field;
        }
        [
            Bytes::copy_from_slice(&head),
            self.bytes.slice(PLACE_LEN.min(self.bytes.len())..),
        ]
    }

    /// The records one after the other, decompressed, their offsets and timestamps absolute.
    ///
    /// # Errors
    /// Records that do not decompress, or to more than
    /// [`MAX_OUTPUT`](crate::compression::MAX_OUTPUT) bytes. A damaged record is the iterator's error.
    pub fn iter(&self) -> Result<Records, BatchError> {
        Records::of(self)
    }

    /// All records, decompressed, their offsets and timestamps absolute.
    ///
    /// # Errors
    /// Records that do not decompress, or to more than
    /// [`MAX_OUTPUT`](crate::compression::MAX_OUTPUT) bytes; a damaged record; more records than
    /// [`MAX_RECORDS`].
    pub fn records(&self) -> Result<Vec<Record>, BatchError> {
        self.record_count()?;
        self.iter()?.collect()
    }

    /// How many records it says that it has.
    ///
    /// # Errors
    /// They are more than [`MAX_RECORDS`].
    pub fn record_count(&self) -> Result<usize, BatchError> {
        let count = self.header.record_count;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= MAX_RECORDS)
            .ok_or(BatchError::TooManyRecords(count))
    }
}

/// The size of the batch at the front of `bytes`, as its length field says.
fn size(bytes: &[u8]) -> Result<usize, BatchError> {
    let length = bytes
        .get(8..)
        .and_then(<[u8]>::first_chunk)
        .map(|length| i32::from_be_bytes(*length))
        .ok_or(BatchError::Truncated {
            needed: HEADER_LEN,
            found: bytes.len(),
        })?;
    usize::try_from(length)
        .ok()
        .and_then(|length| length.checked_add(LENGTH_END))
        .filter(|size| *size >= HEADER_LEN)
        .ok_or_else(|| {
            // Formats 0 and 1 may be shorter than a header of format 2: name the format instead.
            match bytes.get(PLACE_LEN) {
                Some(magic @ (0 | 1)) => BatchError::Magic(magic.cast_signed()),
                _ => BatchError::Length(length),
            }
        })
}

impl BatchHeader {
    /// Time that a consumer sees on every record, where the log decides it.
    pub(crate) fn log_append_time(&self) -> Option<Timestamp> {
        match self.timestamp_type() {
            TimestampType::Create => None,
            TimestampType::LogAppend => Some(self.max_timestamp),
        }
    }
}
