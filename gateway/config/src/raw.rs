//! What may be said, in flags, environment variables or a file.
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Durability, EntryFormat, LogFormat};

/// The headings of `--help`.
const CLIENTS: &str = "Where clients connect";
const EMBEDDED: &str = "Where records are: in a directory";
const PULSAR: &str = "Where records are: in Pulsar";
const TOPICS: &str = "Topics";
const GROUPS: &str = "Consumer groups";
const LIMITS: &str = "Limits";

/// Every setting, as it was given; `None` where it was not.
///
/// A key of the file is the flag's name without the dashes before it. A flag is stronger than its
/// environment variable, and that is stronger than the file ([`RawConfig::or`]).
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RawConfig {
    /// Where to listen for Kafka clients; repeat with another NAME for a further listener. Port 0
    /// takes a free port, 0.0.0.0 or [::] every address of the machine [default: 127.0.0.1:9092]
    #[arg(
        long,
        env = "KOP_LISTEN",
        value_name = "[NAME://]HOST:PORT",
        value_delimiter = ','
    )]
    #[arg(help_heading = CLIENTS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Vec<String>>,

    /// The address that clients of the listener NAME are told to connect to, by which they must be
    /// able to reach the gateway [default: where it listens]
    #[arg(
        long,
        env = "KOP_ADVERTISE",
        value_name = "[NAME://]HOST:PORT",
        value_delimiter = ','
    )]
    #[arg(help_heading = CLIENTS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<Vec<String>>,

    /// Where to serve /livez, /readyz and /metrics over HTTP [default: 127.0.0.1:9100]
    #[arg(long, env = "KOP_ADMIN_LISTEN", value_name = "HOST:PORT")]
    #[arg(help_heading = CLIENTS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_listen: Option<String>,

    /// Keep records in this directory, which is made where there is none [default: kop-data, unless
    /// --pulsar is given]
    #[arg(long, env = "KOP_DATA_DIR", value_name = "DIR")]
    #[arg(help_heading = EMBEDDED)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,

    /// When a record in --data-dir is acknowledged: once it is on the disk (sync), or once the
    /// operating system has it (os) [default: sync]
    #[arg(
        long,
        env = "KOP_DURABILITY",
        hide_possible_values = true,
        value_name = "sync|os"
    )]
    #[arg(help_heading = EMBEDDED)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,

    /// Keep records in this Pulsar: pulsar://HOST:PORT or pulsar+ssl://HOST:PORT
    #[arg(long, env = "KOP_PULSAR", value_name = "URL")]
    #[arg(help_heading = PULSAR)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulsar: Option<String>,

    /// The admin service of the Pulsar: http://HOST:PORT or https://HOST:PORT
    #[arg(long, env = "KOP_PULSAR_ADMIN", value_name = "URL")]
    #[arg(help_heading = PULSAR)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulsar_admin: Option<String>,

    /// File with the token to authenticate to Pulsar with, read anew at each use
    #[arg(long, env = "KOP_PULSAR_TOKEN_FILE", value_name = "FILE")]
    #[arg(help_heading = PULSAR)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulsar_token_file: Option<PathBuf>,

    /// OAuth 2.0 issuer to get tokens for Pulsar from, by client credentials: https://HOST/PATH
    #[arg(long, env = "KOP_PULSAR_OAUTH2_ISSUER", value_name = "URL")]
    #[arg(help_heading = PULSAR)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulsar_oauth2_issuer: Option<String>,

    /// JSON file with type (client_credentials), client_id and client_secret for the issuer, read anew
    /// for each token
    #[arg(long, env = "KOP_PULSAR_OAUTH2_CREDENTIALS_FILE", value_name = "FILE")]
    #[arg(help_heading = PULSAR)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulsar_oauth2_credentials_file: Option<PathBuf>,

    /// The service that the issuer's tokens are to be for [default: none named]
    #[arg(long, env = "KOP_PULSAR_OAUTH2_AUDIENCE", value_name = "NAME")]
    #[arg(help_heading = PULSAR)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulsar_oauth2_audience: Option<String>,

    /// What the issuer's tokens are to allow, separated by spaces [default: none named]
    #[arg(long, env = "KOP_PULSAR_OAUTH2_SCOPE", value_name = "NAMES")]
    #[arg(help_heading = PULSAR)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulsar_oauth2_scope: Option<String>,

    /// PEM file with the certificate authorities to trust for pulsar+ssl:// and https://, the issuer's
    /// too [default: those of the machine]
    #[arg(long, env = "KOP_PULSAR_CA_FILE", value_name = "FILE")]
    #[arg(help_heading = PULSAR)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulsar_ca_file: Option<PathBuf>,

    /// Pulsar tenant of the topics [default: public]
    #[arg(long, env = "KOP_TENANT", value_name = "NAME")]
    #[arg(help_heading = PULSAR)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,

    /// Pulsar namespace of topics that are named without one [default: default]
    #[arg(long, env = "KOP_NAMESPACE", value_name = "NAME")]
    #[arg(help_heading = PULSAR)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,

    /// Pulsar namespace of groups, offsets and producer ids [default: __kafka]
    #[arg(long, env = "KOP_METADATA_NAMESPACE", value_name = "NAME")]
    #[arg(help_heading = PULSAR)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_namespace: Option<String>,

    /// How records are laid out in Pulsar: for Pulsar and Kafka clients (pulsar), or as Kafka's
    /// own batches (kafka) [default: pulsar]
    #[arg(
        long,
        env = "KOP_ENTRY_FORMAT",
        hide_possible_values = true,
        value_name = "pulsar|kafka"
    )]
    #[arg(help_heading = PULSAR)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_format: Option<EntryFormat>,

    /// Partitions of a topic whose creator does not say how many [default: 1]
    #[arg(long, env = "KOP_DEFAULT_PARTITIONS", value_name = "N")]
    #[arg(help_heading = TOPICS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_partitions: Option<u32>,

    /// How long --data-dir keeps records whose topic does not say (retention.ms), -1 for ever
    /// [default: 604800000, seven days]
    #[arg(long, env = "KOP_DEFAULT_RETENTION_MS", value_name = "MS")]
    #[arg(allow_negative_numbers = true, help_heading = TOPICS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_retention_ms: Option<i64>,

    /// Create a topic when a client asks for one that does not exist [default: true]
    #[arg(long, env = "KOP_AUTO_CREATE_TOPICS", value_name = "true|false")]
    #[arg(action = clap::ArgAction::Set, hide_possible_values = true)]
    #[arg(help_heading = TOPICS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_create_topics: Option<bool>,

    /// Node id of this gateway [default: 0]
    #[arg(long, env = "KOP_NODE_ID", value_name = "N")]
    #[arg(help_heading = CLIENTS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<i32>,

    /// How log lines look, on standard error; RUST_LOG chooses which there are [default: text]
    #[arg(
        long,
        env = "KOP_LOG_FORMAT",
        hide_possible_values = true,
        value_name = "text|json"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,

    /// How many milliseconds a new consumer group waits for more members [default: 3000 with --pulsar, else 0]
    #[arg(long, env = "KOP_GROUP_INITIAL_REBALANCE_DELAY_MS", value_name = "MS")]
    #[arg(help_heading = GROUPS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_initial_rebalance_delay_ms: Option<u32>,

    /// Shortest session timeout that a member of a group may ask for [default: 6000]
    #[arg(long, env = "KOP_GROUP_MIN_SESSION_TIMEOUT_MS", value_name = "MS")]
    #[arg(help_heading = GROUPS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_min_session_timeout_ms: Option<u32>,

    /// Longest session timeout that a member of a group may ask for [default: 1800000]
    #[arg(long, env = "KOP_GROUP_MAX_SESSION_TIMEOUT_MS", value_name = "MS")]
    #[arg(help_heading = GROUPS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_max_session_timeout_ms: Option<u32>,

    /// Members that one group may have [default: 2000]
    #[arg(long, env = "KOP_GROUP_MAX_SIZE", value_name = "N")]
    #[arg(help_heading = GROUPS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_max_size: Option<u32>,

    /// How long committed offsets are kept that nobody uses [default: 10080, a week]
    #[arg(long, env = "KOP_OFFSETS_RETENTION_MINUTES", value_name = "MINUTES")]
    #[arg(help_heading = GROUPS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsets_retention_minutes: Option<u32>,

    /// How often offsets are looked through for such [default: 600000]
    #[arg(
        long,
        env = "KOP_OFFSETS_RETENTION_CHECK_INTERVAL_MS",
        value_name = "MS"
    )]
    #[arg(help_heading = GROUPS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsets_retention_check_interval_ms: Option<u32>,

    /// Longest text that may be stored with an offset [default: 4096]
    #[arg(long, env = "KOP_OFFSET_METADATA_MAX_BYTES", value_name = "BYTES")]
    #[arg(help_heading = GROUPS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_metadata_max_bytes: Option<u32>,

    /// Committed offsets that /metrics lists with their lag; of more, the first by group
    /// [default: 5000]
    #[arg(long, env = "KOP_METRICS_MAX_OFFSETS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_max_offsets: Option<u32>,

    /// Largest record batch that is taken, in bytes [default: 1048588]
    #[arg(long, env = "KOP_MAX_MESSAGE_BYTES", value_name = "BYTES")]
    #[arg(help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_message_bytes: Option<u32>,

    /// Largest request that is taken, in bytes [default: 104857600, or --max-memory-bytes where that is
    /// less]
    #[arg(long, env = "KOP_MAX_REQUEST_BYTES", value_name = "BYTES")]
    #[arg(help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_request_bytes: Option<u32>,

    /// Memory for requests in flight, as much again each for responses and for what is read ahead, and half
    /// as much for what is kept of answered requests, in bytes [default: an eighth of the memory there is,
    /// from 8388608 to 134217728]
    #[arg(long, env = "KOP_MAX_MEMORY_BYTES", value_name = "BYTES")]
    #[arg(help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory_bytes: Option<u32>,

    /// Memory for the newest records of the topics in --pulsar, from which consumers near the end are
    /// served, in bytes [default: an eighth of the memory there is, from 8388608 to 268435456]
    #[arg(long, env = "KOP_TAIL_CACHE_BYTES", value_name = "BYTES")]
    #[arg(help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_cache_bytes: Option<u32>,

    /// Threads that serve connections [default: one for each processor; with --pulsar one for two, as
    /// brokers have most of the work]
    #[arg(long, env = "KOP_WORKER_THREADS", value_name = "N")]
    #[arg(help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_threads: Option<u32>,

    /// Kafka connections that are served at a time [default: 10000]
    #[arg(long, env = "KOP_MAX_CONNECTIONS", value_name = "N")]
    #[arg(help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,

    /// Of these, connections from one IP address [default: as many as --max-connections]
    #[arg(long, env = "KOP_MAX_CONNECTIONS_PER_IP", value_name = "N")]
    #[arg(help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections_per_ip: Option<u32>,

    /// Requests of one connection that are served or wait for it; then no more are read
    /// [default: 128]
    #[arg(long, env = "KOP_MAX_REQUESTS_IN_FLIGHT", value_name = "N")]
    #[arg(help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests_in_flight: Option<u32>,

    /// Close a connection after this many milliseconds without a request [default: 600000]
    #[arg(long, env = "KOP_CONNECTION_IDLE_MS", value_name = "MS")]
    #[arg(help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_idle_ms: Option<u32>,

    /// Close a connection that stays this long in the middle of a request, or does not take what it
    /// is answered [default: 30000]
    #[arg(long, env = "KOP_CONNECTION_STALL_MS", value_name = "MS")]
    #[arg(help_heading = LIMITS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_stall_ms: Option<u32>,
}

/// A configuration file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidFile(String);

/// Each setting of the first where it has it, else of the second. A setting that is forgotten in the list
/// does not compile.
macro_rules! or {
    ($stronger:expr, $weaker:expr, [$($setting:ident),* $(,)?]) => {{
        let Self { $($setting),* } = $weaker;
        Self { $($setting: $stronger.$setting.or($setting)),* }
    }};
}

impl RawConfig {
    /// Reads a TOML text whose keys are the flags' names.
    ///
    /// # Errors
    /// A key that is not known, or a value of the wrong type; the message names it and its line.
    pub fn from_toml(text: &str) -> Result<Self, InvalidFile> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.unwrap_or_default().matches('\n').count() + 1;
            InvalidFile(format!("line {line}: {}", error.message()))
        })
    }

    /// Writes the TOML text that [`from_toml`](Self::from_toml) reads; what is not set is left out.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("strings, numbers and lists of strings are valid TOML")
    }

    /// Takes from `weaker` what is not set here. A list is taken as a whole or not at all.
    #[must_use]
    pub fn or(self, weaker: Self) -> Self {
        or!(
            self,
            weaker,
            [
                listen,
                advertise,
                admin_listen,
                data_dir,
                durability,
                pulsar,
                pulsar_admin,
                pulsar_token_file,
                pulsar_oauth2_issuer,
                pulsar_oauth2_credentials_file,
                pulsar_oauth2_audience,
                pulsar_oauth2_scope,
                pulsar_ca_file,
                tenant,
                namespace,
                metadata_namespace,
                entry_format,
                default_partitions,
                default_retention_ms,
                auto_create_topics,
                node_id,
                log_format,
                group_initial_rebalance_delay_ms,
                group_min_session_timeout_ms,
                group_max_session_timeout_ms,
                group_max_size,
                offsets_retention_minutes,
                offsets_retention_check_interval_ms,
                offset_metadata_max_bytes,
                metrics_max_offsets,
                max_message_bytes,
                max_request_bytes,
                max_memory_bytes,
                tail_cache_bytes,
                worker_threads,
                max_connections,
                max_connections_per_ip,
                max_requests_in_flight,
                connection_idle_ms,
                connection_stall_ms,
            ]
        )
    }
}
