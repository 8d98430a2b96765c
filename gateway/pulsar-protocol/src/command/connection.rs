//! Greeting, credentials, keep-alive, and the answers all requests share.
use bytes::Bytes;

/// `CommandConnect`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Connect {
    /// Name and version of the client.
    #[prost(string, required, tag = "1")]
    pub client_version: String,
    /// The credentials.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub auth_data: Option<Bytes>,
    /// Highest protocol version the client speaks.
    #[prost(int32, optional, tag = "4", default = "0")]
    pub protocol_version: Option<i32>,
    /// What kind of credentials: `token`, …
    #[prost(string, optional, tag = "5")]
    pub auth_method_name: Option<String>,
    /// Through a proxy: `HOST:PORT` of the broker to be connected to.
    #[prost(string, optional, tag = "6")]
    pub proxy_to_broker_url: Option<String>,
    /// What the client can do.
    #[prost(message, optional, tag = "10")]
    pub feature_flags: Option<FeatureFlags>,
}

/// `FeatureFlags`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct FeatureFlags {
    /// Answers [`AuthChallenge`].
    #[prost(bool, optional, tag = "1", default = "false")]
    pub supports_auth_refresh: Option<bool>,
    /// Takes entries with broker entry metadata before them.
    #[prost(bool, optional, tag = "2", default = "false")]
    pub supports_broker_entry_metadata: Option<bool>,
    /// Producers of partitioned topics that connect late.
    #[prost(bool, optional, tag = "3", default = "false")]
    pub supports_partial_producer: Option<bool>,
    /// Topic list watchers.
    #[prost(bool, optional, tag = "4", default = "false")]
    pub supports_topic_watchers: Option<bool>,
    /// The broker can answer partition metadata without creating the topic (PIP-344).
    #[prost(bool, optional, tag = "5", default = "false")]
    pub supports_get_partitioned_metadata_without_auto_creation: Option<bool>,
}

/// `CommandConnected`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Connected {
    /// Name and version of the broker.
    #[prost(string, required, tag = "1")]
    pub server_version: String,
    /// Protocol version that both speak.
    #[prost(int32, optional, tag = "2", default = "0")]
    pub protocol_version: Option<i32>,
    /// Largest message the broker takes, in bytes.
    #[prost(int32, optional, tag = "3")]
    pub max_message_size: Option<i32>,
    /// What the broker can do.
    #[prost(message, optional, tag = "4")]
    pub feature_flags: Option<FeatureFlags>,
}

/// `AuthData`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct AuthData {
    /// What kind of credentials.
    #[prost(string, optional, tag = "1")]
    pub auth_method_name: Option<String>,
    /// The credentials.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub auth_data: Option<Bytes>,
}

/// `CommandAuthChallenge`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct AuthChallenge {
    /// Name and version of the broker.
    #[prost(string, optional, tag = "1")]
    pub server_version: Option<String>,
    /// The challenge.
    #[prost(message, optional, tag = "2")]
    pub challenge: Option<AuthData>,
    /// Protocol version of the broker.
    #[prost(int32, optional, tag = "3", default = "0")]
    pub protocol_version: Option<i32>,
}

/// `CommandAuthResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct AuthResponse {
    /// Name and version of the client.
    #[prost(string, optional, tag = "1")]
    pub client_version: Option<String>,
    /// The credentials.
    #[prost(message, optional, tag = "2")]
    pub response: Option<AuthData>,
    /// Protocol version of the client.
    #[prost(int32, optional, tag = "3", default = "0")]
    pub protocol_version: Option<i32>,
}

/// `CommandSuccess`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Success {
    /// The request that went well.
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
}

/// `CommandError`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ErrorResponse {
    /// The request that was refused; `u64::MAX` where it was none (a refused [`Connect`]).
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    /// Why, a [`ServerError`](crate::ServerError).
    #[prost(int32, required, tag = "2")]
    pub error: i32,
    /// Why, in words.
    #[prost(string, required, tag = "3")]
    pub message: String,
}

/// `CommandPing`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Ping {}

/// `CommandPong`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Pong {}
