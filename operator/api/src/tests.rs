use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{
    AddressSource, EntryFormat, KafkaOnPulsar, ListenerType, PatchPolicy, RestartStrategy,
};

fn parsed(spec: Value) -> KafkaOnPulsar {
    serde_json::from_value(json!({
        "apiVersion": "kop.pulsar.dev/v1alpha1",
        "kind": "KafkaOnPulsar",
        "metadata": { "name": "demo", "namespace": "pulsar" },
        "spec": spec,
    }))
    .unwrap()
}

#[test]
fn a_resource_with_one_listener_gets_every_default() {
    let object = parsed(json!({
        "brokers": { "ref": { "name": "pulsar-broker" } },
        "listeners": [{ "name": "plain", "port": 9092, "type": "internal" }],
    }));

    let spec = object.spec;
    assert_eq!(spec.pulsar.tenant, "public");
    assert_eq!(spec.pulsar.metadata_namespace, "__kafka");
    assert_eq!(spec.gateway.replicas, 1);
    let brokers = spec.brokers.unwrap();
    assert_eq!(brokers.patch_policy, PatchPolicy::Patch);
    assert_eq!(brokers.restart.strategy, RestartStrategy::Rolling);
    assert_eq!(brokers.restart.health_timeout_seconds, 600);
    assert!(!brokers.revert_on_delete);
}

#[test]
fn a_full_resource_is_read_as_written() {
    let object = parsed(json!({
        "mode": "Gateway",
        "pulsar": {
            "serviceUrl": "pulsar://broker:6650",
            "adminUrl": "http://broker:8080",
            "auth": { "type": "Token", "tokenSecretRef": { "name": "token" } },
        },
        "gateway": {
            "image": { "repository": "kop-gateway", "tag": "e2e" },
            "config": { "entryFormat": "kafka", "defaultPartitions": 3 },
            "resources": { "requests": { "cpu": 1, "memory": "256Mi" } },
        },
        "listeners": [{
            "name": "ext", "port": 9094, "type": "nodeport",
            "nodePort": { "bootstrap": 32100, "addressSource": "Static", "host": "kafka.example.com" },
        }],
    }));

    assert_eq!(
        object.spec.gateway.config.entry_format,
        Some(EntryFormat::Kafka)
    );
    let listener = object.spec.listeners.first().unwrap();
    assert_eq!(listener.kind, ListenerType::Nodeport);
    assert_eq!(
        listener.node_port.as_ref().unwrap().address_source,
        AddressSource::Static
    );
}

#[test]
fn the_schema_bounds_every_string_list_and_map_so_that_its_rules_fit_the_cost_budget() {
    let crd = serde_json::to_value(KafkaOnPulsar::crd()).unwrap();
    let spec = crd
        .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
        .expect("the schema has a spec");

    let mut unbounded = Vec::new();
    find_unbounded(spec, "spec", &mut unbounded);

    assert_eq!(unbounded, Vec::<String>::new());
}

fn find_unbounded(schema: &Value, path: &str, found: &mut Vec<String>) {
    let bound = match schema.get("type").and_then(Value::as_str) {
        Some("string") if schema.get("enum").is_none() => Some("maxLength"),
        Some("array") => Some("maxItems"),
        Some("object") if schema.get("additionalProperties").is_some() => Some("maxProperties"),
        _ => None,
    };
    if bound.is_some_and(|bound| schema.get(bound).is_none()) {
        found.push(path.to_owned());
    }
    for (name, child) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        find_unbounded(child, &format!("{path}.{name}"), found);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(child) = schema.get(inner) {
            find_unbounded(child, &format!("{path}[]"), found);
        }
    }
}
