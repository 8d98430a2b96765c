//! What waits to be sent or for a receipt, seen by those who send.
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Entries written and without receipt, at the most: brokers stop reading a connection at 1000.
pub(crate) const MAX_PENDING_ENTRIES: usize = 900;
/// Bytes of them, about.
pub(crate) const MAX_PENDING_BYTES: usize = 64 * 1024 * 1024;
/// Entries in line behind those, at the most.
const MAX_LINE_ENTRIES: usize = 32 * 1024;
/// Bytes of them, about.
const MAX_LINE_BYTES: usize = 256 * 1024 * 1024;

/// Counts of one connection.
#[derive(Debug, Default)]
pub(crate) struct Load {
    entries: AtomicUsize,
    bytes: AtomicUsize,
    eased: Notify,
}

impl Load {
    /// Takes a place in line; false where the line is full.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let full = self.entries.load(Ordering::Relaxed) >= MAX_PENDING_ENTRIES + MAX_LINE_ENTRIES
            || self.bytes.load(Ordering::Relaxed) >= MAX_PENDING_BYTES + MAX_LINE_BYTES;
        if !full {
            self.entries.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        !full
    }

    /// Gives a place back.
    pub(crate) fn give_back(&self, bytes: usize) {
        self.entries.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if self.is_light() {
            self.eased.notify_waiters();
        }
    }

    /// Whether an entry would be written at once.
    fn is_light(&self) -> bool {
        self.entries.load(Ordering::Relaxed) < MAX_PENDING_ENTRIES
            && self.bytes.load(Ordering::Relaxed) < MAX_PENDING_BYTES
    }

    #[cfg(test)]
    pub(crate) fn is_unused(&self) -> bool {
        self.entries.load(Ordering::Relaxed) == 0 && self.bytes.load(Ordering::Relaxed) == 0
    }

    /// Waits until an entry would be written at once.
    pub(crate) async fn light(&self) {
        loop {
            let mut eased = std::pin::pin!(self.eased.notified());
            // Registered before the look, so that no notification falls between the two.
            eased.as_mut().enable();
            if self.is_light() {
                return;
            }
            eased.await;
        }
    }
}
