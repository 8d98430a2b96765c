//! One partition's log, as readers see it.
use std::sync::{Arc, Mutex};

use kop_store::{ReadError, Watermarks};
use kop_wire::Offset;
use tokio::sync::watch;

use crate::{format::LogId, live::Live, tail::Tail};

/// A log's bounds. The writer thread moves them, once what they promise is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) start: Offset,
    pub(crate) high: Offset,
    /// The topic was deleted.
    pub(crate) deleted: bool,
    /// The store was closed; nothing can be waited for any more.
    pub(crate) closed: bool,
}

impl Bounds {
    pub(crate) fn watermarks(&self) -> Watermarks {
        Watermarks {
            log_start: self.start,
            last_stable: self.high,
            high: self.high,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) id: LogId,
    /// What holds for its topic.
    pub(crate) live: Arc<Live>,
    bounds: watch::Sender<Bounds>,
    /// The newest batches. The writer thread adds and drops, readers copy references out.
    pub(crate) tail: Mutex<Tail>,
}

impl Log {
    pub(crate) fn new(id: LogId, live: Arc<Live>, (start, high): (Offset, Offset)) -> Self {
        let bounds = Bounds {
            start,
            high,
            deleted: false,
            closed: false,
        };
        Self {
            id,
            live,
            bounds: watch::Sender::new(bounds),
            tail: Mutex::default(),
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        *self.bounds.borrow()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Bounds)) {
        self.bounds.send_modify(change);
    }

    /// The bounds, if `offset` can be read under them.
    pub(crate) fn readable(&self, offset: Offset) -> Result<Bounds, ReadError> {
        let bounds = self.bounds();
        if bounds.deleted {
            return Err(ReadError::Deleted);
        }
        if offset < bounds.start || offset > bounds.high {
            return Err(ReadError::OutOfRange {
                log_start: bounds.start,
                high: bounds.high,
            });
        }
        Ok(bounds)
    }

    /// Waits until the log is longer than `past`, or will never be.
    pub(crate) async fn advanced(&self, past: Offset) {
        let mut bounds = self.bounds.subscribe();
        let done = |bounds: &Bounds| bounds.high > past || bounds.deleted || bounds.closed;
        // The sender lives as long as the log, which the caller holds.
        let _ = bounds.wait_for(done).await;
    }
}
