//! What the embedded store counts, read when Prometheus asks.
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use kop_store_embedded::{Distribution, EmbeddedMetrics, EmbeddedStore};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
};
use tokio::task::spawn_blocking;

use super::series::{counter, gauge};

/// What was found when Prometheus last asked. Clones are the same. It holds no store, which would keep
/// the directory taken for as long as somebody reads metrics.
#[derive(Debug, Clone, Default)]
pub(super) struct EmbeddedCollector(Arc<Mutex<Option<Seen>>>);

#[derive(Debug)]
struct Seen {
    counted: EmbeddedMetrics,
    /// `None` where the directory cannot be read.
    disk_bytes: Option<u64>,
}

impl EmbeddedCollector {
    /// Looks at a store.
    pub(super) async fn look(&self, store: &EmbeddedStore) {
        let counted = store.metrics();
        let store = store.clone();
        let disk_bytes = spawn_blocking(move || store.disk_bytes().ok()).await;
        let seen = Seen {
            counted,
            disk_bytes: disk_bytes.ok().flatten(),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }
}

impl Collector for EmbeddedCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Seen {
            counted,
            disk_bytes,
        }) = &*seen
        else {
            return Ok(());
        };
        // No `..`: a new counter that is forgotten here does not compile.
        let EmbeddedMetrics {
            commit_micros,
            commit_batches,
            written_bytes,
        } = counted;
        histogram(
            encoder,
            (
                "kop_store_commit_seconds",
                "Time that commits took to be written and, with durability sync, synced",
            ),
            (commit_micros, 1e-6),
        )?;
        histogram(
            encoder,
            (
                "kop_store_commit_batches",
                "Record batches that commits wrote together",
            ),
            (commit_batches, 1.0),
        )?;
        counter(
            encoder,
            (
                "kop_store_written_bytes",
                "Bytes of record batches that were written",
            ),
            *written_bytes,
        )?;
        if let Some(bytes) = disk_bytes {
            gauge(
                encoder,
                (
                    "kop_store_disk_bytes",
                    "Length of the files of the data directory",
                ),
                i64::try_from(*bytes).unwrap_or(i64::MAX),
            )?;
        }
        Ok(())
    }
}

/// A histogram of numbers that are so many times as large as what is counted.
#[expect(
    clippy::cast_precision_loss,
    reason = "a number beyond 2^52 is exact enough"
)]
fn histogram(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    (distribution, unit): (&Distribution, f64),
) -> fmt::Result {
    let bound = |bound: Option<u64>| bound.map_or(f64::MAX, |bound| bound as f64 * unit);
    let buckets = distribution.buckets.iter();
    let buckets: Vec<_> = buckets.map(|(most, n)| (bound(*most), *n)).collect();
    let count = buckets.iter().map(|(_, n)| n).sum();
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    let sum = distribution.sum as f64 * unit;
    metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}
