//! Records: what a batch holds once it is decompressed.
//!
//! A record is a zigzag varint with the length of the rest, an attribute byte, the timestamp (varlong)
//! and the offset (varint) relative to the batch's, then key, value and headers; each of those has its
//! length in front, −1 for null.
use bytes::{Buf, Bytes};

use super::{Batch, BatchError, source::Source as _};
use crate::{
    Offset, Timestamp,
    compression::{self, MAX_OUTPUT},
};

/// The most records of one batch that are unpacked at once.
pub const MAX_RECORDS: usize = 1_000_000;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone in a compacted topic.
    pub value: Option<Bytes>,
    /// Names and values in the producer's order. Names are UTF-8 by Kafka's rules, which is not
    /// checked here, and may repeat.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// The records of one batch, one after the other. Ends at the first error.
#[derive(Debug)]
pub struct Records {
    rest: Bytes,
    remaining: i32,
    base_offset: Offset,
    last_offset_delta: i32,
    base_timestamp: Timestamp,
    log_append_time: Option<Timestamp>,
    /// The next record's offset delta is this or more.
    next_delta: i32,
}

impl Records {
    pub(super) fn of(batch: &Batch) -> Result<Self, BatchError> {
        let header = batch.header();
        let rest = if header.record_count == 0 {
            Bytes::new()
        } else {
            compression::decompress(header.compression(), &batch.payload(), MAX_OUTPUT)?
        };
        Ok(Self {
            rest,
            remaining: header.record_count,
            base_offset: header.base_offset,
            last_offset_delta: header.last_offset_delta,
            base_timestamp: header.base_timestamp,
            log_append_time: header.log_append_time(),
            next_delta: 0,
        })
    }

    fn record(&mut self) -> Result<Record, BatchError> {
        let mut from = length_prefixed(&mut self.rest)?
            .ok_or(BatchError::Record("record length is negative"))?;
        let _attributes = from.byte()?;
        let timestamp_delta = from.varlong()?;
        let offset_delta = from.varint()?;
        if !(self.next_delta..=self.last_offset_delta).contains(&offset_delta) {
            return Err(BatchError::Record(
                "offset is outside of its batch or out of order",
            ));
        }
        self.next_delta = offset_delta.saturating_add(1);
        let key = length_prefixed(&mut from)?;
        let value = length_prefixed(&mut from)?;
        let headers = headers(&mut from)?;
        if from.has_remaining() {
            return Err(BatchError::Record("bytes behind the headers"));
        }
        let created = Timestamp(self.base_timestamp.0.wrapping_add(timestamp_delta));
        Ok(Record {
            offset: self.base_offset + i64::from(offset_delta),
            timestamp: self.log_append_time.unwrap_or(created),
            key,
            value,
            headers,
        })
    }
}

impl Iterator for Records {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining <= 0 {
            if self.rest.has_remaining() {
                self.rest.clear();
                return Some(Err(BatchError::Record("bytes behind the last record")));
            }
            return None;
        }
        self.remaining -= 1;
        let record = self.record();
        if record.is_err() {
            self.remaining = 0;
            self.rest.clear();
        }
        Some(record)
    }
}

fn headers(from: &mut Bytes) -> Result<Vec<(Bytes, Option<Bytes>)>, BatchError> {
    let count = from.header_count()?;
    let mut headers = Vec::with_capacity(count);
    for _ in 0..count {
        let name = length_prefixed(from)?.ok_or(BatchError::Record("header without a name"))?;
        headers.push((name, length_prefixed(from)?));
    }
    Ok(headers)
}

/// Bytes with their length in front; `None` for null. They share the batch's memory.
fn length_prefixed(from: &mut Bytes) -> Result<Option<Bytes>, BatchError> {
    Ok(from.length()?.map(|length| from.split_to(length)))
}

pub(super) fn put_varint(to: &mut Vec<u8>, value: i32) {
    put_varlong(to, i64::from(value));
}

pub(super) fn put_varlong(to: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        if rest == 0 {
            to.push(low);
            return;
        }
        to.push(low | 0x80);
    }
}
