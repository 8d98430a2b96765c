//! What the engine is told about the Pulsar it stands on.
use std::{path::PathBuf, time::Duration};

use kop_store::TopicDefaults;

/// Where the Pulsar is, who we are there, and where topics go.
#[derive(Debug, Clone)]
pub struct PulsarOptions {
    /// Binary service URL: `pulsar://host:port[,host:port]` or `pulsar+ssl://…`.
    pub service_url: String,
    /// Base URL of the admin REST API: `http://host:port` or `https://…`.
    pub admin_url: String,
    /// How we say who we are; not at all where there is none.
    pub authentication: Option<PulsarAuthentication>,
    /// PEM file with the authorities that sign the certificates of brokers and of an issuer of tokens.
    pub ca_file: Option<PathBuf>,
    /// Tenant of topics with a bare name and of the metadata namespace.
    pub tenant: String,
    /// Namespace of topics with a bare name.
    pub namespace: String,
    /// Namespace of `__consumer_offsets` and the other topics that Kafka keeps for itself.
    pub metadata_namespace: String,
    /// How records are written into topics that do not say it themselves.
    pub entry_format: EntryFormat,
    /// Partitions that `__consumer_offsets` is made with.
    pub offsets_partitions: u32,
    /// Memory for the newest batches of all partitions together, in bytes.
    pub tail_cache_bytes: usize,
    /// Memory for what is read ahead for consumers further back, in bytes, about.
    pub read_ahead_bytes: usize,
    /// Name of this gateway, for messages.
    pub node_name: String,
    /// What holds for topics that do not say.
    pub topic_defaults: TopicDefaults,
    /// How long a partition stays open that nobody uses.
    pub unused_open: Duration,
}

impl PulsarOptions {
    /// For [`unused_open`](Self::unused_open): longer than a consumer that is there waits between two
    /// fetches, and than most applications between two records.
    pub const UNUSED_OPEN: Duration = Duration::from_secs(60);
}

/// How the gateway says to Pulsar who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PulsarAuthentication {
    /// File with a token, read again whenever it is needed.
    TokenFile(PathBuf),
    /// Tokens that an OAuth 2.0 issuer gives for a client's credentials.
    OAuth2 {
        /// `https://HOST[:PORT][/PATH]` or, at the user's risk, `http://…`.
        issuer_url: String,
        /// JSON file with `type` (`client_credentials`), `client_id` and `client_secret`.
        credentials_file: PathBuf,
        /// The service that tokens are for.
        audience: Option<String>,
        /// What they are to allow.
        scope: Option<String>,
    },
}

/// How a Kafka batch is laid out in a Pulsar entry. Reading understands both, entry by entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryFormat {
    /// Each Kafka record a Pulsar message: Pulsar and Kafka clients read each other.
    Pulsar,
    /// The client's batch as it came: fastest, readable for Kafka clients.
    Kafka,
}

impl EntryFormat {
    /// Topic property in which KoP keeps a topic's own format.
    pub const PROPERTY: &'static str = "kafkaEntryFormat";

    /// The format that a topic property or setting names; `mixed_kafka` topics are written as `kafka`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "pulsar" => Some(Self::Pulsar),
            "kafka" | "mixed_kafka" => Some(Self::Kafka),
            _ => None,
        }
    }
}
