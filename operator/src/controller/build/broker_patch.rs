//! What is written to the brokers: two objects that are not ours, so only the fields we mean stand
//! in them, with the uid of the object that was read. A missing ConfigMap would otherwise be
//! created, and a re-created one patched unseen.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::controller::broker_rollout::{RESTART_ANNOTATION, Rollout};
use crate::controller::validate::{Brokers, ManagedBrokers};

/// The writes, in order; each may be absent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BrokerPatch {
    pub(crate) namespace: String,
    /// Server-side apply of our keys.
    pub(crate) config_map: Option<Apply>,
    /// Server-side apply of the annotation that restarts the brokers.
    pub(crate) stateful_set: Option<Apply>,
    /// The pod to delete, and its uid.
    pub(crate) delete_pod: Option<(String, String)>,
}

/// One server-side apply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Apply {
    pub(crate) name: String,
    pub(crate) body: Value,
}

/// Nothing as long as somebody else's keys stand in the way: half of the settings are of no use.
pub(super) fn broker_patch(brokers: &Brokers) -> Option<BrokerPatch> {
    let Brokers::Patch(brokers) = brokers else {
        return None;
    };
    if !brokers.config.conflicts.is_empty() || brokers.rival.is_some() {
        return None;
    }
    let config_map = (!brokers.config.written).then(|| {
        config_map(
            &brokers.namespace,
            &brokers.config_map,
            &brokers.config_map_uid,
            &brokers.config.writes,
        )
    });
    let (stateful_set, delete_pod) = match &brokers.rollout {
        Rollout::Annotate => (Some(annotate(brokers)), None),
        Rollout::DeletePod { name, uid } => (None, Some((name.clone(), uid.clone()))),
        Rollout::Done | Rollout::Restarting { .. } | Rollout::UserRestarts | Rollout::NotReady => {
            (None, None)
        }
    };
    if config_map.is_none() && stateful_set.is_none() && delete_pod.is_none() {
        return None;
    }
    Some(BrokerPatch {
        namespace: brokers.namespace.clone(),
        config_map,
        stateful_set,
        delete_pod,
    })
}

/// The ConfigMap with `data` as all that we hold in it.
pub(crate) fn config_map(
    namespace: &str,
    name: &str,
    uid: &str,
    data: &BTreeMap<String, String>,
) -> Apply {
    let body = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": namespace, "uid": uid },
        "data": data,
    });
    Apply {
        name: name.to_owned(),
        body,
    }
}

fn annotate(brokers: &ManagedBrokers) -> Apply {
    stateful_set(
        &brokers.namespace,
        &brokers.stateful_set,
        &brokers.stateful_set_uid,
        Some(&brokers.config.hash),
    )
}

/// The StatefulSet with our annotation at `hash`, or without it.
pub(crate) fn stateful_set(namespace: &str, name: &str, uid: &str, hash: Option<&str>) -> Apply {
    let mut body = json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": { "name": name, "namespace": namespace, "uid": uid },
    });
    if let (Some(hash), Some(object)) = (hash, body.as_object_mut()) {
        let annotations = json!({ RESTART_ANNOTATION: hash });
        let template = json!({ "metadata": { "annotations": annotations } });
        object.insert("spec".to_owned(), json!({ "template": template }));
    }
    Apply {
        name: name.to_owned(),
        body,
    }
}
