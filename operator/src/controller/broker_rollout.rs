//! How far the brokers' restart has come, and what is to be done next; decides, does nothing.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kop_api::{BrokerPodStatus, RestartSpec, RestartStrategy};
use kube::ResourceExt;

use super::broker_config::{BROKER_MANAGER, BrokerConfig};
use super::dereference::ObservedBrokers;

/// The annotation on the brokers' pod template whose value names the settings they start with.
/// Changing it is what restarts them.
pub(crate) const RESTART_ANNOTATION: &str = "kop.pulsar.dev/broker-config";

#[cfg(test)]
mod tests;

/// The state of the restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rollout {
    /// Every broker is ready and runs with the settings. Transition: `Annotate` when they change.
    Done,
    /// Action: write the annotation. Transition: `Restarting`.
    Annotate,
    /// Action: delete this pod, as the StatefulSet leaves that to others (`OnDelete`).
    /// Transition: `Restarting` until it is back.
    DeletePod {
        /// The pod's name.
        name: String,
        /// Its uid, so that its successor is not taken for it.
        uid: String,
    },
    /// Action: none. Transition: `Done`, or `DeletePod` for the next.
    Restarting {
        /// Whether no broker has become ready for longer than is allowed.
        stalled: bool,
    },
    /// Action: none, the user restarts. Transition: `Done`.
    UserRestarts,
    /// Action: none. All brokers have the settings but not all are ready.
    NotReady,
}

/// The pods, each with whether it runs with the newest settings and whether it is ready.
pub(crate) fn pod_states(
    brokers: &ObservedBrokers,
    config: &BrokerConfig,
    restart: &RestartSpec,
) -> Vec<BrokerPodStatus> {
    let state = |pod: &Pod| BrokerPodStatus {
        name: pod.name_any(),
        current: is_current(pod, brokers, config, restart.strategy),
        ready: is_ready(pod),
    };
    brokers.pods.iter().map(state).collect()
}

/// Decides from what was seen. `now` is needed to tell a slow restart from a stalled one.
pub(crate) fn evaluate(
    brokers: &ObservedBrokers,
    config: &BrokerConfig,
    restart: &RestartSpec,
    now: Timestamp,
) -> Rollout {
    let pods = pod_states(brokers, config, restart);
    let total = replicas(brokers);
    let all_current = pods.len() == total && pods.iter().all(|pod| pod.current);
    let all_ready = pods.iter().filter(|pod| pod.ready).count() >= total;

    if restart.strategy == RestartStrategy::Manual {
        return match (all_current, all_ready) {
            (false, _) if config.patched_at.is_some() => Rollout::UserRestarts,
            (_, true) => Rollout::Done,
            (_, false) => Rollout::NotReady,
        };
    }
    let annotated = template_annotation(brokers);
    let wanted = if config.writes.is_empty() {
        annotated
    } else {
        Some(config.hash.as_str())
    };
    if wanted.is_none() {
        // Nothing was ever needed from us: the brokers came with the settings.
        return if all_ready {
            Rollout::Done
        } else {
            Rollout::NotReady
        };
    }
    if annotated != Some(config.hash.as_str()) {
        return Rollout::Annotate;
    }
    if all_current && all_ready && is_observed(brokers) {
        return Rollout::Done;
    }
    if deletes_pods_itself(brokers)
        && let Some(pod) = next_to_delete(brokers, |pod| {
            !is_current(pod, brokers, config, restart.strategy)
        })
    {
        return Rollout::DeletePod {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
        };
    }
    let allowed = SignedDuration::from_secs(i64::from(restart.health_timeout_seconds));
    let stalled =
        last_progress(brokers).is_some_and(|progress| now.duration_since(progress) > allowed);
    Rollout::Restarting { stalled }
}

/// How many brokers there should be.
pub(crate) fn replicas(brokers: &ObservedBrokers) -> usize {
    let wanted = brokers
        .stateful_set
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    usize::try_from(wanted).unwrap_or(0)
}

/// The annotation's value on the pod template.
pub(crate) fn template_annotation(brokers: &ObservedBrokers) -> Option<&str> {
    let template = &brokers.stateful_set.spec.as_ref()?.template;
    let annotations = template.metadata.as_ref()?.annotations.as_ref()?;
    annotations.get(RESTART_ANNOTATION).map(String::as_str)
}

/// Whether the StatefulSet leaves it to others to delete pods after a change (`OnDelete`).
pub(crate) fn deletes_pods_itself(brokers: &ObservedBrokers) -> bool {
    let spec = brokers.stateful_set.spec.as_ref();
    spec.and_then(|spec| spec.update_strategy.as_ref()?.type_.as_deref()) == Some("OnDelete")
}

/// The next stale pod to delete: an unready one at once, otherwise the highest ordinal, and only
/// while every broker is there and ready.
pub(crate) fn next_to_delete(
    brokers: &ObservedBrokers,
    is_stale: impl Fn(&Pod) -> bool,
) -> Option<&Pod> {
    let gone = |pod: &&Pod| pod.metadata.deletion_timestamp.is_some();
    let stale = || brokers.pods.iter().filter(|pod| is_stale(pod));
    if brokers.pods.iter().any(|pod| gone(&pod)) || brokers.pods.len() < replicas(brokers) {
        return None;
    }
    if !is_observed(brokers) {
        // A pod that goes now would come back from the old template.
        return None;
    }
    if let Some(unready) = stale().find(|pod| !is_ready(pod)) {
        return Some(unready);
    }
    if !brokers.pods.iter().all(is_ready) {
        return None;
    }
    stale().max_by_key(|pod| ordinal(pod))
}

/// Whether the pod's condition `Ready` is true.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none()
        && ready_condition(pod).is_some_and(|(ready, _)| ready)
}

fn ready_condition(pod: &Pod) -> Option<(bool, Option<Timestamp>)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")?;
    Some((
        ready.status == "True",
        ready.last_transition_time.as_ref().map(|time| time.0),
    ))
}

fn ordinal(pod: &Pod) -> u32 {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    name.rsplit_once('-')
        .and_then(|(_, ordinal)| ordinal.parse().ok())
        .unwrap_or(0)
}

fn is_observed(brokers: &ObservedBrokers) -> bool {
    let observed = brokers
        .stateful_set
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    observed.unwrap_or(0) >= brokers.stateful_set.metadata.generation.unwrap_or(0)
}

fn is_current(
    pod: &Pod,
    brokers: &ObservedBrokers,
    config: &BrokerConfig,
    strategy: RestartStrategy,
) -> bool {
    if config.writes.is_empty() && template_annotation(brokers).is_none() {
        return true;
    }
    match strategy {
        RestartStrategy::Rolling => pod.annotations().get(RESTART_ANNOTATION) == Some(&config.hash),
        // Whoever started after the ConfigMap's last change has read it.
        RestartStrategy::Manual => match (pod.creation_timestamp(), config.patched_at) {
            (Some(created), Some(patched)) => created.0 >= patched,
            _ => config.writes.is_empty(),
        },
    }
}

/// When a broker last became ready or the restart was asked for.
fn last_progress(brokers: &ObservedBrokers) -> Option<Timestamp> {
    let asked = brokers
        .stateful_set
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .filter(|entry| entry.manager.as_deref() == Some(BROKER_MANAGER))
        .filter_map(|entry| entry.time.as_ref().map(|time| time.0));
    let became_ready = brokers
        .pods
        .iter()
        .filter_map(|pod| ready_condition(pod).and_then(|(ready, at)| at.filter(|_| ready)));
    asked.chain(became_ready).max()
}
