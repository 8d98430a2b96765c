//! Deletion: gives the brokers back what was theirs, and lets go in any case once the time is up.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kop_api::{BROKERS_FINALIZER, BrokersSpec, KafkaOnPulsar, PatchPolicy, RestartStrategy};
use kube::api::{Api, DeleteParams, ListParams};
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Client, ResourceExt};

use super::apply::{ApplyError, BrokerOutcome, patch_brokers, set_finalizer};
use super::broker_config::{BrokerConfig, INTERCEPTORS_KEY, PREFIX, held_by_us};
use super::broker_rollout::{
    RESTART_ANNOTATION, deletes_pods_itself, next_to_delete, template_annotation,
};
use super::build::broker_patch::{BrokerPatch, config_map, stateful_set};
use super::build::labels;
use super::dereference::{self, FoundBrokers, ObservedBrokers};
use super::events::Events;

#[cfg(test)]
mod tests;

/// Between two looks at brokers that restart.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Why a deletion did not come further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FinalizeError {
    /// The brokers or other resources could not be read.
    #[error("cannot read the brokers: {0}")]
    Read(#[source] kube::Error),
    /// The gateways could not be deleted.
    #[error("cannot delete the gateways: {0}")]
    Gateways(#[source] kube::Error),
    /// The finalizer could not be taken away.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The brokers could not be written.
    #[error("cannot give the brokers their settings back: {0}")]
    Brokers(String),
}

/// What is left to do; pure.
#[derive(Debug, PartialEq)]
enum Step {
    /// Write this, then look again.
    Revert(BrokerPatch),
    /// Pods are being replaced.
    Wait,
    /// Nothing.
    Done,
}

/// Goes one step further.
///
/// # Errors
/// When the API server does not do what it is asked; past the deadline the resource is let go
/// all the same.
pub(crate) async fn finalize(
    client: &Client,
    events: &Events,
    object: &KafkaOnPulsar,
    now: Timestamp,
) -> Result<Action, FinalizeError> {
    if !object
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == BROKERS_FINALIZER)
    {
        return Ok(Action::await_change());
    }
    let Some(spec) = &object.spec.brokers else {
        return let_go(client, object).await;
    };
    let result = revert(client, events, object, spec).await;
    match result {
        Ok(true) => let_go(client, object).await,
        Ok(false) | Err(_) if is_overdue(object, spec, now) => {
            let left = result.err().map_or_else(
                || "the brokers' restart has not come to its end".to_owned(),
                |error| error.to_string(),
            );
            let note = format!(
                "gave up after {} s: {left}",
                spec.restart.health_timeout_seconds
            );
            events
                .publish(
                    object,
                    EventType::Warning,
                    "RevertIncomplete",
                    "Revert",
                    note,
                )
                .await;
            let_go(client, object).await
        }
        Ok(false) => Ok(Action::requeue(LOOK_AGAIN)),
        Err(error) => Err(error),
    }
}

async fn let_go(client: &Client, object: &KafkaOnPulsar) -> Result<Action, FinalizeError> {
    set_finalizer(client, object, false).await?;
    Ok(Action::await_change())
}

fn is_overdue(object: &KafkaOnPulsar, spec: &BrokersSpec, now: Timestamp) -> bool {
    let allowed = SignedDuration::from_secs(i64::from(spec.restart.health_timeout_seconds));
    let since = object.metadata.deletion_timestamp.as_ref();
    since.is_some_and(|since| now.duration_since(since.0) > allowed)
}

/// Goes one step further with the brokers; whether that was the last.
async fn revert(
    client: &Client,
    events: &Events,
    object: &KafkaOnPulsar,
    spec: &BrokersSpec,
) -> Result<bool, FinalizeError> {
    // The gateways go first: without the other settings they would answer with errors.
    delete_gateways(client, object)
        .await
        .map_err(FinalizeError::Gateways)?;
    if spec.patch_policy != PatchPolicy::Patch {
        return Ok(true);
    }
    if let Some(heir) = heir(client, object).await.map_err(FinalizeError::Read)? {
        let note = format!("the brokers keep their settings for KafkaOnPulsar {heir}");
        events
            .publish(
                object,
                EventType::Normal,
                "BrokersHandedOver",
                "Revert",
                note,
            )
            .await;
        return Ok(true);
    }
    let found = dereference::brokers(client, object)
        .await
        .map_err(FinalizeError::Read)?;
    let FoundBrokers::Found(brokers) = found else {
        return Ok(true);
    };
    match next_step(spec, &brokers) {
        Step::Done => Ok(true),
        Step::Wait => Ok(false),
        Step::Revert(patch) => {
            write(client, events, object, spec, &patch).await?;
            Ok(false)
        }
    }
}

/// Another living resource that patches the same brokers.
async fn heir(client: &Client, object: &KafkaOnPulsar) -> Result<Option<String>, kube::Error> {
    let all = Api::<KafkaOnPulsar>::all(client.clone())
        .list(&ListParams::default())
        .await?;
    let heir = all
        .items
        .iter()
        .find(|other| dereference::shares_brokers(other, object));
    Ok(heir.map(|heir| {
        format!(
            "{}/{}",
            heir.namespace().unwrap_or_default(),
            heir.name_any()
        )
    }))
}

async fn delete_gateways(client: &Client, object: &KafkaOnPulsar) -> Result<(), kube::Error> {
    let namespace = object.namespace().unwrap_or_default();
    let ours = ListParams::default().labels(&labels::selector_of_all(&object.name_any()));
    let api = Api::<Deployment>::namespaced(client.clone(), &namespace);
    for deployment in api.list(&ours).await?.items {
        let owned = deployment
            .owner_references()
            .iter()
            .any(|o| Some(&o.uid) == object.uid().as_ref());
        if !owned || deployment.metadata.deletion_timestamp.is_some() {
            continue;
        }
        match api
            .delete(&deployment.name_any(), &DeleteParams::background())
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Decides from what was seen. It remembers nothing, so it goes on where a dead operator stopped.
fn next_step(spec: &BrokersSpec, brokers: &ObservedBrokers) -> Step {
    let namespace = brokers.stateful_set.namespace().unwrap_or_default();
    let keep = kept(spec, brokers);
    let mut patch = BrokerPatch {
        namespace: namespace.clone(),
        config_map: None,
        stateful_set: None,
        delete_pod: None,
    };
    if held_by_us(&brokers.config_map) != keep {
        let map = &brokers.config_map;
        let uid = map.uid().unwrap_or_default();
        patch.config_map = Some(config_map(&namespace, &map.name_any(), &uid, &keep));
        return Step::Revert(patch);
    }
    if spec.restart.strategy == RestartStrategy::Manual {
        return Step::Done;
    }
    let in_force = BrokerConfig::hash_in_force(brokers, &spec.config);
    if template_annotation(brokers).is_some_and(|annotation| annotation != in_force) {
        let set = &brokers.stateful_set;
        let uid = set.uid().unwrap_or_default();
        patch.stateful_set = Some(stateful_set(&namespace, &set.name_any(), &uid, None));
        return Step::Revert(patch);
    }
    let is_stale = |pod: &k8s_openapi::api::core::v1::Pod| {
        template_annotation(brokers).is_none() && pod.annotations().contains_key(RESTART_ANNOTATION)
    };
    // A RollingUpdate needs nobody any more, so nobody has to wait for it either.
    if !deletes_pods_itself(brokers) || !brokers.pods.iter().any(is_stale) {
        return Step::Done;
    }
    match next_to_delete(brokers, is_stale) {
        Some(pod) => {
            patch.delete_pod = Some((pod.name_any(), pod.uid().unwrap_or_default()));
            Step::Revert(patch)
        }
        None => Step::Wait,
    }
}

/// What we go on holding in the ConfigMap: the interceptor, unless asked to take it away too.
fn kept(spec: &BrokersSpec, brokers: &ObservedBrokers) -> BTreeMap<String, String> {
    let mut held = held_by_us(&brokers.config_map);
    let interceptors = format!("{PREFIX}{INTERCEPTORS_KEY}");
    held.retain(|key, _| *key == interceptors && !spec.revert_on_delete);
    held
}

async fn write(
    client: &Client,
    events: &Events,
    object: &KafkaOnPulsar,
    spec: &BrokersSpec,
    patch: &BrokerPatch,
) -> Result<(), FinalizeError> {
    if patch.config_map.is_some() && spec.revert_on_delete {
        let note = "brokerEntryMetadataInterceptors goes back too: new entries get no Kafka \
                    offsets, and some Pulsar versions fail to load topics that had them \
                    (apache/pulsar#26496)";
        events
            .publish(
                object,
                EventType::Warning,
                "IndexInterceptorRemoved",
                "Revert",
                note.into(),
            )
            .await;
    }
    match patch_brokers(client, patch).await {
        BrokerOutcome::Written { settings, .. } => {
            let note = match (settings, spec.restart.strategy) {
                (true, RestartStrategy::Rolling) => "the brokers' settings were given back",
                (true, RestartStrategy::Manual) => {
                    "the brokers' settings were given back: restart the brokers to use them"
                }
                (false, _) => "the brokers restart with their own settings",
            };
            events
                .publish(
                    object,
                    EventType::Normal,
                    "BrokersReverted",
                    "Revert",
                    note.into(),
                )
                .await;
            Ok(())
        }
        BrokerOutcome::Nothing => Ok(()),
        BrokerOutcome::Conflict(message)
        | BrokerOutcome::Replaced(message)
        | BrokerOutcome::Refused(message) => Err(FinalizeError::Brokers(message)),
    }
}
