//! Connections, by broker.
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::time::Instant;

use crate::{
    Cause,
    connection::{Connection, ConnectionOptions, Target},
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Connections that are open, being opened, or could not be opened. One that is gone is opened anew
/// when it is next asked for, after a pause that grows while that fails.
#[derive(Debug)]
pub(crate) struct Pool {
    options: ConnectionOptions,
    slots: Mutex<HashMap<Key, Slot>>,
}

/// A broker and which of its connections.
type Key = (Target, usize);
type Opening = Shared<BoxFuture<'static, Result<Connection, Failure>>>;

#[derive(Debug, Clone)]
struct Failure {
    cause: Cause,
    at: Instant,
}

#[derive(Debug)]
struct Slot {
    opening: Opening,
    /// Failures in a row before this try.
    failures: u32,
}

impl Pool {
    pub(crate) fn new(options: ConnectionOptions) -> Self {
        Self {
            options,
            slots: Mutex::default(),
        }
    }

    /// A live connection, opened if need be. Several callers share one attempt.
    pub(crate) async fn connection(
        &self,
        target: &Target,
        index: usize,
    ) -> Result<Connection, Cause> {
        let opening = self.opening(target, index);
        opening.await.map_err(|failure| failure.cause)
    }

    fn opening(&self, target: &Target, index: usize) -> Opening {
        let key = (target.clone(), index);
        let mut slots = self.lock();
        let failures = match slots.get(&key).map(|slot| (slot, slot.opening.peek())) {
            None => 0,
            // Being opened.
            Some((slot, None)) => return slot.opening.clone(),
            Some((slot, Some(Ok(connection)))) => match connection.ended() {
                None => return slot.opening.clone(),
                Some(_) => 0,
            },
            Some((slot, Some(Err(_)))) => slot.failures.saturating_add(1),
        };
        let not_before = match slots.get(&key).and_then(|slot| slot.opening.peek()) {
            Some(Err(failure)) => Some(failure.at + pause(failures)),
            _ => None,
        };
        // Brokers come and go; what is left of those that went is of no use.
        let now = Instant::now();
        slots.retain(|_, slot| match slot.opening.peek() {
            None => true,
            Some(Ok(connection)) => connection.ended().is_none(),
            Some(Err(failure)) => now - failure.at < LONGEST_PAUSE * 2,
        });
        let opening = self.open(target.clone(), not_before);
        slots.insert(
            key,
            Slot {
                opening: opening.clone(),
                failures,
            },
        );
        opening
    }

    /// On a task of its own, so that it goes on when whoever asked first has gone.
    fn open(&self, target: Target, not_before: Option<Instant>) -> Opening {
        let options = self.options.clone();
        let task = tokio::spawn(async move {
            if let Some(instant) = not_before {
                tokio::time::sleep_until(instant).await;
            }
            Connection::open(&target, &options)
                .await
                .map_err(|cause| Failure {
                    cause,
                    at: Instant::now(),
                })
        });
        async move {
            task.await.unwrap_or_else(|error| {
                let cause = Cause::Disconnected(error.to_string());
                Err(Failure {
                    cause,
                    at: Instant::now(),
                })
            })
        }
        .boxed()
        .shared()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        // A map whose holder panicked is still a map.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait after so many failures.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(LONGEST_PAUSE)
}
