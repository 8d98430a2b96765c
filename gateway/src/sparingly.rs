//! Log lines that a crowd of clients cannot multiply.
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Says something at most once in a while, and counts how often it was not said.
#[derive(Debug)]
pub(crate) struct Sparingly {
    every: Duration,
    said: Mutex<(Option<Instant>, u64)>,
}

impl Sparingly {
    /// At most once in `every`.
    pub(crate) const fn every(every: Duration) -> Self {
        Self {
            every,
            said: Mutex::new((None, 0)),
        }
    }

    /// Whether to say it now; then, how often it was not said since the last time.
    pub(crate) fn now(&self) -> Option<u64> {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, unsaid) = &mut *said;
        if last.is_some_and(|last| now.duration_since(last) < self.every) {
            *unsaid += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_told_of_once_and_counted() {
        let second = Duration::from_secs(1);
        let (sparingly, start) = (Sparingly::every(second), Instant::now());
        assert_eq!(sparingly.at(start), Some(0));
        assert_eq!(sparingly.at(start), None);
        assert_eq!(sparingly.at(start + second / 2), None);
        assert_eq!(sparingly.at(start + second), Some(2));
        assert_eq!(sparingly.at(start + second * 3), Some(0));
    }
}
