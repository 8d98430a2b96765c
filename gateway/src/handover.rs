//! Gives up what another gateway leads now, as soon as the views say so, and gets ready for what it leads
//! itself from now on.
use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::StreamExt as _;
use kop_store::{PartitionId, TopicClass};
use kop_wire::TopicName;
use tokio::time::timeout;
use tracing::debug;

use crate::{gateway::Gateway, store::error_chain};

/// How often what is open is compared with what this gateway leads where no view changes: what was
/// being opened when it changed is found then.
const EVERY: Duration = Duration::from_secs(5);

/// Partitions that are opened at a time before anybody asks for them.
const OPENED_AT_ONCE: usize = 16;

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
        let in_use = gateway.partitions.topics();
        hand_over(&gateway);
        if changed {
            tokio::spawn(take_over(Arc::clone(&gateway), in_use));
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

/// Opens what this gateway leads of topics that are in use here, before the clients of another one have
/// found their way: whatever is led now and was led elsewhere is likely to be asked for next.
async fn take_over(gateway: Arc<Gateway>, in_use: BTreeSet<TopicName>) {
    let Gateway {
        cluster,
        partitions,
        store,
        topics,
        ..
    } = &*gateway;
    for topic in in_use {
        if TopicClass::of(&topic).is_internal() {
            // Coordinators see to theirs.
            continue;
        }
        let count = match topics.partitions(store, &topic, 0).await {
            Ok(count) => i32::try_from(count).unwrap_or(i32::MAX),
            Err(error) => {
                debug!(%topic, error = error_chain(&error), "not opened ahead");
                continue;
            }
        };
        let led = (0..count).map(|index| PartitionId {
            topic: topic.clone(),
            index,
        });
        let open = async |id: PartitionId| {
            if cluster.leads(&id).is_none() || partitions.is_open(&id) {
                return;
            }
            match partitions.get(store, &id).await {
                Ok(partition) => partition.prepare(),
                Err(error) => debug!(?id, error = error_chain(&error), "not opened ahead"),
            }
        };
        let opened = futures::stream::iter(led).for_each_concurrent(OPENED_AT_ONCE, open);
        opened.await;
    }
}
