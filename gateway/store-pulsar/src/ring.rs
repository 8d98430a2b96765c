//! The newest batches of a partition, in memory, so that those who read at the end ask nobody.
//!
//! All rings share one budget, and what was written last is kept, whichever partition it is in: a batch is
//! too old once all rings together have taken in three quarters of the budget after it. A ring drops what is
//! too old when it takes in more, without asking the others. What is too old in rings that take in nothing
//! any more is dropped by those that do, a few rings at a time, when memory is short.
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use kop_store::ReadLimit;

use crate::entry::Placed;

/// What a batch costs beside its bytes.
const OVERHEAD: usize = 192;
/// The budget's parts.
const PARTS: usize = 8;
/// How many of them the newest batches have.
const NEWEST: usize = 6;
/// Above so many of them memory is short.
const SHORT: usize = 7;
/// Rings of others that are looked at for one push.
const LOOKS: usize = 16;
/// Batches of another ring that are dropped for one push.
const DROPS: usize = 64;

/// Memory that all rings share.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    /// Bytes in all rings. With more than the limit, a ring keeps its last batch only.
    used: AtomicUsize,
    /// Bytes that all rings ever took in.
    clock: AtomicU64,
    /// Rings that hold something, and the one to be looked at next.
    filled: Mutex<(Vec<Weak<Shelf>>, usize)>,
}

/// The batches of one ring.
#[derive(Debug, Default)]
struct Shelf {
    batches: Mutex<Batches>,
    /// Whether the budget has it among those that are filled.
    listed: AtomicBool,
}

#[derive(Debug, Default)]
struct Batches {
    /// Each with the budget's clock behind it.
    all: VecDeque<(u64, Placed)>,
    bytes: usize,
}

/// Batches without a hole between them: each begins where the one before it ended.
#[derive(Debug)]
pub(crate) struct Ring {
    shelf: Arc<Shelf>,
    end: i64,
    budget: Arc<Budget>,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            clock: AtomicU64::new(0),
            filled: Mutex::default(),
        }
    }

    fn is_short(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit / PARTS * SHORT
    }

    fn is_used_up(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit
    }

    /// What was taken in before then is too old.
    fn horizon(&self) -> u64 {
        let newest = u64::try_from(self.limit / PARTS * NEWEST).unwrap_or(u64::MAX);
        self.clock.load(Ordering::Relaxed).saturating_sub(newest)
    }

    fn filled(&self) -> MutexGuard<'_, (Vec<Weak<Shelf>>, usize)> {
        self.filled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a ring that holds something from now on.
    fn list(&self, shelf: &Arc<Shelf>) {
        if !shelf.listed.swap(true, Ordering::AcqRel) {
            self.filled().0.push(Arc::downgrade(shelf));
        }
    }

    /// Drops what is too old in a few rings, unless somebody else is at it.
    fn look_around(&self) {
        let Ok(mut filled) = self.filled.try_lock() else {
            return;
        };
        let (shelves, next) = &mut *filled;
        for _ in 0..LOOKS.min(shelves.len()) {
            if *next >= shelves.len() {
                *next = 0;
            }
            let shelf = shelves.get(*next).and_then(Weak::upgrade);
            // Whoever is at work in a ring looks after it.
            let empty = shelf.as_ref().is_none_or(|shelf| {
                let Ok(mut batches) = shelf.batches.try_lock() else {
                    return false;
                };
                batches.drop_before(self.horizon(), DROPS, self);
                let empty = batches.all.is_empty();
                if empty {
                    // While it is locked: whoever fills it lists it again.
                    shelf.listed.store(false, Ordering::Release);
                }
                empty
            });
            if empty {
                shelves.swap_remove(*next);
            } else {
                *next += 1;
            }
            if !self.is_short() {
                return;
            }
        }
    }
}

impl Batches {
    fn push(&mut self, placed: Placed, budget: &Budget) {
        let size = size(&placed);
        let clock = u64::try_from(size).unwrap_or(u64::MAX);
        let clock = budget.clock.fetch_add(clock, Ordering::Relaxed) + clock;
        budget.used.fetch_add(size, Ordering::Relaxed);
        self.bytes += size;
        self.all.push_back((clock, placed));
    }

    /// Drops the oldest batch.
    fn pop(&mut self, budget: &Budget) {
        if let Some((_, placed)) = self.all.pop_front() {
            let size = size(&placed);
            self.bytes -= size;
            budget.used.fetch_sub(size, Ordering::Relaxed);
        }
        if self.all.is_empty() {
            self.all = VecDeque::new();
        }
    }

    /// Drops batches that came before then, so many at the most.
    fn drop_before(&mut self, horizon: u64, most: usize, budget: &Budget) {
        for _ in 0..most {
            if self.all.front().is_none_or(|(clock, _)| *clock > horizon) {
                return;
            }
            self.pop(budget);
        }
    }

    fn holds(&self, offset: i64) -> bool {
        let first = self.all.front();
        first.is_some_and(|(_, first)| first.base.0 <= offset)
    }
}

impl Shelf {
    fn batches(&self) -> MutexGuard<'_, Batches> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// An empty ring; the first batch is the one at `end`.
    pub(crate) fn new(end: i64, budget: Arc<Budget>) -> Self {
        Self {
            shelf: Arc::default(),
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
        offset < self.end && self.shelf.batches().holds(offset)
    }

    /// Adds batches that begin at [`end`](Self::end) and reach to before `end`.
    pub(crate) fn push(&mut self, batches: impl IntoIterator<Item = Placed>, end: i64) {
        {
            let mut held = self.shelf.batches();
            let before = held.all.len();
            for placed in batches {
                held.push(placed, &self.budget);
            }
            // As many again as came, and some that others' pushes have made too old.
            let most = (held.all.len() - before) + DROPS;
            held.drop_before(self.budget.horizon(), most, &self.budget);
            if !held.all.is_empty() {
                self.budget.list(&self.shelf);
            }
        }
        self.end = end;
        if self.budget.is_short() {
            self.budget.look_around();
        }
        if self.budget.is_used_up() {
            // Others hold too much and have not been found yet: then this one makes room, whatever its age.
            let mut held = self.shelf.batches();
            while self.budget.is_used_up() && held.all.len() > 1 {
                held.pop(&self.budget);
            }
        }
    }

    /// Begins anew: the next batch is the one at `end`.
    pub(crate) fn restart(&mut self, end: i64) {
        self.clear();
        self.end = end;
    }

    /// Drops all batches; the end stays.
    pub(crate) fn clear(&mut self) {
        let mut held = self.shelf.batches();
        while !held.all.is_empty() {
            held.pop(&self.budget);
        }
    }

    /// Whole batches from the one that holds `from` on, as many as the limit allows; `None` where that one
    /// is not here.
    pub(crate) fn read(&self, from: i64, limit: ReadLimit) -> Option<Vec<Placed>> {
        let held = self.shelf.batches();
        if from >= self.end || !held.holds(from) {
            return None;
        }
        let first = held
            .all
            .partition_point(|(_, p)| p.base.0 + p.batch.header().offsets() <= from);
        let mut size = 0;
        let mut read = Vec::new();
        for (_, placed) in held.all.range(first..) {
            size += placed.batch.bytes().len();
            if size > limit.max_bytes && !(limit.at_least_one && read.is_empty()) {
                break;
            }
            read.push(placed.clone());
        }
        Some(read)
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
