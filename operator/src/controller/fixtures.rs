//! A Pulsar deployment as its chart lays it out, and a resource that names it.

use k8s_openapi::api::core::v1::ConfigMap;
use kop_api::KafkaOnPulsar;
use serde_json::{Value, json};

use super::broker_config::BROKER_MANAGER;
use super::dereference::{Found, FoundBrokers, ObservedBrokers};

/// A resource with the given spec; listeners and brokers are filled in where it has none.
pub(crate) fn resource(mut spec: Value) -> KafkaOnPulsar {
    let defaults = json!({
        "brokers": { "ref": { "name": "pulsar-broker" } },
        "gateway": { "image": { "repository": "kop-gateway", "tag": "test" } },
        "listeners": [{ "name": "plain", "port": 9092, "type": "internal" }],
    });
    for (key, value) in defaults.as_object().unwrap() {
        spec.as_object_mut()
            .unwrap()
            .entry(key)
            .or_insert(value.clone());
    }
    serde_json::from_value(json!({
        "apiVersion": "kop.pulsar.dev/v1alpha1",
        "kind": "KafkaOnPulsar",
        "metadata": {
            "name": "demo", "namespace": "pulsar", "uid": "demo-uid", "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": spec,
    }))
    .unwrap()
}

/// The brokers' ConfigMap; `ours` are keys that our field manager holds, `theirs` Helm's.
pub(crate) fn config_map(theirs: Value, ours: Value) -> ConfigMap {
    let fields = |data: &Value| -> Value {
        let keys = data
            .as_object()
            .unwrap()
            .keys()
            .map(|key| (format!("f:{key}"), json!({})));
        json!({ "f:data": keys.collect::<serde_json::Map<_, _>>() })
    };
    let mut data = theirs.as_object().unwrap().clone();
    data.extend(ours.as_object().unwrap().clone());
    let mut managers = vec![json!({
        "manager": "helm", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": fields(&theirs), "time": "2026-01-01T00:00:00Z",
    })];
    if !ours.as_object().unwrap().is_empty() {
        managers.push(json!({
            "manager": BROKER_MANAGER, "operation": "Apply", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": fields(&ours), "time": "2026-01-01T01:00:00Z",
        }));
    }
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": data,
        "metadata": {
            "name": "pulsar-broker", "namespace": "pulsar", "uid": "map-uid",
            "managedFields": managers,
        },
    }))
    .unwrap()
}

/// Brokers that take their settings from that ConfigMap and from nowhere else.
pub(crate) fn brokers(config_map: ConfigMap) -> ObservedBrokers {
    ObservedBrokers {
        config_map,
        stateful_set: serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {
                "name": "pulsar-broker", "namespace": "pulsar", "uid": "set-uid", "generation": 1,
            },
            "spec": {
                "replicas": 2, "serviceName": "pulsar-broker-headless",
                "selector": { "matchLabels": { "component": "broker" } },
                "template": { "metadata": {}, "spec": { "containers": [] } },
            },
            "status": { "observedGeneration": 1, "replicas": 2 },
        }))
        .unwrap(),
        pods: vec![pod(0, None, true), pod(1, None, true)],
        services: vec![
            serde_json::from_value(json!({
                "metadata": { "name": "pulsar-broker", "namespace": "pulsar" },
                "spec": { "ports": [
                    { "name": "http", "port": 8080 }, { "name": "pulsar", "port": 6650 },
                ]},
            }))
            .unwrap(),
        ],
        ..ObservedBrokers::default()
    }
}

/// A broker's pod, with the annotation it was started with.
pub(crate) fn pod(
    ordinal: usize,
    hash: Option<&str>,
    ready: bool,
) -> k8s_openapi::api::core::v1::Pod {
    let annotations = match hash {
        Some(hash) => json!({ "kop.pulsar.dev/broker-config": hash }),
        None => json!({}),
    };
    serde_json::from_value(json!({
        "metadata": {
            "name": format!("pulsar-broker-{ordinal}"), "uid": format!("pod-{ordinal}-uid"),
            "annotations": annotations, "creationTimestamp": "2026-01-01T00:30:00Z",
        },
        "status": { "conditions": [{
            "type": "Ready", "status": if ready { "True" } else { "False" },
            "lastTransitionTime": "2026-01-01T00:31:00Z",
        }]},
    }))
    .unwrap()
}

/// What dereferencing finds when only brokers are there.
pub(crate) fn found(brokers: ObservedBrokers) -> Found {
    Found {
        brokers: FoundBrokers::Found(Box::new(brokers)),
        ..Found::default()
    }
}

/// The settings as our manager writes them over a ConfigMap that has none of them.
pub(crate) fn needed() -> Value {
    json!({
        "PULSAR_PREFIX_brokerDeleteInactiveTopicsEnabled": "false",
        "PULSAR_PREFIX_brokerEntryMetadataInterceptors":
            "org.apache.pulsar.common.intercept.AppendIndexMetadataInterceptor",
        "PULSAR_PREFIX_exposingBrokerEntryMetadataToClientEnabled": "true",
    })
}
