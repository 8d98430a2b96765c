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

/// Each counter's name, what it says, and its value.
fn counters(metrics: PulsarMetrics) -> [(&'static str, &'static str, u64); 13] {
    // No `..`: a new counter that is forgotten here does not compile.
    let PulsarMetrics {
        offset_mismatches,
        unproven_receipts,
        ring_reads,
        stored_reads,
        readers_opened,
        owners_taken,
        barriers,
        rebuilds,
        tail_readers_parked,
        rebuild_entries,
        partitions_opened,
        partitions_unused,
        compacted_reads,
    } = metrics;
    [
        (
            "kop_pulsar_offset_mismatches",
            "Entries whose index was not the one expected; must stay 0",
            offset_mismatches,
        ),
        (
            "kop_pulsar_unproven_receipts",
            "Appends whose offset had to be looked up, because others wrote or a ledger ended",
            unproven_receipts,
        ),
        (
            "kop_pulsar_ring_reads",
            "Reads answered from memory",
            ring_reads,
        ),
        (
            "kop_pulsar_stored_reads",
            "Reads answered from Pulsar",
            stored_reads,
        ),
        (
            "kop_pulsar_readers_opened",
            "Readers opened at the brokers",
            readers_opened,
        ),
        (
            "kop_pulsar_owners_taken",
            "Times a partition's ownership was won",
            owners_taken,
        ),
        (
            "kop_pulsar_barriers",
            "Barriers written while taking over",
            barriers,
        ),
        (
            "kop_pulsar_rebuilds",
            "Times a log was read for what idempotent producers had written",
            rebuilds,
        ),
        (
            "kop_pulsar_tail_readers_parked",
            "Times a tail reader was closed because this gateway wrote all that was new",
            tail_readers_parked,
        ),
        (
            "kop_pulsar_rebuild_entries",
            "Entries read for what idempotent producers had written",
            rebuild_entries,
        ),
        (
            "kop_pulsar_partitions_opened",
            "Times a partition was opened",
            partitions_opened,
        ),
        (
            "kop_pulsar_partitions_unused",
            "Times a partition was closed because nobody used it",
            partitions_unused,
        ),
        (
            "kop_pulsar_compacted_reads",
            "Readers opened on what compaction has left",
            compacted_reads,
        ),
    ]
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
