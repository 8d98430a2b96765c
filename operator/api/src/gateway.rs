use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The gateways.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// How many gateways run. One, or zero to stop Kafka without deleting anything.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    #[x_kube(validation = Rule::new("self <= 1")
        .message("several gateways on one Pulsar are not supported yet: gateway.replicas must be 0 or 1"))]
    pub replicas: i32,

    /// The gateway's image; the one the operator was installed with when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSpec>,

    /// Settings of the gateway.
    #[serde(default)]
    pub config: GatewayConfigSpec,

    /// What each gateway asks of its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesSpec>,
}

impl Default for GatewaySpec {
    fn default() -> Self {
        GatewaySpec {
            replicas: 1,
            image: None,
            config: GatewayConfigSpec::default(),
            resources: None,
        }
    }
}

/// A container image.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.tag) || has(self.digest)")
    .message("an image needs a tag or a digest"))]
pub struct ImageSpec {
    /// Registry and repository, without tag.
    #[schemars(length(min = 1, max = 512))]
    pub repository: String,

    /// The tag; ignored when a digest is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub tag: Option<String>,

    /// The digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), regex(pattern = r"^sha256:[a-f0-9]{64}$"))]
    pub digest: Option<String>,
}

/// Settings of the gateway. What is absent keeps the gateway's own default.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayConfigSpec {
    /// Partitions of a topic that is created without saying how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub default_partitions: Option<i32>,

    /// Whether topics come into being when a client first names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_create_topics: Option<bool>,

    /// How records are kept in Pulsar: `pulsar` lets Pulsar's clients read them, `kafka` keeps the
    /// Kafka client's batches as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_format: Option<EntryFormat>,
}

/// How records are kept in Pulsar.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum EntryFormat {
    /// As Pulsar messages.
    Pulsar,
    /// As Kafka batches.
    Kafka,
}

/// Kubernetes resource requests and limits.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourcesSpec {
    /// What is reserved.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities_schema")]
    pub requests: BTreeMap<String, IntOrString>,

    /// What is not exceeded.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities_schema")]
    pub limits: BTreeMap<String, IntOrString>,
}

fn one() -> i32 {
    1
}

fn quantities_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {
            "anyOf": [{ "type": "integer" }, { "type": "string" }],
            "x-kubernetes-int-or-string": true,
            "maxLength": 64,
        },
        "maxProperties": 16,
    })
}
