//! The only writer of status: conditions, addresses, and an event where a condition changes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kop_api::{
    BrokersStatus, Condition, ConditionType, GatewayStatus, KafkaOnPulsar, KafkaOnPulsarStatus,
};
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::EventType;
use kube::{Client, ResourceExt};
use serde_json::json;

use super::apply::Applied;
use super::build::labels::OPERATOR;
use super::dereference::Found;
use super::events::Events;
use super::validate::{Brokers, ManagedBrokers, Rejected, ValidatedGateway};

mod brokers;
mod gateways;
mod listeners;
#[cfg(test)]
mod tests;

/// Everything that the status is made from.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) object: &'a KafkaOnPulsar,
    pub(crate) found: &'a Found,
    pub(crate) gateway: Result<&'a ValidatedGateway, &'a Rejected>,
    /// What was written; none while paused or after a failure.
    pub(crate) applied: Option<&'a Applied>,
    /// Why not everything was written.
    pub(crate) failure: Option<String>,
}

/// A condition before it knows since when it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// `None` is unknown.
    pub(crate) holds: Option<bool>,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// Whether somebody has to do something about it.
    pub(crate) alarming: bool,
}

impl Verdict {
    pub(crate) fn holds(reason: &'static str, message: impl Into<String>) -> Self {
        Verdict {
            holds: Some(true),
            reason,
            message: message.into(),
            alarming: false,
        }
    }

    /// Not yet, and it comes by itself.
    pub(crate) fn pending(reason: &'static str, message: impl Into<String>) -> Self {
        Verdict {
            holds: Some(false),
            reason,
            message: message.into(),
            alarming: false,
        }
    }

    /// Not, until somebody acts.
    pub(crate) fn fails(reason: &'static str, message: impl Into<String>) -> Self {
        Verdict {
            holds: Some(false),
            reason,
            message: message.into(),
            alarming: true,
        }
    }

    fn unknown(reason: &'static str, message: impl Into<String>) -> Self {
        Verdict {
            holds: None,
            reason,
            message: message.into(),
            alarming: false,
        }
    }
}

/// Writes the status if it differs from what is there. Whether the resource is ready.
///
/// # Errors
/// When the status cannot be written; a resource that is gone is no error.
pub(crate) async fn report(
    client: &Client,
    events: &Events,
    view: &View<'_>,
    now: Timestamp,
) -> Result<bool, kube::Error> {
    let verdicts = verdicts(view);
    let status = status(view, &verdicts, now);
    let ready = verdicts
        .iter()
        .any(|(kind, verdict)| *kind == ConditionType::Ready && verdict.holds == Some(true));
    let old = view.object.status.clone().unwrap_or_default();
    if status == old {
        return Ok(ready);
    }
    let name = view.object.name_any();
    let namespace = view.object.namespace().unwrap_or_default();
    let api = Api::<KafkaOnPulsar>::namespaced(client.clone(), &namespace);
    let body = json!({
        "apiVersion": "kop.pulsar.dev/v1alpha1",
        "kind": "KafkaOnPulsar",
        "metadata": { "name": name },
        "status": status,
    });
    match api
        .patch_status(
            &name,
            &PatchParams::apply(OPERATOR).force(),
            &Patch::Apply(&body),
        )
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(ready),
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    for (kind, verdict) in changed(&verdicts, &old) {
        let event = if verdict.alarming {
            EventType::Warning
        } else {
            EventType::Normal
        };
        events
            .publish(
                view.object,
                event,
                verdict.reason,
                kind.as_str(),
                verdict.message.clone(),
            )
            .await;
    }
    Ok(ready)
}

/// The conditions that are worth an event: another answer or another reason than before. `Ready`
/// repeats the others, so only its coming true counts.
fn changed<'a>(
    verdicts: &'a [(ConditionType, Verdict)],
    old: &'a KafkaOnPulsarStatus,
) -> impl Iterator<Item = (ConditionType, &'a Verdict)> {
    verdicts
        .iter()
        .filter(|(kind, verdict)| match kind {
            ConditionType::Ready => verdict.holds == Some(true),
            _ => verdict.holds.is_some(),
        })
        .filter(|(kind, verdict)| {
            let before = old
                .conditions
                .iter()
                .find(|condition| condition.type_ == kind.as_str());
            before.is_none_or(|before| {
                before.status != text(verdict.holds) || before.reason != verdict.reason
            })
        })
        .map(|(kind, verdict)| (*kind, verdict))
}

fn text(holds: Option<bool>) -> &'static str {
    match holds {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    }
}

/// Every condition, in the order of `ConditionType`.
fn verdicts(view: &View<'_>) -> Vec<(ConditionType, Verdict)> {
    let mut verdicts = match view.gateway {
        Ok(gateway) => vec![
            (ConditionType::Accepted, accepted(gateway)),
            (
                ConditionType::BrokersConfigured,
                brokers::verdict(gateway, view.applied),
            ),
            (
                ConditionType::GatewaysAvailable,
                gateways::verdict(gateway, view),
            ),
            (
                ConditionType::ListenersReady,
                listeners::verdict(gateway, view),
            ),
        ],
        Err(rejected) => {
            let unknown = || Verdict::unknown("NotAccepted", "see the condition Accepted");
            vec![
                (
                    ConditionType::Accepted,
                    Verdict::fails(rejected.reason, &rejected.message),
                ),
                (ConditionType::BrokersConfigured, unknown()),
                (ConditionType::GatewaysAvailable, unknown()),
                (ConditionType::ListenersReady, unknown()),
            ]
        }
    };
    let ready = match (
        &view.failure,
        verdicts.iter().find(|(_, v)| v.holds != Some(true)),
    ) {
        (Some(failure), _) => Verdict::fails("ApplyFailed", failure),
        (None, Some((_, first))) => Verdict {
            holds: Some(false),
            ..first.clone()
        },
        (None, None) => Verdict::holds("Ready", "Kafka clients can connect"),
    };
    verdicts.push((ConditionType::Ready, ready));
    verdicts
}

fn accepted(gateway: &ValidatedGateway) -> Verdict {
    if gateway.paused {
        return Verdict::holds("Paused", "spec.paused: nothing is written but this status");
    }
    Verdict::holds(
        "Accepted",
        "the resource makes sense and what it refers to exists",
    )
}

fn status(
    view: &View<'_>,
    verdicts: &[(ConditionType, Verdict)],
    now: Timestamp,
) -> KafkaOnPulsarStatus {
    let old = view.object.status.clone().unwrap_or_default();
    let generation = view.object.metadata.generation;
    let condition = |(kind, verdict): &(ConditionType, Verdict)| {
        let before = old
            .conditions
            .iter()
            .find(|condition| condition.type_ == kind.as_str());
        let holds = text(verdict.holds);
        let since = before.filter(|before| before.status == holds).map_or_else(
            || Time(whole_seconds(now)),
            |before| before.last_transition_time.clone(),
        );
        Condition {
            type_: kind.as_str().to_owned(),
            status: holds.to_owned(),
            reason: verdict.reason.to_owned(),
            message: verdict.message.clone(),
            observed_generation: generation,
            last_transition_time: since,
        }
    };
    let conditions = verdicts.iter().map(condition).collect();
    let (listeners, gateways, brokers) = match view.gateway {
        Ok(gateway) => (
            listeners::status(gateway, view),
            Some(gateway_status(gateway, view)),
            broker_status(&gateway.brokers),
        ),
        Err(_) => (old.listeners, old.gateway, old.brokers),
    };
    KafkaOnPulsarStatus {
        observed_generation: generation,
        operator_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        conditions,
        listeners,
        gateway: gateways,
        brokers,
    }
}

/// What the API server keeps of a time.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn gateway_status(gateway: &ValidatedGateway, view: &View<'_>) -> GatewayStatus {
    let wanted = gateway.ids.len();
    let ready = gateways::available(gateway, view);
    GatewayStatus {
        replicas: i32::try_from(wanted).unwrap_or(i32::MAX),
        ready_replicas: i32::try_from(ready).unwrap_or(i32::MAX),
        summary: format!("{ready}/{wanted}"),
        image: Some(gateway.image.clone()),
    }
}

fn broker_status(brokers: &Brokers) -> Option<BrokersStatus> {
    let (Brokers::Verify(brokers) | Brokers::Patch(brokers)) = brokers else {
        return None;
    };
    let ManagedBrokers {
        namespace,
        stateful_set,
        config,
        pods,
        replicas,
        ..
    } = brokers;
    let good = pods.iter().filter(|pod| pod.current && pod.ready).count();
    Some(BrokersStatus {
        target: format!("StatefulSet {namespace}/{stateful_set}"),
        summary: format!("{good}/{replicas}"),
        config_hash: Some(config.hash.clone()),
        previous: config.previous.clone(),
        pods: pods.clone(),
    })
}
