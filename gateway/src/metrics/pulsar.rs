//! What the Pulsar engine counts, read when Prometheus asks.
use std::fmt;

use kop_store_pulsar::{PulsarMetrics, PulsarStore};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::series::{counter, gauge};

/// The name of the gauge of open partitions, and what it says.
const OPEN: (&str, &str) = (
    "kop_pulsar_open_partitions",
    "Partitions that are open: somebody uses them, or did a minute ago",
);

/// The counters of one store.
#[derive(Debug)]
pub(crate) struct PulsarCollector(pub(crate) PulsarStore);

impl Collector for PulsarCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in counters(self.0.metrics()) {
            counter(&mut encoder, (name, help), value)?;
        }
        let open = i64::try_from(self.0.open_partitions()).unwrap_or(i64::MAX);
        gauge(&mut encoder, OPEN, open)
    }
}

/// Each counter's name, what it says, and its value. A counter that is forgotten here does not compile.
macro_rules! counters {
    ($($counter:ident: $help:literal,)*) => {
        fn counters(metrics: PulsarMetrics) -> Vec<(&'static str, &'static str, u64)> {
            let PulsarMetrics { $($counter),* } = metrics;
            vec![$((concat!("kop_pulsar_", stringify!($counter)), $help, $counter)),*]
        }
    };
}

counters! {
    offset_mismatches: "Entries whose index was not the one expected; must stay 0",
    unproven_receipts: "Appends whose offset had to be looked up, because others wrote, a ledger ended, or an empty topic's broker was new",
    ring_reads: "Reads answered from memory",
    stored_reads: "Reads answered from Pulsar",
    readers_opened: "Readers opened at the brokers",
    owners_taken: "Times a partition's ownership was won",
    barriers: "Barriers written while taking over",
    rebuilds: "Times a log was read for what idempotent producers had written",
    tail_readers_parked: "Times a tail reader was closed because this gateway wrote all that was new",
    rebuild_entries: "Entries read for what idempotent producers had written",
    partitions_opened: "Times a partition was opened",
    partitions_unused: "Times a partition was closed because nobody used it",
    compacted_reads: "Readers opened on what compaction has left",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let documented = std::fs::read_to_string(path).unwrap();
        for (name, help, _) in counters(PulsarMetrics::default()) {
            let row = format!("| `{name}_total` | counter | | {help}. |");
            assert!(documented.contains(&row), "{path} lacks the row\n{row}");
        }
        let (name, help) = OPEN;
        let row = format!("| `{name}` | gauge | | {help}. |");
        assert!(documented.contains(&row), "{path} lacks the row\n{row}");
    }
}
