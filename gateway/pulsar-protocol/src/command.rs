//! The commands of a connection.
//!
//! `PulsarApi.proto` has one message with a type and an optional field for each command. Exactly one
//! of them is set, so here they are the variants of [`Command`]: the bytes are the same.
mod connection;
mod consumer;
mod producer;
mod topic;

pub use connection::{
    AuthChallenge, AuthData, AuthResponse, Connect, Connected, ErrorResponse, FeatureFlags, Ping,
    Pong, Success,
};
pub use consumer::{
    ActiveConsumerChange, CloseConsumer, Flow, GetLastMessageId, GetLastMessageIdResponse,
    InitialPosition, Message, ReachedEndOfTopic, Subscribe, SubscriptionType,
};
pub use producer::{
    CloseProducer, Producer, ProducerAccessMode, ProducerSuccess, Send, SendError, SendReceipt,
};
pub use topic::{
    GetTopicsOfNamespace, GetTopicsOfNamespaceResponse, LookupOutcome, LookupTopic,
    LookupTopicResponse, MetadataOutcome, MigratedResource, NamespaceTopics,
    PartitionedTopicMetadata, PartitionedTopicMetadataResponse, TopicMigrated,
};

/// One command as it is framed: its type and its body.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BaseCommand {
    /// Pulsar's number of the command, which is also the body's field.
    #[prost(int32, required, tag = "1")]
    pub kind: i32,
    /// The body; `None` for a command that this crate does not have.
    #[prost(
        oneof = "Command",
        tags = "2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23, 24, 27, 29, 30, 31, 32, 33, 36, 37, 68"
    )]
    pub command: Option<Command>,
}

/// A command's body.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Command {
    /// Client's greeting.
    #[prost(message, tag = "2")]
    Connect(Connect),
    /// Broker's answer to it.
    #[prost(message, tag = "3")]
    Connected(Connected),
    /// Open a consumer or reader.
    #[prost(message, tag = "4")]
    Subscribe(Subscribe),
    /// Open a producer.
    #[prost(message, tag = "5")]
    Producer(Producer),
    /// Write an entry, which follows the command.
    #[prost(message, tag = "6")]
    Send(Send),
    /// The entry is stored.
    #[prost(message, tag = "7")]
    SendReceipt(SendReceipt),
    /// The entry is not stored.
    #[prost(message, tag = "8")]
    SendError(SendError),
    /// An entry for a consumer, which follows the command.
    #[prost(message, tag = "9")]
    Message(Message),
    /// A consumer takes that many more messages.
    #[prost(message, tag = "11")]
    Flow(Flow),
    /// A request went well.
    #[prost(message, tag = "13")]
    Success(Success),
    /// A request was refused.
    #[prost(message, tag = "14")]
    Error(ErrorResponse),
    /// A producer ends; from either side.
    #[prost(message, tag = "15")]
    CloseProducer(CloseProducer),
    /// A consumer ends; from either side.
    #[prost(message, tag = "16")]
    CloseConsumer(CloseConsumer),
    /// The producer is open.
    #[prost(message, tag = "17")]
    ProducerSuccess(ProducerSuccess),
    /// Is anyone there?
    #[prost(message, tag = "18")]
    Ping(Ping),
    /// Yes.
    #[prost(message, tag = "19")]
    Pong(Pong),
    /// How many partitions has the topic?
    #[prost(message, tag = "21")]
    PartitionMetadata(PartitionedTopicMetadata),
    /// That many.
    #[prost(message, tag = "22")]
    PartitionMetadataResponse(PartitionedTopicMetadataResponse),
    /// Which broker serves the topic?
    #[prost(message, tag = "23")]
    LookupTopic(LookupTopic),
    /// That one.
    #[prost(message, tag = "24")]
    LookupTopicResponse(LookupTopicResponse),
    /// A terminated topic has been read to its end.
    #[prost(message, tag = "27")]
    ReachedEndOfTopic(ReachedEndOfTopic),
    /// Where does the consumer's topic end?
    #[prost(message, tag = "29")]
    GetLastMessageId(GetLastMessageId),
    /// There.
    #[prost(message, tag = "30")]
    GetLastMessageIdResponse(GetLastMessageIdResponse),
    /// Another consumer of the subscription is the active one.
    #[prost(message, tag = "31")]
    ActiveConsumerChange(ActiveConsumerChange),
    /// Which topics has the namespace?
    #[prost(message, tag = "32")]
    GetTopicsOfNamespace(GetTopicsOfNamespace),
    /// These.
    #[prost(message, tag = "33")]
    GetTopicsOfNamespaceResponse(GetTopicsOfNamespaceResponse),
    /// Show your credentials again.
    #[prost(message, tag = "36")]
    AuthChallenge(AuthChallenge),
    /// Here they are.
    #[prost(message, tag = "37")]
    AuthResponse(AuthResponse),
    /// The topic has moved to another cluster.
    #[prost(message, tag = "68")]
    TopicMigrated(TopicMigrated),
}

impl Command {
    /// Pulsar's number of the command (`BaseCommand.Type`).
    #[must_use]
    pub fn kind(&self) -> i32 {
        match self {
            Self::Connect(_) => 2,
            Self::Connected(_) => 3,
            Self::Subscribe(_) => 4,
            Self::Producer(_) => 5,
            Self::Send(_) => 6,
            Self::SendReceipt(_) => 7,
            Self::SendError(_) => 8,
            Self::Message(_) => 9,
            Self::Flow(_) => 11,
            Self::Success(_) => 13,
            Self::Error(_) => 14,
            Self::CloseProducer(_) => 15,
            Self::CloseConsumer(_) => 16,
            Self::ProducerSuccess(_) => 17,
            Self::Ping(_) => 18,
            Self::Pong(_) => 19,
            Self::PartitionMetadata(_) => 21,
            Self::PartitionMetadataResponse(_) => 22,
            Self::LookupTopic(_) => 23,
            Self::LookupTopicResponse(_) => 24,
            Self::ReachedEndOfTopic(_) => 27,
            Self::GetLastMessageId(_) => 29,
            Self::GetLastMessageIdResponse(_) => 30,
            Self::ActiveConsumerChange(_) => 31,
            Self::GetTopicsOfNamespace(_) => 32,
            Self::GetTopicsOfNamespaceResponse(_) => 33,
            Self::AuthChallenge(_) => 36,
            Self::AuthResponse(_) => 37,
            Self::TopicMigrated(_) => 68,
        }
    }
}

impl From<Command> for BaseCommand {
    fn from(command: Command) -> Self {
        Self {
            kind: command.kind(),
            command: Some(command),
        }
    }
}
