//! The configuration as the gateway uses it: complete and consistent.
use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::HostPort;

/// A complete configuration. Only [`RawConfig::validate`](crate::RawConfig::validate) makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This gateway's node id, as Kafka clients see it; 0 or greater.
    pub node_id: i32,
    /// Where Kafka clients connect, at least one.
    pub listeners: Vec<Listener>,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub admin_listen: HostPort,
    /// What keeps the records.
    pub store: StoreConfig,
    /// Partitions of a topic whose creator does not say, at least one.
    pub default_partitions: u32,
    /// How long records are kept whose topic does not say, in milliseconds; −1 for ever. On Pulsar its
    /// namespaces decide.
    pub default_retention_ms: i64,
    /// Whether asking for a topic that does not exist makes it.
    pub auto_create_topics: bool,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Rules of consumer groups and their offsets.
    pub groups: Groups,
    /// What the gateway takes at the most.
    pub limits: Limits,
    /// Threads that serve connections, at least one; `None` leaves it to the processors.
    pub worker_threads: Option<usize>,
}

/// One address on which Kafka clients are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name, unique among the listeners.
    pub name: String,
    /// Where it listens; port 0 takes a free port.
    pub bind: HostPort,
    /// Where clients of this listener are told to connect; port 0 stands for the port that is
    /// listened on.
    pub advertise: HostPort,
}

/// What keeps the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// The embedded store in a directory.
    Embedded {
        /// The directory; made where it does not exist.
        data_dir: PathBuf,
        /// When an append is acknowledged.
        durability: Durability,
    },
    /// Topics of a Pulsar cluster.
    Pulsar(PulsarConfig),
}

impl StoreConfig {
    /// Memory for the newest records, in bytes, where the store has its own for them.
    #[must_use]
    pub fn tail_cache_bytes(&self) -> Option<usize> {
        match self {
            Self::Pulsar(pulsar) => Some(pulsar.tail_cache_bytes),
            Self::Embedded { .. } => None,
        }
    }
}

/// How to reach Pulsar and what to use there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulsarConfig {
    /// `pulsar://HOST:PORT[,HOST:PORT]` or `pulsar+ssl://…`.
    pub service_url: String,
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    pub admin_url: String,
    /// How the gateway says who it is; not at all where there is none.
    pub authentication: Option<PulsarAuthentication>,
    /// PEM file with the certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// Tenant of the topics.
    pub tenant: String,
    /// Namespace of the topics that clients name without one.
    pub namespace: String,
    /// Namespace, in the same tenant, of groups, offsets and producer ids.
    pub metadata_namespace: String,
    /// How new records are laid out in Pulsar entries.
    pub entry_format: EntryFormat,
    /// Memory for the newest records of all partitions together, in bytes.
    pub tail_cache_bytes: usize,
}

/// How the gateway says to Pulsar who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PulsarAuthentication {
    /// File that holds a token; read again when it is needed again.
    TokenFile(PathBuf),
    /// Tokens of an OAuth 2.0 issuer.
    OAuth2(Box<OAuth2Config>),
}

/// Which OAuth 2.0 issuer gives tokens, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2Config {
    /// `https://HOST[:PORT][/PATH]` or `http://…`.
    pub issuer_url: String,
    /// JSON file with the client's credentials; read again for each token.
    pub credentials_file: PathBuf,
    /// The service that tokens are for.
    pub audience: Option<String>,
    /// What they are to allow.
    pub scope: Option<String>,
}

/// Rules of consumer groups and their offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groups {
    /// How long a new group waits for more members before its first assignment.
    pub initial_rebalance_delay: Duration,
    /// Shortest session timeout that a member may ask for.
    pub min_session_timeout: Duration,
    /// Longest session timeout that a member may ask for.
    pub max_session_timeout: Duration,
    /// Members of one group at the most.
    pub max_size: usize,
    /// How long committed offsets are kept that nobody uses (KIP-211).
    pub offsets_retention: Duration,
    /// How often offsets are looked through for such.
    pub offsets_retention_check_interval: Duration,
    /// Length of the text stored with an offset at the most.
    pub offset_metadata_bytes: usize,
}

/// What the gateway takes at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, over all listeners.
    pub connections: usize,
    /// Bytes of one request.
    pub request_bytes: usize,
    /// Bytes of one record batch, as it is sent.
    pub message_bytes: usize,
    /// Bytes of all requests that are being read or answered, as much again each for responses and for what
    /// is read ahead on Pulsar, and half as much for what is kept of answered requests.
    pub memory_bytes: usize,
    /// Connections at a time from one IP address.
    pub connections_per_ip: usize,
    /// Requests of one connection that are being served or wait for it.
    pub requests_in_flight: usize,
    /// A connection on which nothing happens for this long is closed.
    pub connection_idle: Duration,
    /// A connection that stays this long in the middle of a request, or does not take its answers, is
    /// closed.
    pub connection_stall: Duration,
    /// Committed offsets that the metrics list at the most.
    pub metrics_offsets: usize,
}

/// When the embedded store acknowledges an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Once it is on the disk: it survives a power cut.
    #[default]
    Sync,
    /// Once the operating system has it: it survives the death of the process only.
    Os,
}

/// How records are laid out in Pulsar entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum EntryFormat {
    /// One Pulsar message per record: Pulsar and Kafka clients read each other.
    #[default]
    Pulsar,
    /// Kafka's record batch as it came: fastest, for Kafka clients only.
    Kafka,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
