//! What is counted, and how Prometheus reads it. Every metric has its row in `docs/metrics.md`.
//!
//! Most metrics are counted where something happens. What can be had by looking (groups, their lag,
//! the process, the store) is looked at when Prometheus asks.
use std::{
    fmt,
    sync::{Mutex, OnceLock, PoisonError, Weak},
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{gauge::Gauge, info::Info},
    registry::{Metric, Registry},
};

mod connections;
mod embedded;
mod groups;
mod lag;
mod process;
mod pulsar;
mod records;
mod requests;
mod series;

pub(crate) use connections::{Connections, Turned};
pub(crate) use groups::GroupCounters;
pub(crate) use records::Records;
pub(crate) use requests::{Measured, Requests, Times};

use crate::{gateway::Gateway, store::Store};
use embedded::EmbeddedCollector;
use lag::Lag;
use process::ProcessCollector;
use pulsar::PulsarCollector;

/// The gateway's metrics.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    /// What requests there were, and how long they took.
    pub(crate) requests: Requests,
    /// Connections of Kafka clients.
    pub(crate) connections: Connections,
    /// Records that were written and read.
    pub(crate) records: Records,
    /// Fetch sessions that are kept.
    pub(crate) fetch_sessions: Gauge,
    /// Gateways that are in.
    pub(crate) gateways: Gauge,
    /// Number of the view of them.
    pub(crate) view: Gauge,
    /// What happened in consumer groups.
    pub(crate) groups: GroupCounters,
    /// How groups stand.
    lag: Lag,
    /// What is looked at.
    gateway: OnceLock<Weak<Gateway>>,
    /// What the embedded store counts, where there is one.
    embedded: EmbeddedCollector,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// All metrics at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("kop_build", "The gateway's version", build);
        let lag = Lag::default();
        let embedded = EmbeddedCollector::default();
        let metrics = Self {
            requests: Requests::registered(&mut registry),
            connections: Connections::registered(&mut registry),
            records: Records::registered(&mut registry),
            fetch_sessions: registered(
                &mut registry,
                "kop_fetch_sessions",
                "Fetch sessions of consumers (KIP-227) that are kept",
            ),
            gateways: registered(
                &mut registry,
                "kop_gateways",
                "Gateways that serve the cluster, as this one sees it",
            ),
            view: registered(
                &mut registry,
                "kop_gateways_view",
                "Number of that view: it rises with each gateway that comes or goes",
            ),
            groups: GroupCounters::registered(&mut registry),
            lag: lag.clone(),
            gateway: OnceLock::new(),
            embedded: embedded.clone(),
            registry: Mutex::default(),
        };
        registry.register_collector(Box::new(lag));
        registry.register_collector(Box::new(embedded));
        registry.register_collector(Box::new(ProcessCollector::start()));
        metrics.register(|empty| *empty = registry);
        metrics
    }

    /// Adds what the store counts about itself.
    pub(crate) fn add_store(&self, store: &Store) {
        match store {
            // It is looked at with the rest.
            Store::Embedded(_) => {}
            Store::Pulsar(store) => {
                let collector = Box::new(PulsarCollector(store.clone()));
                self.register(|registry| registry.register_collector(collector));
            }
        }
    }

    /// Sets which gateway's groups are looked at.
    pub(crate) fn look_at(&self, gateway: Weak<Gateway>) {
        // There is one gateway; a second one would not be looked at.
        let _ = self.gateway.set(gateway);
    }

    fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All metrics in Prometheus's text format.
    pub(crate) async fn text(&self) -> String {
        if let Some(gateway) = self.gateway.get().and_then(Weak::upgrade) {
            self.lag.look(&gateway).await;
            if let Store::Embedded(store) = &gateway.store {
                self.embedded.look(store).await;
            }
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("a string takes any text");
        text
    }
}

/// A new metric that the registry has.
fn registered<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}
