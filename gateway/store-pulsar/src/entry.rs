//! Kafka batches as Pulsar entries, and back. Pure.
//!
//! Writing goes by the topic: its format, or the layout of `__consumer_offsets`. Reading goes by the
//! entry, so that one topic may hold what Kafka clients, Pulsar clients and `KoP` wrote in turn.
//!
//! Pulsar gives each entry the index of its **last** message. The entry's first Kafka offset is that
//! index less the number of its other messages; all its offsets are covered by what is decoded, with
//! or without a record there.
use bytes::Bytes;
use kop_store::TopicClass;
use kop_wire::{Batch, BatchError, BatchHeader, BuildError, Offset, compression::MAX_OUTPUT};
use pulsar_client::protocol::{
    CompressionType, MessageMetadata,
    batch::BatchError as MessagesError,
    compression::{self, CompressionError},
};

use crate::EntryFormat;

mod group_log;
mod kafka;
mod pulsar;
mod stamp;
#[cfg(test)]
mod tests;

pub(crate) use stamp::producer_batches;

/// Leader epoch that batches are given on their way out: the one epoch of a partition with one owner.
const LEADER_EPOCH: i32 = 0;

/// How a topic's batches are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The client's batch as it came.
    Kafka,
    /// Each record a Pulsar message.
    Pulsar,
    /// `__consumer_offsets`: each record a Pulsar message whose value is a Kafka batch again.
    GroupLog,
}

impl Layout {
    /// The layout of a topic of that class and format.
    pub(crate) fn of(class: TopicClass, format: EntryFormat) -> Self {
        match (class, format) {
            (TopicClass::GroupLog, _) => Self::GroupLog,
            (TopicClass::UserData | TopicClass::TransactionLog, EntryFormat::Pulsar) => {
                Self::Pulsar
            }
            (TopicClass::UserData | TopicClass::TransactionLog, EntryFormat::Kafka) => Self::Kafka,
        }
    }
}

/// One entry to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) metadata: MessageMetadata,
    pub(crate) payload: Bytes,
    /// Offsets the entry takes.
    pub(crate) messages: u32,
    /// Whether the entry carries Pulsar's checksum; a Kafka batch has its own.
    pub(crate) checksum: bool,
}

/// What the writer of an entry adds to the batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    /// Sequence id of the producer on the topic.
    pub(crate) sequence_id: u64,
    /// Milliseconds since the epoch.
    pub(crate) now: u64,
    /// Whether Pulsar compacts the topic.
    pub(crate) compacted: bool,
}

/// Why a batch was not made an entry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncodeError {
    /// Its records cannot be read.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// It has offsets without records, which a topic of messages cannot hold.
    #[error("batch has {records} records for {offsets} offsets")]
    Gaps {
        /// Records in the batch.
        records: u32,
        /// Offsets the batch takes.
        offsets: i64,
    },
    /// The engine could not make one of the inner batches.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Why an entry cannot be served to Kafka clients.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// Only holders of the key can read it.
    #[error("the message is encrypted by its Pulsar producer")]
    Encrypted,
    /// One message was cut into several entries.
    #[error("the message was sent in chunks by its Pulsar producer; turn chunking off there")]
    Chunked,
    /// It was written before the brokers numbered entries.
    #[error(
        "the entry has no index: it was written without \
         brokerEntryMetadataInterceptors=org.apache.pulsar.common.intercept.AppendIndexMetadataInterceptor"
    )]
    NoIndex,
    /// Its index is not one an entry of that many messages can have.
    #[error("index {index} of an entry of {messages} messages")]
    Index {
        /// The entry's index.
        index: i64,
        /// Messages in it.
        messages: u32,
    },
    /// The codec's number means nothing.
    #[error("unknown compression {0}")]
    Compression(i32),
    /// The payload does not decompress.
    #[error(transparent)]
    Decompress(#[from] CompressionError),
    /// The payload is no batch of messages.
    #[error(transparent)]
    Messages(#[from] MessagesError),
    /// The payload is no Kafka batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The messages do not fit into a Kafka batch.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Our own properties are damaged.
    #[error("damaged property {0}")]
    Property(&'static str),
    /// Its bytes are no entry.
    #[error("the entry is damaged: {0}")]
    Damaged(String),
    /// It unpacks to more than is held in memory at once.
    #[error("the entry unpacks to more than {MAX_OUTPUT} bytes")]
    TooLarge,
}

/// The offsets that one entry takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first.
    pub(crate) base: i64,
    /// One past the last.
    pub(crate) end: i64,
}

impl Span {
    /// The offsets of an entry by its metadata and index.
    pub(crate) fn of(metadata: &MessageMetadata, index: Option<u64>) -> Result<Self, DecodeError> {
        let index = index.ok_or(DecodeError::NoIndex)?;
        let messages = metadata.messages();
        let end = i64::try_from(index)
            .ok()
            .and_then(|index| index.checked_add(1));
        let wrong = DecodeError::Index {
            index: index.cast_signed(),
            messages,
        };
        match end {
            Some(end) if end >= i64::from(messages) => Ok(Self {
                base: end - i64::from(messages),
                end,
            }),
            _ => Err(wrong),
        }
    }
}

/// A batch and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) base: Offset,
    pub(crate) batch: Batch,
}

impl Placed {
    /// The batch as a consumer gets it.
    pub(crate) fn chunks(&self) -> [Bytes; 2] {
        self.batch.place(self.base, LEADER_EPOCH)
    }

    /// The batch's header with its true base offset.
    pub(crate) fn header(&self) -> BatchHeader {
        BatchHeader {
            base_offset: self.base,
            ..*self.batch.header()
        }
    }
}

/// Makes an entry of a batch.
pub(crate) fn encode(layout: Layout, batch: &Batch, stamp: Stamp) -> Result<Outgoing, EncodeError> {
    match layout {
        Layout::Kafka => Ok(kafka::encode(batch, stamp)),
        Layout::Pulsar => pulsar::encode(batch, stamp),
        Layout::GroupLog => group_log::encode(batch, stamp),
    }
}

/// Makes Kafka batches of an entry that takes `span`. `group_log` says that the topic is
/// `__consumer_offsets`, whose messages hold Kafka batches.
pub(crate) fn decode(
    group_log: bool,
    metadata: &MessageMetadata,
    payload: &Bytes,
    span: Span,
) -> Result<Vec<Placed>, DecodeError> {
    if metadata.marker_type.is_some() {
        return gap(span.base, span.end).map(|placed| placed.into_iter().collect());
    }
    if metadata.is_encrypted() {
        return Err(DecodeError::Encrypted);
    }
    if metadata.is_chunk() {
        return Err(DecodeError::Chunked);
    }
    let payload = decompress(metadata, payload)?;
    if kafka::is(metadata) {
        kafka::decode(&payload, span)
    } else if group_log {
        group_log::decode(metadata, &payload, span)
    } else {
        Ok(vec![pulsar::decode(metadata, &payload, span)?])
    }
}

/// Batches without records that cover the offsets from `base` to before `end`; none if there are
/// none. One batch covers 2³¹ offsets: more in one gap is a broken log.
pub(crate) fn gap(base: i64, end: i64) -> Result<Option<Placed>, DecodeError> {
    if end <= base {
        return Ok(None);
    }
    let last = i32::try_from(end - base - 1)
        .map_err(|_| BuildError::Offset(Offset(end)))
        .map_err(DecodeError::Build)?;
    let batch = kop_wire::BatchBuilder::new(kop_wire::Compression::None)
        .base_offset(Offset(base))
        .empty_until(last)
        .build()?;
    Ok(Some(Placed {
        base: Offset(base),
        batch,
    }))
}

fn decompress(metadata: &MessageMetadata, payload: &Bytes) -> Result<Bytes, DecodeError> {
    let number = metadata.compression.unwrap_or_default();
    let codec = CompressionType::try_from(number).map_err(|_| DecodeError::Compression(number))?;
    let size = usize::try_from(metadata.uncompressed_size()).map_err(|_| DecodeError::TooLarge)?;
    Ok(compression::decompress(codec, payload, size, MAX_OUTPUT)?)
}
