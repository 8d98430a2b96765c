//! The newest batches of a partition, in memory, so that those who read at the end ask nobody.
//!
//! All rings share one budget, and the newest bytes have it, whichever partition they are of: a batch is
//! given up once more bytes than the budget has were taken in with it and behind it. A ring that takes in gives up its
//! own; [`Budget::is_overfull`] tells when the others are to be asked.
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use kop_store::ReadLimit;

use crate::entry::Placed;

/// What a batch costs beside its bytes.
const OVERHEAD: usize = 192;
/// How much of the budget, as one part of so many, may be held beyond it in rings that take nothing in.
const SLACK: usize = 8;

/// Memory that all rings share.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
    /// Bytes that were ever taken in, by all rings: their common clock.
    taken: AtomicU64,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
        }
    }

    /// Whether rings hold so much more than the budget that those that take nothing in are to give up
    /// what is old ([`Ring::give_up_old`]). Then it is not so again before as much has been taken in.
    pub(crate) fn is_overfull(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit + self.limit / SLACK
    }

    /// Counts a batch in; what had been taken in before it.
    fn take_in(&self, size: usize) -> u64 {
        self.used.fetch_add(size, Ordering::Relaxed);
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        self.taken.fetch_add(size, Ordering::Relaxed)
    }

    /// A batch before which less than that had been taken in is old.
    fn oldest(&self) -> u64 {
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX);
        self.taken.load(Ordering::Relaxed).saturating_sub(limit)
    }
}

/// Batches without a hole between them: each begins where the one before it ended.
#[derive(Debug)]
pub(crate) struct Ring {
    batches: VecDeque<Held>,
    end: i64,
    budget: Arc<Budget>,
}

#[derive(Debug)]
struct Held {
    placed: Placed,
    /// What had been taken in before it, by all rings.
    before: u64,
}

impl Ring {
    /// An empty ring; the first batch is the one at `end`.
    pub(crate) fn new(end: i64, budget: Arc<Budget>) -> Self {
        Self {
            batches: VecDeque::new(),
            end,
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
                .is_some_and(|first| first.placed.base.0 <= offset)
    }

    /// Adds batches that begin at [`end`](Self::end) and reach to before `end`.
    pub(crate) fn push(&mut self, batches: impl IntoIterator<Item = Placed>, end: i64) {
        for placed in batches {
            let before = self.budget.take_in(size(&placed));
            self.batches.push_back(Held { placed, before });
        }
        self.end = end;
        self.give_up_old();
    }

    /// Gives up the batches that are old, by what this ring or others have taken in since.
    pub(crate) fn give_up_old(&mut self) {
        let oldest = self.budget.oldest();
        while self
            .batches
            .front()
            .is_some_and(|first| first.before < oldest)
        {
            self.pop();
        }
        if self.batches.is_empty() {
            self.batches = VecDeque::new();
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
        let first = self.batches.partition_point(|Held { placed, .. }| {
            placed.base.0 + placed.batch.header().offsets() <= from
        });
        let mut size = 0;
        let mut read = Vec::new();
        for Held { placed, .. } in self.batches.range(first..) {
            size += placed.batch.bytes().len();
            if size > limit.max_bytes && !(limit.at_least_one && read.is_empty()) {
                break;
            }
            read.push(placed.clone());
        }
        read
    }

    fn pop(&mut self) {
        if let Some(Held { placed, .. }) = self.batches.pop_front() {
            let size = size(&placed);
            self.budget.used.fetch_sub(size, Ordering::Relaxed);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.clear();
    }
}

fn size(placed: &Placed) -> usize {
    placed.batch.bytes().len() + OVERHEAD
}

#[cfg(test)]
mod tests;
