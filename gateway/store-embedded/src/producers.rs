//! What the writer thread knows of one log: where it ends, and what idempotent producers wrote.
use fjall::OwnedWriteBatch;
use kop_store::{
    Cause,
    producer_state::{ActiveProducer, ProducerState, Retention, SequenceError, Verdict},
};
use kop_wire::{Batch, BatchHeader, Offset};

use crate::{
    format::{self, BatchKey, Damaged},
    keyspaces::Keyspaces,
    log::Log,
};

/// The producer state is saved after so many batches or bytes. At the start of a store, what came
/// later is read again.
const SAVE_AFTER_BATCHES: usize = 1_000;
const SAVE_AFTER_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Appender {
    next: Offset,
    producers: ProducerState,
    unsaved_batches: usize,
    unsaved_bytes: usize,
}

impl Appender {
    /// The state of a log: the last saved one, and what was appended since.
    pub(crate) fn load(keyspaces: &Keyspaces, log: &Log, now_ms: i64) -> Result<Self, Cause> {
        let bounds = log.bounds();
        let mut producers = ProducerState::new(Retention::default());
        let mut from = bounds.start;
        if let Some(value) = keyspaces.meta.get(log.id.producers_key())? {
            let (end, snapshot) = format::producers_of(&value)?;
            producers = ProducerState::restore(snapshot, Retention::default())?;
            from = end.max(from);
        }
        let mut appender = Self {
            next: bounds.high,
            producers,
            unsaved_batches: 0,
            unsaved_bytes: 0,
        };
        let range = log.id.key_at(from)..log.id.key_at(bounds.high);
        for item in keyspaces.batches.range(range) {
            let (key, value) = item.into_inner()?;
            let base = BatchKey::decode(&key)?.base;
            let Some(bytes) = keyspaces.batch(log.id, &key, value)? else {
                continue;
            };
            let size = bytes.len();
            let batch = Batch::parse_stored(bytes)?;
            appender.take_in(batch.header(), base, size, now_ms);
        }
        Ok(appender)
    }

    /// Judges a batch.
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<Verdict, SequenceError> {
        self.producers.check(header)
    }

    /// The producers that are not forgotten.
    pub(crate) fn producers(&mut self, now_ms: i64) -> Vec<ActiveProducer> {
        self.producers.expire(now_ms);
        self.producers.active()
    }

    /// Gives a batch its place at the end.
    pub(crate) fn append(&mut self, header: &BatchHeader, size: usize, now_ms: i64) -> Offset {
        let base = self.next;
        self.take_in(header, base, size, now_ms);
        self.next = base + header.offsets();
        base
    }

    fn take_in(&mut self, header: &BatchHeader, base: Offset, size: usize, now_ms: i64) {
        self.producers.replay(header, base, now_ms);
        self.unsaved_batches += 1;
        self.unsaved_bytes = self.unsaved_bytes.saturating_add(size);
    }

    /// Whether so much is not saved that reading it again would take long.
    pub(crate) fn is_due(&self) -> bool {
        self.unsaved_batches >= SAVE_AFTER_BATCHES || self.unsaved_bytes >= SAVE_AFTER_BYTES
    }

    /// Saves the state with a write batch, if anything changed.
    pub(crate) fn save(
        &mut self,
        log: &Log,
        keyspaces: &Keyspaces,
        writes: &mut OwnedWriteBatch,
        now_ms: i64,
    ) {
        if self.unsaved_batches == 0 {
            return;
        }
        self.producers.expire(now_ms);
        let value = format::producers_value(self.next, &self.producers.snapshot());
        writes.insert(&keyspaces.meta, log.id.producers_key(), value);
        self.unsaved_batches = 0;
        self.unsaved_bytes = 0;
    }
}

/// The next free producer id, and the one after `count` more.
pub(crate) fn next_producer_ids(
    keyspaces: &Keyspaces,
    count: u32,
) -> Result<std::ops::Range<i64>, Cause> {
    let first = match keyspaces.meta.get(format::NEXT_PRODUCER_ID)? {
        Some(value) => format::number_of(&value, "next producer id")?,
        None => 0,
    };
    let end = first
        .checked_add(i64::from(count))
        .ok_or(Damaged("next producer id"))?;
    Ok(first..end)
}
