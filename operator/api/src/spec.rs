use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BrokersSpec, GatewaySpec, KafkaOnPulsarStatus, ListenerSpec};

/// What the user wants: which Pulsar, which listeners, and what may be done to its brokers.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "kop.pulsar.dev",
    version = "v1alpha1",
    kind = "KafkaOnPulsar",
    plural = "kafkaonpulsars",
    shortname = "kop",
    category = "pulsar",
    namespaced,
    status = "KafkaOnPulsarStatus",
    derive = "PartialEq",
    doc = "Kafka on Pulsar: gateways that speak the Kafka protocol in front of a running Pulsar deployment.",
    validation = Rule::new("size(self.metadata.name) <= 40")
        .message("name must be at most 40 characters: it prefixes the names of the gateways' Services"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode", priority = 1),
    printcolumn(name = "Gateways", type_ = "string", json_path = ".status.gateway.summary"),
    printcolumn(name = "Brokers", type_ = "string", json_path = ".status.brokers.summary"),
    printcolumn(
        name = "Bootstrap",
        type_ = "string",
        json_path = ".status.listeners[0].bootstrapServers"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "has(self.brokers) || (has(self.pulsar.serviceUrl) && has(self.pulsar.adminUrl))"
    ).message("without brokers, pulsar.serviceUrl and pulsar.adminUrl are needed"),
    validation = Rule::new("has(self.brokers) == has(oldSelf.brokers)")
        .message("brokers cannot be added or taken away later: delete the resource and create it anew"),
    validation = Rule::new(
        "self.listeners.all(l, self.listeners.exists_one(m, m.port == l.port))"
    ).message("listener ports must be unique"),
)]
pub struct KafkaOnPulsarSpec {
    /// How Kafka is spoken. Only `Gateway` (gateways beside the brokers) exists.
    #[serde(default)]
    pub mode: Mode,

    /// While true the operator only observes and reports; it writes nothing but the status.
    #[serde(default)]
    pub paused: bool,

    /// Where Pulsar is and which of its namespaces hold the topics.
    #[serde(default)]
    pub pulsar: PulsarSpec,

    /// The brokers that lack settings the gateway needs, and what may be done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.ref == oldSelf.ref")
        .message("brokers.ref is immutable: delete the resource and create it anew"))]
    pub brokers: Option<BrokersSpec>,

    /// The gateways.
    #[serde(default)]
    pub gateway: GatewaySpec,

    /// Where Kafka clients connect.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub listeners: Vec<ListenerSpec>,
}

/// How Kafka is spoken.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Gateways beside unmodified brokers.
    #[default]
    Gateway,
}

/// Where Pulsar is, how to authenticate to it, and where topics live in it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct PulsarSpec {
    /// `pulsar://` or `pulsar+ssl://` address of the brokers. Taken from the broker Service when
    /// absent and `brokers` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = r"^pulsar(\+ssl)?://"))]
    pub service_url: Option<String>,

    /// `http://` or `https://` address of the brokers' admin API. Taken from the broker Service
    /// when absent and `brokers` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = r"^https?://"))]
    pub admin_url: Option<String>,

    /// The DNS domain of the Kubernetes cluster. When given, Service names are advertised as
    /// `NAME.NAMESPACE.svc.DOMAIN` instead of `NAME.NAMESPACE.svc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub cluster_domain: Option<String>,

    /// How the gateway authenticates to Pulsar. Absent: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthSpec>,

    /// How the gateway verifies Pulsar when an address is `pulsar+ssl://` or `https://`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,

    /// The Pulsar tenant of topics that Kafka clients name without one.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[-=:.\w]+$"))]
    pub tenant: String,

    /// The Pulsar namespace of topics that Kafka clients name without one.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[-=:.\w]+$"))]
    pub namespace: String,

    /// The Pulsar namespace, in the same tenant, of group offsets and other internal topics.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[-=:.\w]+$"))]
    pub metadata_namespace: String,
}

impl Default for PulsarSpec {
    fn default() -> Self {
        PulsarSpec {
            service_url: None,
            admin_url: None,
            cluster_domain: None,
            auth: None,
            tls: None,
            tenant: "public".into(),
            namespace: "default".into(),
            metadata_namespace: "__kafka".into(),
        }
    }
}

/// How the gateway authenticates to Pulsar.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type != 'Token' || has(self.tokenSecretRef)")
        .message("auth Token needs tokenSecretRef"),
    validation = Rule::new("self.type != 'OAuth2' || has(self.oauth2SecretRef)")
        .message("auth OAuth2 needs oauth2SecretRef"),
    validation = Rule::new("self.type != 'OAuth2' || has(self.oauth2)")
        .message("auth OAuth2 needs oauth2"),
    validation = Rule::new("self.type != 'OAuth2' || !has(self.tokenSecretRef)")
        .message("auth OAuth2 excludes tokenSecretRef"),
    validation = Rule::new("self.type == 'OAuth2' || !(has(self.oauth2) || has(self.oauth2SecretRef))")
        .message("oauth2 and oauth2SecretRef need auth OAuth2"),
)]
pub struct AuthSpec {
    /// The kind of credential.
    #[serde(rename = "type")]
    pub kind: AuthType,

    /// The key of a Secret of this namespace that holds the token. Its key defaults to `TOKEN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKeyReference>,

    /// The key of a Secret of this namespace that holds the client's credentials for the OAuth 2.0
    /// issuer: JSON with `type` (`client_credentials`), `client_id` and `client_secret`, as Pulsar's own
    /// clients read it. Its key defaults to `credentials.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2_secret_ref: Option<SecretKeyReference>,

    /// The OAuth 2.0 issuer that gives tokens for these credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2Spec>,
}

/// An OAuth 2.0 issuer, and what its tokens are for.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2Spec {
    /// `https://` (or `http://`) URL of the issuer; its metadata at `/.well-known/openid-configuration`
    /// name its token endpoint. It is verified by `tls.caSecretRef`, where that is given.
    #[schemars(length(max = 1024), regex(pattern = r"^https?://[^/?#@\s][^?#@\s]*$"))]
    pub issuer_url: String,

    /// The service that tokens are to be for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"\S"))]
    pub audience: Option<String>,

    /// What they are to allow, separated by spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"\S"))]
    pub scope: Option<String>,
}

/// The kind of credential the gateway presents to Pulsar.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// None at all.
    None,
    /// A JSON web token, read from a mounted Secret.
    Token,
    /// Tokens of an OAuth 2.0 issuer, by client credentials from a mounted Secret.
    OAuth2,
}

/// How the gateway verifies Pulsar's certificate.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// The key of a Secret of this namespace that holds the certificate authority in PEM form. Its
    /// key defaults to `ca.crt`.
    pub ca_secret_ref: SecretKeyReference,
}

/// One key of a Secret in the resource's own namespace.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The key in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: Option<String>,
}
