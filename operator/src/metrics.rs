//! What the operator counts, in Prometheus' text format.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The operator's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    failures: Family<FailureLabels, Counter>,
    duration: Histogram,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FailureLabels {
    step: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("kop_operator");
        let failures = Family::default();
        let duration = Histogram::new([0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]);
        registry.register(
            "reconcile_failures",
            "Reconciliations that ended early, by the step that failed",
            failures.clone(),
        );
        registry.register(
            "reconcile_duration_seconds",
            "How long reconciliations took",
            duration.clone(),
        );
        Metrics {
            registry,
            failures,
            duration,
        }
    }
}

impl Metrics {
    /// One reconciliation has come to its end, or to a step that failed.
    pub fn reconciled(&self, took: Duration, failed_step: Option<&'static str>) {
        self.duration.observe(took.as_secs_f64());
        if let Some(step) = failed_step {
            self.failures.get_or_create(&FailureLabels { step }).inc();
        }
    }

    /// The page that is scraped.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn page(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.registry)?;
        Ok(page)
    }
}
