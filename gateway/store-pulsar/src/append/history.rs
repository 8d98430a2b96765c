//! What idempotent producers have written to the partition, and how far that is known.
//!
//! As long as a gateway is alone, a producer id that this process gave out has no history before us.
//! Another one may have: then the log is read from its end backwards in growing steps, until the
//! producer is found or nothing older can be its, because its id was not taken yet or because it would
//! be forgotten by now. After a failure, only what came behind the last entry known is read.
use std::{collections::HashMap, time::Duration};

use kop_store::producer_state::{ProducerState, Retention};
use kop_wire::{BatchHeader, Offset};
use pulsar_client::{EntryId, ReadError, Reader, ReaderError, ReaderOptions, ReaderStart};
use tokio::time::timeout;

use crate::{
    admin::{AdminError, InternalStats, Position},
    bounds::Anchor,
    clock,
    entry::{DecodeError, Span, producer_batches},
    log::{Log, position},
    metrics::Metrics,
    shared::Shared,
};

/// By how much the clocks of gateways may differ, in milliseconds.
const SKEW_MS: i64 = 60_000;

/// Entries read in the first step backwards, and by how much each next one is larger.
const FIRST_STEP: u64 = 256;
const STEP_FACTOR: u64 = 8;
/// How long an entry that is known to exist may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
const RECEIVE_BYTES: usize = 4 * 1024 * 1024;
/// Sequence numbers start again behind the largest.
const SEQUENCES: i64 = 1 << 31;

pub(super) struct History {
    state: ProducerState,
    /// Producers with batches in flight.
    in_flight: HashMap<i64, InFlight>,
    known: Known,
    /// Nobody else has written since the first producer id of this process was taken.
    alone: bool,
    /// Entries to go back in the next step.
    step: u64,
}

/// How far the log's past is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// action: what was written at `time` or later is known: [`ALL`] or [`OURS`] or something between.
    /// transition: to an earlier time by reading back, to `Until` by a failure.
    From { time: i64 },
    /// action: nothing is judged. transition: `From` that time by reading on from `last`.
    Until { last: Option<Position>, time: i64 },
}

/// Everything is known.
const ALL: i64 = i64::MIN;
/// Only what this process wrote is known.
const OURS: i64 = i64::MAX;

struct InFlight {
    epoch: i16,
    next_sequence: i64,
    batches: usize,
}

/// Why the past could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Open(#[from] ReaderError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Entry(#[from] DecodeError),
    #[error("entries before the barrier do not come")]
    Silence,
}

impl History {
    /// The history of a log that nobody else has written to since this process began; an empty one is
    /// known.
    pub(super) fn new(empty: bool) -> Self {
        Self {
            state: ProducerState::new(Retention::default()),
            in_flight: HashMap::new(),
            known: Known::From {
                time: if empty { ALL } else { OURS },
            },
            alone: true,
            step: FIRST_STEP,
        }
    }

    /// The history of a log that other gateways may have written to.
    pub(super) fn beside_others(empty: bool) -> Self {
        Self {
            alone: false,
            ..Self::new(empty)
        }
    }

    /// Whether entries may have been stored that are not known of since this process last wrote.
    pub(super) fn is_interrupted(&self) -> bool {
        matches!(self.known, Known::Until { .. })
    }

    pub(super) fn state(&self) -> &ProducerState {
        &self.state
    }

    /// Whether a batch is the next one after those of its producer that are in flight.
    pub(super) fn follows_in_flight(&self, header: &BatchHeader) -> bool {
        self.in_flight
            .get(&header.producer_id)
            .is_some_and(|in_flight| {
                in_flight.epoch == header.producer_epoch
                    && in_flight.next_sequence == i64::from(header.base_sequence)
            })
    }

    /// Whether a batch can be judged only when nothing is in flight.
    pub(super) fn needs_quiet(&self, header: &BatchHeader, shared: &Shared) -> bool {
        self.in_flight.contains_key(&header.producer_id) || self.must_read(header, shared)
    }

    /// Whether a batch cannot be judged by what is known.
    pub(super) fn must_read(&self, header: &BatchHeader, shared: &Shared) -> bool {
        let Known::From { time } = self.known else {
            return true;
        };
        let id = header.producer_id;
        let births = &shared.producer_births;
        time != ALL
            && !(self.alone && id >= births.first())
            && births.of(id).saturating_sub(SKEW_MS) < time
            && (!self.state.knows(id) || self.state.check(header).is_err())
    }

    /// A batch is on its way.
    pub(super) fn sent(&mut self, header: &BatchHeader) {
        if !header.is_idempotent() {
            return;
        }
        let next = (i64::from(header.base_sequence) + header.offsets()) % SEQUENCES;
        let in_flight = self
            .in_flight
            .entry(header.producer_id)
            .or_insert(InFlight {
                epoch: header.producer_epoch,
                next_sequence: next,
                batches: 0,
            });
        in_flight.epoch = header.producer_epoch;
        in_flight.next_sequence = next;
        in_flight.batches += 1;
    }

    /// A batch is no longer on its way.
    pub(super) fn answered(&mut self, header: &BatchHeader) {
        if let Some(in_flight) = self.in_flight.get_mut(&header.producer_id) {
            in_flight.batches -= 1;
            if in_flight.batches == 0 {
                self.in_flight.remove(&header.producer_id);
            }
        }
    }

    /// A batch of ours stands there.
    pub(super) fn written(&mut self, header: &BatchHeader, base: Offset) {
        self.state.replay(header, base, now());
    }

    /// Entries may have been stored that we do not know of.
    pub(super) fn interrupt(&mut self, anchor: Option<Anchor>) {
        self.in_flight.clear();
        if let Known::From { time } = self.known {
            let last = anchor.map(|anchor| anchor.position);
            self.known = Known::Until { last, time };
        }
    }

    /// Reads what is missing, up to the records' end at `end`; nothing is in flight.
    pub(super) async fn read(&mut self, log: &Log, end: i64) -> Result<(), HistoryError> {
        Metrics::add(&log.shared.metrics.rebuilds);
        match self.known {
            Known::From { time: ALL } => {}
            Known::Until { last, time } => {
                let start = last.map_or(ReaderStart::Earliest, at);
                let mut state = self.state.clone();
                replay(log, start, end, &mut state).await?;
                self.state = state;
                self.known = Known::From { time };
            }
            Known::From { .. } => {
                let stats = log.shared.admin.internal_stats(&log.topic).await?;
                let start = back(&stats, self.step);
                let from = start.map_or(ReaderStart::Earliest, at);
                let mut state = ProducerState::new(Retention::default());
                let first = replay(log, from, end, &mut state).await?;
                let oldest_counts = now().saturating_sub(Retention::default().silence_ms);
                self.state = state;
                let time = match first {
                    Some(time) if start.is_some() && time >= oldest_counts => time,
                    _ => ALL,
                };
                self.known = Known::From { time };
                self.step = self.step.saturating_mul(STEP_FACTOR);
            }
        }
        Ok(())
    }
}

fn now() -> i64 {
    i64::try_from(clock::now_millis()).unwrap_or(i64::MAX)
}

fn at(position: Position) -> ReaderStart {
    ReaderStart::At(EntryId {
        ledger: position.ledger,
        entry: position.entry,
    })
}

/// The entry so many before the end; `None` where there are no more than those.
fn back(stats: &InternalStats, mut entries: u64) -> Option<Position> {
    for (ledger, held) in stats.ledgers().into_iter().rev() {
        if held >= entries {
            let entry = held - entries;
            let is_first = stats.first() == Some(Position { ledger, entry });
            return (!is_first).then_some(Position { ledger, entry });
        }
        entries -= held;
    }
    None
}

/// Takes what idempotent producers wrote from `start` to `end` into `state`, and answers when the
/// first of these entries was written.
async fn replay(
    log: &Log,
    start: ReaderStart,
    end: i64,
    state: &mut ProducerState,
) -> Result<Option<i64>, HistoryError> {
    // What was deleted still tells what producers have written.
    if end <= log.stored_start() {
        return Ok(None);
    }
    let options = ReaderOptions {
        receive_bytes_budget: RECEIVE_BYTES,
        ..ReaderOptions::default()
    };
    let mut reader = log
        .shared
        .client
        .reader(log.topic.as_str(), start, options)
        .await?;
    Metrics::add(&log.shared.metrics.readers_opened);
    let mut first = None;
    loop {
        let entry = next(&mut reader).await?;
        let span = Span::of(&entry.metadata, entry.index)?;
        let written = i64::try_from(entry.metadata.publish_time).unwrap_or(i64::MAX);
        first.get_or_insert(written);
        for header in producer_batches(&entry.metadata, &entry.payload, span)? {
            state.replay(&header, header.base_offset, written);
        }
        if log.is_group_log() && span.base >= log.high() {
            log.observed(&entry);
        } else {
            log.learn(position(&entry), span);
        }
        if span.end >= end {
            return Ok(first);
        }
    }
}

async fn next(reader: &mut Reader) -> Result<pulsar_client::Entry, HistoryError> {
    match timeout(PATIENCE, reader.next()).await {
        Ok(entry) => entry?.ok_or(HistoryError::Silence),
        Err(_) => Err(HistoryError::Silence),
    }
}

#[cfg(test)]
mod tests;
