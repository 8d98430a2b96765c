use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::controller::fixtures::{brokers, config_map, needed, pod, resource};

fn spec(brokers: serde_json::Value) -> BrokersSpec {
    let mut full = json!({ "ref": { "name": "pulsar-broker" } });
    full.as_object_mut()
        .unwrap()
        .extend(brokers.as_object().unwrap().clone());
    resource(json!({ "brokers": full })).spec.brokers.unwrap()
}

fn annotate(brokers: &mut ObservedBrokers, hash: &str) {
    let template = &mut brokers.stateful_set.spec.as_mut().unwrap().template;
    template.metadata.as_mut().unwrap().annotations = Some(BTreeMap::from([(
        RESTART_ANNOTATION.to_owned(),
        hash.to_owned(),
    )]));
}

fn interceptor_alone() -> serde_json::Value {
    let key = "PULSAR_PREFIX_brokerEntryMetadataInterceptors";
    json!({ key: needed()[key] })
}

fn data(step: Step) -> serde_json::Value {
    match step {
        Step::Revert(BrokerPatch {
            config_map: Some(apply),
            ..
        }) => apply.body["data"].clone(),
        other => panic!("the ConfigMap is to be written, not {other:?}"),
    }
}

#[test]
fn everything_but_the_interceptor_is_given_back() {
    let brokers = brokers(config_map(json!({}), needed()));
    assert_eq!(
        data(next_step(&spec(json!({})), &brokers)),
        interceptor_alone()
    );
}

#[test]
fn the_interceptor_goes_too_when_asked_for() {
    let brokers = brokers(config_map(json!({}), needed()));
    let spec = spec(json!({ "revertOnDelete": true }));
    assert_eq!(data(next_step(&spec, &brokers)), json!({}));
}

#[test]
fn then_the_annotation_goes_which_restarts_the_brokers() {
    let mut brokers = brokers(config_map(json!({}), interceptor_alone()));
    annotate(&mut brokers, "of-the-old-settings");

    match next_step(&spec(json!({})), &brokers) {
        Step::Revert(BrokerPatch {
            stateful_set: Some(apply),
            ..
        }) => {
            assert_eq!(apply.body.get("spec"), None);
            assert_eq!(apply.body["metadata"]["uid"], "set-uid");
        }
        other => panic!("the StatefulSet is to be written, not {other:?}"),
    }
}

#[test]
fn brokers_whose_settings_did_not_change_are_not_restarted() {
    let theirs = json!({
        "brokerDeleteInactiveTopicsEnabled": "false",
        "exposingBrokerEntryMetadataToClientEnabled": "true",
    });
    let mut brokers = brokers(config_map(theirs, interceptor_alone()));
    let hash = BrokerConfig::hash_in_force(&brokers, &BTreeMap::new());
    annotate(&mut brokers, &hash);

    assert_eq!(next_step(&spec(json!({})), &brokers), Step::Done);
}

#[test]
fn nothing_is_left_once_the_annotation_is_gone() {
    let brokers = brokers(config_map(json!({}), interceptor_alone()));
    assert_eq!(next_step(&spec(json!({})), &brokers), Step::Done);
}

#[test]
fn a_manual_restart_is_left_to_the_user() {
    let mut brokers = brokers(config_map(json!({}), interceptor_alone()));
    annotate(&mut brokers, "of-the-old-settings");
    let spec = spec(json!({ "restart": { "strategy": "Manual" } }));
    assert_eq!(next_step(&spec, &brokers), Step::Done);
}

#[test]
fn with_on_delete_pods_of_the_old_settings_go_one_by_one() {
    let mut brokers = brokers(config_map(json!({}), interceptor_alone()));
    brokers.stateful_set.spec.as_mut().unwrap().update_strategy =
        serde_json::from_value(json!({ "type": "OnDelete" })).unwrap();

    brokers.pods = vec![pod(0, Some("old"), true), pod(1, Some("old"), true)];
    match next_step(&spec(json!({})), &brokers) {
        Step::Revert(patch) => assert_eq!(patch.delete_pod.unwrap().0, "pulsar-broker-1"),
        other => panic!("a pod is to be deleted, not {other:?}"),
    }
    brokers.pods = vec![pod(0, Some("old"), true), pod(1, None, false)];
    assert_eq!(next_step(&spec(json!({})), &brokers), Step::Wait);

    brokers.pods = vec![pod(0, None, true), pod(1, None, true)];
    assert_eq!(next_step(&spec(json!({})), &brokers), Step::Done);
}
