use insta::{assert_snapshot, assert_yaml_snapshot};
use serde_json::{Value, json};

use super::*;
use crate::controller::dereference::Found;
use crate::controller::fixtures::{brokers, config_map, found, needed, resource};
use crate::controller::validate::{Settings, validate};

/// A Pulsar whose brokers came with every needed setting.
fn ready_pulsar() -> Found {
    let rightly = json!({
        "brokerDeleteInactiveTopicsEnabled": "false",
        "exposingBrokerEntryMetadataToClientEnabled": "true",
        "brokerEntryMetadataInterceptors": crate::controller::broker_config::INDEX_INTERCEPTOR,
    });
    found(brokers(config_map(rightly, json!({}))))
}

fn built(spec: Value, found: &Found) -> Resources {
    let now = "2026-01-01T01:05:00Z".parse().unwrap();
    let gateway = validate(&resource(spec), found, &Settings::default(), now).unwrap();
    build(&gateway).unwrap()
}

fn two_listeners(node_port: Value) -> Value {
    json!({ "listeners": [
        { "name": "plain", "port": 9092, "type": "internal" },
        { "name": "ext", "port": 9094, "type": "nodeport", "nodePort": node_port },
    ]})
}

fn explicit_ports() -> Value {
    two_listeners(json!({ "bootstrap": 32100, "base": 32110 }))
}

#[test]
fn a_gateway_is_one_restricted_pod_that_advertises_its_own_services_and_its_node() {
    let resources = built(explicit_ports(), &ready_pulsar());

    assert_eq!(resources.deployments.len(), 1);
    assert_yaml_snapshot!("deployment", resources.deployments.first());
}

#[test]
fn every_listener_has_a_service_to_any_gateway_and_one_to_each() {
    assert_yaml_snapshot!(
        "services",
        built(explicit_ports(), &ready_pulsar()).services
    );
}

#[test]
fn what_all_gateways_share_is_a_file_that_the_gateway_itself_would_write() {
    let mut spec = explicit_ports();
    spec["gateway"] = json!({
        "image": { "repository": "kop-gateway", "tag": "test" },
        "config": { "defaultPartitions": 8, "autoCreateTopics": false, "entryFormat": "kafka" },
    });
    spec["pulsar"] = json!({
        "auth": { "type": "Token", "tokenSecretRef": { "name": "token" } },
        "tls": { "caSecretRef": { "name": "ca" } },
    });
    let resources = built(spec, &ready_pulsar());

    let data = resources.config_map.data.unwrap();
    assert_snapshot!("gateway.toml", data.get("gateway.toml").unwrap());
    assert_yaml_snapshot!("service_account", resources.service_account);
    let pod = resources
        .deployments
        .first()
        .unwrap()
        .spec
        .as_ref()
        .unwrap();
    assert_yaml_snapshot!(
        "secret_volumes",
        pod.template.spec.as_ref().unwrap().volumes
    );
}

#[test]
fn a_gateway_with_an_issuers_tokens_gets_its_address_and_the_file_with_the_credentials() {
    let resources = built(
        json!({ "pulsar": { "auth": {
            "type": "OAuth2",
            "oauth2SecretRef": { "name": "kop-client", "key": "kop.json" },
            "oauth2": {
                "issuerUrl": "https://issuer.example.com/realms/pulsar",
                "audience": "urn:pulsar",
                "scope": "produce consume",
            },
        }}}),
        &ready_pulsar(),
    );

    let data = resources.config_map.data.unwrap();
    assert_snapshot!("oauth2.toml", data.get("gateway.toml").unwrap());
    let deployment = resources.deployments.first().unwrap();
    let pod = &deployment.spec.as_ref().unwrap().template.spec;
    let pod = pod.as_ref().unwrap();
    assert_yaml_snapshot!("oauth2_volumes", pod.volumes);
    let mounts = &pod.containers.first().unwrap().volume_mounts;
    assert_yaml_snapshot!("oauth2_mounts", mounts);
}

#[test]
fn a_gateway_waits_for_a_node_port_that_is_yet_to_be_chosen() {
    let resources = built(two_listeners(json!({})), &ready_pulsar());

    assert_eq!(resources.services.len(), 4);
    assert!(resources.deployments.is_empty());
    assert!(resources.wanted_deployments.contains("demo-gateway-0"));
}

#[test]
fn a_gateway_does_not_start_before_the_brokers_are_configured() {
    let found = found(brokers(config_map(json!({}), json!({}))));
    assert!(built(json!({}), &found).deployments.is_empty());
}

#[test]
fn a_gateway_that_runs_goes_on_while_the_brokers_restart() {
    let mut found = found(brokers(config_map(json!({}), json!({}))));
    found
        .deployments
        .insert("demo-gateway-0".into(), Deployment::default());
    assert_eq!(built(json!({}), &found).deployments.len(), 1);
}

#[test]
fn another_configuration_replaces_the_pod() {
    let template = |spec| {
        let deployments = built(spec, &ready_pulsar()).deployments;
        deployments
            .first()
            .unwrap()
            .spec
            .as_ref()
            .unwrap()
            .template
            .metadata
            .clone()
    };
    let image = json!({ "repository": "kop-gateway", "tag": "test" });
    let other = json!({ "gateway": { "image": image, "config": { "defaultPartitions": 2 } } });
    assert_ne!(template(json!({})), template(other));
}

#[test]
fn zero_replicas_leave_the_bootstrap_service_and_no_deployment() {
    let resources = built(
        json!({ "gateway": {
            "replicas": 0, "image": { "repository": "kop-gateway", "tag": "test" },
        }}),
        &ready_pulsar(),
    );

    assert!(resources.wanted_deployments.is_empty());
    assert_eq!(resources.services.len(), 1);
}

#[test]
fn brokers_are_patched_with_our_fields_and_their_uid_alone() {
    let found = found(brokers(config_map(
        json!({ "zookeeperServers": "zk" }),
        json!({}),
    )));
    let patch = built(json!({}), &found).broker_patch.unwrap();

    assert_yaml_snapshot!("broker_config_map", patch.config_map.unwrap().body);
    assert_yaml_snapshot!("broker_stateful_set", patch.stateful_set.unwrap().body);
}

#[test]
fn a_written_config_map_is_not_written_again() {
    let found = found(brokers(config_map(json!({}), needed())));
    let patch = built(json!({}), &found).broker_patch.unwrap();

    assert_eq!(patch.config_map, None);
    assert!(patch.stateful_set.is_some());
}

#[test]
fn one_key_that_somebody_else_holds_keeps_every_key_from_being_written() {
    let theirs = json!({ "PULSAR_PREFIX_brokerDeleteInactiveTopicsEnabled": "true" });
    let found = found(brokers(config_map(theirs, json!({}))));
    assert_eq!(built(json!({}), &found).broker_patch, None);
}

#[test]
fn verify_writes_nothing() {
    let found = found(brokers(config_map(json!({}), json!({}))));
    let spec =
        json!({ "brokers": { "ref": { "name": "pulsar-broker" }, "patchPolicy": "Verify" } });
    assert_eq!(built(spec, &found).broker_patch, None);
}
