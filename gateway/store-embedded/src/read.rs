//! Reading from disk. These calls block.
use bytes::Bytes;
use fjall::{Keyspace, LsmError, Slice};
use kop_store::{ReadError, ReadLimit, TimestampedOffset};
use kop_wire::{Batch, BatchError, Offset, Timestamp};

use crate::{
    format::{BatchKey, LogId, Pointer, Stored},
    keyspaces::{Keyspaces, Unloaded},
    log::Bounds,
    segments::Unread,
    tail::Room,
};

/// Between batches that are read in one call there are no more bytes than this that are of no use.
const GAP: u64 = 4 * 1024;
/// Bytes that are read in one call, unless one batch is larger.
const RUN: u64 = 4 * 1024 * 1024;

/// The batches from the one that holds `from` on and below the high watermark, as many as fit.
pub(crate) fn batches(
    keyspaces: &Keyspaces,
    log: LogId,
    from: Offset,
    limit: ReadLimit,
    bounds: Bounds,
) -> Result<Vec<Bytes>, ReadError> {
    let batches = &keyspaces.batches;
    let end = log.key_at(bounds.high);
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
    let mut room = Room::new(limit);
    let mut chunks = Vec::new();
    let mut run = Run::default();
    for item in batches.range(start..end) {
        let next = item.into_inner().map_err(Unloaded::from);
        let next = next.and_then(|(key, value)| {
            let stored = Stored::of(value.clone().into())?;
            Ok((key, value, stored))
        });
        let (key, value, stored) = match next {
            Ok(next) => next,
            // What is before it is of use; whoever reads on is told.
            Err(_) if !room.is_untouched() => break,
            Err(error) => return Err(unloaded_at(error, log, from)),
        };
        if !room.take(stored.bytes()) {
            break;
        }
        if !run.continues(&stored) {
            let loaded = std::mem::take(&mut run).load(keyspaces, log, &mut chunks);
            if let Err(error) = loaded {
                return enough(chunks, error, log, from);
            }
        }
        run.push(&stored, key, value);
    }
    match run.load(keyspaces, log, &mut chunks) {
        Ok(()) => Ok(chunks),
        Err(error) => enough(chunks, error, log, from),
    }
}

/// What was read before an error is of use; whoever reads on is told.
fn enough(
    chunks: Vec<Bytes>,
    error: Unloaded,
    log: LogId,
    from: Offset,
) -> Result<Vec<Bytes>, ReadError> {
    if chunks.is_empty() {
        return Err(unloaded_at(error, log, from));
    }
    Ok(chunks)
}

/// Batches that are read in one call.
#[derive(Default)]
struct Run {
    pointers: Vec<Pointer>,
    items: Vec<(Slice, Slice)>,
}

impl Run {
    /// Whether a batch can be read along.
    fn continues(&self, stored: &Stored) -> bool {
        let (Some(first), Some(last), Stored::At(next)) =
            (self.pointers.first(), self.pointers.last(), stored)
        else {
            return self.items.is_empty();
        };
        let gap = u64::from(next.position).checked_sub(last.end());
        let size = next.end().saturating_sub(u64::from(first.position));
        next.segment == last.segment && gap.is_some_and(|gap| gap <= GAP) && size <= RUN
    }

    fn push(&mut self, stored: &Stored, key: Slice, value: Slice) {
        if let Stored::At(pointer) = stored {
            self.pointers.push(*pointer);
        }
        self.items.push((key, value));
    }

    fn load(
        self,
        keyspaces: &Keyspaces,
        log: LogId,
        chunks: &mut Vec<Bytes>,
    ) -> Result<(), Unloaded> {
        if self.pointers.len() == self.items.len()
            && let Ok(loaded) = keyspaces.segments.read(log, &self.pointers)
        {
            chunks.extend(loaded);
            return Ok(());
        }
        // One was moved meanwhile, or is damaged: then those before it are of use.
        for (key, value) in self.items {
            match keyspaces.batch(log, &key, value)? {
                Some(batch) => chunks.push(batch),
                // It is gone: whoever reads on sees what is left.
                None => break,
            }
        }
        Ok(())
    }
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
    keyspaces: &Keyspaces,
    log: LogId,
    time: Timestamp,
    bounds: Bounds,
) -> Result<Option<TimestampedOffset>, ReadError> {
    let end = log.key_at(bounds.high);
    for item in keyspaces.batches.range(log.key_at(Offset(0))..end) {
        let (key, value) = item
            .into_inner_if(|key| may_hold(key, time, bounds.start))
            .map_err(unavailable)?;
        let Some(value) = value.filter(|_| may_hold(&key, time, bounds.start)) else {
            continue;
        };
        let loaded = keyspaces.batch(log, &key, value);
        let key = BatchKey::decode(&key)?;
        let loaded = loaded.map_err(|error| unloaded_at(error, log, key.base))?;
        let Some(value) = loaded else { continue };
        // A batch whose records cannot be read was stored as its producer sent it. What its header
        // says is the best answer, and never too late.
        let found = first_record(value, time, bounds.start).unwrap_or_else(|_| {
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
    keyspaces: &Keyspaces,
    log: LogId,
    bounds: Bounds,
) -> Result<Option<TimestampedOffset>, ReadError> {
    let batches = &keyspaces.batches;
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
        let stored_at = key;
        let key = BatchKey::decode(&stored_at)?;
        if key.end() <= bounds.start || !newer(newest, key.max_timestamp) {
            continue;
        }
        let told = Some(TimestampedOffset {
            offset: key.base,
            timestamp: key.max_timestamp,
        });
        newest = match value {
            // Its newest record may be one that is no longer read.
            Some(value) => {
                let loaded = keyspaces.batch(log, &stored_at, value);
                match loaded.map_err(|error| unloaded_at(error, log, key.base))? {
                    Some(batch) => newest_record(batch, bounds.start).unwrap_or(told),
                    None => newest,
                }
            }
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
    let (key, value) = item.into_inner().map_err(unavailable)?;
    let loaded = keyspaces.batch(log, &key, value);
    Ok(
        match loaded.map_err(|error| unloaded_at(error, log, found.offset))? {
            Some(batch) => first_record(batch, found.timestamp, from).unwrap_or(newest),
            None => newest,
        },
    )
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
    keyspaces: &Keyspaces,
    log: LogId,
    bounds: Bounds,
) -> Result<u64, ReadError> {
    let mut bytes = 0_u64;
    let range = log.key_at(Offset(0))..log.key_at(bounds.high);
    for item in keyspaces.batches.range(range) {
        let stored = Stored::of(item.value().map_err(unavailable)?.into())?;
        bytes = bytes.saturating_add(stored.bytes() as u64);
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
fn unloaded_at(error: Unloaded, log: LogId, from: Offset) -> ReadError {
    let LogId { topic, partition } = log;
    let error = match error {
        Unloaded::Damaged(damaged) => damaged.into(),
        Unloaded::Segment(Unread::Io(error)) => ReadError::Unavailable(error.into()),
        Unloaded::Segment(unread) => ReadError::Unreadable(unread.to_string()),
        Unloaded::Index(error) => unavailable(error),
    };
    match error {
        ReadError::Unreadable(why) => ReadError::Unreadable(format!(
            "records at offset {from} of partition {partition} of the topic with the id {topic} \
             are damaged on the disk ({why})"
        )),
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
