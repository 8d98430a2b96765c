//! Memory that many connections share.
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that may be held at a time. Clones are the same budget.
///
/// A share is never larger than the whole, so that whoever waits for one gets it in the end.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    whole: usize,
}

/// Bytes taken from a budget; dropping gives them back.
#[derive(Debug)]
pub(crate) struct Share {
    permit: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of `bytes`, at most 4 GiB.
    pub(crate) fn new(bytes: usize) -> Self {
        let whole = bytes.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Self {
            free: Arc::new(Semaphore::new(whole)),
            whole,
        }
    }

    /// Waits until `bytes` are free and takes them.
    pub(crate) fn take(&self, bytes: usize) -> impl Future<Output = Share> + Send + 'static {
        let permits = self.permits(bytes);
        let free = Arc::clone(&self.free);
        async move {
            let permit = free.acquire_many_owned(permits).await;
            Share {
                permit: permit.expect("the semaphore is never closed"),
            }
        }
    }

    /// Takes `bytes` if they are free.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Share> {
        let permits = self.permits(bytes);
        let permit = Arc::clone(&self.free)
            .try_acquire_many_owned(permits)
            .ok()?;
        Some(Share { permit })
    }

    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.whole)).unwrap_or(u32::MAX)
    }
}

impl Share {
    /// Gives back what is held beyond `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let held = self.permit.num_permits();
        if let Some(rest) = held.checked_sub(bytes) {
            drop(self.permit.split(rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_given_back_can_be_taken_again() {
        let budget = Budget::new(100);
        let mut first = budget.take(80).await;
        assert!(budget.try_take(30).is_none());
        first.shrink(70);
        let second = budget.try_take(30);
        assert!(second.is_some());
        drop(first);
        drop(second);
        assert!(budget.try_take(100).is_some());
    }

    #[tokio::test]
    async fn more_than_the_whole_takes_the_whole() {
        let budget = Budget::new(10);
        let all = budget.take(1000).await;
        assert!(budget.try_take(1).is_none());
        drop(all);
        assert!(budget.try_take(10).is_some());
    }
}
