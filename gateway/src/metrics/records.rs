//! Records that clients wrote and read.
use prometheus_client::{metrics::counter::Counter, registry::Registry};

use super::registered;

/// Records that clients wrote and read.
#[derive(Debug, Default)]
pub(crate) struct Records {
    produced: Counter,
    produced_bytes: Counter,
    fetched: Counter,
    fetched_bytes: Counter,
}

impl Records {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        Self {
            produced: registered(
                registry,
                "kop_produced_records",
                "Records that producers wrote and were told so",
            ),
            produced_bytes: registered(
                registry,
                "kop_produced_bytes",
                "Bytes of the batches of these, as they were sent",
            ),
            fetched: registered(
                registry,
                "kop_fetched_records",
                "Records in the batches that were sent to consumers",
            ),
            fetched_bytes: registered(
                registry,
                "kop_fetched_bytes",
                "Bytes of the batches that were sent to consumers",
            ),
        }
    }

    /// Counts a batch that was written.
    pub(crate) fn produced(&self, records: i32, bytes: usize) {
        self.produced.inc_by(u64::try_from(records).unwrap_or(0));
        self.produced_bytes.inc_by(bytes as u64);
    }

    /// Counts whole batches that are sent.
    pub(crate) fn fetched(&self, records: u64, bytes: u64) {
        self.fetched.inc_by(records);
        self.fetched_bytes.inc_by(bytes);
    }
}
