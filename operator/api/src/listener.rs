use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One way in for Kafka clients: a port of every gateway and the address it is reached by.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.type == 'nodeport' || !has(self.nodePort)")
    .message("nodePort is only for type nodeport"))]
pub struct ListenerSpec {
    /// Its name: a letter, then letters and digits. It is part of the Services' names.
    #[schemars(length(min = 1, max = 11), regex(pattern = r"^[a-z][a-z0-9]*$"))]
    pub name: String,

    /// The port the gateway listens on; for `internal` also the port clients connect to.
    #[schemars(range(min = 1024, max = 65535))]
    #[x_kube(validation = Rule::new("self != 9100")
        .message("port 9100 is the gateway's admin port"))]
    pub port: i32,

    /// Where it can be reached from.
    #[serde(rename = "type")]
    pub kind: ListenerType,

    /// Settings of type `nodeport`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port: Option<NodePortSpec>,
}

/// Where a listener can be reached from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ListenerType {
    /// From inside the cluster, by Service names.
    Internal,
    /// From wherever the nodes can be reached, by a port of theirs.
    Nodeport,
}

/// How a `nodeport` listener gets its ports and its host.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "!has(self.bootstrap) || !has(self.base) || \
         self.bootstrap < self.base || self.bootstrap >= self.base + 256"
    ).message("the bootstrap node port must lie outside the range of the gateways (base to base + 255)"),
    validation = Rule::new(
        "(has(self.addressSource) && self.addressSource == 'Static') == has(self.host)"
    ).message("host is needed with addressSource Static, and only then"),
)]
pub struct NodePortSpec {
    /// The node port of the bootstrap Service; allocated once and kept when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub bootstrap: Option<i32>,

    /// Gateway `i` gets node port `base + i`; allocated once and kept when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub base: Option<i32>,

    /// Which host clients are told.
    #[serde(default)]
    pub address_source: AddressSource,

    /// The host clients are told with `Static`: a name or an address that leads to the nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?$")
    )]
    pub host: Option<String>,
}

/// Which host clients of a `nodeport` listener are told.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressSource {
    /// The address of the node that the gateway runs on.
    #[default]
    HostIP,
    /// The fixed name given as `host`.
    Static,
}
