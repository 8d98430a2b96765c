//! Log compaction of the coordinators' topics, in which the last record of a key counts: without it
//! `__consumer_offsets` would grow with every commit, and so would the time a coordinator takes to
//! read it.
//!
//! Whole batches go, and only those of which every record has a later one with its key. That leaves
//! gaps in the offsets, never at the end. Batches of transactions stay, and supersede nothing:
//! whether they count is not known here.
use std::collections::HashMap;

use bytes::Bytes;
use kop_store::Cause;
use kop_wire::{Batch, Offset, Record};

use crate::{engine::Keyspaces, format::LogId};

/// The most keys of one log that are told apart. A log with more is left as it is.
const MAX_KEYS: usize = 500_000;

/// Where the last record of each key is.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    by_key: HashMap<Box<[u8]>, Offset>,
}

impl Latest {
    /// Reads a log up to an offset; `None` where it has too many keys.
    pub(crate) fn of(
        keyspaces: &Keyspaces,
        log: LogId,
        below: Offset,
    ) -> Result<Option<Self>, Cause> {
        let mut latest = Self::default();
        for item in keyspaces
            .batches
            .range(log.key_at(Offset(0))..log.key_at(below))
        {
            let value = item.value()?;
            for (key, offset) in keyed(value.into()).unwrap_or_default() {
                latest.note(&key, offset);
            }
            if latest.by_key.len() > MAX_KEYS {
                return Ok(None);
            }
        }
        Ok(Some(latest))
    }

    fn note(&mut self, key: &[u8], offset: Offset) {
        self.by_key.insert(key.into(), offset);
    }

    /// Whether every record of a batch has a later one with its key.
    pub(crate) fn supersedes(&self, batch: Bytes) -> bool {
        let later = |(key, offset): (Bytes, Offset)| {
            self.by_key
                .get(&*key)
                .is_some_and(|latest| *latest > offset)
        };
        keyed(batch).is_some_and(|records| records.into_iter().all(later))
    }
}

/// The keys of a batch and where they are; `None` where the batch must stay: it belongs to a
/// transaction, has a record without a key, or cannot be read.
fn keyed(batch: Bytes) -> Option<Vec<(Bytes, Offset)>> {
    let batch = Batch::parse_stored(batch).ok()?;
    if batch.header().is_transactional() || batch.header().is_control() {
        return None;
    }
    let keyed = |record: Record| record.key.map(|key| (key, record.offset));
    batch.records().ok()?.into_iter().map(keyed).collect()
}
