//! What the load and whoever ends it tell each other.

use anyhow::{Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One round's acknowledgements, and whether the gateway has been killed.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    acknowledged: Mutex<u64>,
    more: Condvar,
    killed: AtomicBool,
    failed: AtomicBool,
}

impl Pace {
    /// Counts one acknowledged request.
    pub(crate) fn acknowledged(&self) {
        *self.count() += 1;
        self.more.notify_all();
    }

    /// Waits until so many requests have been acknowledged.
    pub(crate) fn reaches(&self, wanted: u64, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        let mut count = self.count();
        while *count < wanted {
            if self.failed.load(Ordering::Acquire) {
                bail!("a client failed before the gateway was killed");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("{count} of {wanted} requests acknowledged in {within:?}");
            }
            count = self
                .more
                .wait_timeout(count, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        Ok(())
    }

    /// The gateway is about to be killed: from now on connections may be lost.
    pub(crate) fn kills(&self) {
        self.killed.store(true, Ordering::Release);
    }

    pub(crate) fn has_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// A client has seen what must not be.
    pub(crate) fn fails(&self) {
        let _count = self.count();
        self.failed.store(true, Ordering::Release);
        self.more.notify_all();
    }

    fn count(&self) -> MutexGuard<'_, u64> {
        self.acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
