//! Reading.
use crate::MessageIdData;

/// How the consumers of a subscription share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum SubscriptionType {
    /// One consumer.
    Exclusive = 0,
    /// Messages in turn.
    Shared = 1,
    /// One, the others stand by.
    Failover = 2,
    /// Messages by key.
    KeyShared = 3,
}

/// Where a new subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum InitialPosition {
    /// Behind the last entry.
    Latest = 0,
    /// At the first entry.
    Earliest = 1,
}

/// `CommandSubscribe`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Subscribe {
    /// The topic, with the partition's suffix.
    #[prost(string, required, tag = "1")]
    pub topic: String,
    /// The subscription's name.
    #[prost(string, required, tag = "2")]
    pub subscription: String,
    /// Its type.
    #[prost(enumeration = "SubscriptionType", required, tag = "3")]
    pub subscription_type: i32,
    /// The client's number for the consumer, unique on the connection.
    #[prost(uint64, required, tag = "4")]
    pub consumer_id: u64,
    /// The request.
    #[prost(uint64, required, tag = "5")]
    pub request_id: u64,
    /// The consumer's name.
    #[prost(string, optional, tag = "6")]
    pub consumer_name: Option<String>,
    /// Whether the cursor is kept: false for readers.
    #[prost(bool, optional, tag = "8", default = "true")]
    pub durable: Option<bool>,
    /// Begin at this entry, itself included (not durable only).
    #[prost(message, optional, tag = "9")]
    pub start_message_id: Option<MessageIdData>,
    /// Read the compacted topic.
    #[prost(bool, optional, tag = "11")]
    pub read_compacted: Option<bool>,
    /// Where a new cursor begins.
    #[prost(
        enumeration = "InitialPosition",
        optional,
        tag = "13",
        default = "Latest"
    )]
    pub initial_position: Option<i32>,
    /// Whether a missing topic may be created by subscribing.
    #[prost(bool, optional, tag = "15", default = "true")]
    pub force_topic_creation: Option<bool>,
}

/// `CommandFlow`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Flow {
    /// The consumer.
    #[prost(uint64, required, tag = "1")]
    pub consumer_id: u64,
    /// That many messages more than granted before.
    #[prost(uint32, required, tag = "2")]
    pub message_permits: u32,
}

/// `CommandMessage`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Message {
    /// The consumer.
    #[prost(uint64, required, tag = "1")]
    pub consumer_id: u64,
    /// The entry.
    #[prost(message, required, tag = "2")]
    pub message_id: MessageIdData,
    /// How often it was delivered before.
    #[prost(uint32, optional, tag = "3", default = "0")]
    pub redelivery_count: Option<u32>,
    /// Which messages of the batch are not yet acknowledged.
    #[prost(int64, repeated, packed = "false", tag = "4")]
    pub ack_set: Vec<i64>,
}

/// `CommandCloseConsumer`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct CloseConsumer {
    /// The consumer.
    #[prost(uint64, required, tag = "1")]
    pub consumer_id: u64,
    /// The request; `u64::MAX` where the broker closes it.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
}

/// `CommandReachedEndOfTopic`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ReachedEndOfTopic {
    /// The consumer.
    #[prost(uint64, required, tag = "1")]
    pub consumer_id: u64,
}

/// `CommandActiveConsumerChange`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ActiveConsumerChange {
    /// The consumer.
    #[prost(uint64, required, tag = "1")]
    pub consumer_id: u64,
    /// Whether it is the active one now.
    #[prost(bool, optional, tag = "2", default = "false")]
    pub is_active: Option<bool>,
}

/// `CommandGetLastMessageId`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct GetLastMessageId {
    /// The consumer.
    #[prost(uint64, required, tag = "1")]
    pub consumer_id: u64,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
}

/// `CommandGetLastMessageIdResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct GetLastMessageIdResponse {
    /// The topic's last message; (−1, −1) where there is none.
    #[prost(message, required, tag = "1")]
    pub last_message_id: MessageIdData,
    /// The request.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
}
