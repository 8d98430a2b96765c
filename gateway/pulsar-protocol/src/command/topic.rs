//! Which topics there are, how they are partitioned, who serves them.
use crate::KeyValue;

/// `CommandPartitionedTopicMetadata`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PartitionedTopicMetadata {
    /// The topic.
    #[prost(string, required, tag = "1")]
    pub topic: String,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
    /// Whether a missing topic may be created by asking. Brokers before PIP-344 ignore the field
    /// and follow their own setting.
    #[prost(bool, optional, tag = "6", default = "true")]
    pub metadata_auto_creation_enabled: Option<bool>,
}

/// How partition metadata was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MetadataOutcome {
    /// With a number of partitions.
    Success = 0,
    /// With an error.
    Failed = 1,
}

/// `CommandPartitionedTopicMetadataResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PartitionedTopicMetadataResponse {
    /// Number of partitions; 0 for a topic that is not partitioned.
    #[prost(uint32, optional, tag = "1")]
    pub partitions: Option<u32>,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
    /// Whether it went well.
    #[prost(enumeration = "MetadataOutcome", optional, tag = "3")]
    pub response: Option<i32>,
    /// Why not, a [`ServerError`](crate::ServerError).
    #[prost(int32, optional, tag = "4")]
    pub error: Option<i32>,
    /// Why not, in words.
    #[prost(string, optional, tag = "5")]
    pub message: Option<String>,
}

/// `CommandLookupTopic`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LookupTopic {
    /// The topic.
    #[prost(string, required, tag = "1")]
    pub topic: String,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
    /// As the redirecting broker said: the asked one must answer itself.
    #[prost(bool, optional, tag = "3", default = "false")]
    pub authoritative: Option<bool>,
    /// Which of the broker's listeners to answer with.
    #[prost(string, optional, tag = "7")]
    pub advertised_listener_name: Option<String>,
    /// Hints for the load manager.
    #[prost(message, repeated, tag = "8")]
    pub properties: Vec<KeyValue>,
}

/// How a lookup was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum LookupOutcome {
    /// Ask that broker.
    Redirect = 0,
    /// That broker serves the topic.
    Connect = 1,
    /// With an error.
    Failed = 2,
}

/// `CommandLookupTopicResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LookupTopicResponse {
    /// `pulsar://HOST:PORT` of the broker.
    #[prost(string, optional, tag = "1")]
    pub broker_service_url: Option<String>,
    /// `pulsar+ssl://HOST:PORT` of the broker.
    #[prost(string, optional, tag = "2")]
    pub broker_service_url_tls: Option<String>,
    /// Which of the three it is.
    #[prost(enumeration = "LookupOutcome", optional, tag = "3")]
    pub response: Option<i32>,
    /// The request.
    #[prost(uint64, required, tag = "4")]
    pub request_id: u64,
    /// To be passed on to the broker redirected to.
    #[prost(bool, optional, tag = "5", default = "false")]
    pub authoritative: Option<bool>,
    /// Why not, a [`ServerError`](crate::ServerError).
    #[prost(int32, optional, tag = "6")]
    pub error: Option<i32>,
    /// Why not, in words.
    #[prost(string, optional, tag = "7")]
    pub message: Option<String>,
    /// Connect to the service URL (a proxy) and name the broker in `CONNECT`.
    #[prost(bool, optional, tag = "8", default = "false")]
    pub proxy_through_service_url: Option<bool>,
}

/// Which kind of topics of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum NamespaceTopics {
    /// `persistent://`.
    Persistent = 0,
    /// `non-persistent://`.
    NonPersistent = 1,
    /// Both.
    All = 2,
}

/// `CommandGetTopicsOfNamespace`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct GetTopicsOfNamespace {
    /// The request.
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    /// `tenant/namespace`.
    #[prost(string, required, tag = "2")]
    pub namespace: String,
    /// Which kind.
    #[prost(
        enumeration = "NamespaceTopics",
        optional,
        tag = "3",
        default = "Persistent"
    )]
    pub mode: Option<i32>,
}

/// `CommandGetTopicsOfNamespaceResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct GetTopicsOfNamespaceResponse {
    /// The request.
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    /// Full names; each partition of a partitioned topic stands for itself.
    #[prost(string, repeated, tag = "2")]
    pub topics: Vec<String>,
}

/// What of a topic has migrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MigratedResource {
    /// The producer of `resource_id`.
    Producer = 0,
    /// The consumer of `resource_id`.
    Consumer = 1,
}

/// `CommandTopicMigrated`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TopicMigrated {
    /// Producer or consumer id.
    #[prost(uint64, required, tag = "1")]
    pub resource_id: u64,
    /// Which of both it is.
    #[prost(enumeration = "MigratedResource", required, tag = "2")]
    pub resource_type: i32,
}
