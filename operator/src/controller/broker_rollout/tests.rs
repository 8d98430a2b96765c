use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::controller::fixtures::{brokers, config_map, needed, pod};

const LATER: &str = "2026-01-01T01:05:00Z";

fn now() -> Timestamp {
    LATER.parse().unwrap()
}

fn rolling() -> RestartSpec {
    RestartSpec::default()
}

fn manual() -> RestartSpec {
    RestartSpec {
        strategy: RestartStrategy::Manual,
        ..RestartSpec::default()
    }
}

/// Brokers whose ConfigMap is written and whose template carries the annotation.
fn annotated(pods: impl Fn(&str) -> Vec<Pod>) -> (ObservedBrokers, BrokerConfig) {
    let mut brokers = brokers(config_map(json!({}), needed()));
    let config = BrokerConfig::evaluate(&brokers, &BTreeMap::new());
    brokers.pods = pods(&config.hash);
    let annotations = BTreeMap::from([(RESTART_ANNOTATION.to_owned(), config.hash.clone())]);
    let template = &mut brokers.stateful_set.spec.as_mut().unwrap().template;
    template.metadata.as_mut().unwrap().annotations = Some(annotations);
    (brokers, config)
}

fn on_delete(brokers: &mut ObservedBrokers) {
    brokers.stateful_set.spec.as_mut().unwrap().update_strategy =
        serde_json::from_value(json!({ "type": "OnDelete" })).unwrap();
}

#[test]
fn brokers_that_need_nothing_are_not_restarted() {
    let theirs = json!({
        "brokerDeleteInactiveTopicsEnabled": "false",
        "exposingBrokerEntryMetadataToClientEnabled": "true",
        "brokerEntryMetadataInterceptors": super::super::broker_config::INDEX_INTERCEPTOR,
    });
    let brokers = brokers(config_map(theirs, json!({})));
    let config = BrokerConfig::evaluate(&brokers, &BTreeMap::new());

    assert_eq!(
        evaluate(&brokers, &config, &rolling(), now()),
        Rollout::Done
    );
}

#[test]
fn settings_that_were_never_started_with_need_the_annotation() {
    let brokers = brokers(config_map(json!({}), needed()));
    let config = BrokerConfig::evaluate(&brokers, &BTreeMap::new());

    assert_eq!(
        evaluate(&brokers, &config, &rolling(), now()),
        Rollout::Annotate
    );
}

#[test]
fn the_restart_goes_on_until_every_pod_has_the_annotation_and_is_ready() {
    let (brokers, config) = annotated(|hash| vec![pod(0, None, true), pod(1, Some(hash), true)]);
    let restarting = Rollout::Restarting { stalled: false };
    assert_eq!(
        evaluate(
            &brokers,
            &config,
            &rolling(),
            "2026-01-01T00:32:00Z".parse().unwrap()
        ),
        restarting
    );

    let (brokers, config) =
        annotated(|hash| vec![pod(0, Some(hash), false), pod(1, Some(hash), true)]);
    assert!(matches!(
        evaluate(&brokers, &config, &rolling(), now()),
        Rollout::Restarting { .. }
    ));

    let (brokers, config) =
        annotated(|hash| vec![pod(0, Some(hash), true), pod(1, Some(hash), true)]);
    assert_eq!(
        evaluate(&brokers, &config, &rolling(), now()),
        Rollout::Done
    );
}

#[test]
fn a_restart_without_progress_for_too_long_is_stalled() {
    let (brokers, config) = annotated(|hash| vec![pod(0, None, true), pod(1, Some(hash), false)]);
    let impatient = RestartSpec {
        health_timeout_seconds: 60,
        ..rolling()
    };

    assert_eq!(
        evaluate(&brokers, &config, &impatient, now()),
        Rollout::Restarting { stalled: true }
    );
}

#[test]
fn with_on_delete_the_highest_stale_pod_goes_first_and_only_while_all_are_ready() {
    let (mut brokers, config) = annotated(|_| vec![pod(0, None, true), pod(1, None, true)]);
    on_delete(&mut brokers);
    assert_eq!(
        evaluate(&brokers, &config, &rolling(), now()),
        Rollout::DeletePod {
            name: "pulsar-broker-1".into(),
            uid: "pod-1-uid".into()
        }
    );

    let (mut brokers, config) =
        annotated(|hash| vec![pod(0, None, true), pod(1, Some(hash), false)]);
    on_delete(&mut brokers);
    assert!(matches!(
        evaluate(&brokers, &config, &rolling(), now()),
        Rollout::Restarting { .. }
    ));
}

#[test]
fn with_on_delete_a_stale_pod_that_is_not_ready_goes_at_once() {
    let (mut brokers, config) =
        annotated(|hash| vec![pod(0, None, false), pod(1, Some(hash), true)]);
    on_delete(&mut brokers);

    assert_eq!(
        evaluate(&brokers, &config, &rolling(), now()),
        Rollout::DeletePod {
            name: "pulsar-broker-0".into(),
            uid: "pod-0-uid".into()
        }
    );
}

#[test]
fn with_on_delete_nobody_goes_before_the_new_template_is_observed() {
    let (mut brokers, config) = annotated(|_| vec![pod(0, None, true), pod(1, None, true)]);
    on_delete(&mut brokers);
    brokers.stateful_set.metadata.generation = Some(2);

    assert!(matches!(
        evaluate(&brokers, &config, &rolling(), now()),
        Rollout::Restarting { .. }
    ));
}

#[test]
fn with_on_delete_nobody_goes_while_a_pod_is_missing() {
    let (mut brokers, config) = annotated(|_| vec![pod(0, None, true)]);
    on_delete(&mut brokers);

    assert!(matches!(
        evaluate(&brokers, &config, &rolling(), now()),
        Rollout::Restarting { .. }
    ));
}

#[test]
fn a_manual_restart_is_done_when_every_pod_is_younger_than_the_settings() {
    let mut brokers = brokers(config_map(json!({}), needed()));
    let config = BrokerConfig::evaluate(&brokers, &BTreeMap::new());
    assert_eq!(
        evaluate(&brokers, &config, &manual(), now()),
        Rollout::UserRestarts
    );

    for pod in &mut brokers.pods {
        pod.metadata.creation_timestamp =
            serde_json::from_value(json!("2026-01-01T01:00:01Z")).unwrap();
    }
    assert_eq!(evaluate(&brokers, &config, &manual(), now()), Rollout::Done);
}
