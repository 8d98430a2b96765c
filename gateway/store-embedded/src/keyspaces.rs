//! The key-value store: the index of batches and all that is no batch, with the segments it points into.
use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions,
    OwnedWriteBatch, PersistMode, config::CompressionPolicy,
};
use kop_store::Cause;
use kop_wire::Offset;

use crate::{
    directory,
    engine::{Durability, locked},
    format::{self, BatchKey, Damaged, LogId, Stored},
    segments::{Segments, Unread, scan::Found},
};

/// Cached blocks of the index, and values from before format 3.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// What is gathered in memory before it is written into a table. The writer thread flushes batches
/// earlier.
const BATCHES_BUFFER: u64 = 32 * 1024 * 1024;
const META_BUFFER: u64 = 2 * 1024 * 1024;
/// Journals on disk, which are read at the start.
const JOURNAL_BYTES: u64 = 128 * 1024 * 1024;
/// How often a batch that is moved while it is being read is looked for.
const MOVES: usize = 10;
/// Larger values stay out of the sorted tables, so that merging those copies no records of stores from
/// before format 3.
const SEPARATION: u32 = 512;

/// The key-value store's handles, which the threads and the readers share.
#[derive(Clone)]
pub(crate) struct Keyspaces {
    pub(crate) database: Database,
    pub(crate) batches: Keyspace,
    pub(crate) meta: Keyspace,
    /// Where the batches are that the keyspace of this name is the index of.
    pub(crate) segments: Arc<Segments>,
    durability: Durability,
    /// Sequence number of the first write that is not known to be durable, if there is one. All writes
    /// go through [`commit`](Self::commit), which keeps it.
    unsure: Arc<Mutex<Option<u64>>>,
}

/// A batch could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unloaded {
    #[error(transparent)]
    Damaged(#[from] Damaged),
    #[error(transparent)]
    Segment(#[from] Unread),
    #[error(transparent)]
    Index(#[from] fjall::Error),
}

impl Keyspaces {
    /// Writes a batch: durably, if it says so, and then everything written before is durable as well.
    /// What is only given to the operating system is sure if no more is promised, or if it is read again
    /// from elsewhere, as what was appended is.
    pub(crate) fn commit(
        &self,
        writes: OwnedWriteBatch,
        mode: Option<PersistMode>,
    ) -> fjall::Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        let mut unsure = locked(&self.unsure);
        unsure.get_or_insert_with(|| self.database.seqno());
        writes.durability(mode).commit()?;
        if mode.is_some_and(|mode| self.is_sure(mode)) {
            *unsure = None;
        }
        Ok(())
    }

    fn is_sure(&self, mode: PersistMode) -> bool {
        mode != PersistMode::Buffer || self.durability == Durability::Os
    }

    /// Makes everything durable that was written.
    pub(crate) fn persist(&self, mode: PersistMode) -> fjall::Result<()> {
        let mut unsure = locked(&self.unsure);
        self.database.persist(mode)?;
        if self.is_sure(mode) {
            *unsure = None;
        }
        Ok(())
    }

    /// Where a log begins.
    pub(crate) fn start(&self, log: LogId) -> Result<Offset, Cause> {
        Ok(match self.meta.get(log.start_key())? {
            Some(value) => Offset(format::number_of(&value, "first offset of a log")?),
            None => Offset(0),
        })
    }

    /// The batch that is stored under a key. It may have been moved since `value` was read there; `None`
    /// if it is gone.
    pub(crate) fn batch(
        &self,
        log: LogId,
        key: &[u8],
        value: fjall::Slice,
    ) -> Result<Option<Bytes>, Unloaded> {
        let mut value = value;
        for _ in 0..MOVES {
            let pointer = match Stored::of(value.into())? {
                Stored::Here(batch) => return Ok(Some(batch)),
                Stored::At(pointer) => pointer,
            };
            match self.segments.read(log, &[pointer]) {
                Ok(batches) => return Ok(batches.into_iter().next()),
                Err(Unread::Gone(_)) => {}
                Err(error) => return Err(error.into()),
            }
            let now = self.batches.get(key)?;
            let Some(now) = now else { return Ok(None) };
            if *now == pointer.encode() {
                return Err(Unread::Gone(pointer.segment).into());
            }
            value = now;
        }
        Ok(None)
    }

    /// Whether the index points to a frame.
    pub(crate) fn points_to(&self, found: &Found) -> fjall::Result<bool> {
        let stored = self.batches.get(found.key.encode())?;
        Ok(stored.is_some_and(|value| *value == found.pointer.encode()))
    }

    /// Where a log ends that begins at `start`.
    pub(crate) fn end(&self, log: LogId, start: Offset) -> Result<Offset, Cause> {
        let end = match self.batches.prefix(log.prefix()).next_back() {
            Some(last) => BatchKey::decode(&last.key()?)?.end(),
            None => start,
        };
        // Truncation keeps the batch that holds the new start, or leaves nothing behind it.
        Ok(end.max(start))
    }

    /// Sequence number below which all writes are durable.
    pub(crate) fn durable_below(&self) -> u64 {
        locked(&self.unsure).unwrap_or_else(|| self.database.seqno())
    }

    /// Opens those of the store in a directory.
    pub(crate) fn open(directory: &Path, durability: Durability) -> fjall::Result<Self> {
        let segments = Segments::open(&directory::segments(directory))?;
        let database = Database::builder(directory::database(directory))
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(1)
            .journal_compression(CompressionType::None)
            .manual_journal_persist(true)
            .open()?;
        // Producers compress record batches; doing it again costs time and gains nothing.
        let plain = || {
            KeyspaceCreateOptions::default()
                .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
                .manual_journal_persist(true)
        };
        let batches = database.keyspace("batches", || {
            plain()
                .max_memtable_size(BATCHES_BUFFER)
                .with_kv_separation(Some(
                    KvSeparationOptions::default()
                        .compression(CompressionType::None)
                        .separation_threshold(SEPARATION),
                ))
        })?;
        let meta = database.keyspace("meta", || plain().max_memtable_size(META_BUFFER))?;
        Ok(Self {
            database,
            batches,
            meta,
            segments: Arc::new(segments),
            durability,
            unsure: Arc::default(),
        })
    }
}
