//! What idempotent producers have written to one partition: Kafka's rules of KIP-98 and KIP-360.
//!
//! Pure: an engine [checks](ProducerState::check) a batch before it writes it, and
//! [replays](ProducerState::replay) each batch once its offset is known, while it serves as well as
//! when it rebuilds the state from its log.
//!
//! | the batch is | answer |
//! | --- | --- |
//! | not of an idempotent producer | write |
//! | of a producer id that is not known here (new, or expired) | write, whatever its sequence |
//! | of an older epoch than the last one seen | [`SequenceError::StaleEpoch`] |
//! | of a newer epoch | write if its sequence is 0, else [`SequenceError::OutOfOrder`] |
//! | one of the producer's last five | [`Verdict::Duplicate`] |
//! | next after the producer's last one | write |
//! | anything else | [`SequenceError::OutOfOrder`] |
use std::collections::{HashMap, VecDeque};

use kop_wire::{BatchHeader, Offset};

use crate::AppendError;

mod snapshot;
#[cfg(test)]
mod tests;

pub use snapshot::InvalidSnapshot;

/// How many of a producer's batches are remembered. Clients keep at most as many in flight.
const REMEMBERED: usize = 5;

/// Bounds of what is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The most producers; the one that has been silent for longest goes first.
    pub producers: usize,
    /// How long a silent producer is remembered, in milliseconds.
    pub silence_ms: i64,
}

impl Default for Retention {
    /// A day, as Kafka's `producer.id.expiration.ms`, and 5,000 producers: about 1.5 MiB.
    fn default() -> Self {
        Self {
            producers: 5_000,
            silence_ms: 24 * 60 * 60 * 1000,
        }
    }
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Write it.
    Write,
    /// It has been written before.
    Duplicate {
        /// Where it was written then.
        base_offset: Offset,
    },
}

/// Why a batch must not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// It does not follow its producer's last batch.
    #[error("sequence out of order: expected {expected}, found {found}")]
    OutOfOrder {
        /// The sequence number that would have followed.
        expected: i32,
        /// The batch's first sequence number.
        found: i32,
    },
    /// A newer epoch of the producer id has written already.
    #[error("producer epoch {found} is older than {current}")]
    StaleEpoch {
        /// The newest epoch seen.
        current: i16,
        /// The batch's epoch.
        found: i16,
    },
}

impl From<SequenceError> for AppendError {
    fn from(error: SequenceError) -> Self {
        match error {
            SequenceError::OutOfOrder { expected, found } => {
                Self::OutOfOrderSequence { expected, found }
            }
            SequenceError::StaleEpoch { current, found } => {
                Self::StaleProducerEpoch { current, found }
            }
        }
    }
}

/// The producers of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerState {
    retention: Retention,
    producers: HashMap<i64, Producer>,
}

/// An idempotent producer that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its producer id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Sequence number of its last record; −1 where nothing of this epoch is remembered.
    pub last_sequence: i32,
    /// When it last wrote, in milliseconds of the engine's clock since the Unix epoch; after a restart,
    /// when its last batch was read again, if it had not been saved.
    pub seen_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    /// The last batches of this epoch, oldest first; none after a transaction marker raised the epoch.
    batches: VecDeque<Written>,
    /// When it last wrote, in milliseconds of the engine's clock.
    seen_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: Offset,
}

impl ProducerState {
    /// The state of an empty log.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self {
            retention,
            producers: HashMap::new(),
        }
    }

    /// Whether anything is known of that producer id.
    #[must_use]
    pub fn knows(&self, producer_id: i64) -> bool {
        self.producers.contains_key(&producer_id)
    }

    /// How many producers are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// Whether no producer is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// All producers that are remembered, by their ids.
    #[must_use]
    pub fn active(&self) -> Vec<ActiveProducer> {
        let active = |(id, producer): (&i64, &Producer)| ActiveProducer {
            id: *id,
            epoch: producer.epoch,
            last_sequence: producer
                .batches
                .back()
                .map_or(-1, |last| last.last_sequence),
            seen_ms: producer.seen_ms,
        };
        let mut active: Vec<_> = self.producers.iter().map(active).collect();
        active.sort_unstable_by_key(|producer| producer.id);
        active
    }

    /// Judges a batch that is about to be written.
    ///
    /// # Errors
    /// The batch must not be written.
    pub fn check(&self, header: &BatchHeader) -> Result<Verdict, SequenceError> {
        if !header.is_idempotent() {
            return Ok(Verdict::Write);
        }
        let Some(producer) = self.producers.get(&header.producer_id) else {
            return Ok(Verdict::Write);
        };
        let (current, found) = (producer.epoch, header.producer_epoch);
        if found < current {
            return Err(SequenceError::StaleEpoch { current, found });
        }
        if header.is_control() {
            return Ok(Verdict::Write);
        }
        let sequence = header.base_sequence;
        if found > current {
            return in_order(0, sequence);
        }
        if let Some(written) = producer.find(header) {
            return Ok(Verdict::Duplicate {
                base_offset: written.base_offset,
            });
        }
        in_order(producer.next_sequence(), sequence)
    }

    /// Takes in a batch that stands in the log at `base_offset`; `now_ms` is the engine's clock. A
    /// batch that is replayed once more, at another offset, is remembered there instead: so an engine
    /// may replay at a predicted offset and correct it later.
    ///
    /// What is in the log has been judged before, so nothing is refused here.
    pub fn replay(&mut self, header: &BatchHeader, base_offset: Offset, now_ms: i64) {
        if !header.is_idempotent() {
            return;
        }
        if !self.knows(header.producer_id) {
            self.make_room(now_ms);
        }
        let producer = self
            .producers
            .entry(header.producer_id)
            .or_insert_with(|| Producer {
                epoch: header.producer_epoch,
                batches: VecDeque::new(),
                seen_ms: now_ms,
            });
        producer.seen_ms = producer.seen_ms.max(now_ms);
        if header.producer_epoch != producer.epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        if header.is_control() {
            return;
        }
        let written = Written {
            first_sequence: header.base_sequence,
            last_sequence: last_sequence(header),
            base_offset,
        };
        producer.place(written);
    }

    /// The state of a log whose first part told `self` and whose rest, read by itself, told `later`:
    /// the same as if all of it had been replayed at once.
    #[must_use]
    pub fn followed_by(mut self, later: &Self) -> Self {
        for (id, newer) in &later.producers {
            match self.producers.get_mut(id) {
                Some(older) if older.epoch == newer.epoch => {
                    for written in &newer.batches {
                        older.place(*written);
                    }
                    older.seen_ms = older.seen_ms.max(newer.seen_ms);
                }
                _ => {
                    self.producers.insert(*id, newer.clone());
                }
            }
        }
        if self.producers.len() > self.retention.producers {
            self.keep(self.retention.producers);
        }
        self
    }

    /// Forgets producers that have been silent for long.
    pub fn expire(&mut self, now_ms: i64) {
        let silence = self.retention.silence_ms;
        self.producers
            .retain(|_, producer| now_ms.saturating_sub(producer.seen_ms) < silence);
    }

    /// Forgets the silent, and then the most silent, until one more producer has room. An eighth goes
    /// at once, so that a crowd of new producers does not search through all for each of them.
    fn make_room(&mut self, now_ms: i64) {
        if self.producers.len() < self.retention.producers {
            return;
        }
        self.expire(now_ms);
        let room = self.retention.producers - self.retention.producers / 8;
        if self.producers.len() < self.retention.producers {
            return;
        }
        self.keep(room.saturating_sub(1));
    }

    /// Forgets the most silent until so many are left.
    fn keep(&mut self, most: usize) {
        let mut silent: Vec<_> = self
            .producers
            .iter()
            .map(|(id, p)| (p.seen_ms, *id))
            .collect();
        silent.sort_unstable();
        let surplus = silent.len().saturating_sub(most);
        for (_, id) in silent.into_iter().take(surplus) {
            self.producers.remove(&id);
        }
    }
}

impl Producer {
    fn find(&self, header: &BatchHeader) -> Option<&Written> {
        self.batches
            .iter()
            .find(|written| written.same_sequences(header))
    }

    /// The sequence number that follows; 0 where nothing of this epoch is remembered.
    fn next_sequence(&self) -> i32 {
        self.batches
            .back()
            .map_or(0, |last| advance(last.last_sequence, 1))
    }

    /// Notes a batch: behind the others, or, where it was known, in its place.
    fn place(&mut self, written: Written) {
        let sequences = |w: &Written| (w.first_sequence, w.last_sequence);
        let same = |known: &&mut Written| sequences(known) == sequences(&written);
        if let Some(known) = self.batches.iter_mut().find(same) {
            *known = written;
            return;
        }
        if self.batches.len() == REMEMBERED {
            self.batches.pop_front();
        }
        self.batches.push_back(written);
    }
}

impl Written {
    fn same_sequences(&self, header: &BatchHeader) -> bool {
        self.first_sequence == header.base_sequence && self.last_sequence == last_sequence(header)
    }
}

fn in_order(expected: i32, found: i32) -> Result<Verdict, SequenceError> {
    if expected == found {
        Ok(Verdict::Write)
    } else {
        Err(SequenceError::OutOfOrder { expected, found })
    }
}

fn last_sequence(header: &BatchHeader) -> i32 {
    advance(header.base_sequence, header.last_offset_delta)
}

/// A later sequence number: 0 follows the largest.
fn advance(sequence: i32, by: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(by);
    i32::try_from(sum)
        .unwrap_or_else(|_| i32::try_from(sum - i64::from(i32::MAX) - 1).unwrap_or_default())
}
