//! Connections of Kafka clients.
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::registered;

/// Connections of Kafka clients.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    /// Those that are open.
    pub(crate) open: Gauge,
    /// Those that were accepted.
    pub(crate) accepted: Counter,
    refused: Family<Refusal, Counter>,
    /// Those that were closed because of what came over them, or did not come.
    pub(crate) cut: Counter,
    /// Bytes received over them.
    pub(crate) received: Counter,
    /// Bytes sent over them.
    pub(crate) sent: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    reason: Turned,
}

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "these are the label's values")]
pub(crate) enum Turned {
    /// There were as many as may be.
    full,
    /// There were as many of its address as may be.
    full_for_address,
}

impl Connections {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        Self {
            open: registered(
                registry,
                "kop_connections",
                "Kafka connections that are open",
            ),
            accepted: registered(
                registry,
                "kop_connections_accepted",
                "Kafka connections accepted",
            ),
            refused: registered(
                registry,
                "kop_connections_refused",
                "Kafka connections turned away because there were too many",
            ),
            cut: registered(
                registry,
                "kop_connections_cut",
                "Kafka connections closed because the client sent what makes no sense, or stopped halfway",
            ),
            received: registered(
                registry,
                "kop_received_bytes",
                "Bytes received from Kafka clients",
            ),
            sent: registered(registry, "kop_sent_bytes", "Bytes sent to Kafka clients"),
        }
    }

    /// Counts one that was turned away.
    pub(crate) fn refused(&self, reason: Turned) {
        self.refused.get_or_create(&Refusal { reason }).inc();
    }
}
