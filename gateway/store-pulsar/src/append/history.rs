//! What idempotent producers have written to the partition, and how far that is known.
//!
//! As long as a gateway is alone, a producer id that this process gave out has no history before us, in a
//! partition that it owns for the first time. Another one may have: then the log is read from its end backwards in growing steps, until the
//! producer is found or nothing older can be its, because its id was not taken yet or because it would
//! be forgotten by now. After a failure, only what came behind the last entry known is read.
//!
//! So that few steps are enough, the writer puts a [`Snapshot`] beside the messages of an entry now and
//! then: what it tells of need not be read again.
use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use kop_store::producer_state::{ProducerState, Retention};
use kop_wire::{BatchHeader, Offset};
use pulsar_client::{EntryId, ReadError, Reader, ReaderError, ReaderOptions, ReaderStart};
use tokio::time::timeout;

use crate::{
    admin::{AdminError, EntryFacts, InternalStats, Position},
    bounds::{self, Ahead, Anchor},
    clock, damaged,
    entry::{Span, producer_batches},
    log::{Log, position},
    metrics::Metrics,
    producer_ids::Births,
    shared::Shared,
};

mod growth;
mod replay;
pub(crate) mod snapshot;

use growth::Growth;
use replay::{Read, Replay};
use snapshot::{First, Since, Snapshot};

/// By how much the clocks of gateways may differ, in milliseconds.
const SKEW_MS: i64 = 60_000;

/// Entries read in the first step backwards, and by how much each next one is larger.
const FIRST_STEP: u64 = 64;
const STEP_FACTOR: u64 = 8;
/// Offsets that are read on over after a failure. Behind more than that a snapshot is nearer.
const FAR: i64 = 10_000;
/// How long an entry that is known to exist may take to come until it is asked whether it is one that readers
/// are given, and how long then.
const QUIET: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);
const RECEIVE_BYTES: usize = 4 * 1024 * 1024;
/// Sequence numbers start again behind the largest.
const SEQUENCES: i64 = 1 << 31;

pub(crate) struct History {
    state: ProducerState,
    /// Producers with batches in flight.
    in_flight: HashMap<i64, InFlight>,
    known: Known,
    /// Nobody else has written since the first producer id of this process was taken.
    alone: bool,
    /// Entries to go back in the next step.
    step: u64,
    /// The last entry of ours that was answered: up to there `state` is what the log tells.
    last: Option<Anchor>,
    growth: Growth,
}

/// How far the log's past is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// action: what stands there or behind it is known; nothing at all without it.
    /// transition: to an earlier entry by reading back, to `Until` by a failure.
    From(Option<Since>),
    /// action: nothing is judged. transition: `From` by reading on from `last`, or by reading back.
    Until { last: Anchor, since: Option<Since> },
}

/// What decides whether a producer can have been forgotten.
pub(super) struct Topic<'a> {
    pub(super) births: &'a Births,
    /// When the topic was made, in milliseconds since the epoch as `now`.
    pub(super) made: i64,
    pub(super) now: i64,
    /// The first offset that Pulsar still holds.
    pub(super) stored: i64,
}

impl<'a> Topic<'a> {
    /// The log's.
    pub(super) fn of(log: &'a Log) -> Self {
        Self {
            births: &log.shared.producer_births,
            made: log.origin.birth.map_or(i64::MAX, |birth| birth.time),
            now: now(),
            stored: log.stored_start(),
        }
    }
}

/// Where an entry of ours stands, and when it was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) position: Position,
    pub(super) span: Span,
    /// Milliseconds since the epoch, as the entry itself says.
    pub(super) time: u64,
}

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
    #[error("entries before the barrier do not come")]
    Silence,
}

impl History {
    /// The history of a log that nobody else has written to since this process began; an empty one is
    /// known.
    pub(crate) fn new(empty: bool) -> Self {
        Self {
            state: ProducerState::new(Retention::default()),
            in_flight: HashMap::new(),
            known: Known::From(empty.then_some(Since::Beginning)),
            alone: true,
            step: FIRST_STEP,
            last: None,
            growth: Growth::default(),
        }
    }

    /// The history of a log that other gateways may have written to, or this one before it opened it anew.
    pub(crate) fn beside_others(empty: bool) -> Self {
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
        let time = match self.known {
            Known::Until { .. } => return true,
            Known::From(Some(Since::Beginning)) => return false,
            Known::From(Some(Since::Entry(first))) => first.written,
            Known::From(None) => i64::MAX,
        };
        let id = header.producer_id;
        let births = &shared.producer_births;
        !(self.alone && id >= births.first())
            && births.of(id).saturating_sub(SKEW_MS) < time
            && (!self.state.knows(id) || self.state.check(header).is_err())
    }

    /// Whether a producer of which nothing is known has never written here, rather than being forgotten:
    /// its id is younger than what is forgotten, and all that was written since it was taken is known. A
    /// producer that is older than the topic may go on where it was in one of the same name.
    pub(super) fn is_new(&self, header: &BatchHeader, topic: &Topic<'_>) -> bool {
        let births = topic.births;
        let (id, birth) = (header.producer_id, births.of(header.producer_id));
        let kept = Retention::default();
        let remembered = topic.now.saturating_sub(kept.silence_ms - SKEW_MS);
        if birth < topic.made.max(remembered) || self.state.len() > kept.producers / 2 {
            return false;
        }
        if self.alone && id >= births.first() {
            return true;
        }
        match self.known {
            Known::From(Some(Since::Beginning)) => topic.stored == 0,
            Known::From(Some(Since::Entry(first))) => {
                first.written <= birth.saturating_sub(SKEW_MS)
            }
            Known::From(None) | Known::Until { .. } => false,
        }
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

    /// A batch of ours stands there. Behind an interruption it is read with what stands before it.
    pub(super) fn written(&mut self, header: &BatchHeader, written: Written, bytes: usize) {
        if self.is_interrupted() {
            return;
        }
        let Written { position, span, .. } = written;
        let time = i64::try_from(written.time).unwrap_or(i64::MAX);
        self.state.replay(header, Offset(span.base), time);
        if let Known::From(since @ None) = &mut self.known {
            // Whatever earlier owners had on its way stands before our first entry.
            *since = Some(Since::Entry(First {
                position,
                offset: span.base,
                written: time,
            }));
        }
        self.last = Some(Anchor {
            position,
            index: span.end - 1,
        });
        self.growth.entry(span, bytes);
    }

    /// What is to be noted beside the messages of the next entry, if a snapshot is due.
    pub(super) fn note(&self) -> Option<Bytes> {
        let (Known::From(Some(since)), Some(last)) = (self.known, self.last) else {
            return None;
        };
        let size = Snapshot::size_of(self.state.len());
        let due = self.growth.is_enough_for(size);
        due.then(|| Snapshot::encode(since, last, &self.state))
    }

    /// It has been noted.
    pub(super) fn noted(&mut self) {
        if let Some(last) = self.last {
            self.growth.restart(last.index + 1);
        }
    }

    /// Entries may have been stored that we do not know of, behind the anchor.
    pub(super) fn interrupt(&mut self, anchor: Option<Anchor>) {
        self.in_flight.clear();
        self.last = None;
        self.growth = Growth::default();
        if let Known::From(since) = self.known {
            match anchor {
                Some(last) => self.known = Known::Until { last, since },
                None => *self = Self::beside_others(false),
            }
        }
    }

    /// Reads what is missing, up to the records' end; nothing is in flight. `end` is that, with the last
    /// entry where that is known.
    pub(super) async fn read(
        &mut self,
        log: &Log,
        end: (Option<Position>, i64),
    ) -> Result<(), HistoryError> {
        let (last, end) = end;
        Metrics::add(&log.shared.metrics.rebuilds);
        match self.known {
            Known::From(Some(Since::Beginning)) => Ok(()),
            Known::From(since) => self.read_back(log, since, (last, end)).await,
            Known::Until { last, since } if end.saturating_sub(last.index) <= FAR => {
                let on = Replay::on(self.state.clone());
                let read = read(log, last.position.start(), end, on).await?;
                let (state, first) = read.end();
                self.state = state;
                // Without it nothing was known before the last entry.
                self.known = Known::From(since.or(first));
                Ok(())
            }
            Known::Until { .. } => {
                *self = Self::beside_others(false);
                self.read_back(log, None, (last, end)).await
            }
        }
    }

    /// Reads the entries before those that are known, as many as the next step has.
    async fn read_back(
        &mut self,
        log: &Log,
        since: Option<Since>,
        (last, end): (Option<Position>, i64),
    ) -> Result<(), HistoryError> {
        let (before, end) = match since {
            Some(Since::Entry(first)) => (Some(first.position), first.offset),
            Some(Since::Beginning) | None => (None, end),
        };
        let start = match before.or(last).and_then(|from| near(from, self.step)) {
            Some(near) => Some(near),
            None => {
                let stats = log.shared.admin.internal_stats(&log.topic).await?;
                back(&stats, before, self.step)
            }
        };
        self.step = self.step.saturating_mul(STEP_FACTOR);
        // No gateway wrote what the brokers did not number.
        let start = start.filter(|start| !log.is_before_numbered(*start));
        let from = start.map_or_else(|| log.beginning(), Position::start);
        let mut part = read(log, from, end, Replay::new()).await?;
        if let Some(last) = part.missed() {
            part = read(log, last.start(), end, Replay::new()).await?;
        }
        // Then nothing stands before what was read.
        let from_beginning = start.is_none() && !part.has_snapshot();
        let (older, known_since) = part.end();
        let known_since = known_since.or(since);
        self.state = match since {
            Some(_) => older.followed_by(&self.state),
            None => older,
        };
        let oldest_counts = now().saturating_sub(Retention::default().silence_ms);
        let is_forgotten = |since: Since| match since {
            Since::Beginning => true,
            Since::Entry(first) => first.written < oldest_counts,
        };
        let is_all = from_beginning || known_since.is_some_and(is_forgotten);
        self.known = Known::From(if is_all {
            Some(Since::Beginning)
        } else {
            known_since
        });
        Ok(())
    }
}

fn now() -> i64 {
    i64::try_from(clock::now_millis()).unwrap_or(i64::MAX)
}

/// The entry so many before one where both are in one ledger and it is not the ledger's first, which might
/// be the topic's.
fn near(from: Position, entries: u64) -> Option<Position> {
    let entry = from.entry.checked_sub(entries).filter(|entry| *entry > 0)?;
    let ledger = from.ledger;
    Some(Position { ledger, entry })
}

/// The entry so many before one, or before the end; `None` where there are no more than those.
fn back(stats: &InternalStats, before: Option<Position>, mut entries: u64) -> Option<Position> {
    for (ledger, held) in stats.ledgers().into_iter().rev() {
        let held = match before {
            Some(before) if ledger > before.ledger => 0,
            Some(before) if ledger == before.ledger => held.min(before.entry),
            _ => held,
        };
        if held >= entries {
            let entry = held - entries;
            let is_first = stats.first() == Some(Position { ledger, entry });
            return (!is_first).then_some(Position { ledger, entry });
        }
        entries -= held;
    }
    None
}

/// Reads the entries from `start` to those that stand at `end`.
async fn read(
    log: &Log,
    start: ReaderStart,
    end: i64,
    mut into: Replay,
) -> Result<Replay, HistoryError> {
    // What was deleted still tells what producers have written.
    if end <= log.stored_start() {
        return Ok(into);
    }
    let mut reader = open(log, start).await?;
    let mut reached = None;
    loop {
        let entry = match next(&mut reader, QUIET).await {
            Err(HistoryError::Silence) => {
                if is_all(log, start, reached).await? {
                    return Ok(into);
                }
                next(&mut reader, PATIENCE).await
            }
            entry => entry,
        };
        let entry = match entry {
            Err(HistoryError::Read(ReadError::Damaged { ledger, entry, .. })) => {
                let position = Position { ledger, entry };
                let span = damaged::span(log, position).await?;
                if span.is_some_and(|span| span.end >= end) {
                    return Ok(into);
                }
                reader = open(log, position.start_behind()).await?;
                continue;
            }
            entry => entry?,
        };
        Metrics::add(&log.shared.metrics.rebuild_entries);
        let Ok(span) = Span::of(&entry.metadata, entry.index) else {
            // From before the brokers numbered entries, or with a number of messages that is none.
            let is_last = |index: u64| i64::try_from(index).is_ok_and(|index| index + 1 >= end);
            if entry.index.is_some_and(is_last) {
                return Ok(into);
            }
            continue;
        };
        if span.base >= end {
            return Ok(into);
        }
        let read = Read {
            position: position(&entry),
            span,
            written: i64::try_from(entry.metadata.publish_time).unwrap_or(i64::MAX),
            batches: told(log, &entry, span),
        };
        // Another cluster's topic had other positions and offsets.
        let note = entry.metadata.gateway_note.as_ref();
        let note = note.filter(|_| entry.metadata.replicated_from.is_none());
        into.entry(read, note);
        reached = Some(span.end);
        if log.is_group_log() && span.base >= log.high() {
            log.observed(&entry);
        } else {
            log.learn(position(&entry), span);
        }
        if span.end >= end {
            return Ok(into);
        }
    }
}

async fn open(log: &Log, start: ReaderStart) -> Result<Reader, ReaderError> {
    let options = ReaderOptions {
        receive_bytes_budget: RECEIVE_BYTES,
        ..ReaderOptions::default()
    };
    Metrics::add(&log.shared.metrics.readers_opened);
    let topic = log.topic.as_str();
    log.shared.client.reader(topic, start, options).await
}

/// What an entry tells of producers. Any client of Pulsar may write one that pretends to be a gateway's and
/// is none: it tells nothing, and must not keep those who come after from being judged.
fn told(log: &Log, entry: &pulsar_client::Entry, span: Span) -> Vec<BatchHeader> {
    producer_batches(&entry.metadata, &entry.payload, span).unwrap_or_else(|error| {
        damaged::tell(log, position(entry), &error);
        Vec::new()
    })
}

/// Whether what was read is all that readers are given: transactions that were aborted may have written the
/// rest.
async fn is_all(log: &Log, start: ReaderStart, reached: Option<i64>) -> Result<bool, HistoryError> {
    let admin = &log.shared.admin;
    let reached = match (reached, start) {
        (None, ReaderStart::At(EntryId { ledger, entry })) => {
            let facts = admin.entry(&log.topic, Position { ledger, entry }).await?;
            facts.and_then(EntryFacts::base)
        }
        (None, _) => Some(log.stored_start()),
        (reached, _) => reached,
    };
    let Some(reached) = reached else {
        return Ok(false);
    };
    let ahead = bounds::ahead(admin, &log.topic, reached).await;
    Ok(ahead.is_ok_and(|ahead| ahead == Ahead::Nothing))
}

async fn next(
    reader: &mut Reader,
    patience: Duration,
) -> Result<pulsar_client::Entry, HistoryError> {
    match timeout(patience, reader.next()).await {
        Ok(entry) => entry?.ok_or(HistoryError::Silence),
        Err(_) => Err(HistoryError::Silence),
    }
}

#[cfg(test)]
mod tests;
