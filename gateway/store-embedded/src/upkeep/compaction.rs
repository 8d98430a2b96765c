//! Log compaction: of each key the newest record stays, at its offset.
//!
//! A *round* reads what has not been compacted yet, as far as its table of keys reaches, and then goes
//! through the log from the beginning, leaving out what is superseded; the next round goes on from there.
//! Batches keep their offsets, so gaps appear within and between them, never at the end. Every write is
//! whole batches, from the front of the log on: wherever the process dies, the log is right, and what
//! was not yet left out is left out the next time.
//!
//! What idempotent producers have written is known from the batches of late, and from what the writer
//! thread has saved about those before. It saves before a round begins, so no batch that goes is needed.
use std::sync::Arc;

use fjall::PersistMode;
use kop_store::{Cause, TopicSettings};
use kop_wire::{Batch, Offset};

use super::{
    Upkeep,
    counted::{Counted, Ripened, sized},
};
use crate::{
    engine::{Keyspaces, locked},
    format::{self, BatchKey, LogId},
    log::{Bounds, Log},
    writer::{Command, Stopped},
};

mod filter;
mod latest;

use filter::{Outcome, Place, Round};
use latest::Latest;

/// Batches and bytes of one write.
const AT_ONCE: usize = 500;
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

impl Upkeep {
    /// Compacts a log if enough of it has not been, or something has waited for long enough.
    pub(super) fn compact(
        &mut self,
        log: &Arc<Log>,
        settings: &TopicSettings,
    ) -> Result<(), Cause> {
        let now_ms = self.options.clock.now_ms();
        let bounds = log.bounds();
        let counted = self.counted.entry(log.id).or_default();
        counted.count(&self.keyspaces, log.id, bounds)?;
        let Some(cleaned_to) = counted.cleaned_to else {
            return Ok(());
        };
        let tombstones_are_due = counted.horizon_ms < now_ms;
        let is_overdue = counted
            .oldest_dirty_ms
            .is_some_and(|oldest| now_ms.saturating_sub(oldest) > settings.max_compaction_lag_ms);
        let enough = |dirty: u64, counted: &Counted| {
            let ratio = dirty as f64 / counted.clean.saturating_add(dirty).max(1) as f64;
            dirty > 0 && (is_overdue || ratio > settings.min_cleanable_dirty_ratio)
        };
        if !tombstones_are_due && !enough(counted.dirty, counted) {
            return Ok(());
        }
        let mut below = bounds.high;
        if settings.min_compaction_lag_ms > 0 {
            let lag_ms = settings.min_compaction_lag_ms;
            let ripe = ripe(&self.keyspaces, (log.id, bounds), counted, (lag_ms, now_ms))?;
            if !tombstones_are_due && !enough(ripe.bytes, counted) {
                return Ok(());
            }
            below = ripe.upto;
        }
        let below = below.min(self.settled(log)?);
        self.rounds(log, settings, (cleaned_to, below), now_ms)
    }

    /// Has the writer thread save what it knows of the log's producers, and says up to where.
    fn settled(&self, log: &Arc<Log>) -> Result<Offset, Cause> {
        let log = Arc::clone(log);
        self.ask(|reply| Command::Settle { log, reply })?
    }

    fn rounds(
        &mut self,
        log: &Log,
        settings: &TopicSettings,
        (mut from, below): (Offset, Offset),
        now_ms: i64,
    ) -> Result<(), Cause> {
        loop {
            let (latest, to) = self.newest(log, from, below)?;
            let round = Round {
                latest: &latest,
                now_ms,
                delete_retention_ms: settings.delete_retention_ms,
            };
            self.round(log, &round, to)?;
            if to >= below || self.stopped() {
                return Ok(());
            }
            from = to;
        }
    }

    /// Where the newest record of each key is, from an offset on, and how far that was read.
    fn newest(&self, log: &Log, from: Offset, below: Offset) -> Result<(Latest, Offset), Cause> {
        let mut latest = Latest::default();
        let mut to = from;
        let range = log.id.key_at(from)..log.id.key_at(below);
        for item in self.keyspaces.batches.range(range) {
            if latest.len() >= latest::MAX_KEYS {
                return Ok((latest, to));
            }
            if self.stopped() {
                return Err(Stopped::Closed.into());
            }
            let (key, value) = item.into_inner()?;
            to = BatchKey::decode(&key)?.end();
            // What cannot be read stays, as the round finds again.
            let _ = Batch::parse_stored(value.into()).and_then(|b| filter::note(&b, &mut latest));
        }
        Ok((latest, below.max(from)))
    }

    /// Leaves out, below an offset, what the round says.
    fn round(&mut self, log: &Log, round: &Round<'_>, to: Offset) -> Result<(), Cause> {
        let high = log.bounds().high;
        let mut left = Left::default();
        let mut place = Place::default();
        let mut writes = self.keyspaces.database.batch();
        let mut bytes = 0;
        let batches = self.keyspaces.batches.clone();
        for item in batches.range(log.id.key_at(Offset(0))..log.id.key_at(to)) {
            let (key, value) = item.into_inner()?;
            let (old, size) = (BatchKey::decode(&key)?, value.len());
            place.is_last = old.end() >= high;
            let filtered = match Batch::parse_stored(value.into()) {
                Ok(batch) => round.filter(&batch, place),
                Err(_) => Outcome::Unreadable.into(),
            };
            left.horizon(filtered.horizon_ms);
            match filtered.outcome {
                Outcome::Stays => left.bytes += bytes_of(size),
                Outcome::Unreadable => {
                    left.bytes += bytes_of(size);
                    place.follows_unreadable = true;
                }
                Outcome::Goes => {
                    writes.remove(&batches, key);
                    self.space.freed(bytes_of(size));
                    left.changes += 1;
                }
                Outcome::Becomes(batch) => {
                    let new = BatchKey::new(log.id, old.base, batch.header());
                    if new != old {
                        writes.remove(&batches, key);
                    }
                    left.bytes += bytes_of(batch.bytes().len());
                    bytes += batch.bytes().len();
                    writes.insert(&batches, new.encode(), batch.bytes().clone());
                    self.space.freed(bytes_of(size));
                    left.changes += 1;
                }
            }
            if writes.len() >= AT_ONCE || bytes >= BYTES_AT_ONCE {
                let full = std::mem::replace(&mut writes, self.keyspaces.database.batch());
                self.keyspaces.commit(full, None)?;
                self.space.wrote(&self.keyspaces, bytes)?;
                bytes = 0;
                if self.stopped() {
                    return Err(Stopped::Closed.into());
                }
            }
        }
        self.keyspaces.commit(writes, None)?;
        self.done(log, to, &left)
    }

    /// Notes how far the log has been compacted, once that is as durable as anything.
    fn done(&mut self, log: &Log, to: Offset, left: &Left) -> Result<(), Cause> {
        let mode: PersistMode = self.options.durability.persist_mode();
        self.keyspaces.persist(mode)?;
        let note = format::cleaned_value(to, left.horizon_ms);
        let mut noted = self.keyspaces.database.batch();
        noted.insert(&self.keyspaces.meta, log.id.cleaned_key(), note);
        self.keyspaces.commit(noted, None)?;
        // Readers at the end have seen what was left out; those who come later shall not.
        locked(&log.tail).forget_below(to);
        let counted = self.counted.entry(log.id).or_default();
        counted.cleaned(to, left.bytes, left.horizon_ms);
        if left.changes > 0 {
            tracing::debug!(log = ?log.id, %to, changes = left.changes, bytes = left.bytes, "compacted");
        }
        Ok(())
    }
}

fn bytes_of(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// How much of what has not been compacted is old enough. Time goes on, so what was stays so.
fn ripe(
    keyspaces: &Keyspaces,
    (log, bounds): (LogId, Bounds),
    counted: &mut Counted,
    (lag_ms, now_ms): (i64, i64),
) -> Result<Ripened, Cause> {
    let mut ripe = Ripened {
        lag_ms,
        upto: counted.cleaned_to.unwrap_or_default(),
        bytes: 0,
    };
    if let Some(before) = counted.ripened.filter(|before| before.lag_ms == lag_ms) {
        ripe = before;
    }
    for batch in sized(keyspaces, log, ripe.upto, bounds.high) {
        let (key, size) = batch?;
        if now_ms.saturating_sub(key.max_timestamp.0) < lag_ms {
            break;
        }
        ripe.upto = key.end();
        ripe.bytes += size;
    }
    counted.ripened = Some(ripe);
    Ok(ripe)
}

/// What a round leaves.
struct Left {
    bytes: u64,
    changes: usize,
    /// When the first records without a value may go.
    horizon_ms: i64,
}

impl Default for Left {
    fn default() -> Self {
        Self {
            bytes: 0,
            changes: 0,
            horizon_ms: i64::MAX,
        }
    }
}

impl Left {
    fn horizon(&mut self, horizon_ms: Option<i64>) {
        self.horizon_ms = self.horizon_ms.min(horizon_ms.unwrap_or(i64::MAX));
    }
}
