//! Time as the pure machine wants it: milliseconds since the epoch that never run backwards.
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The system's time when it was made, and the monotonic clock's since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    began: Instant,
    began_ms: u64,
}

impl Clock {
    pub(super) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            began: Instant::now(),
            began_ms: millis(since_epoch.unwrap_or_default()),
        }
    }

    pub(super) fn now(&self) -> u64 {
        self.began_ms.saturating_add(millis(self.began.elapsed()))
    }

    /// When `now` will be at least `at`.
    pub(super) fn instant(&self, at: u64) -> Instant {
        self.began + Duration::from_millis(at.saturating_sub(self.began_ms))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
