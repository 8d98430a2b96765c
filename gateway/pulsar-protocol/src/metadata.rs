//! What stands in front of an entry's payload, and message ids.
use bytes::Bytes;

/// Name and value of a property. Pulsar says both are text; clients in C++ or Go may put any bytes
/// there, and an entry must stay readable then, so they are kept as bytes.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct KeyValue {
    /// The name.
    #[prost(bytes = "bytes", required, tag = "1")]
    pub key: Bytes,
    /// The value.
    #[prost(bytes = "bytes", required, tag = "2")]
    pub value: Bytes,
}

impl KeyValue {
    /// A property of these two.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
        }
    }
}

/// The value of the first property of that name.
fn property<'a>(properties: &'a [KeyValue], name: &str) -> Option<&'a Bytes> {
    properties
        .iter()
        .find(|pair| pair.key == name.as_bytes())
        .map(|pair| &pair.value)
}

/// Codec of an entry's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum CompressionType {
    /// Not compressed.
    None = 0,
    /// One LZ4 block, without a frame.
    Lz4 = 1,
    /// A zlib stream.
    Zlib = 2,
    /// A Zstandard frame.
    Zstd = 3,
    /// One raw Snappy block.
    Snappy = 4,
}

/// A data key of an encrypted entry, itself encrypted.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct EncryptionKeys {
    /// Name of the key it is encrypted with.
    #[prost(string, required, tag = "1")]
    pub key: String,
    /// The encrypted data key.
    #[prost(bytes = "bytes", required, tag = "2")]
    pub value: Bytes,
    /// What the key reader needs beside it.
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<KeyValue>,
}

/// Metadata of one entry: of its only message, or of the batch.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MessageMetadata {
    /// Name of the producer that wrote it.
    #[prost(string, required, tag = "1")]
    pub producer_name: String,
    /// The producer's sequence id of the (first) message.
    #[prost(uint64, required, tag = "2")]
    pub sequence_id: u64,
    /// When the producer sent it, milliseconds since the epoch.
    #[prost(uint64, required, tag = "3")]
    pub publish_time: u64,
    /// The application's properties.
    #[prost(message, repeated, tag = "4")]
    pub properties: Vec<KeyValue>,
    /// Cluster that the entry was replicated from.
    #[prost(string, optional, tag = "5")]
    pub replicated_from: Option<String>,
    /// The message's key. Bytes for the reason given at [`KeyValue`].
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub partition_key: Option<Bytes>,
    /// Clusters to replicate to, in place of the namespace's.
    #[prost(string, repeated, tag = "7")]
    pub replicate_to: Vec<String>,
    /// Codec of the payload, a [`CompressionType`].
    #[prost(enumeration = "CompressionType", optional, tag = "8", default = "None")]
    pub compression: Option<i32>,
    /// Bytes of the payload once decompressed.
    #[prost(uint32, optional, tag = "9", default = "0")]
    pub uncompressed_size: Option<u32>,
    /// Messages in the payload. *Present* means that the payload is a batch of single messages with
    /// their own metadata, even where it is 1.
    #[prost(int32, optional, tag = "11", default = "1")]
    pub num_messages_in_batch: Option<i32>,
    /// The application's time, milliseconds since the epoch.
    #[prost(uint64, optional, tag = "12", default = "0")]
    pub event_time: Option<u64>,
    /// Present where the payload is encrypted.
    #[prost(message, repeated, tag = "13")]
    pub encryption_keys: Vec<EncryptionKeys>,
    /// Algorithm of the encryption keys.
    #[prost(string, optional, tag = "14")]
    pub encryption_algo: Option<String>,
    /// Parameter (nonce) of the encryption.
    #[prost(bytes = "bytes", optional, tag = "15")]
    pub encryption_param: Option<Bytes>,
    /// Version of the topic's schema.
    #[prost(bytes = "bytes", optional, tag = "16")]
    pub schema_version: Option<Bytes>,
    /// Whether `partition_key` is base64 of the key's bytes.
    #[prost(bool, optional, tag = "17", default = "false")]
    pub partition_key_b64_encoded: Option<bool>,
    /// Key that orders dispatch in Key_Shared, in place of `partition_key`.
    #[prost(bytes = "bytes", optional, tag = "18")]
    pub ordering_key: Option<Bytes>,
    /// Not to be delivered before, milliseconds since the epoch.
    #[prost(int64, optional, tag = "19")]
    pub deliver_at_time: Option<i64>,
    /// Present in markers: entries that the broker keeps from consumers.
    #[prost(int32, optional, tag = "20")]
    pub marker_type: Option<i32>,
    /// Low half of the transaction's id.
    #[prost(uint64, optional, tag = "22")]
    pub txnid_least_bits: Option<u64>,
    /// High half of the transaction's id.
    #[prost(uint64, optional, tag = "23")]
    pub txnid_most_bits: Option<u64>,
    /// Sequence id of a batch's last message.
    #[prost(uint64, optional, tag = "24", default = "0")]
    pub highest_sequence_id: Option<u64>,
    /// The message has no value (a tombstone), which is not an empty one.
    #[prost(bool, optional, tag = "25", default = "false")]
    pub null_value: Option<bool>,
    /// What the chunks of one message share.
    #[prost(string, optional, tag = "26")]
    pub uuid: Option<String>,
    /// Chunks the message was cut into; present in chunks.
    #[prost(int32, optional, tag = "27")]
    pub num_chunks_from_msg: Option<i32>,
    /// Bytes of all chunks together.
    #[prost(int32, optional, tag = "28")]
    pub total_chunk_msg_size: Option<i32>,
    /// Which chunk this is, from 0.
    #[prost(int32, optional, tag = "29")]
    pub chunk_id: Option<i32>,
    /// The message was given a key that is null.
    #[prost(bool, optional, tag = "30", default = "false")]
    pub null_partition_key: Option<bool>,
    /// In a compacted entry: which messages of the batch are still there.
    #[prost(int32, repeated, packed = "false", tag = "31")]
    pub compacted_batch_indexes: Vec<i32>,
    /// Schema id given by an external registry.
    #[prost(bytes = "bytes", optional, tag = "32")]
    pub schema_id: Option<Bytes>,
    /// What a gateway keeps beside the messages. No field of Pulsar's: its brokers and clients pass
    /// over a number that they do not know, and keep the entry as it was written.
    #[prost(bytes = "bytes", optional, tag = "57302")]
    pub gateway_note: Option<Bytes>,
}

impl MessageMetadata {
    /// The value of the first property of that name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Bytes> {
        property(&self.properties, name)
    }

    /// Offsets the entry takes: at least 1, whatever the field says.
    #[must_use]
    pub fn messages(&self) -> u32 {
        u32::try_from(self.num_messages_in_batch())
            .unwrap_or(1)
            .max(1)
    }

    /// Whether the payload is a batch of messages that have metadata of their own. KoP's `kafka`
    /// entries set the field too, so look at the property `entry.format` first.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        self.num_messages_in_batch.is_some()
    }

    /// Whether the payload is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        !self.encryption_keys.is_empty()
    }

    /// Whether the entry is one of several chunks of a message.
    #[must_use]
    pub fn is_chunk(&self) -> bool {
        self.num_chunks_from_msg.is_some_and(|chunks| chunks > 1)
    }
}

/// Metadata of one message in a batch.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SingleMessageMetadata {
    /// The application's properties.
    #[prost(message, repeated, tag = "1")]
    pub properties: Vec<KeyValue>,
    /// The message's key. Bytes for the reason given at [`KeyValue`].
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub partition_key: Option<Bytes>,
    /// Bytes of the message's payload, which follows.
    #[prost(int32, required, tag = "3")]
    pub payload_size: i32,
    /// Compaction has removed the message.
    #[prost(bool, optional, tag = "4", default = "false")]
    pub compacted_out: Option<bool>,
    /// The application's time, milliseconds since the epoch.
    #[prost(uint64, optional, tag = "5", default = "0")]
    pub event_time: Option<u64>,
    /// Whether `partition_key` is base64 of the key's bytes.
    #[prost(bool, optional, tag = "6", default = "false")]
    pub partition_key_b64_encoded: Option<bool>,
    /// Key that orders dispatch in Key_Shared, in place of `partition_key`.
    #[prost(bytes = "bytes", optional, tag = "7")]
    pub ordering_key: Option<Bytes>,
    /// The producer's sequence id of this message.
    #[prost(uint64, optional, tag = "8")]
    pub sequence_id: Option<u64>,
    /// The message has no value (a tombstone), which is not an empty one.
    #[prost(bool, optional, tag = "9", default = "false")]
    pub null_value: Option<bool>,
    /// The message was given a key that is null.
    #[prost(bool, optional, tag = "10", default = "false")]
    pub null_partition_key: Option<bool>,
}

impl SingleMessageMetadata {
    /// The value of the first property of that name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Bytes> {
        property(&self.properties, name)
    }
}

/// What the broker's interceptors put before an entry (PIP-70).
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct BrokerEntryMetadata {
    /// When the broker took the entry, milliseconds since the epoch.
    #[prost(uint64, optional, tag = "1")]
    pub broker_timestamp: Option<u64>,
    /// Index of the entry's **last** message.
    #[prost(uint64, optional, tag = "2")]
    pub index: Option<u64>,
}

/// A message's position. Absent, and where Java has −1, numbers read as `u64::MAX` or −1.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MessageIdData {
    /// Ledger.
    #[prost(uint64, required, tag = "1")]
    pub ledger_id: u64,
    /// Entry of the ledger.
    #[prost(uint64, required, tag = "2")]
    pub entry_id: u64,
    /// Partition of the topic.
    #[prost(int32, optional, tag = "3", default = "-1")]
    pub partition: Option<i32>,
    /// Message of the batch.
    #[prost(int32, optional, tag = "4", default = "-1")]
    pub batch_index: Option<i32>,
    /// Which messages of the batch are not yet acknowledged.
    #[prost(int64, repeated, packed = "false", tag = "5")]
    pub ack_set: Vec<i64>,
    /// Messages in the batch.
    #[prost(int32, optional, tag = "6")]
    pub batch_size: Option<i32>,
    /// Where a chunked message begins.
    #[prost(message, optional, boxed, tag = "7")]
    pub first_chunk_message_id: Option<Box<MessageIdData>>,
}

impl MessageIdData {
    /// The id of an entry.
    #[must_use]
    pub fn of(ledger_id: u64, entry_id: u64) -> Self {
        Self {
            ledger_id,
            entry_id,
            ..Self::default()
        }
    }

    /// What stands before every entry: Java's (−1, −1).
    #[must_use]
    pub fn earliest() -> Self {
        Self::of(u64::MAX, u64::MAX)
    }

    /// What stands behind every entry.
    #[must_use]
    pub fn latest() -> Self {
        Self::of(i64::MAX as u64, i64::MAX as u64)
    }
}
