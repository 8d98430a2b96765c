//! The first record of a given time or later.
//!
//! Timestamps are the applications' and need not rise, so nothing less than having seen the records
//! tells which one is the first by offset. What was seen once is remembered; batches whose largest
//! timestamp is earlier are passed over without being unpacked. What is in memory is looked at there,
//! the rest through one reader. One look through a log goes on at a time, since the next one begins with
//! what it has learnt; so does one that was not done in time, when its client asks again.
use std::{sync::Arc, time::Duration};

use kop_store::{ReadError, ReadLimit, TimestampedOffset};
use kop_wire::{Offset, Timestamp};
use tokio::time::timeout;

use crate::{
    clock,
    entry::Placed,
    log::{Log, Lookup, latest},
    read::Scan,
};

/// What is taken from memory at a time.
const PIECE: ReadLimit = ReadLimit {
    max_bytes: 1024 * 1024,
    at_least_one: true,
};

/// How long one look may take, and the waiting for another: less than clients wait for an answer.
const LOOK: Duration = Duration::from_secs(20);

/// The first record of that time or later.
pub(crate) async fn first_at(
    log: &Arc<Log>,
    time: Timestamp,
) -> Result<Option<TimestampedOffset>, ReadError> {
    let look = async {
        let _one_at_a_time = log.looking_through.lock().await;
        look(log, time).await
    };
    let late = |_| ReadError::Unavailable("the log is still being looked through for times".into());
    timeout(LOOK, look).await.map_err(late)?
}

/// Looks from the first record on that may be of that time.
async fn look(log: &Arc<Log>, time: Timestamp) -> Result<Option<TimestampedOffset>, ReadError> {
    let end = log.high();
    let mut next = log.start_of(time.0);
    let mut scan = None;
    while next < end {
        let base = next;
        let batches = match log.lookup(next, PIECE) {
            Lookup::Held(batches) => {
                scan = None;
                let last = batches.last().map(|placed| placed.header().last_offset());
                next = last.map_or(next, |last| last.0 + 1);
                batches
            }
            Lookup::Stored => {
                let scan = match &mut scan {
                    Some(scan) => scan,
                    None => scan.insert(Scan::open(Arc::clone(log), next).await?),
                };
                let batches = scan.next().await?;
                next = scan.position();
                batches
            }
            // The log may have begun later meanwhile.
            Lookup::AtEnd | Lookup::OutOfRange => {
                next = log.log_start();
                Vec::new()
            }
        };
        if next <= base {
            // A terminated topic has no more.
            break;
        }
        for placed in &batches {
            if latest(placed) >= time.0
                && let Some(found) = first_in(placed, time, Offset(log.log_start()))?
            {
                return Ok(Some(found));
            }
        }
        // Only a look that goes on from what is known adds to it.
        if base <= log.times_covered() {
            let time = batches.iter().map(latest).max().unwrap_or(i64::MIN);
            log.learn_times(base, next, time);
        }
    }
    Ok(None)
}

/// The first record with the newest timestamp.
pub(crate) async fn newest(log: &Arc<Log>) -> Result<Option<TimestampedOffset>, ReadError> {
    // Nothing is of that time: the look sees what has not been seen yet.
    if let Some(newest) = first_at(log, Timestamp(i64::MAX)).await? {
        return Ok(Some(newest));
    }
    if let Some(time) = log.newest_time().filter(|time| *time >= 0)
        && let Some(newest) = first_at(log, Timestamp(time)).await?
    {
        return Ok(Some(newest));
    }
    // What was the newest has been deleted.
    among_the_rest(log).await
}

/// The same by looking for the last time for which there is a record at all.
async fn among_the_rest(log: &Arc<Log>) -> Result<Option<TimestampedOffset>, ReadError> {
    let Some(mut newest) = first_at(log, Timestamp(0)).await? else {
        return Ok(None);
    };
    // Past the newest record of most logs there is nothing after now.
    let mut beyond = i64::try_from(clock::now_millis()).unwrap_or(i64::MAX);
    let mut step = 1_i64;
    while let Some(later) = first_at(log, Timestamp(beyond)).await? {
        newest = later;
        beyond = later.timestamp.0.saturating_add(step);
        step = step.saturating_mul(2);
        if later.timestamp.0 == i64::MAX {
            return Ok(Some(newest));
        }
    }
    while newest.timestamp.0 + 1 < beyond {
        let middle = newest.timestamp.0 + (beyond - newest.timestamp.0) / 2;
        match first_at(log, Timestamp(middle)).await? {
            Some(later) if later.timestamp > newest.timestamp => newest = later,
            _ => beyond = middle,
        }
    }
    Ok(Some(newest))
}

/// The first one in a batch, at `from` or behind it: a log may begin within a batch.
fn first_in(
    placed: &Placed,
    time: Timestamp,
    from: Offset,
) -> Result<Option<TimestampedOffset>, ReadError> {
    let shift = placed.base - placed.batch.header().base_offset;
    let unreadable = |error: kop_wire::BatchError| ReadError::Unreadable(error.to_string());
    for record in placed.batch.iter().map_err(unreadable)? {
        let record = record.map_err(unreadable)?;
        let offset = record.offset + shift;
        if record.timestamp >= time && offset >= from {
            return Ok(Some(TimestampedOffset {
                offset,
                timestamp: record.timestamp,
            }));
        }
    }
    Ok(None)
}
