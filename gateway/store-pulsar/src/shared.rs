//! What all partitions of a store share.
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pulsar_client::Client;
use tokio::{sync::OnceCell, time::Instant};

use crate::{
    PulsarOptions, Views,
    admin::Admin,
    bounds,
    log::Log,
    metrics::Metrics,
    naming::{Naming, PulsarTopic},
    numbering::Numbering,
    owned_before::OwnedBefore,
    producer_ids::Births,
    read::Cursors,
    ring::Budget,
    topics::Topics,
};

/// How often what nobody uses is looked for, at the most and at the least.
const SWEEPS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(10));
/// How often the beginnings of partitions in use are asked for.
const LOG_STARTS: Duration = Duration::from_secs(60);
/// Room for so many partitions is not given back.
const FEW: usize = 64;

/// A partition that is open, or being opened.
pub(crate) type Slot = Arc<OnceCell<Arc<Log>>>;

pub(crate) struct Shared {
    pub(crate) options: PulsarOptions,
    pub(crate) naming: Naming,
    pub(crate) client: Client,
    pub(crate) admin: Admin,
    /// The version that the brokers told when they were asked first.
    pub(crate) brokers: OnceLock<String>,
    pub(crate) metrics: Metrics,
    pub(crate) budget: Arc<Budget>,
    pub(crate) cursors: Cursors,
    pub(crate) topics: Topics,
    /// Producer ids that were taken and not yet given out.
    pub(crate) producer_ids: tokio::sync::Mutex<Range<i64>>,
    /// When producer ids were taken.
    pub(crate) producer_births: Births,
    pub(crate) closing: AtomicBool,
    /// Held while a topic's configuration is looked at and changed.
    pub(crate) configuring: tokio::sync::Mutex<()>,
    /// Whether other gateways share the Pulsar, or have since this process began.
    shared: AtomicBool,
    /// Who leads what, where that is told.
    pub(crate) views: OnceLock<Arc<dyn Views>>,
    /// Topics that this process made while it was alone.
    made: Mutex<HashSet<PulsarTopic>>,
    /// Partitions that this process has owned.
    pub(crate) owned_before: OwnedBefore,
    /// Brokers that are known to number entries.
    pub(crate) numbering: Numbering,
    logs: Mutex<HashMap<PulsarTopic, Slot>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(options: PulsarOptions, client: Client, admin: Admin) -> Self {
        let naming = Naming::new(
            &options.tenant,
            &options.namespace,
            &options.metadata_namespace,
        );
        Self {
            naming,
            client,
            admin,
            topics: Topics::new(options.topic_defaults),
            budget: Arc::new(Budget::new(options.tail_cache_bytes)),
            cursors: Cursors::new(options.read_ahead_bytes),
            options,
            brokers: OnceLock::new(),
            metrics: Metrics::default(),
            producer_ids: tokio::sync::Mutex::new(0..0),
            producer_births: Births::default(),
            closing: AtomicBool::new(false),
            configuring: tokio::sync::Mutex::default(),
            shared: AtomicBool::new(false),
            views: OnceLock::new(),
            made: Mutex::default(),
            owned_before: OwnedBefore::default(),
            numbering: Numbering::default(),
            logs: Mutex::default(),
        }
    }

    fn logs(&self) -> MutexGuard<'_, HashMap<PulsarTopic, Slot>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot of a Pulsar topic; a new one where the old one's log has ended.
    pub(crate) fn slot(&self, topic: &PulsarTopic) -> Slot {
        let mut logs = self.logs();
        if logs.get(topic).is_some_and(is_over) {
            logs.remove(topic);
        }
        Arc::clone(logs.entry(topic.clone()).or_default())
    }

    /// The open partition of a Pulsar topic, which is forgotten.
    pub(crate) fn forget(&self, topic: &PulsarTopic) -> Option<Arc<Log>> {
        self.logs().remove(topic)?.get().cloned()
    }

    /// All open partitions.
    pub(crate) fn open_logs(&self) -> Vec<Arc<Log>> {
        self.logs()
            .values()
            .filter_map(|slot| slot.get().cloned())
            .collect()
    }

    /// Has the memory of newest batches go to the newest: partitions that took nothing in give up theirs.
    /// Whoever calls this holds no partition's state.
    pub(crate) fn keep_budget(&self) {
        if self.budget.is_overfull() {
            for log in self.open_logs() {
                log.give_up_old();
            }
        }
    }

    /// Whether no other gateway has shared the Pulsar since this process began, as far as it knows.
    pub(crate) fn is_alone(&self) -> bool {
        !self.shared.load(Ordering::Acquire)
    }

    /// Others share the Pulsar from now on: what this process made, others may have written to.
    pub(crate) fn note_others(&self) {
        self.shared.store(true, Ordering::Release);
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Remembers that this process made a topic, or that it is no more.
    pub(crate) fn note_made(&self, topic: &PulsarTopic, made: bool) {
        let mut topics = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made && self.is_alone() {
            topics.insert(topic.clone());
        } else {
            topics.remove(topic);
        }
    }

    /// Whether this process made a topic.
    pub(crate) fn has_made(&self, topic: &PulsarTopic) -> bool {
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(topic)
    }
}

fn is_over(slot: &Slot) -> bool {
    slot.get().is_some_and(|log| log.is_over())
}

impl Shared {
    /// Closes the partitions that nobody uses, and forgets those that have ended.
    fn close_unused(&self) {
        let unused = self.options.unused_open;
        for log in self.open_logs() {
            if log.end_unused(unused) {
                Metrics::add(&self.metrics.partitions_unused);
                self.cursors.forget(&log.topic);
            } else if log.usage.unused() >= unused {
                // Somebody holds it and does not use it, as coordinators do.
                log.forget_ring();
            }
        }
        let mut logs = self.logs();
        // A slot without a log is being filled by those who have it, or was given up.
        logs.retain(|_, slot| {
            !is_over(slot) && (slot.initialized() || Arc::strong_count(slot) > 1)
        });
        if logs.capacity() > FEW && logs.len() < logs.capacity() / 4 {
            logs.shrink_to_fit();
        }
    }
}

/// Gives back what nobody uses, as long as the store lives.
pub(crate) async fn sweep(shared: Weak<Shared>) {
    let (shortest, longest) = SWEEPS;
    loop {
        let Some(every) = shared
            .upgrade()
            .map(|shared| shared.options.unused_open / 6)
        else {
            return;
        };
        tokio::time::sleep(every.clamp(shortest, longest)).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.cursors.expire();
        shared.close_unused();
    }
}

/// Keeps the logs' beginnings up to date, as long as the store lives.
pub(crate) async fn follow_log_starts(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(LOG_STARTS).await;
        let began = Instant::now();
        let Some(logs) = shared.upgrade().map(|shared| shared.open_logs()) else {
            return;
        };
        // What is asked for one after another takes a while where there are many.
        for log in logs
            .into_iter()
            .map(|log| Arc::downgrade(&log))
            .collect::<Vec<_>>()
        {
            let Some(log) = log.upgrade() else { continue };
            let used = log.usage.unused() < LOG_STARTS + began.elapsed();
            if used
                && !log.is_over()
                && let Ok(Some(start)) = bounds::start(&log.shared.admin, &log.topic).await
            {
                log.begins(start);
            }
        }
    }
}

#[cfg(test)]
mod tests;
