//! Who uses an open partition, and since when nobody does.
//!
//! Whoever may still ask something of a log holds it, and so does every append on its way. A log is closed
//! for being unused only where nobody holds it, in one step with refusing all who come later: so no append
//! and no read ever meets a log that is closing, and nothing has to be told apart or tried again.
use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::log::Log;

/// Nobody may hold it any more.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// The use of one log.
#[derive(Debug)]
pub(crate) struct Usage {
    /// How many hold it, or [`CLOSED`].
    holders: AtomicUsize,
    began: Instant,
    /// When it was last used, in milliseconds since then.
    last: AtomicU64,
}

impl Usage {
    /// Of a log that is used now for the first time.
    pub(crate) fn new() -> Self {
        Self {
            holders: AtomicUsize::new(0),
            began: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    /// It is used now.
    pub(crate) fn touch(&self) {
        let now = self.began.elapsed().as_millis();
        self.last
            .store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long nobody has used it.
    pub(crate) fn unused(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(last)
    }

    /// Whether it was closed because nobody used it.
    pub(crate) fn is_closed(&self) -> bool {
        self.holders.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Closes it if nobody holds it and nobody has used it for so long.
    pub(crate) fn close(&self, unused: Duration) -> bool {
        // Whoever comes and goes between the two has been served.
        self.unused() >= unused
            && self
                .holders
                .compare_exchange(0, CLOSED, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    fn hold(&self) -> bool {
        let open = |holders: usize| (holders & CLOSED == 0).then_some(holders + 1);
        self.holders
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, open)
            .is_ok()
    }

    fn let_go(&self) {
        self.holders.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A log that stays open for as long as this is held.
#[derive(Debug)]
pub(crate) struct Held(Arc<Log>);

impl Held {
    /// Holds a log, unless it was closed because nobody used it.
    pub(crate) fn of(log: &Arc<Log>) -> Option<Self> {
        if !log.usage.hold() {
            return None;
        }
        log.usage.touch();
        Some(Self(Arc::clone(log)))
    }

    /// The log itself, which does not stay open for it.
    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.0
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        // It is held, so it is not closed.
        self.0.usage.hold();
        Self(Arc::clone(&self.0))
    }
}

impl Deref for Held {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Unused since now: first this, so that nobody finds it unheld and long unused.
        self.0.usage.touch();
        self.0.usage.let_go();
    }
}

#[cfg(test)]
mod tests;
