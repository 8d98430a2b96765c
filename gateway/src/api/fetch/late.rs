//! Reads that take longer than their fetch may. The fetch is answered without them, and they go on: the
//! client's next fetch at the same place is given what they bring.
//!
//! Without that, one partition whose records are slow to come would hold back all others of its fetches;
//! and were it given up instead, its records would never come.
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// Reads that go on at a time, or wait to be asked for.
const MOST: usize = 16;
/// How long what was read is kept for whoever comes for it.
const KEPT: Duration = Duration::from_secs(30);

/// Reads by what they are of.
#[derive(Debug)]
pub(crate) struct LateReads<K, T> {
    reads: Mutex<HashMap<K, Late<T>>>,
}

#[derive(Debug)]
struct Late<T> {
    since: Instant,
    read: JoinHandle<T>,
}

impl<T> Drop for Late<T> {
    fn drop(&mut self) {
        self.read.abort();
    }
}

impl<K, T> Default for LateReads<K, T> {
    fn default() -> Self {
        Self {
            reads: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash, T: Send + 'static> LateReads<K, T> {
    fn reads(&self) -> MutexGuard<'_, HashMap<K, Late<T>>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an earlier read of the same brings, or the one that `begin` begins, if it comes until then.
    pub(super) async fn get<F>(
        &self,
        key: K,
        until: Instant,
        begin: impl FnOnce() -> F,
    ) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let late = self.reads().remove(&key);
        let late = match late {
            Some(mut late) => match timeout_at(until, &mut late.read).await {
                Ok(read) => return read.ok(),
                Err(_) => late,
            },
            None => {
                let mut read = Box::pin(begin());
                if let Ok(read) = timeout_at(until, &mut read).await {
                    return Some(read);
                }
                if !self.has_room() {
                    return None;
                }
                Late {
                    since: Instant::now(),
                    read: tokio::spawn(read),
                }
            }
        };
        self.reads().insert(key, late);
        None
    }

    /// Whether there is, when what nobody came for has been let go.
    fn has_room(&self) -> bool {
        let mut reads = self.reads();
        reads.retain(|_, late| late.since.elapsed() < KEPT);
        reads.len() < MOST
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    async fn slow(millis: u64) -> u64 {
        sleep(Duration::from_millis(millis)).await;
        millis
    }

    fn in_a_second() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_is_late_goes_on_and_is_given_to_who_asks_again() {
        let late = LateReads::default();
        let began = Instant::now();
        assert_eq!(late.get("a", in_a_second(), || slow(2500)).await, None);
        assert_eq!(late.get("b", in_a_second(), || slow(0)).await, Some(0));
        assert_eq!(late.get("a", in_a_second(), || slow(99_000)).await, None);
        assert_eq!(
            late.get("a", in_a_second(), || slow(99_000)).await,
            Some(2500)
        );
        assert_eq!(began.elapsed(), Duration::from_millis(2500));
        assert!(late.reads().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_comes_for_makes_room() {
        let late = LateReads::default();
        for n in 0..MOST + 5 {
            assert_eq!(late.get(n, Instant::now(), || slow(5_000)).await, None);
        }
        assert_eq!(late.reads().len(), MOST);
        sleep(KEPT).await;
        assert_eq!(late.get(MOST, Instant::now(), || slow(5_000)).await, None);
        assert_eq!(late.reads().len(), 1);
    }
}
