//! What happens in consumer groups.
use kop_coordinator::Counts;
use prometheus_client::{metrics::counter::Counter, registry::Registry};

use super::registered;

/// What happened in the consumer groups of all shards.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupCounters {
    rebalances: Counter,
    committed_offsets: Counter,
    expired_offsets: Counter,
}

impl GroupCounters {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        Self {
            rebalances: registered(
                registry,
                "kop_group_rebalances",
                "Rebalances of consumer groups that ended",
            ),
            committed_offsets: registered(
                registry,
                "kop_group_commits",
                "Offsets that consumer groups committed",
            ),
            expired_offsets: registered(
                registry,
                "kop_group_expired_offsets",
                "Committed offsets that outlived their retention",
            ),
        }
    }

    /// Adds what a shard counted.
    pub(crate) fn add(&self, counts: Counts) {
        let Counts {
            rebalances,
            committed_offsets,
            expired_offsets,
        } = counts;
        self.rebalances.inc_by(rebalances);
        self.committed_offsets.inc_by(committed_offsets);
        self.expired_offsets.inc_by(expired_offsets);
    }
}
