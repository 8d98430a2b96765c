//! Giving space back: what was removed stays on the disk until the key-value store merges its files.
use std::{
    thread,
    time::{Duration, Instant},
};

use crate::engine::Keyspaces;

/// What is worth merging files for, in bytes, and as a part of all that is there.
const WORTH: u64 = 64 * 1024 * 1024;
const WORTH_PART: u64 = 4;

/// Bytes that are gathered in memory before they are written into a table.
const FLUSH_BYTES: usize = 16 * 1024 * 1024;
/// So long a flush is waited for. One that takes longer is waited for by the next.
const FLUSH_DEADLINE: Duration = Duration::from_secs(60);

/// Bytes that were removed and are still on the disk, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Space {
    freed: u64,
    /// Bytes that were written since the last flush began.
    unflushed: usize,
}

impl Space {
    pub(super) fn freed(&mut self, bytes: u64) {
        self.freed = self.freed.saturating_add(bytes);
    }

    /// Keeps the memory of what is not yet in tables bounded.
    pub(super) fn wrote(&mut self, keyspaces: &Keyspaces, bytes: usize) -> fjall::Result<()> {
        self.unflushed = self.unflushed.saturating_add(bytes);
        if self.unflushed < FLUSH_BYTES {
            return Ok(());
        }
        self.unflushed = 0;
        flush(keyspaces, 2)
    }

    /// Merges files if enough has been removed since it was done last. Takes as long as it takes to
    /// read the keys and to copy what is left of the files that are mostly empty.
    pub(super) fn give_back(&mut self, keyspaces: &Keyspaces) -> fjall::Result<()> {
        let batches = &keyspaces.batches;
        if self.freed < WORTH || self.freed < batches.disk_space() / WORTH_PART {
            return Ok(());
        }
        let (before, freed) = (batches.disk_space(), std::mem::take(&mut self.freed));
        flush(keyspaces, 0)?;
        // The first tells what no longer counts in each file, the second leaves it out.
        batches.major_compact()?;
        batches.major_compact()?;
        let after = batches.disk_space();
        tracing::info!(before, after, freed, "space given back");
        Ok(())
    }
}

/// Begins to write what is in memory into a table, and waits until there are no more than `waiting` of
/// such, the writer thread's among them.
#[expect(
    clippy::disallowed_methods,
    reason = "the key-value store has no way to tell when a flush is done"
)]
fn flush(keyspaces: &Keyspaces, waiting: usize) -> fjall::Result<()> {
    keyspaces.batches.rotate_memtable()?;
    let deadline = Instant::now() + FLUSH_DEADLINE;
    while keyspaces.batches.sealed_memtable_count() > waiting && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
