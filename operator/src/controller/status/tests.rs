use serde_json::json;

use super::*;
use crate::controller::broker_rollout::Rollout;
use crate::controller::fixtures::{brokers as pulsar, config_map, found, needed, resource};
use crate::controller::validate::{Settings, validate};

const NOW: &str = "2026-01-01T01:05:00Z";

fn validated(object: &KafkaOnPulsar, found: &Found) -> ValidatedGateway {
    validate(object, found, &Settings::default(), NOW.parse().unwrap()).unwrap()
}

fn verdict(view: &View<'_>, kind: ConditionType) -> Verdict {
    verdicts(view)
        .into_iter()
        .find(|(k, _)| *k == kind)
        .unwrap()
        .1
}

fn view<'a>(
    object: &'a KafkaOnPulsar,
    found: &'a Found,
    gateway: &'a ValidatedGateway,
) -> View<'a> {
    View {
        object,
        found,
        gateway: Ok(gateway),
        applied: None,
        failure: None,
    }
}

#[test]
fn a_condition_keeps_its_time_until_its_answer_changes() {
    let found = found(pulsar(config_map(json!({}), json!({}))));
    let mut object = resource(json!({}));
    let gateway = validated(&object, &found);
    object.status = serde_json::from_value(json!({ "conditions": [
        { "type": "Accepted", "status": "True", "reason": "Old", "message": "",
          "lastTransitionTime": "2026-01-01T00:00:00Z" },
        { "type": "Ready", "status": "True", "reason": "Ready", "message": "",
          "lastTransitionTime": "2026-01-01T00:00:00Z" },
    ]}))
    .unwrap();
    let view = view(&object, &found, &gateway);
    let status = status(&view, &verdicts(&view), NOW.parse().unwrap());

    let since = |kind: &str| {
        let condition = status.conditions.iter().find(|c| c.type_ == kind).unwrap();
        condition.last_transition_time.0.to_string()
    };
    assert_eq!(since("Accepted"), "2026-01-01T00:00:00Z");
    assert_eq!(since("Ready"), NOW);
}

#[test]
fn an_event_is_told_once_and_only_where_the_reason_changes() {
    let found = found(pulsar(config_map(json!({}), json!({}))));
    let object = resource(json!({}));
    let gateway = validated(&object, &found);
    let view = view(&object, &found, &gateway);
    let verdicts = verdicts(&view);
    let first = status(&view, &verdicts, NOW.parse().unwrap());

    assert_eq!(
        changed(&verdicts, &KafkaOnPulsarStatus::default()).count(),
        4
    );
    assert_eq!(changed(&verdicts, &first).count(), 0);
}

#[test]
fn what_keeps_a_pod_from_starting_is_said_in_kubernetes_words() {
    let mut found = found(pulsar(config_map(json!({}), json!({}))));
    found.deployments.insert(
        "demo-gateway-0".into(),
        serde_json::from_value(json!({})).unwrap(),
    );
    found.gateway_pods.push(
        serde_json::from_value(json!({
            "metadata": { "name": "demo-gateway-0-x" },
            "status": { "containerStatuses": [{
                "name": "gateway", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "waiting": { "reason": "ImagePullBackOff", "message": "no such image" } },
            }]},
        }))
        .unwrap(),
    );
    let object = resource(json!({}));
    let gateway = validated(&object, &found);

    let verdict = verdict(
        &view(&object, &found, &gateway),
        ConditionType::GatewaysAvailable,
    );
    assert_eq!(verdict.reason, "GatewaysUnavailable");
    assert!(verdict.alarming);
    assert!(
        verdict
            .message
            .ends_with("pod demo-gateway-0-x: ImagePullBackOff no such image"),
        "{}",
        verdict.message
    );
}

#[test]
fn a_gateway_that_gave_up_says_why_in_its_own_words() {
    let mut found = found(pulsar(config_map(json!({}), json!({}))));
    found.deployments.insert(
        "demo-gateway-0".into(),
        serde_json::from_value(json!({})).unwrap(),
    );
    let log = "starting\nkop-gateway: pulsar.example:6650 cannot be reached\n";
    found.gateway_pods.push(
        serde_json::from_value(json!({
            "metadata": { "name": "demo-gateway-0-x" },
            "status": { "containerStatuses": [{
                "name": "gateway", "image": "", "imageID": "", "ready": false, "restartCount": 2,
                "state": { "waiting": {
                    "reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container",
                }},
                "lastState": { "terminated": { "exitCode": 1, "message": log } },
            }]},
        }))
        .unwrap(),
    );
    let object = resource(json!({}));
    let gateway = validated(&object, &found);

    let verdict = verdict(
        &view(&object, &found, &gateway),
        ConditionType::GatewaysAvailable,
    );
    let words = "CrashLoopBackOff kop-gateway: pulsar.example:6650 cannot be reached";
    assert!(verdict.message.ends_with(words), "{}", verdict.message);
}

#[test]
fn a_stalled_restart_alarms_and_a_slow_one_does_not() {
    let found = found(pulsar(config_map(json!({}), needed())));
    let object = resource(json!({}));
    let alarming = |stalled: bool| {
        let mut gateway = validated(&object, &found);
        if let Brokers::Patch(brokers) = &mut gateway.brokers {
            brokers.rollout = Rollout::Restarting { stalled };
        }
        verdict(
            &view(&object, &found, &gateway),
            ConditionType::BrokersConfigured,
        )
        .alarming
    };

    assert!(alarming(true));
    assert!(!alarming(false));
}

#[test]
fn ready_repeats_the_first_condition_that_does_not_hold() {
    let found = found(pulsar(config_map(json!({}), json!({}))));
    let object = resource(json!({}));
    let gateway = validated(&object, &found);
    let view = view(&object, &found, &gateway);

    let brokers = verdict(&view, ConditionType::BrokersConfigured);
    assert_eq!(verdict(&view, ConditionType::Ready), brokers);
}
