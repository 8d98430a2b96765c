use std::collections::BTreeMap;
use std::fmt;

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator last saw.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct KafkaOnPulsarStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The version of the operator that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_version: Option<String>,

    /// `Accepted`, `BrokersConfigured`, `GatewaysAvailable`, `ListenersReady` and `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// Where clients connect, listener by listener.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub listeners: Vec<ListenerStatus>,

    /// The gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayStatus>,

    /// The brokers, when the resource names any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brokers: Option<BrokersStatus>,
}

/// The conditions of the resource, in the order in which they are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// The spec makes sense and what it refers to exists.
    Accepted,
    /// The brokers run with the settings that the gateway needs.
    BrokersConfigured,
    /// Every wanted gateway is up.
    GatewaysAvailable,
    /// Every listener has its addresses.
    ListenersReady,
    /// All of the above: Kafka clients can connect.
    Ready,
}

impl ConditionType {
    /// The name in `status.conditions[].type`.
    pub fn as_str(self) -> &'static str {
        match self {
            ConditionType::Accepted => "Accepted",
            ConditionType::BrokersConfigured => "BrokersConfigured",
            ConditionType::GatewaysAvailable => "GatewaysAvailable",
            ConditionType::ListenersReady => "ListenersReady",
            ConditionType::Ready => "Ready",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where clients connect through one listener.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStatus {
    /// The listener's name.
    #[serde(default)]
    pub name: String,

    /// Its type.
    #[serde(default, rename = "type")]
    pub kind: String,

    /// What to give clients as `bootstrap.servers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_servers: Option<String>,

    /// The node port of the bootstrap Service. It is asked for again when the Service is re-created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_node_port: Option<i32>,

    /// The address of each gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub gateways: Vec<GatewayAddress>,
}

/// The address that one gateway advertises on one listener.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GatewayAddress {
    /// The gateway's id, which is its Kafka node id.
    pub id: i32,

    /// The advertised host, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,

    /// The advertised port, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,

    /// The node port of its Service. It is asked for again when the Service is re-created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port: Option<i32>,
}

/// The gateways.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayStatus {
    /// How many are wanted.
    pub replicas: i32,

    /// How many are up, with the newest settings.
    pub ready_replicas: i32,

    /// `up/wanted`.
    pub summary: String,

    /// The image they run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// The brokers.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BrokersStatus {
    /// Kind, namespace and name of what runs them.
    #[serde(default)]
    pub target: String,

    /// `ready with the needed settings/all`.
    #[serde(default)]
    pub summary: String,

    /// Names the settings that the brokers are to run with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_hash: Option<String>,

    /// The values in force before the operator wrote its own, by key of `broker.conf`; empty where
    /// the key was not set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub previous: BTreeMap<String, String>,

    /// The brokers' pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub pods: Vec<BrokerPodStatus>,
}

/// One broker's pod.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BrokerPodStatus {
    /// Its name.
    pub name: String,

    /// Whether it runs with the newest settings.
    #[serde(default)]
    pub current: bool,

    /// Whether it is ready.
    #[serde(default)]
    pub ready: bool,
}
