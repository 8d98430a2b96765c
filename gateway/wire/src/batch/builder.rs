//! Making record batches.
use bytes::{BufMut, Bytes};

use super::{
    Batch, BatchHeader, CRC_FROM, HEADER_LEN, LENGTH_END, TimestampType,
    header::{attributes, magic},
    record::{Record, put_varint, put_varlong},
};
use crate::{
    Compression, Offset, Timestamp,
    compression::{self, CompressionError},
};

/// Records on their way into a batch. They are encoded as they come, so that nothing is kept twice.
#[derive(Debug)]
pub struct BatchBuilder {
    compression: Compression,
    base_offset: Offset,
    leader_epoch: i32,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    transactional: bool,
    control: bool,
    timestamps: TimestampType,
    delete_horizon: Option<Timestamp>,
    base_timestamp: Option<Timestamp>,
    max_timestamp: Timestamp,
    count: i32,
    next_delta: i32,
    records: Vec<u8>,
    scratch: Vec<u8>,
    error: Option<BuildError>,
}

/// Records of which no batch can be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no record and no offset to cover.
    #[error("batch without offsets")]
    Empty,
    /// A record's offset is below the one before it, below the base offset, or more than 2³¹ above.
    #[error("offset {0} does not fit into the batch")]
    Offset(Offset),
    /// A batch holds less than 2³¹ bytes and offsets.
    #[error("batch is too large")]
    TooLarge,
    /// The codec refused the records.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

impl BatchBuilder {
    /// A batch with that codec; base offset 0, no producer, no flags, leader epoch −1.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        Self {
            compression,
            base_offset: Offset(0),
            leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            transactional: false,
            control: false,
            timestamps: TimestampType::Create,
            delete_horizon: None,
            base_timestamp: None,
            max_timestamp: Timestamp::NONE,
            count: 0,
            next_delta: 0,
            records: Vec::new(),
            scratch: Vec::new(),
            error: None,
        }
    }

    /// Sets the first record's offset. Call it before records are pushed.
    #[must_use]
    pub fn base_offset(mut self, offset: Offset) -> Self {
        self.base_offset = offset;
        self
    }

    /// Sets the leader's epoch.
    #[must_use]
    pub fn leader_epoch(mut self, epoch: i32) -> Self {
        self.leader_epoch = epoch;
        self
    }

    /// Sets the idempotent producer and the first record's sequence number.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// Says whether the batch belongs to a transaction.
    #[must_use]
    pub fn transactional(mut self, transactional: bool) -> Self {
        self.transactional = transactional;
        self
    }

    /// Says whether the batch is a transaction's end marker.
    #[must_use]
    pub fn control(mut self, control: bool) -> Self {
        self.control = control;
        self
    }

    /// Says whether consumers see the batch's max timestamp on each record.
    #[must_use]
    pub fn log_append_time(mut self, log_append_time: bool) -> Self {
        self.timestamps = if log_append_time {
            TimestampType::LogAppend
        } else {
            TimestampType::Create
        };
        self
    }

    /// Says when compaction may remove the batch's records without a value (KIP-534). Call it before
    /// records are pushed.
    #[must_use]
    pub fn delete_horizon(mut self, horizon: Option<Timestamp>) -> Self {
        self.delete_horizon = horizon;
        self.base_timestamp = horizon;
        self
    }

    /// Adds a record at the next offset; the offset it carries is ignored.
    pub fn push(&mut self, record: Record) -> &mut Self {
        let offset = self.base_offset + i64::from(self.next_delta);
        self.push_at(Record { offset, ..record })
    }

    /// Adds a record at the offset it carries, which leaves a gap where that is not the next one. An
    /// offset that does not rise is the error of [`BatchBuilder::build`].
    pub fn push_at(&mut self, record: Record) -> &mut Self {
        match i32::try_from(record.offset - self.base_offset) {
            Ok(delta) if delta >= self.next_delta && delta < i32::MAX => {
                self.encode(&record, delta);
            }
            _ => {
                self.error.get_or_insert(BuildError::Offset(record.offset));
            }
        }
        self
    }

    /// Makes the batch take all offsets up to base offset + `last_offset_delta`, with or without
    /// records there. A batch without any record covers a gap, as Kafka's cleaner leaves one behind.
    #[must_use]
    pub fn empty_until(mut self, last_offset_delta: i32) -> Self {
        self.next_delta = self.next_delta.max(last_offset_delta.saturating_add(1));
        self
    }

    /// Bytes of the records pushed so far, before compression.
    #[must_use]
    pub fn size(&self) -> usize {
        self.records.len()
    }

    fn encode(&mut self, record: &Record, delta: i32) {
        let base = *self.base_timestamp.get_or_insert(record.timestamp);
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        let body = &mut self.scratch;
        body.clear();
        body.push(0);
        put_varlong(body, record.timestamp.0.wrapping_sub(base.0));
        put_varint(body, delta);
        let mut fits = put_bytes(body, record.key.as_deref());
        fits &= put_bytes(body, record.value.as_deref());
        fits &= put_length(body, record.headers.len());
        for (name, value) in &record.headers {
            fits &= put_bytes(body, Some(name));
            fits &= put_bytes(body, value.as_deref());
        }
        fits &= put_length(&mut self.records, body.len());
        self.records.extend_from_slice(body);
        if !fits {
            self.error.get_or_insert(BuildError::TooLarge);
        }
        self.count += 1;
        self.next_delta = delta + 1;
    }

    /// Makes the batch.
    ///
    /// # Errors
    /// Records that do not fit into one batch, or no offset at all.
    pub fn build(self) -> Result<Batch, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.next_delta == 0 {
            return Err(BuildError::Empty);
        }
        let payload = match self.count {
            0 => std::borrow::Cow::Borrowed([].as_slice()),
            _ => compression::compress(self.compression, &self.records)?,
        };
        let length = i32::try_from(HEADER_LEN - LENGTH_END + payload.len())
            .map_err(|_| BuildError::TooLarge)?;
        let mut header = BatchHeader {
            base_offset: self.base_offset,
            leader_epoch: self.leader_epoch,
            crc: 0,
            attributes: attributes(
                self.compression,
                self.timestamps,
                (self.transactional, self.control),
                self.delete_horizon.is_some(),
            ),
            last_offset_delta: self.next_delta - 1,
            base_timestamp: self.base_timestamp.unwrap_or(Timestamp::NONE),
            max_timestamp: self.max_timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count: self.count,
        };
        // The checksum covers what follows it, so that part is written first.
        let mut checked = Vec::with_capacity(HEADER_LEN - CRC_FROM);
        put_checked(&mut checked, &header);
        header.crc = crc32c::crc32c_append(crc32c::crc32c(&checked), &payload);
        let mut bytes = Vec::with_capacity(HEADER_LEN + payload.len());
        bytes.put_i64(header.base_offset.0);
        bytes.put_i32(length);
        bytes.put_i32(header.leader_epoch);
        bytes.put_i8(magic());
        bytes.put_u32(header.crc);
        bytes.extend_from_slice(&checked);
        bytes.extend_from_slice(&payload);
        Ok(Batch {
            header,
            bytes: Bytes::from(bytes),
        })
    }
}

/// Writes the header's checksummed fields.
pub(super) fn put_checked(to: &mut Vec<u8>, header: &BatchHeader) {
    to.put_i16(header.attributes);
    to.put_i32(header.last_offset_delta);
    to.put_i64(header.base_timestamp.0);
    to.put_i64(header.max_timestamp.0);
    to.put_i64(header.producer_id);
    to.put_i16(header.producer_epoch);
    to.put_i32(header.base_sequence);
    to.put_i32(header.record_count);
}

/// Writes bytes with their length in front; false where the length does not fit.
fn put_bytes(to: &mut Vec<u8>, bytes: Option<&[u8]>) -> bool {
    match bytes {
        None => put_varint(to, -1),
        Some(bytes) => {
            if !put_length(to, bytes.len()) {
                return false;
            }
            to.extend_from_slice(bytes);
        }
    }
    true
}

fn put_length(to: &mut Vec<u8>, length: usize) -> bool {
    match i32::try_from(length) {
        Ok(length) => put_varint(to, length),
        Err(_) => return false,
    }
    true
}
