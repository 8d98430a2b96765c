use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The brokers, which the operator does not own, and what it may do to them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BrokersSpec {
    /// The workload that runs the brokers.
    #[serde(rename = "ref")]
    pub reference: BrokerReference,

    /// What the operator does when the brokers lack a setting: `Patch` writes it into their
    /// ConfigMap and restarts them, `Verify` only says what is missing, `Off` looks away. A change
    /// to `Verify` or `Off` leaves what was patched before as it is.
    #[serde(default)]
    pub patch_policy: PatchPolicy,

    /// More keys of `broker.conf`, written like the needed ones under `PULSAR_PREFIX_`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "broker_config_schema")]
    #[x_kube(validation = Rule::new(
        "!('brokerEntryMetadataInterceptors' in self) && \
         !('exposingBrokerEntryMetadataToClientEnabled' in self) && \
         !('brokerDeleteInactiveTopicsEnabled' in self)"
    ).message("brokers.config may not hold the keys that the gateway itself needs"))]
    pub config: BTreeMap<String, String>,

    /// Whether deletion also takes away the entry index interceptor. It stays by default: without
    /// it new entries get no Kafka offsets, and some Pulsar versions then fail to load topics that
    /// had them (apache/pulsar#26496). All other keys are always given back.
    #[serde(default)]
    pub revert_on_delete: bool,

    /// How brokers are restarted after a change.
    #[serde(default)]
    pub restart: RestartSpec,
}

/// The workload that runs the brokers.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BrokerReference {
    /// Its kind.
    #[serde(default)]
    pub kind: BrokerKind,

    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Its namespace; the resource's own when absent. Another one must be allowed to the operator
    /// by its flag `--allow-cross-namespace-brokers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// The kind of workload that runs the brokers.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BrokerKind {
    /// As the Apache Pulsar chart lays them out.
    #[default]
    StatefulSet,
}

/// What the operator may do to the brokers' configuration.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PatchPolicy {
    /// Write what is missing and restart.
    #[default]
    Patch,
    /// Say what is missing.
    Verify,
    /// Look away.
    Off,
}

/// How brokers are restarted.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct RestartSpec {
    /// `Rolling` restarts one broker at a time and waits for each; `Manual` leaves it to the user.
    pub strategy: RestartStrategy,

    /// How long, in seconds, a restart may go on without a broker becoming ready before the
    /// condition `BrokersConfigured` says so; also how long a deletion waits for the restart.
    #[schemars(range(min = 1, max = 86400))]
    pub health_timeout_seconds: i32,
}

impl Default for RestartSpec {
    fn default() -> Self {
        RestartSpec {
            strategy: RestartStrategy::Rolling,
            health_timeout_seconds: 600,
        }
    }
}

/// Who restarts the brokers.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestartStrategy {
    /// The operator, one broker at a time.
    #[default]
    Rolling,
    /// The user.
    Manual,
}

fn broker_config_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string", "maxLength": 4096 },
        "maxProperties": 128,
    })
}
