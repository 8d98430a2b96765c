//! Reading from disk. These calls block.
use bytes::Bytes;
use fjall::{Keyspace, LsmError};
use kop_store::{ReadError, ReadLimit, TimestampedOffset};
use kop_wire::{Batch, BatchError, Offset, Timestamp};

use crate::{
    format::{BatchKey, LogId},
    log::Bounds,
    tail::Chunks,
};

/// The batches from the one that holds `from` on and below the high watermark, as many as fit.
pub(crate) fn batches(
    batches: &Keyspace,
    log: LogId,
    from: Offset,
    limit: ReadLimit,
    bounds: Bounds,
) -> Result<Vec<Bytes>, ReadError> {
    let end = log.key_at(bounds.high);
    let mut chunks = Chunks::new(limit);
    let mut start = log.key_at(from);
    if !begins_at(batches, log, from)? {
        // The batch before holds `from`, or `from` is in a gap that cleaning left.
        let before = batches.range(log.prefix()..start.clone()).next_back();
        if let Some(before) = before {
            let key = before.key().map_err(unavailable)?;
            if BatchKey::decode(&key)?.end() > from {
                start = key.to_vec();
            }
        }
    }
    for item in batches.range(start..end) {
        let value = match item.into_inner() {
            Ok((_, value)) => value,
            // What is before it is of use; whoever reads on is told.
            Err(_) if !chunks.is_empty() => break,
            Err(error) => return Err(unavailable_at(error, log, from)),
        };
        if !chunks.fits(value.len()) {
            break;
        }
        chunks.push(value.into());
    }
    Ok(chunks.into_inner())
}

/// Whether a batch begins exactly there, as it does where a consumer reads on.
fn begins_at(batches: &Keyspace, log: LogId, offset: Offset) -> Result<bool, ReadError> {
    let range = log.key_at(offset)..log.key_at(offset + 1);
    Ok(batches
        .range(range)
        .next()
        .map(fjall::Guard::key)
        .transpose()
        .map_err(unavailable)?
        .is_some())
}

/// The first record whose timestamp is `time` or later. Timestamps need not rise, so this looks at
/// the keys of all batches from the log's start, and into those whose newest record is new enough.
pub(crate) fn offset_at(
    batches: &Keyspace,
    log: LogId,
    time: Timestamp,
    bounds: Bounds,
) -> Result<Option<TimestampedOffset>, ReadError> {
    let end = log.key_at(bounds.high);
    for item in batches.range(log.key_at(Offset(0))..end) {
        let (key, value) = item
            .into_inner_if(|key| may_hold(key, time, bounds.start))
            .map_err(unavailable)?;
        let Some(value) = value.filter(|_| may_hold(&key, time, bounds.start)) else {
            continue;
        };
        let key = BatchKey::decode(&key)?;
        // A batch whose records cannot be read was stored as its producer sent it. What its header
        // says is the best answer, and never too late.
        let found = first_record(value.into(), time, bounds.start).unwrap_or_else(|_| {
            let offset = key.base.max(bounds.start);
            Some(TimestampedOffset {
                offset,
                timestamp: key.max_timestamp,
            })
        });
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The first record of those with the newest timestamp. Looks at the keys of all batches, and into one
/// of them, or two where the log begins within a batch.
pub(crate) fn newest(
    batches: &Keyspace,
    log: LogId,
    bounds: Bounds,
) -> Result<Option<TimestampedOffset>, ReadError> {
    let end = log.key_at(bounds.high);
    let mut newest: Option<TimestampedOffset> = None;
    let newer = |newest: Option<TimestampedOffset>, time: Timestamp| {
        time > newest.map_or(Timestamp::NONE, |newest| newest.timestamp)
    };
    for item in batches.range(log.key_at(Offset(0))..end) {
        let (key, value) = item
            .into_inner_if(|key| {
                let begins_before = |key: BatchKey| key.base < bounds.start;
                BatchKey::decode(key).is_ok_and(begins_before)
            })
            .map_err(unavailable)?;
        let key = BatchKey::decode(&key)?;
        if key.end() <= bounds.start || !newer(newest, key.max_timestamp) {
            continue;
        }
        let told = Some(TimestampedOffset {
            offset: key.base,
            timestamp: key.max_timestamp,
        });
        newest = match value {
            // Its newest record may be one that is no longer read.
            Some(value) => newest_record(value.into(), bounds.start).unwrap_or(told),
            None => told,
        };
    }
    let Some(found) = newest else { return Ok(None) };
    // So far only the batch is known.
    let from = found.offset.max(bounds.start);
    let range = log.key_at(found.offset)..log.key_at(found.offset + 1);
    let Some(item) = batches.range(range).next() else {
        return Ok(newest);
    };
    let value = item.value().map_err(unavailable)?;
    Ok(first_record(value.into(), found.timestamp, from).unwrap_or(newest))
}

/// The newest record of a batch from `start` on; `None` where none has a timestamp.
fn newest_record(value: Bytes, start: Offset) -> Result<Option<TimestampedOffset>, BatchError> {
    let mut newest = None;
    for record in Batch::parse_stored(value)?.iter()? {
        let record = record?;
        let time = newest.map_or(Timestamp::NONE, |newest: TimestampedOffset| {
            newest.timestamp
        });
        if record.offset >= start && record.timestamp > time {
            newest = Some(TimestampedOffset {
                offset: record.offset,
                timestamp: record.timestamp,
            });
        }
    }
    Ok(newest)
}

/// Bytes of the batches that are stored, those included that are no longer read and not yet removed.
pub(crate) fn stored_bytes(
    batches: &Keyspace,
    log: LogId,
    bounds: Bounds,
) -> Result<u64, ReadError> {
    let mut bytes = 0_u64;
    for item in batches.range(log.key_at(Offset(0))..log.key_at(bounds.high)) {
        bytes = bytes.saturating_add(u64::from(item.size().map_err(unavailable)?));
    }
    Ok(bytes)
}

/// Whether a batch may hold a record at `start` or later and of `time` or later. A damaged key is
/// looked at, to be told.
fn may_hold(key: &[u8], time: Timestamp, start: Offset) -> bool {
    BatchKey::decode(key).is_ok_and(|key| key.max_timestamp >= time && key.end() > start)
        || BatchKey::decode(key).is_err()
}

fn first_record(
    value: Bytes,
    time: Timestamp,
    start: Offset,
) -> Result<Option<TimestampedOffset>, BatchError> {
    for record in Batch::parse_stored(value)?.iter()? {
        let record = record?;
        if record.offset >= start && record.timestamp >= time {
            let (offset, timestamp) = (record.offset, record.timestamp);
            return Ok(Some(TimestampedOffset { offset, timestamp }));
        }
    }
    Ok(None)
}

/// The same, where it is known what was to be read.
fn unavailable_at(error: fjall::Error, log: LogId, from: Offset) -> ReadError {
    match unavailable(error) {
        ReadError::Unreadable(why) => {
            let LogId { topic, partition } = log;
            ReadError::Unreadable(format!(
                "records at offset {from} of partition {partition} of the topic with the id {topic} \
                 are damaged on the disk ({why})"
            ))
        }
        error => error,
    }
}

pub(crate) fn unavailable(error: fjall::Error) -> ReadError {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(LsmError::Io(error)) => {
            ReadError::Unavailable(error.into())
        }
        // Trying again reads the same.
        fjall::Error::Storage(damage) => ReadError::Unreadable(damage.to_string()),
        error => ReadError::Unavailable(error.into()),
    }
}
