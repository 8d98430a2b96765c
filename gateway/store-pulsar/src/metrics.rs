//! What the engine counts about itself.
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one store. They only rise.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) offset_mismatches: AtomicU64,
    pub(crate) unproven_receipts: AtomicU64,
    pub(crate) ring_reads: AtomicU64,
    pub(crate) stored_reads: AtomicU64,
    pub(crate) readers_opened: AtomicU64,
    pub(crate) owners_taken: AtomicU64,
    pub(crate) barriers: AtomicU64,
    pub(crate) rebuilds: AtomicU64,
    pub(crate) tail_readers_parked: AtomicU64,
    pub(crate) rebuild_entries: AtomicU64,
    pub(crate) partitions_opened: AtomicU64,
    pub(crate) partitions_unused: AtomicU64,
    pub(crate) compacted_reads: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PulsarMetrics {
    /// Entries whose index was not the one that was expected. Must stay 0.
    pub offset_mismatches: u64,
    /// Receipts whose offset had to be looked up, because others wrote in between, a ledger ended, or
    /// an empty topic's broker was new.
    pub unproven_receipts: u64,
    /// Reads answered from memory.
    pub ring_reads: u64,
    /// Reads answered from Pulsar.
    pub stored_reads: u64,
    /// Readers opened at the brokers.
    pub readers_opened: u64,
    /// Times that a partition's ownership was won.
    pub owners_taken: u64,
    /// Barriers written while taking over.
    pub barriers: u64,
    /// Times that a log was read for what idempotent producers had written.
    pub rebuilds: u64,
    /// Times that a tail reader was closed because this gateway wrote all that was new.
    pub tail_readers_parked: u64,
    /// Entries read for what idempotent producers had written.
    pub rebuild_entries: u64,
    /// Times that a partition was opened.
    pub partitions_opened: u64,
    /// Times that a partition was closed because nobody used it.
    pub partitions_unused: u64,
    /// Readers opened on what compaction has left.
    pub compacted_reads: u64,
}

impl Metrics {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> PulsarMetrics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PulsarMetrics {
            offset_mismatches: get(&self.offset_mismatches),
            unproven_receipts: get(&self.unproven_receipts),
            ring_reads: get(&self.ring_reads),
            stored_reads: get(&self.stored_reads),
            readers_opened: get(&self.readers_opened),
            owners_taken: get(&self.owners_taken),
            barriers: get(&self.barriers),
            rebuilds: get(&self.rebuilds),
            tail_readers_parked: get(&self.tail_readers_parked),
            rebuild_entries: get(&self.rebuild_entries),
            partitions_opened: get(&self.partitions_opened),
            partitions_unused: get(&self.partitions_unused),
            compacted_reads: get(&self.compacted_reads),
        }
    }
}
