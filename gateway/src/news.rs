//! Acts on what the gateways tell each other of topics: what is remembered of one that changed is
//! forgotten, and what is open is looked at again.
//!
//! Without it a gateway would find out too, but only when it is asked for the topic's metadata: one that
//! only takes records would go on by old settings.
use std::{sync::Weak, time::Duration};

use kop_wire::TopicName;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::{cluster::Changed, gateway::Gateway, sparingly::Sparingly, store::error_chain};

/// Before a topic is looked at again that could not be looked at.
const PAUSE: Duration = Duration::from_secs(1);
static UNSEEN: Sparingly = Sparingly::every(Duration::from_secs(60));

/// Follows what is heard, as long as the gateway lives.
pub(crate) async fn follow(gateway: Weak<Gateway>) {
    loop {
        let Some(cluster) = gateway.upgrade().map(|gateway| gateway.cluster.clone()) else {
            return;
        };
        let changed = cluster.changed_topics().await;
        drop(cluster);
        let (Some(changed), Some(gateway)) = (changed, gateway.upgrade()) else {
            return;
        };
        let missed = look(&gateway, &changed).await;
        if !missed.is_empty() {
            gateway.cluster.look_again_at(missed);
            drop(gateway);
            sleep(PAUSE).await;
        }
    }
}

/// Looks at all that has changed; answers what could not be looked at.
async fn look(gateway: &Gateway, changed: &Changed) -> Changed {
    let open = if changed.all {
        gateway.store.forget_topics()
    } else {
        Vec::new()
    };
    let mut missed = Changed::default();
    for topic in changed.topics().chain(open) {
        if let Err(error) = look_at(gateway, &topic).await {
            if let Some(unsaid) = UNSEEN.now() {
                warn!(%topic, unsaid, error = error_chain(&error), "changed topic not looked at yet");
            }
            missed.add(Changed::from(&topic));
        }
    }
    missed
}

async fn look_at(gateway: &Gateway, topic: &TopicName) -> Result<(), kop_store::CatalogError> {
    match gateway.store.look_anew(topic).await {
        Ok(Some(found)) => {
            debug!(%topic, "looked at a topic that changed");
            gateway.topics.learn(&found);
        }
        Ok(None) => gateway.topics.forget(topic),
        Err(error) => {
            gateway.topics.forget(topic);
            return Err(error);
        }
    }
    Ok(())
}
