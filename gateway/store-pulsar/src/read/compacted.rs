//! Reading what Pulsar's compaction has left of records whose ledgers are gone.
//!
//! Compaction writes what it keeps into a ledger of its own, under the entries' old positions and with
//! their indexes, so that each record keeps its offset; and Pulsar's retention removes nothing that has not
//! been compacted. A reader of the compacted topic is given those entries first, then the ones behind the
//! last that was compacted.
//!
//! Only offsets below the first entry that Pulsar still has are read that way. Behind it records that were
//! superseded are given out, too, and deletions: whoever follows the log has to be told of those.
use std::time::Duration;

use kop_store::ReadError as StoreReadError;
use pulsar_client::{ReaderOptions, ReaderStart};
use tokio::time::{Instant, timeout};

use super::{Cursor, unavailable};
use crate::{admin::Position, bounds, log::Log, metrics::Metrics};

/// How long a broker may take to tell the last entry.
const PATIENCE: Duration = Duration::from_secs(20);

/// How far a cursor of what compaction has left goes.
pub(super) struct Compacted {
    /// The first offset of the entries that Pulsar had when the cursor was opened.
    pub(super) until: i64,
    /// The last entry that the cursor is given, if any.
    last: Option<Position>,
    /// Everything before there was given, or stands before the cursor's beginning.
    next: Position,
}

impl Compacted {
    /// Whether there is nothing more to come.
    pub(super) fn is_exhausted(&self) -> bool {
        self.last.is_none_or(|last| last < self.next)
    }

    /// The entry at `position` was given.
    pub(super) fn given(&mut self, position: Position) {
        self.next = Position {
            entry: position.entry.saturating_add(1),
            ..position
        };
    }
}

/// A cursor that soon comes to `from`, or to what compaction has left behind it, and ends where Pulsar
/// still has the entries.
pub(super) async fn open(log: &Log, from: i64, until: i64) -> Result<Cursor, StoreReadError> {
    Metrics::add(&log.shared.metrics.readers_opened);
    Metrics::add(&log.shared.metrics.compacted_reads);
    let known = log.around(from).0.map(|point| point.position);
    let options = ReaderOptions {
        receive_bytes_budget: log.shared.cursors.receive_bytes,
        read_compacted: true,
        ..ReaderOptions::default()
    };
    let start = known.map_or(ReaderStart::Earliest, Position::start);
    let reader = log.shared.client.reader(log.topic.as_str(), start, options);
    let reader = reader.await.map_err(|error| unavailable(log, error))?;
    // What stood before `until` had been compacted before it was removed, so the answer is at least the
    // last of it.
    let last = match timeout(PATIENCE, reader.last_message_id()).await {
        Ok(last) => last.map_err(|error| unavailable(log, error))?,
        Err(error) => return Err(unavailable(log, error)),
    };
    Ok(Cursor {
        topic: log.topic.clone(),
        reader,
        next: None,
        reached: None,
        pending: None,
        compacted: Some(Compacted {
            until,
            last: last.map(Into::into),
            next: known.unwrap_or(Position {
                ledger: 0,
                entry: 0,
            }),
        }),
        parked: Instant::now(),
    })
}

/// Whether Pulsar has removed the entries that held `offset`, asked anew.
pub(super) async fn removed(log: &Log, offset: i64) -> Result<bool, StoreReadError> {
    if offset >= log.stored_start() {
        let bounds = bounds::ask(&log.shared.admin, &log.topic).await;
        log.begins(bounds.map_err(|error| unavailable(log, error))?.start);
    }
    Ok(offset < log.stored_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ledger: u64, entry: u64) -> Position {
        Position { ledger, entry }
    }

    #[test]
    fn nothing_is_waited_for_behind_the_last_entry() {
        let from = |last, next| Compacted {
            until: 10,
            last,
            next,
        };
        assert!(from(None, at(0, 0)).is_exhausted());
        assert!(from(Some(at(3, 1)), at(3, 2)).is_exhausted());
        let mut reading = from(Some(at(3, 1)), at(0, 0));
        for (given, exhausted) in [(at(1, 7), false), (at(3, 0), false), (at(3, 1), true)] {
            reading.given(given);
            assert_eq!(reading.is_exhausted(), exhausted, "{given}");
        }
    }
}
