//! Writing.
use bytes::Bytes;

use crate::{KeyValue, MessageIdData};

/// What a producer demands of others on its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ProducerAccessMode {
    /// Others may write too.
    Shared = 0,
    /// No other; refused at once where there is one.
    Exclusive = 1,
    /// No other; waits until the others are gone.
    WaitForExclusive = 2,
    /// No other; those that are there are closed.
    ExclusiveWithFencing = 3,
}

/// `CommandProducer`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Producer {
    /// The topic, with the partition's suffix.
    #[prost(string, required, tag = "1")]
    pub topic: String,
    /// The client's number for the producer, unique on the connection.
    #[prost(uint64, required, tag = "2")]
    pub producer_id: u64,
    /// The request.
    #[prost(uint64, required, tag = "3")]
    pub request_id: u64,
    /// Its name; the broker makes one up where there is none.
    #[prost(string, optional, tag = "4")]
    pub producer_name: Option<String>,
    /// Shown in the topic's statistics.
    #[prost(message, repeated, tag = "6")]
    pub metadata: Vec<KeyValue>,
    /// How often this producer has reconnected.
    #[prost(uint64, optional, tag = "8", default = "0")]
    pub epoch: Option<u64>,
    /// Whether the user chose the name. Only a name so marked is never given to a second producer.
    #[prost(bool, optional, tag = "9", default = "true")]
    pub user_provided_producer_name: Option<bool>,
    /// What it demands of others.
    #[prost(
        enumeration = "ProducerAccessMode",
        optional,
        tag = "10",
        default = "Shared"
    )]
    pub producer_access_mode: Option<i32>,
    /// Epoch it was given before, to be told apart from later exclusive producers.
    #[prost(uint64, optional, tag = "11")]
    pub topic_epoch: Option<u64>,
}

/// `CommandProducerSuccess`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ProducerSuccess {
    /// The request.
    #[prost(uint64, required, tag = "1")]
    pub request_id: u64,
    /// The producer's name.
    #[prost(string, required, tag = "2")]
    pub producer_name: String,
    /// Last sequence id that a producer of this name has had stored (with deduplication on).
    #[prost(int64, optional, tag = "3", default = "-1")]
    pub last_sequence_id: Option<i64>,
    /// Version of the topic's schema.
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub schema_version: Option<Bytes>,
    /// Epoch of an exclusive producer.
    #[prost(uint64, optional, tag = "5")]
    pub topic_epoch: Option<u64>,
    /// False while the producer waits to become exclusive.
    #[prost(bool, optional, tag = "6", default = "true")]
    pub producer_ready: Option<bool>,
}

/// `CommandSend`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Send {
    /// The producer.
    #[prost(uint64, required, tag = "1")]
    pub producer_id: u64,
    /// The entry's sequence id, rising.
    #[prost(uint64, required, tag = "2")]
    pub sequence_id: u64,
    /// Messages in the entry: by so much the index rises.
    #[prost(int32, optional, tag = "3", default = "1")]
    pub num_messages: Option<i32>,
    /// Low half of the transaction's id.
    #[prost(uint64, optional, tag = "4", default = "0")]
    pub txnid_least_bits: Option<u64>,
    /// High half of the transaction's id.
    #[prost(uint64, optional, tag = "5", default = "0")]
    pub txnid_most_bits: Option<u64>,
    /// Sequence id of the entry's last message.
    #[prost(uint64, optional, tag = "6", default = "0")]
    pub highest_sequence_id: Option<u64>,
    /// The entry is a chunk of a message.
    #[prost(bool, optional, tag = "7", default = "false")]
    pub is_chunk: Option<bool>,
    /// The entry is a marker.
    #[prost(bool, optional, tag = "8", default = "false")]
    pub marker: Option<bool>,
}

/// `CommandSendReceipt`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SendReceipt {
    /// The producer.
    #[prost(uint64, required, tag = "1")]
    pub producer_id: u64,
    /// The entry's sequence id.
    #[prost(uint64, required, tag = "2")]
    pub sequence_id: u64,
    /// Where it is stored; (−1, −1) where deduplication has discarded it.
    #[prost(message, optional, tag = "3")]
    pub message_id: Option<MessageIdData>,
    /// Sequence id of the entry's last message.
    #[prost(uint64, optional, tag = "4", default = "0")]
    pub highest_sequence_id: Option<u64>,
}

/// `CommandSendError`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SendError {
    /// The producer.
    #[prost(uint64, required, tag = "1")]
    pub producer_id: u64,
    /// The entry's sequence id.
    #[prost(uint64, required, tag = "2")]
    pub sequence_id: u64,
    /// Why, a [`ServerError`](crate::ServerError).
    #[prost(int32, required, tag = "3")]
    pub error: i32,
    /// Why, in words.
    #[prost(string, required, tag = "4")]
    pub message: String,
}

/// `CommandCloseProducer`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct CloseProducer {
    /// The producer.
    #[prost(uint64, required, tag = "1")]
    pub producer_id: u64,
    /// The request; `u64::MAX` where the broker closes it.
    #[prost(uint64, required, tag = "2")]
    pub request_id: u64,
}
