//! Whole reconciliations against an API server in process.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a scenario that cannot go on has failed, and says where"
)]

use std::sync::Arc;

use kop_api::KafkaOnPulsar;
use kop_operator::controller::{Context, Settings, reconcile};
use kop_operator::metrics::Metrics;
use serde_json::{Value, json};
use support::apiserver::ApiServer;

mod support {
    pub(crate) mod apiserver;
}

const RESOURCE: &str = "/apis/kop.pulsar.dev/v1alpha1/namespaces/pulsar/kafkaonpulsars/demo";
const BROKER_MAP: &str = "/api/v1/namespaces/pulsar/configmaps/pulsar-broker";
const BROKER_SET: &str = "/apis/apps/v1/namespaces/pulsar/statefulsets/pulsar-broker";
const GATEWAY: &str = "/apis/apps/v1/namespaces/pulsar/deployments/demo-gateway-0";
const ANNOTATION: &str = "/spec/template/metadata/annotations/kop.pulsar.dev~1broker-config";

/// A Pulsar without the needed settings, and one resource beside it.
struct World {
    server: ApiServer,
    context: Arc<Context>,
}

impl World {
    fn new(spec: Value) -> Self {
        Self::with_broker_map(spec, json!({ "zookeeperServers": "zk" }))
    }

    fn with_broker_map(mut spec: Value, data: Value) -> Self {
        let server = ApiServer::default();
        let broker = |kind: &str, version: &str| {
            json!({
                "apiVersion": version, "kind": kind,
                "metadata": { "name": "pulsar-broker", "namespace": "pulsar" },
            })
        };
        let mut map = broker("ConfigMap", "v1");
        map["data"] = data;
        server.put(BROKER_MAP, "helm", map);
        let mut set = broker("StatefulSet", "apps/v1");
        set["spec"] = json!({
            "replicas": 2, "serviceName": "pulsar-broker",
            "selector": { "matchLabels": { "component": "broker" } },
            "template": { "spec": { "containers": [{
                "name": "pulsar-broker",
                "envFrom": [{ "configMapRef": { "name": "pulsar-broker" } }],
            }]}},
        });
        server.put(BROKER_SET, "helm", set);
        let mut service = broker("Service", "v1");
        service["spec"] = json!({ "ports": [
            { "name": "http", "port": 8080 }, { "name": "pulsar", "port": 6650 },
        ]});
        server.put(
            "/api/v1/namespaces/pulsar/services/pulsar-broker",
            "helm",
            service,
        );
        let defaults = json!({
            "brokers": { "ref": { "name": "pulsar-broker" } },
            "listeners": [
                { "name": "plain", "port": 9092, "type": "internal" },
                { "name": "ext", "port": 9094, "type": "nodeport" },
            ],
        });
        for (key, value) in defaults.as_object().unwrap() {
            spec.as_object_mut()
                .unwrap()
                .entry(key)
                .or_insert(value.clone());
        }
        server.put(
            RESOURCE,
            "kubectl",
            json!({
                "apiVersion": "kop.pulsar.dev/v1alpha1", "kind": "KafkaOnPulsar",
                "metadata": { "name": "demo", "namespace": "pulsar" },
                "spec": spec,
            }),
        );
        let settings = Settings {
            gateway_image: Some("kop-gateway:test".into()),
            ..Settings::default()
        };
        let metrics = Arc::new(Metrics::default());
        let context = Arc::new(Context::new(server.client(), settings, metrics, None));
        let world = World { server, context };
        world.settle();
        world
    }

    /// What Kubernetes' own controllers do: restart brokers, start gateways.
    fn settle(&self) {
        let set = self.server.get(BROKER_SET).unwrap();
        let generation = set["metadata"]["generation"].clone();
        self.server.change(BROKER_SET, |set| {
            set["status"] = json!({ "observedGeneration": generation, "replicas": 2 });
        });
        for ordinal in 0..2 {
            let annotations = match set.pointer(ANNOTATION) {
                Some(hash) => json!({ "kop.pulsar.dev/broker-config": hash }),
                None => json!({}),
            };
            let name = format!("pulsar-broker-{ordinal}");
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": name, "namespace": "pulsar", "annotations": annotations,
                    "labels": { "component": "broker" },
                    "ownerReferences": [{
                        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "pulsar-broker",
                        "uid": set["metadata"]["uid"], "controller": true,
                    }],
                },
                "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
            });
            self.server.put(
                &format!("/api/v1/namespaces/pulsar/pods/{name}"),
                "kubelet",
                pod,
            );
        }
        let Some(gateway) = self.server.get(GATEWAY) else {
            return;
        };
        self.server.change(GATEWAY, |gateway| {
            gateway["status"] = json!({
                "observedGeneration": gateway["metadata"]["generation"],
                "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1,
            });
        });
        let mut pod = gateway["spec"]["template"].clone();
        pod["metadata"]["name"] = json!("demo-gateway-0-abc");
        pod["status"] = json!({ "hostIP": "192.0.2.7" });
        self.server.put(
            "/api/v1/namespaces/pulsar/pods/demo-gateway-0-abc",
            "kubelet",
            pod,
        );
    }

    /// One reconciliation of what is stored right now.
    async fn reconcile(&self) -> Result<(), String> {
        let object = self.server.get(RESOURCE).expect("the resource is there");
        let object: KafkaOnPulsar = serde_json::from_value(object).unwrap();
        reconcile(Arc::new(object), Arc::clone(&self.context))
            .await
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    async fn until_ready(&self) {
        for _ in 0..10 {
            self.reconcile().await.unwrap();
            if self.condition("Ready").0 == "True" {
                return;
            }
            self.settle();
        }
        panic!("not ready: {:?}", self.condition("Ready"));
    }

    fn condition(&self, kind: &str) -> (String, String, String) {
        let object = self.server.get(RESOURCE).unwrap();
        let conditions = object["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let condition = conditions
            .iter()
            .find(|c| c["type"] == kind)
            .expect("reported");
        let text = |key: &str| condition[key].as_str().unwrap().to_owned();
        (text("status"), text("reason"), text("message"))
    }

    fn broker_data(&self) -> Value {
        self.server.get(BROKER_MAP).unwrap()["data"].clone()
    }
}

#[tokio::test]
async fn a_fresh_resource_is_brought_about_in_order() {
    let world = World::new(json!({}));
    world.reconcile().await.unwrap();

    let writes: Vec<_> = world
        .server
        .take_writes()
        .iter()
        .map(|write| {
            write
                .rsplit_once("/namespaces/pulsar/")
                .unwrap()
                .1
                .to_owned()
        })
        .collect();
    assert_eq!(
        writes,
        [
            "kafkaonpulsars/demo",
            "serviceaccounts/demo-gateway",
            "configmaps/demo-gateway",
            "services/demo-plain-bootstrap",
            "services/demo-plain-0",
            "services/demo-ext-bootstrap",
            "services/demo-ext-0",
            "configmaps/pulsar-broker",
            "statefulsets/pulsar-broker",
            "kafkaonpulsars/demo/status",
        ]
    );
    assert_eq!(world.condition("BrokersConfigured").1, "BrokersRestarting");
    assert_eq!(world.condition("GatewaysAvailable").1, "WaitingForBrokers");
    assert!(world.server.get(GATEWAY).is_none());

    world.until_ready().await;
    let status = world.server.get(RESOURCE).unwrap()["status"].clone();
    let port = status["listeners"][1]["bootstrapNodePort"]
        .as_i64()
        .unwrap();
    assert_eq!(
        status["listeners"][1]["bootstrapServers"],
        format!("192.0.2.7:{port}")
    );
    assert_eq!(status["gateway"]["summary"], "1/1");
    assert_eq!(status["brokers"]["summary"], "2/2");
    assert_eq!(
        status["brokers"]["previous"]["brokerEntryMetadataInterceptors"],
        ""
    );
}

#[tokio::test]
async fn a_ready_resource_changes_nothing_any_more() {
    let world = World::new(json!({}));
    world.until_ready().await;
    world.reconcile().await.unwrap();
    let before = world.server.versions();
    world.reconcile().await.unwrap();

    assert_eq!(world.server.versions(), before);
}

#[tokio::test]
async fn a_key_that_helm_holds_is_a_condition_and_no_write() {
    let theirs = json!({ "PULSAR_PREFIX_brokerDeleteInactiveTopicsEnabled": "true" });
    let world = World::with_broker_map(json!({}), theirs.clone());
    world.reconcile().await.unwrap();

    let (status, reason, message) = world.condition("BrokersConfigured");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "ConfigConflict")
    );
    assert!(
        message.contains("is set by helm and has to be \"false\""),
        "{message}"
    );
    assert_eq!(world.broker_data(), theirs);
    let finalizers = &world.server.get(RESOURCE).unwrap()["metadata"]["finalizers"];
    assert_eq!(*finalizers, Value::Null);
}

#[tokio::test]
async fn brokers_that_were_replaced_meanwhile_are_not_patched_unseen() {
    let world = World::new(json!({}));
    world.server.replace_before_write(BROKER_MAP);
    world.reconcile().await.unwrap();

    assert_eq!(world.condition("BrokersConfigured").1, "BrokersReplaced");
    assert_eq!(world.broker_data(), json!({ "zookeeperServers": "zk" }));
    assert!(
        world
            .server
            .get(BROKER_SET)
            .unwrap()
            .pointer(ANNOTATION)
            .is_none()
    );

    world.until_ready().await;
}

#[tokio::test]
async fn deletion_gives_the_brokers_their_settings_back_but_for_the_interceptor() {
    let world = World::new(json!({}));
    world.until_ready().await;
    world.server.change(RESOURCE, |object| {
        object["metadata"]["deletionTimestamp"] = json!(k8s_openapi::jiff::Timestamp::now());
    });
    for _ in 0..3 {
        world.reconcile().await.unwrap();
    }

    let interceptor = "org.apache.pulsar.common.intercept.AppendIndexMetadataInterceptor";
    assert_eq!(
        world.broker_data(),
        json!({
            "zookeeperServers": "zk",
            "PULSAR_PREFIX_brokerEntryMetadataInterceptors": interceptor,
        })
    );
    assert!(
        world
            .server
            .get(BROKER_SET)
            .unwrap()
            .pointer(ANNOTATION)
            .is_none()
    );
    assert!(world.server.get(GATEWAY).is_none());
    assert_eq!(
        world.server.get(RESOURCE).unwrap()["metadata"]["finalizers"],
        json!([])
    );
}

#[tokio::test]
async fn deletion_takes_the_interceptor_away_too_when_asked_for() {
    let world = World::new(json!({
        "brokers": { "ref": { "name": "pulsar-broker" }, "revertOnDelete": true },
    }));
    world.until_ready().await;
    world.server.change(RESOURCE, |object| {
        object["metadata"]["deletionTimestamp"] = json!(k8s_openapi::jiff::Timestamp::now());
    });
    for _ in 0..3 {
        world.reconcile().await.unwrap();
    }

    assert_eq!(world.broker_data(), json!({ "zookeeperServers": "zk" }));
}

#[tokio::test]
async fn a_deletion_that_cannot_be_carried_out_lets_go_after_its_time() {
    let world = World::new(json!({}));
    world.until_ready().await;
    world.server.forbid(BROKER_MAP);
    let deleted_at = |time: Value| {
        world.server.change(RESOURCE, |object| {
            object["metadata"]["deletionTimestamp"] = time
        });
    };
    deleted_at(json!(k8s_openapi::jiff::Timestamp::now()));
    assert!(world.reconcile().await.is_err());

    deleted_at(json!("2026-01-01T00:00:00Z"));
    world.reconcile().await.unwrap();
    assert_eq!(
        world.server.get(RESOURCE).unwrap()["metadata"]["finalizers"],
        json!([])
    );
}

#[tokio::test]
async fn a_service_that_belongs_to_somebody_else_is_not_taken_over() {
    let world = World::new(json!({}));
    let path = "/api/v1/namespaces/pulsar/services/demo-plain-0";
    let theirs = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "demo-plain-0", "namespace": "pulsar" },
        "spec": { "ports": [{ "port": 1 }] },
    });
    world.server.put(path, "somebody", theirs);

    let error = world.reconcile().await.unwrap_err();
    assert!(
        error.contains("Service demo-plain-0 exists and belongs to somebody else"),
        "{error}"
    );
    assert_eq!(world.condition("Ready").1, "ApplyFailed");
    assert_eq!(
        world.server.get(path).unwrap()["spec"]["ports"][0]["port"],
        1
    );
}

#[tokio::test]
async fn a_paused_resource_is_only_looked_at() {
    let world = World::new(json!({ "paused": true }));
    world.reconcile().await.unwrap();

    assert_eq!(
        world.server.take_writes(),
        [format!("PATCH {RESOURCE}/status")]
    );
    assert_eq!(world.condition("Accepted").1, "Paused");
    assert_eq!(world.condition("BrokersConfigured").1, "PatchPending");
}

#[tokio::test]
async fn verify_says_what_to_set_and_writes_nothing_to_brokers() {
    let world = World::new(json!({
        "brokers": { "ref": { "name": "pulsar-broker" }, "patchPolicy": "Verify" },
    }));
    world.reconcile().await.unwrap();

    let (_, reason, message) = world.condition("BrokersConfigured");
    assert_eq!(reason, "SettingsMissing");
    assert!(
        message.contains("PULSAR_PREFIX_exposingBrokerEntryMetadataToClientEnabled: \"true\""),
        "{message}"
    );
    assert_eq!(world.broker_data(), json!({ "zookeeperServers": "zk" }));
}

#[tokio::test]
async fn a_listener_that_goes_takes_its_services_with_it() {
    let world = World::new(json!({}));
    world.until_ready().await;
    world.server.change(RESOURCE, |object| {
        object["spec"]["listeners"]
            .as_array_mut()
            .unwrap()
            .remove(0);
    });
    world.reconcile().await.unwrap();

    let services = "/api/v1/namespaces/pulsar/services";
    assert!(
        world
            .server
            .get(&format!("{services}/demo-plain-0"))
            .is_none()
    );
    assert!(
        world
            .server
            .get(&format!("{services}/demo-plain-bootstrap"))
            .is_none()
    );
    assert!(
        world
            .server
            .get(&format!("{services}/demo-ext-0"))
            .is_some()
    );
    assert!(
        world
            .server
            .get(&format!("{services}/pulsar-broker"))
            .is_some()
    );
}

#[tokio::test]
async fn a_deleted_service_comes_back_with_its_node_port() {
    let world = World::new(json!({}));
    world.until_ready().await;
    let path = "/api/v1/namespaces/pulsar/services/demo-ext-0";
    world.server.change(RESOURCE, |object| {
        object["status"]["listeners"][1]["gateways"][0]["nodePort"] = json!(32767);
    });
    world.delete(path).await;
    world.reconcile().await.unwrap();

    let service = world.server.get(path).unwrap();
    assert_eq!(service["spec"]["ports"][0]["nodePort"], 32767);
}

impl World {
    /// Deletes an object as a user would.
    async fn delete(&self, path: &str) {
        let request = hyper::Request::delete(path).body(Vec::new()).unwrap();
        self.server
            .client()
            .request::<Value>(request)
            .await
            .unwrap();
    }
}
