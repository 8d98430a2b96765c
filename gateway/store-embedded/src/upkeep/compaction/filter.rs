//! What compaction leaves of one batch. Pure.
use kop_wire::{Batch, BatchBuilder, BatchError, Record, Timestamp, TimestampType};

use super::latest::Latest;

/// What a round knows while it goes through the batches.
#[derive(Debug)]
pub(super) struct Round<'a> {
    pub(super) latest: &'a Latest,
    pub(super) now_ms: i64,
    pub(super) delete_retention_ms: i64,
}

/// What becomes of a batch.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It stays as it is.
    Stays,
    /// It stays, because it cannot be read. Who deletes a key that it may hold must stay, too.
    Unreadable,
    /// Nothing of it is needed.
    Goes,
    /// This takes its place and its offsets.
    Becomes(Batch),
}

/// A batch after the round, and when its records without a value may go.
#[derive(Debug)]
pub(super) struct Filtered {
    pub(super) outcome: Outcome,
    pub(super) horizon_ms: Option<i64>,
}

impl From<Outcome> for Filtered {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            horizon_ms: None,
        }
    }
}

/// What is to be known of where a batch stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// It is the one at the end of the log.
    pub(super) is_last: bool,
    /// There is a batch before it that cannot be read.
    pub(super) follows_unreadable: bool,
}

/// Notes where the records of a batch are. A batch of a transaction supersedes nothing: whether it
/// counts is not known here.
///
/// # Errors
/// The records cannot be read.
pub(super) fn note(batch: &Batch, latest: &mut Latest) -> Result<(), BatchError> {
    if batch.header().is_transactional() || batch.header().is_control() {
        return Ok(());
    }
    for record in batch.iter()? {
        let record = record?;
        if let Some(key) = &record.key {
            latest.note(key, record.offset);
        }
    }
    Ok(())
}

impl Round<'_> {
    /// What is left of a batch.
    ///
    /// * A record stays unless there is a newer one of its key, or it has none.
    /// * A record without a value stays for a while after the round that removed the records before
    ///   it, so that whoever reads the log learns of it. The batch says how long (KIP-534).
    /// * The batch at the end of the log stays, without records if need be, because the log
    ///   ends where it ends. So does a batch of a transaction, which says where that began and ended;
    ///   what ends it is left alone.
    pub(super) fn filter(&self, batch: &Batch, place: Place) -> Filtered {
        let header = batch.header();
        if header.is_control() {
            return Outcome::Stays.into();
        }
        let Ok(records) = batch
            .iter()
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        else {
            return Outcome::Unreadable.into();
        };
        let transactional = header.is_transactional();
        let is_over = header
            .delete_horizon()
            .is_some_and(|horizon| horizon.0 < self.now_ms);
        let times_tombstones = !transactional && !place.follows_unreadable;
        let may_go = is_over && times_tombstones;
        let before = records.len();
        let kept: Vec<Record> = records
            .into_iter()
            .filter(|record| self.keeps(record, may_go))
            .collect();
        let has_tombstones = kept.iter().any(|record| record.value.is_none());
        let waits = has_tombstones && times_tombstones;
        let begins_to_wait = waits && header.delete_horizon().is_none();
        let horizon = match header.delete_horizon() {
            None if waits => Some(Timestamp(
                self.now_ms.saturating_add(self.delete_retention_ms),
            )),
            decided => decided,
        };
        let horizon_ms = horizon.filter(|_| waits).map(|horizon| horizon.0);
        let outcome = if kept.is_empty() && !place.is_last && !transactional {
            Outcome::Goes
        } else if kept.len() == before && !begins_to_wait {
            Outcome::Stays
        } else {
            // The codec may refuse what it packed before; then the batch stays.
            rebuilt(batch, kept, horizon).map_or(Outcome::Stays, Outcome::Becomes)
        };
        Filtered {
            outcome,
            horizon_ms,
        }
    }

    fn keeps(&self, record: &Record, tombstones_may_go: bool) -> bool {
        let Some(key) = &record.key else {
            return false;
        };
        let may_go = record.value.is_none() && tombstones_may_go;
        !may_go && !self.latest.supersedes(key, record.offset)
    }
}

/// The records under the header of their batch, whose offsets it keeps.
fn rebuilt(batch: &Batch, records: Vec<Record>, horizon: Option<Timestamp>) -> Option<Batch> {
    let header = batch.header();
    let mut builder = BatchBuilder::new(header.compression())
        .base_offset(header.base_offset)
        .leader_epoch(header.leader_epoch)
        .producer(
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
        )
        .transactional(header.is_transactional())
        .control(header.is_control())
        .log_append_time(header.timestamp_type() == TimestampType::LogAppend)
        .delete_horizon(horizon);
    for record in records {
        builder.push_at(record);
    }
    let built = builder.empty_until(header.last_offset_delta).build();
    built.ok()
}
