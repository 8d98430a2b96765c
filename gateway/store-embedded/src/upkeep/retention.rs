//! Retention: where a log should begin, by the age of its batches and by its size.
//!
//! As Kafka does with segments: the oldest batches go, one after the other, until one stays, whatever
//! comes after it. The age of a batch is that of its newest record, by the record's own timestamp. A
//! batch whose records have no timestamps goes with the next one that has.
use kop_store::{Cause, TopicSettings};
use kop_wire::{Offset, Timestamp};

use super::counted::{Aged, Counted, sized};
use crate::{format::LogId, keyspaces::Keyspaces, log::Bounds};

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
        settings.retention_ms.is_some_and(|limit| age > limit)
    };
    let mut surplus = 0;
    if let Some(limit) = settings.retention_bytes {
        counted.count(keyspaces, log, bounds)?;
        surplus = counted.bytes().saturating_sub(limit);
    }
    let aged = counted.aged.filter(|aged| aged.start == bounds.start);
    let from = match aged {
        _ if surplus > 0 => bounds.start,
        Some(Aged {
            time: Some(time), ..
        }) if !is_old(time) => return Ok(None),
        Some(Aged {
            time: None, upto, ..
        }) => upto,
        _ => bounds.start,
    };
    let mut aged = Aged {
        start: bounds.start,
        time: None,
        upto: from,
    };
    let mut cut = None;
    // Bytes of batches without timestamps that wait for one with.
    let mut undecided = 0;
    for batch in sized(keyspaces, log, from, bounds.high) {
        let (key, held) = batch?;
        let size = held.bytes;
        let time = Some(key.max_timestamp).filter(|time| time.0 >= 0);
        aged.upto = key.end();
        aged.time = aged.time.or(time);
        if undecided + size <= surplus || time.is_some_and(is_old) {
            surplus = surplus.saturating_sub(undecided + size);
            undecided = 0;
            cut = Some(key.end());
        } else if time.is_none() {
            undecided += size;
        } else {
            break;
        }
    }
    counted.aged = Some(aged);
    Ok(cut)
}
