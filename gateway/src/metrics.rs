//! What is counted, and how Prometheus reads it.
use std::{
    borrow::Cow,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kop_wire::kafka_protocol::ResponseError;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

mod pulsar;

use pulsar::PulsarCollector;

use crate::store::Store;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    api: &'static str,
    error: Cow<'static, str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Api {
    api: &'static str,
}

/// The gateway's metrics.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Outcome, Counter>,
    seconds: Family<Api, Histogram, fn() -> Histogram>,
    /// Bytes received from Kafka clients.
    pub(crate) received: Counter,
    /// Bytes sent to Kafka clients.
    pub(crate) sent: Counter,
    /// Kafka connections that are open.
    pub(crate) connections: Gauge,
    /// Fetch sessions that are kept.
    pub(crate) fetch_sessions: Gauge,
    /// Kafka connections that were turned away because there were too many.
    pub(crate) refused_connections: Counter,
    /// Kafka connections that were closed because of what came over them.
    pub(crate) refused: Counter,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// 0.1 ms to 52 s.
fn buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 3.0, 13))
}

impl Metrics {
    /// All metrics at zero.
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Mutex::default(),
            requests: Family::default(),
            seconds: Family::new_with_constructor(buckets),
            received: Counter::default(),
            sent: Counter::default(),
            connections: Gauge::default(),
            fetch_sessions: Gauge::default(),
            refused_connections: Counter::default(),
            refused: Counter::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "kop_requests",
                "Requests answered, by API and by the first error in the answer",
                metrics.requests.clone(),
            );
            registry.register(
                "kop_request_seconds",
                "Time from a request's arrival to its answer",
                metrics.seconds.clone(),
            );
            registry.register(
                "kop_received_bytes",
                "Bytes received from Kafka clients",
                metrics.received.clone(),
            );
            registry.register(
                "kop_sent_bytes",
                "Bytes sent to Kafka clients",
                metrics.sent.clone(),
            );
            registry.register(
                "kop_connections",
                "Kafka connections that are open",
                metrics.connections.clone(),
            );
            registry.register(
                "kop_fetch_sessions",
                "Fetch sessions of consumers (KIP-227) that are kept",
                metrics.fetch_sessions.clone(),
            );
            registry.register(
                "kop_refused_connections",
                "Kafka connections turned away because there were too many",
                metrics.refused_connections.clone(),
            );
            registry.register(
                "kop_refused",
                "Kafka connections that the gateway closed because of what a client sent",
                metrics.refused.clone(),
            );
        });
        metrics
    }

    /// Adds what the store counts about itself.
    pub(crate) fn add_store(&self, store: &Store) {
        match store {
            Store::Embedded(_) => {}
            Store::Pulsar(store) => {
                let collector = Box::new(PulsarCollector(store.clone()));
                self.register(|registry| registry.register_collector(collector));
            }
        }
    }

    fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts one answered request.
    pub(crate) fn answered(
        &self,
        api: &'static str,
        error: Option<ResponseError>,
        after: Duration,
    ) {
        let error = match error {
            None => Cow::Borrowed("none"),
            Some(error) => Cow::Owned(format!("{error:?}")),
        };
        self.requests.get_or_create(&Outcome { api, error }).inc();
        self.seconds
            .get_or_create(&Api { api })
            .observe(after.as_secs_f64());
    }

    /// All metrics in Prometheus's text format.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("a string takes any text");
        text
    }
}
