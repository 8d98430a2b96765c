use serde_json::json;

use super::*;
use crate::controller::fixtures::{brokers, config_map, needed};

const INTERCEPTORS: &str = "PULSAR_PREFIX_brokerEntryMetadataInterceptors";

fn evaluate(brokers: &ObservedBrokers) -> BrokerConfig {
    BrokerConfig::evaluate(brokers, &BTreeMap::new())
}

#[test]
fn a_broker_without_any_needed_setting_gets_all_of_them_under_the_prefix() {
    let config = evaluate(&brokers(config_map(
        json!({ "zookeeperServers": "zk" }),
        json!({}),
    )));

    assert_eq!(json!(config.writes), needed());
    assert_eq!(config.missing, config.writes);
    assert!(!config.written);
    assert_eq!(
        config
            .previous
            .get("brokerDeleteInactiveTopicsEnabled")
            .unwrap(),
        ""
    );
    assert_eq!(config.conflicts, []);
}

#[test]
fn what_is_written_already_is_not_written_again() {
    let before = evaluate(&brokers(config_map(
        json!({ "zookeeperServers": "zk" }),
        json!({}),
    )));
    let after = evaluate(&brokers(config_map(
        json!({ "zookeeperServers": "zk" }),
        needed(),
    )));

    assert!(after.written);
    assert!(after.missing.is_empty());
    assert_eq!(after.writes, before.writes);
    assert_eq!(after.previous, before.previous);
    assert_eq!(after.hash, before.hash);
}

#[test]
fn a_list_keeps_what_the_user_put_into_it() {
    let theirs = json!({ "brokerEntryMetadataInterceptors": "com.example.Mine" });
    let config = evaluate(&brokers(config_map(theirs, json!({}))));

    assert_eq!(
        config.writes.get(INTERCEPTORS).unwrap(),
        &format!("com.example.Mine,{INDEX_INTERCEPTOR}")
    );
    assert_eq!(
        config.previous.get(INTERCEPTORS_KEY).unwrap(),
        "com.example.Mine"
    );
}

#[test]
fn a_list_that_the_user_changes_under_our_twin_is_merged_anew() {
    let theirs = json!({ "brokerEntryMetadataInterceptors": "com.example.Other" });
    let config = evaluate(&brokers(config_map(theirs, needed())));

    assert!(!config.written);
    assert_eq!(
        config.writes.get(INTERCEPTORS).unwrap(),
        &format!("com.example.Other,{INDEX_INTERCEPTOR}")
    );
}

#[test]
fn what_the_user_has_set_rightly_is_left_to_the_user() {
    let theirs = json!({
        "brokerDeleteInactiveTopicsEnabled": "False",
        "exposingBrokerEntryMetadataToClientEnabled": "true",
        "PULSAR_PREFIX_brokerEntryMetadataInterceptors": format!("a.B, {INDEX_INTERCEPTOR}"),
    });
    let config = evaluate(&brokers(config_map(theirs, json!({}))));

    assert_eq!(config.writes, BTreeMap::new());
    assert!(config.written);
    assert!(config.missing.is_empty());
}

#[test]
fn a_prefixed_key_of_somebody_else_is_a_conflict_that_names_them() {
    let theirs = json!({ "PULSAR_PREFIX_brokerDeleteInactiveTopicsEnabled": "true" });
    let config = evaluate(&brokers(config_map(theirs, json!({}))));

    assert_eq!(
        config.conflicts,
        [Conflict {
            key: "PULSAR_PREFIX_brokerDeleteInactiveTopicsEnabled".into(),
            owner: "helm".into(),
            wanted: "false".into(),
        }]
    );
}

#[test]
fn a_variable_of_the_container_beats_the_config_map_and_so_is_a_conflict() {
    let mut brokers = brokers(config_map(json!({}), json!({})));
    brokers.container_env.insert(
        "PULSAR_PREFIX_exposingBrokerEntryMetadataToClientEnabled".into(),
        "false".into(),
    );
    let config = evaluate(&brokers);

    assert_eq!(
        config.conflicts.first().unwrap().owner,
        "the container's env"
    );
}

#[test]
fn a_plain_variable_of_the_container_is_no_conflict_since_the_prefix_wins() {
    let mut brokers = brokers(config_map(json!({}), json!({})));
    brokers
        .container_env
        .insert(INTERCEPTORS_KEY.into(), "com.example.Mine".into());
    let config = evaluate(&brokers);

    assert_eq!(config.conflicts, []);
    assert!(
        config
            .writes
            .get(INTERCEPTORS)
            .unwrap()
            .starts_with("com.example.Mine,")
    );
}

#[test]
fn settings_of_a_weaker_config_map_count_until_a_stronger_one_has_them() {
    let mut brokers = brokers(config_map(json!({}), json!({})));
    brokers.earlier_config_maps = vec![config_map(
        json!({ "exposingBrokerEntryMetadataToClientEnabled": "true" }),
        json!({}),
    )];
    assert!(
        !evaluate(&brokers)
            .writes
            .keys()
            .any(|key| key.contains("exposing"))
    );

    brokers.config_map = config_map(
        json!({ "exposingBrokerEntryMetadataToClientEnabled": "false" }),
        json!({}),
    );
    assert!(
        evaluate(&brokers)
            .writes
            .keys()
            .any(|key| key.contains("exposing"))
    );
}

#[test]
fn extra_settings_are_written_and_change_the_hash() {
    let brokers = brokers(config_map(json!({}), json!({})));
    let extra = BTreeMap::from([("defaultNumPartitions".to_owned(), "4".to_owned())]);
    let config = BrokerConfig::evaluate(&brokers, &extra);

    assert_eq!(
        config
            .writes
            .get("PULSAR_PREFIX_defaultNumPartitions")
            .unwrap(),
        "4"
    );
    assert_ne!(config.hash, evaluate(&brokers).hash);
}

#[test]
fn the_hash_in_force_becomes_the_wanted_one_when_everything_is_written() {
    let nothing = BTreeMap::new();
    let before = brokers(config_map(json!({}), json!({})));
    let after = brokers(config_map(json!({}), needed()));
    let wanted = evaluate(&before).hash;

    assert_ne!(BrokerConfig::hash_in_force(&before, &nothing), wanted);
    assert_eq!(BrokerConfig::hash_in_force(&after, &nothing), wanted);
}
