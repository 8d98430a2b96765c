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

use bytes::Bytes;
use fjall::{OwnedWriteBatch, PersistMode};
use kop_store::{Cause, TopicSettings};
use kop_wire::{Batch, Offset};

use super::{
    Upkeep,
    counted::{Counted, Held, Ripened, sized},
};
use crate::{
    engine::locked,
    format::{self, BatchKey, LogId, Stored},
    keyspaces::{Keyspaces, Unloaded},
    log::{Bounds, Log},
    segments::Unread,
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
            if let Some(batch) = readable(self.keyspaces.batch(log.id, &key, value))? {
                let _ = Batch::parse_stored(batch).and_then(|b| filter::note(&b, &mut latest));
            }
        }
        Ok((latest, below.max(from)))
    }

    /// Leaves out, below an offset, what the round says.
    fn round(&mut self, log: &Log, round: &Round<'_>, to: Offset) -> Result<(), Cause> {
        let high = log.bounds().high;
        let mut left = Left::default();
        let mut place = Place::default();
        let mut step = Rewrites::new(&self.keyspaces);
        let batches = self.keyspaces.batches.clone();
        for item in batches.range(log.id.key_at(Offset(0))..log.id.key_at(to)) {
            let (key, value) = item.into_inner()?;
            let old = BatchKey::decode(&key)?;
            let held = Held::of(&Stored::of(value.clone().into())?);
            place.is_last = old.end() >= high;
            let loaded = readable(self.keyspaces.batch(log.id, &key, value))?;
            let filtered = match loaded.and_then(|bytes| Batch::parse_stored(bytes).ok()) {
                Some(batch) => round.filter(&batch, place),
                None => Outcome::Unreadable.into(),
            };
            left.horizon(filtered.horizon_ms);
            match filtered.outcome {
                Outcome::Stays => left.bytes += held.bytes,
                Outcome::Unreadable => {
                    left.bytes += held.bytes;
                    place.follows_unreadable = true;
                }
                Outcome::Goes => {
                    step.writes.remove(&batches, key);
                    self.space.freed(held);
                    left.changes += 1;
                }
                Outcome::Becomes(batch) => {
                    let new = BatchKey::new(log.id, old.base, batch.header());
                    if new != old {
                        step.writes.remove(&batches, key);
                    }
                    let batch = batch.bytes().clone();
                    left.bytes += batch.len() as u64;
                    step.bytes += batch.len();
                    step.batches.push((new, batch));
                    self.space.freed(held);
                    left.changes += 1;
                }
            }
            if step.writes.len() + step.batches.len() >= AT_ONCE || step.bytes >= BYTES_AT_ONCE {
                let full = std::mem::replace(&mut step, Rewrites::new(&self.keyspaces));
                self.rewrite(full)?;
                if self.stopped() {
                    return Err(Stopped::Closed.into());
                }
            }
        }
        self.rewrite(step)?;
        self.done(log, to, &left)
    }

    /// Writes what took the place of other batches, and then what points to it.
    fn rewrite(&mut self, step: Rewrites) -> Result<(), Cause> {
        let Rewrites {
            mut writes,
            batches,
            ..
        } = step;
        self.space.put(&self.keyspaces, &batches, &mut writes)?;
        self.space.note(&self.keyspaces, &mut writes);
        self.keyspaces.commit(writes, None)?;
        Ok(())
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

/// A batch that is to be looked into; `None` where it is damaged and stays as it is.
fn readable(loaded: Result<Option<Bytes>, Unloaded>) -> Result<Option<Bytes>, Unloaded> {
    match loaded {
        Err(Unloaded::Segment(Unread::Damaged(_) | Unread::Gone(_))) => Ok(None),
        loaded => loaded,
    }
}

/// What is written together.
struct Rewrites {
    writes: OwnedWriteBatch,
    /// What takes the place of other batches.
    batches: Vec<(BatchKey, Bytes)>,
    bytes: usize,
}

impl Rewrites {
    fn new(keyspaces: &Keyspaces) -> Self {
        Self {
            writes: keyspaces.database.batch(),
            batches: Vec::new(),
            bytes: 0,
        }
    }
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
        ripe.bytes += size.bytes;
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
