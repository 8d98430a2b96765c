//! The newest batches of a partition, in memory, so that those who read at the end ask nobody.
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use kop_store::ReadLimit;

use crate::entry::Placed;

/// What a batch costs beside its bytes.
const OVERHEAD: usize = 192;
/// A ring may always hold this much, however many rings share the budget.
const LEAST_SHARE: usize = 64 * 1024;

/// Memory that all rings share.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
    rings: AtomicUsize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            rings: AtomicUsize::new(0),
        }
    }

    /// What one ring may hold while the budget is used up.
    fn share(&self) -> usize {
        (self.limit / self.rings.load(Ordering::Relaxed).max(1)).max(LEAST_SHARE)
    }

    fn exceeded(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit
    }
}

/// Batches without a hole between them: each begins where the one before it ended.
#[derive(Debug)]
pub(crate) struct Ring {
    batches: VecDeque<Placed>,
    end: i64,
    bytes: usize,
    budget: Arc<Budget>,
}

impl Ring {
    /// An empty ring; the first batch is the one at `end`.
    pub(crate) fn new(end: i64, budget: Arc<Budget>) -> Self {
        budget.rings.fetch_add(1, Ordering::Relaxed);
        Self {
            batches: VecDeque::new(),
            end,
            bytes: 0,
            budget,
        }
    }

    /// The offset behind the last batch.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// Whether the batch that holds `offset` is here.
    pub(crate) fn holds(&self, offset: i64) -> bool {
        offset < self.end
            && self
                .batches
                .front()
                .is_some_and(|first| first.base.0 <= offset)
    }

    /// Adds batches that begin at [`end`](Self::end) and reach to before `end`.
    pub(crate) fn push(&mut self, batches: impl IntoIterator<Item = Placed>, end: i64) {
        for placed in batches {
            let size = size(&placed);
            self.bytes += size;
            self.budget.used.fetch_add(size, Ordering::Relaxed);
            self.batches.push_back(placed);
        }
        self.end = end;
        while self.budget.exceeded() && self.bytes > self.budget.share() {
            self.pop();
        }
    }

    /// Begins anew: the next batch is the one at `end`.
    pub(crate) fn restart(&mut self, end: i64) {
        self.clear();
        self.end = end;
    }

    /// Drops all batches; the end stays.
    pub(crate) fn clear(&mut self) {
        while !self.batches.is_empty() {
            self.pop();
        }
    }

    /// Whole batches from the one that holds `from` on, as many as the limit allows.
    pub(crate) fn read(&self, from: i64, limit: ReadLimit) -> Vec<Placed> {
        let first = self
            .batches
            .partition_point(|p| p.base.0 + p.batch.header().offsets() <= from);
        let mut size = 0;
        let mut read = Vec::new();
        for placed in self.batches.range(first..) {
            size += placed.batch.bytes().len();
            if size > limit.max_bytes && !(limit.at_least_one && read.is_empty()) {
                break;
            }
            read.push(placed.clone());
        }
        read
    }

    fn pop(&mut self) {
        if let Some(placed) = self.batches.pop_front() {
            let size = size(&placed);
            self.bytes -= size;
            self.budget.used.fetch_sub(size, Ordering::Relaxed);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.clear();
        self.budget.rings.fetch_sub(1, Ordering::Relaxed);
    }
}

fn size(placed: &Placed) -> usize {
    placed.batch.bytes().len() + OVERHEAD
}

#[cfg(test)]
mod tests;
