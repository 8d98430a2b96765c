//! Gives up what another gateway leads now, as soon as the views say so.
use std::{sync::Arc, time::Duration};

use kop_store::PartitionId;
use tokio::time::timeout;

use crate::gateway::Gateway;

/// How often what is open is compared with what this gateway leads where no view changes: what was
/// being opened when it changed is found then.
const EVERY: Duration = Duration::from_secs(5);

/// Follows the cluster's views until they end, and lets go of partitions that the store has closed.
pub(crate) async fn follow(gateway: Arc<Gateway>) {
    let mut views = gateway.cluster.views();
    loop {
        let metrics = &gateway.metrics;
        let view = gateway.cluster.view();
        metrics.view.set(view.number().into());
        let members = view.members().count();
        metrics
            .gateways
            .set(i64::try_from(members).unwrap_or(i64::MAX));
        gateway.partitions.sweep();
        let changed = match timeout(EVERY, views.changed()).await {
            Ok(Ok(())) => gateway.cluster.has_others(),
            Ok(Err(_)) => return,
            // Who is alone has nobody to give anything to.
            Err(_) if !gateway.cluster.has_others() => continue,
            Err(_) => false,
        };
        if changed {
            gateway.store.note_others();
        }
        hand_over(&gateway);
        if changed {
            gateway.store.mark_producer_ids().await;
        }
    }
}

/// Coordinators go first, so that none writes to a log that is being given up.
fn hand_over(gateway: &Gateway) {
    let cluster = &gateway.cluster;
    gateway.coordination.retire();
    let leads = |id: &PartitionId| cluster.leads(id).is_some();
    gateway.partitions.retain(leads);
    gateway.store.keep_only(leads);
}
