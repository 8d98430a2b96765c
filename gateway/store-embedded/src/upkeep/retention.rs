//! Retention: where a log should begin, by the age of its batches and by its size.
//!
//! As Kafka does with segments: the oldest batches go, one after the other, until one stays, whatever
//! comes after it. The age of a batch is that of its newest record, by the record's own timestamp. A
//! batch whose records have no timestamps goes with the next one that has.
use kop_store::{Cause, TopicSettings};
use kop_wire::{Offset, Timestamp};

use super::counted::{Counted, sized};
use crate::{engine::Keyspaces, format::LogId, log::Bounds};

/// Where the log should begin, if that is later than it does.
pub(super) fn cut(
    keyspaces: &Keyspaces,
    log: LogId,
    bounds: Bounds,
    settings: &TopicSettings,
    (counted, now_ms): (&mut Counted, i64),
) -> Result<Option<Offset>, Cause> {
    if bounds.start >= bounds.high {
        return Ok(None);
    }
    let is_old = |time: Timestamp| {
        let age = now_ms.saturating_sub(time.0);
        time.0 >= 0 && settings.retention_ms.is_some_and(|limit| age > limit)
    };
    let mut surplus = 0;
    if let Some(limit) = settings.retention_bytes {
        counted.count(keyspaces, log, bounds)?;
        surplus = counted.bytes().saturating_sub(limit);
    }
    let known = counted.first.filter(|(start, _)| *start == bounds.start);
    if surplus == 0 && known.is_some_and(|(_, time)| time.0 >= 0 && !is_old(time)) {
        return Ok(None);
    }
    let mut first = None;
    let mut cut = None;
    // Bytes of batches without timestamps that wait for one with.
    let mut undecided = 0;
    for batch in sized(keyspaces, log, bounds.start, bounds.high) {
        let (key, size) = batch?;
        let time = key.max_timestamp;
        first.get_or_insert((bounds.start, time));
        if undecided + size <= surplus || is_old(time) {
            surplus = surplus.saturating_sub(undecided + size);
            undecided = 0;
            cut = Some(key.end());
        } else if time.0 < 0 {
            undecided += size;
        } else {
            break;
        }
    }
    counted.first = first;
    Ok(cut)
}
