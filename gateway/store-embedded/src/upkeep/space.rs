//! Giving space back. A segment is removed once nothing in it is pointed to; what is left of one that is
//! mostly dead is copied before. What stands in the key-value store from before format 3 stays on the disk
//! until that merges its files.
//!
//! How much of a segment is dead is counted to know which one to look at, and trusted no further: nothing is
//! removed before each frame in it has been looked up in the index.
use std::{
    collections::{BTreeSet, HashMap},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use fjall::{OwnedWriteBatch, PersistMode};
use kop_store::Cause;

use super::counted::Held;
use crate::{
    format::{self, BatchKey, Pointer},
    keyspaces::Keyspaces,
    segments::{
        Segments,
        copying::Copying,
        scan::{Scan, Step},
    },
};

/// What is worth merging the key-value store's files for, in bytes, and as a part of all that is there.
const WORTH: u64 = 64 * 1024 * 1024;
const WORTH_PART: u64 = 4;
/// A segment of which more than one part in so many is dead is emptied.
const DEAD_PART: u64 = 2;
/// The deadest is if more than one part in so many of all of them is dead.
const ALL_DEAD_PART: u64 = 4;
/// Bytes that are copied at a time.
const COPIED_AT_ONCE: usize = 4 * 1024 * 1024;
/// So long a flush is waited for. One that takes longer is waited for by the next.
const FLUSH_DEADLINE: Duration = Duration::from_secs(60);

/// What is on the disk and of no use any more, as far as is known.
#[derive(Debug)]
pub(super) struct Space {
    /// Bytes of each segment that nothing points to.
    dead: HashMap<u32, u64>,
    /// Those of which that is not written.
    changed: BTreeSet<u32>,
    /// Segments with something in them that is no frame: they stay.
    damaged: BTreeSet<u32>,
    copying: Copying,
    /// Bytes that were removed from the key-value store.
    freed: u64,
}

impl Space {
    pub(super) fn new(segments: &Arc<Segments>) -> Self {
        Self {
            dead: HashMap::new(),
            changed: BTreeSet::new(),
            damaged: BTreeSet::new(),
            copying: Copying::new(Arc::clone(segments)),
            freed: 0,
        }
    }

    /// Reads how much is dead, at the start, and again after a write that failed.
    pub(super) fn load(&mut self, keyspaces: &Keyspaces) -> Result<(), Cause> {
        self.dead.clear();
        self.changed.clear();
        for item in keyspaces.batches.prefix(format::SEGMENTS) {
            let (key, value) = item.into_inner()?;
            let (number, dead) = format::segment_of(&key, &value)?;
            self.dead.insert(number, dead);
        }
        Ok(())
    }

    /// Counts a batch that the next write removes.
    pub(super) fn freed(&mut self, held: Held) {
        match held.at {
            Some(pointer) => self.died(pointer),
            None => self.freed = self.freed.saturating_add(held.bytes),
        }
    }

    fn died(&mut self, pointer: Pointer) {
        let dead = self.dead.entry(pointer.segment).or_default();
        *dead = dead.saturating_add(pointer.size());
        self.changed.insert(pointer.segment);
    }

    /// Has the write that removes batches also say how much is dead.
    pub(super) fn note(&mut self, keyspaces: &Keyspaces, writes: &mut OwnedWriteBatch) {
        for number in std::mem::take(&mut self.changed) {
            let dead = self.dead.get(&number).copied().unwrap_or_default();
            let value = dead.to_be_bytes();
            writes.insert(
                &keyspaces.batches,
                format::segment_key(number),
                value.as_slice(),
            );
        }
    }

    /// Writes batches, and has a write point to them.
    pub(super) fn put(
        &mut self,
        keyspaces: &Keyspaces,
        batches: &[(BatchKey, Bytes)],
        writes: &mut OwnedWriteBatch,
    ) -> io::Result<()> {
        let bytes: Vec<_> = batches
            .iter()
            .map(|(key, batch)| (key.log, batch.clone()))
            .collect();
        let pointers = self.copying.write(&bytes)?;
        for ((key, _), pointer) in batches.iter().zip(pointers) {
            writes.insert(
                &keyspaces.batches,
                key.encode(),
                pointer.encode().as_slice(),
            );
            // So that the segment is known from its first batch on.
            self.dead.entry(pointer.segment).or_default();
            self.changed.insert(pointer.segment);
        }
        Ok(())
    }

    /// Empties and removes the segments that are worth it, and merges the key-value store's files if enough
    /// was removed from it.
    pub(super) fn give_back(
        &mut self,
        keyspaces: &Keyspaces,
        stop: &AtomicBool,
    ) -> Result<(), Cause> {
        while let Some(number) = self.worth_emptying(&keyspaces.segments)? {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            if !self.empty(keyspaces, number, stop)? {
                self.damaged.insert(number);
            }
        }
        self.merge(keyspaces)?;
        Ok(())
    }

    /// The segment that it is best to empty, if there is one.
    fn worth_emptying(&self, segments: &Segments) -> io::Result<Option<u32>> {
        let mut sealed = segments.sealed()?;
        sealed.retain(|(number, _)| !self.damaged.contains(number));
        let dead = |number: &u32| self.dead.get(number).copied().unwrap_or_default();
        let all: u64 = sealed.iter().map(|(_, size)| size).sum();
        let all_dead: u64 = sealed.iter().map(|(number, _)| dead(number)).sum();
        let share = |(number, size): &(u32, u64)| {
            let thousandths = dead(number).saturating_mul(1000) / (*size).max(1);
            (thousandths, std::cmp::Reverse(*number))
        };
        let Some(deadest) = sealed.into_iter().max_by_key(share) else {
            return Ok(None);
        };
        let (number, size) = deadest;
        let is_worth = dead(&number) > size / DEAD_PART
            || size == 0
            || (all_dead > all / ALL_DEAD_PART && dead(&number) > 0);
        Ok(is_worth.then_some(number))
    }

    /// Copies what is left of a segment, and removes it; false where it cannot be told what is left.
    fn empty(
        &mut self,
        keyspaces: &Keyspaces,
        number: u32,
        stop: &AtomicBool,
    ) -> Result<bool, Cause> {
        let mut scan = Scan::open(&keyspaces.segments, number, 0)?;
        let mut left = Vec::new();
        let (mut bytes, mut copied) = (0, 0);
        while let Some(step) = scan.step()? {
            let found = match step {
                Step::Whole(found) => found,
                Step::Broken { at } => {
                    tracing::warn!(segment = number, at, "damaged: not removed");
                    return Ok(false);
                }
            };
            if keyspaces.points_to(&found)? {
                bytes += found.batch.len();
                copied += found.batch.len();
                left.push((found.key, found.batch));
            }
            if bytes >= COPIED_AT_ONCE {
                bytes = 0;
                self.r#move(keyspaces, &std::mem::take(&mut left))?;
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(true);
            }
        }
        self.r#move(keyspaces, &left)?;
        let mut writes = keyspaces.database.batch();
        writes.remove(&keyspaces.batches, format::segment_key(number));
        keyspaces.commit(writes, None)?;
        // What points to a file that is gone must not come back after a power cut.
        keyspaces.persist(PersistMode::SyncAll)?;
        keyspaces.segments.remove(number)?;
        self.dead.remove(&number);
        tracing::debug!(segment = number, copied, "segment removed");
        Ok(true)
    }

    /// Copies batches, and points to the copies.
    fn r#move(
        &mut self,
        keyspaces: &Keyspaces,
        batches: &[(BatchKey, Bytes)],
    ) -> Result<(), Cause> {
        let mut writes = keyspaces.database.batch();
        self.put(keyspaces, batches, &mut writes)?;
        self.note(keyspaces, &mut writes);
        keyspaces.commit(writes, None)?;
        Ok(())
    }

    /// Merges the key-value store's files if enough has been removed since it was done last. Takes as long as
    /// it takes to read the keys and to copy what is left of the files that are mostly empty.
    fn merge(&mut self, keyspaces: &Keyspaces) -> fjall::Result<()> {
        let batches = &keyspaces.batches;
        if self.freed < WORTH || self.freed < batches.disk_space() / WORTH_PART {
            return Ok(());
        }
        let (before, freed) = (batches.disk_space(), std::mem::take(&mut self.freed));
        flush(keyspaces)?;
        // The first tells what no longer counts in each file, the second leaves it out.
        batches.major_compact()?;
        batches.major_compact()?;
        let after = batches.disk_space();
        tracing::info!(before, after, freed, "space given back");
        Ok(())
    }
}

/// Begins to write what is in memory into a table, and waits until there are no more of such, the writer
/// thread's among them.
#[expect(
    clippy::disallowed_methods,
    reason = "the key-value store has no way to tell when a flush is done"
)]
fn flush(keyspaces: &Keyspaces) -> fjall::Result<()> {
    keyspaces.batches.rotate_memtable()?;
    let deadline = Instant::now() + FLUSH_DEADLINE;
    while keyspaces.batches.sealed_memtable_count() > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
