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
use tokio::sync::OnceCell;

use crate::{
    PulsarOptions,
    admin::Admin,
    bounds, clock,
    log::Log,
    metrics::Metrics,
    naming::{Naming, PulsarTopic},
    producer_ids::Births,
    read::Cursors,
    ring::Budget,
    topics::Topics,
};

/// Bytes of newest batches in memory, of all partitions together.
const RING_BYTES: usize = 64 * 1024 * 1024;
const SWEEP: Duration = Duration::from_secs(10);
/// A partition that nobody read or wrote for so long gives its memory back.
const IDLE: u64 = 60_000;
/// How often the beginning of a partition in use is asked for.
const SWEEPS_PER_LOG_START: u32 = 6;

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
    /// Topics that this process made while it was alone.
    made: Mutex<HashSet<PulsarTopic>>,
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
            options,
            brokers: OnceLock::new(),
            metrics: Metrics::default(),
            budget: Arc::new(Budget::new(RING_BYTES)),
            cursors: Cursors::default(),
            producer_ids: tokio::sync::Mutex::new(0..0),
            producer_births: Births::default(),
            closing: AtomicBool::new(false),
            configuring: tokio::sync::Mutex::default(),
            shared: AtomicBool::new(false),
            made: Mutex::default(),
            logs: Mutex::default(),
        }
    }

    fn logs(&self) -> MutexGuard<'_, HashMap<PulsarTopic, Slot>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot of a Pulsar topic; a new one where the old one's log has ended.
    pub(crate) fn slot(&self, topic: &PulsarTopic) -> Slot {
        let mut logs = self.logs();
        let over = |slot: &Slot| slot.get().is_some_and(|log| log.is_over());
        if logs.get(topic).is_some_and(over) {
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

/// Gives back what nobody uses and keeps the logs' beginnings up to date, as long as the store lives.
pub(crate) async fn sweep(shared: Weak<Shared>) {
    let mut sweeps: u32 = 0;
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        sweeps = sweeps.wrapping_add(1);
        shared.cursors.expire();
        let now = clock::now_millis();
        for log in shared.open_logs() {
            if log.idle(now) > IDLE {
                log.forget_ring();
            } else if sweeps.is_multiple_of(SWEEPS_PER_LOG_START)
                && let Ok(Some(start)) = bounds::start(&shared.admin, &log.topic).await
            {
                log.begins(start);
            }
        }
    }
}
