//! What stands in front of a batch's records.
use bytes::{Buf, TryGetError};

use super::{BatchError, HEADER_LEN};
use crate::{Compression, Offset, Timestamp};

const MAGIC: i8 = 2;
pub(super) const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

/// Whose clock a batch's timestamps are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    Create,
    /// The broker's: all records have the batch's max timestamp.
    LogAppend,
}

/// The header of a record batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; what a producer sends here has no meaning.
    pub base_offset: Offset,
    /// Epoch of the leader that appended the batch; −1 where there is none.
    pub leader_epoch: i32,
    /// CRC-32C of everything behind this field.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: i16,
    /// Last offset less the first, 0 or more.
    pub last_offset_delta: i32,
    /// What the records' timestamps are relative to.
    pub base_timestamp: Timestamp,
    /// The records' largest timestamp, as their producer says.
    pub max_timestamp: Timestamp,
    /// The idempotent producer's id; −1 where the producer is not idempotent.
    pub producer_id: i64,
    /// The producer id's epoch; −1 where the producer is not idempotent.
    pub producer_epoch: i16,
    /// Sequence number of the first record; −1 where the producer is not idempotent.
    pub base_sequence: i32,
    /// Number of records, 0 to `offsets()`.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads a header and checks each field that has an illegal value.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let truncated = |_: TryGetError| BatchError::Truncated {
            needed: HEADER_LEN,
            found: bytes.len(),
        };
        let mut from = bytes;
        let base_offset = from.try_get_i64().map_err(truncated)?;
        let _length = from.try_get_i32().map_err(truncated)?;
        let leader_epoch = from.try_get_i32().map_err(truncated)?;
        let magic = from.try_get_i8().map_err(truncated)?;
        if magic != MAGIC {
            return Err(BatchError::Magic(magic));
        }
        let header = Self {
            base_offset: Offset(base_offset),
            leader_epoch,
            crc: from.try_get_u32().map_err(truncated)?,
            attributes: from.try_get_i16().map_err(truncated)?,
            last_offset_delta: from.try_get_i32().map_err(truncated)?,
            base_timestamp: Timestamp(from.try_get_i64().map_err(truncated)?),
            max_timestamp: Timestamp(from.try_get_i64().map_err(truncated)?),
            producer_id: from.try_get_i64().map_err(truncated)?,
            producer_epoch: from.try_get_i16().map_err(truncated)?,
            base_sequence: from.try_get_i32().map_err(truncated)?,
            record_count: from.try_get_i32().map_err(truncated)?,
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), BatchError> {
        if Compression::of_attributes(self.attributes).is_none() {
            return Err(BatchError::Codec(self.attributes & 0x07));
        }
        if self.last_offset_delta < 0
            || self.record_count < 0
            || i64::from(self.record_count) > self.offsets()
        {
            return Err(BatchError::Count {
                record_count: self.record_count,
                last_offset_delta: self.last_offset_delta,
            });
        }
        Ok(())
    }

    /// How many offsets the batch takes; records may be fewer.
    #[must_use]
    pub fn offsets(&self) -> i64 {
        i64::from(self.last_offset_delta) + 1
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// The codec of the records.
    #[must_use]
    pub fn compression(&self) -> Compression {
        // Every header went through `check`, or was built with a codec.
        Compression::of_attributes(self.attributes).unwrap_or_default()
    }

    /// Whose clock the timestamps are from.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME == 0 {
            TimestampType::Create
        } else {
            TimestampType::LogAppend
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch is a transaction's end marker rather than records.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// When compaction may remove the batch's records without a value, in milliseconds since the epoch;
    /// `None` where it has not decided yet. It stands in place of the base timestamp (KIP-534).
    #[must_use]
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        let decided = self.attributes & DELETE_HORIZON != 0;
        decided.then_some(self.base_timestamp)
    }

    /// Whether an idempotent producer wrote the batch, so that its sequence number counts.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.producer_id >= 0
    }
}

/// The attributes that a codec and flags make.
pub(super) fn attributes(
    compression: Compression,
    timestamps: TimestampType,
    (transactional, control): (bool, bool),
    delete_horizon: bool,
) -> i16 {
    let flag = |set: bool, bit: i16| if set { bit } else { 0 };
    compression.attribute_bits()
        | flag(timestamps == TimestampType::LogAppend, LOG_APPEND_TIME)
        | flag(transactional, TRANSACTIONAL)
        | flag(control, CONTROL)
        | flag(delete_horizon, DELETE_HORIZON)
}

/// The magic byte of the batches that are written.
pub(super) const fn magic() -> i8 {
    MAGIC
}
