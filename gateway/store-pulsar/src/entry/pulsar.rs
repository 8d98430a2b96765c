//! `entryFormat=pulsar`: each Kafka record is a Pulsar message, so that clients of both kinds read
//! each other.
//!
//! | Kafka | Pulsar, as `KoP` lays it out |
//! | --- | --- |
//! | key | `partition_key` in base64, and `ordering_key` |
//! | value, null | payload, `null_value` |
//! | headers | properties |
//! | timestamp | `event_time` |
//! | codec | the codec of the same name (gzip: zlib) |
//!
//! What Pulsar's messages have no room for goes into properties with the prefix `kop.`. Those of the
//! batch are never shown by Pulsar's clients; those of a message are written only where they are
//! needed, and read only in entries whose batch carries [`ATTRIBUTES`]:
//!
//! | property | of | holds |
//! | --- | --- | --- |
//! | `kop.attributes` | batch | the batch's attributes: codec, timestamp type, flags |
//! | `kop.producer` | batch | `id:epoch:sequence` of the idempotent producer |
//! | `kop.headers` | message | all headers exactly, where one is null or not UTF-8 |
//! | `kop.timestamp` | message | the timestamp, where it is not positive |
//! | `kop.empty` | message | that the value is empty, where the topic is compacted and the payload therefore is not |
//!
//! Pulsar's compaction takes a message without payload for the deletion of its key, whether its value is
//! null or empty. And some brokers (apache/pulsar#26290) fail to compact what is compressed, so batches of
//! compacted topics are not.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Buf, BufMut, Bytes};
use kop_wire::{Batch, BatchBuilder, BatchHeader, Compression, Offset, Record, Timestamp};
use pulsar_client::protocol::{
    CompressionType, KeyValue, MessageMetadata, SingleMessageMetadata,
    batch::{self, BatchBuilder as MessagesBuilder},
    compression,
};

use super::{DecodeError, EncodeError, Outgoing, Placed, Span, Stamp};

/// Property of the batch with the Kafka batch's attributes.
pub(super) const ATTRIBUTES: &str = "kop.attributes";
/// Property of the batch with the idempotent producer's place in its sequence.
pub(super) const PRODUCER: &str = "kop.producer";
/// Property of a message with its headers as they were.
const HEADERS: &str = "kop.headers";
/// Property of a message with its timestamp, where `event_time` cannot hold it.
const TIMESTAMP: &str = "kop.timestamp";
/// Property of a message whose value is empty though its payload is [`STAND_IN`]; the first of them.
const EMPTY: &str = "kop.empty";
const STAND_IN: &[u8] = &[0];
/// Bytes that a message takes beyond what its record took, where it has neither key nor headers.
const MESSAGE_FRAME: usize = 24;
/// Bytes of the smallest record: length, attributes, timestamp, offset, no key, no value, no headers.
const LEAST_RECORD: usize = 7;

const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const LOG_APPEND_TIME: i16 = 1 << 3;

pub(super) fn encode(kafka: &Batch, stamp: Stamp) -> Result<Outgoing, EncodeError> {
    let header = kafka.header();
    let room = room(kafka.bytes().len(), kafka.record_count()?);
    let mut messages = MessagesBuilder::with_capacity(room);
    let mut key = None;
    // One after the other: of most batches there are many, and none is needed for long.
    for (i, record) in kafka.iter()?.enumerate() {
        let record = record?;
        let mut message = message(&record, sequence(header, i));
        let mut value = record.value.as_deref().unwrap_or_default();
        let deletes = record.key.is_none() || record.value.is_none();
        if stamp.compacted && value.is_empty() && !deletes {
            message.properties.insert(0, property(EMPTY, &1));
            value = STAND_IN;
        }
        messages.push(message, value);
        if i == 0 {
            key = record.key;
        }
    }
    let count = messages.count();
    without_gaps(header, count)?;
    let mut metadata = batch_metadata(key, count, stamp);
    metadata.properties = batch_properties(header);
    let payload = if stamp.compacted {
        messages.build()
    } else {
        compressed(header.compression(), messages.build(), &mut metadata)
    };
    Ok(Outgoing {
        metadata,
        payload,
        messages: count,
        checksum: true,
    })
}

/// About as many bytes as the messages take of a batch of so many bytes and records, where it is not
/// compressed and has no keys. What its header says is not believed beyond what fits.
fn room(bytes: usize, records: usize) -> usize {
    bytes + records.min(bytes / LEAST_RECORD) * MESSAGE_FRAME
}

/// The payload in Pulsar's codec of the same name: what its producer sent small stays small.
fn compressed(codec: Compression, payload: Bytes, metadata: &mut MessageMetadata) -> Bytes {
    let codec = match codec {
        Compression::None => return payload,
        Compression::Gzip => CompressionType::Zlib,
        Compression::Snappy => CompressionType::Snappy,
        Compression::Lz4 => CompressionType::Lz4,
        Compression::Zstd => CompressionType::Zstd,
    };
    let small = compression::compress(codec, &payload);
    if small.len() >= payload.len() {
        return payload;
    }
    metadata.compression = Some(codec as i32);
    metadata.uncompressed_size = u32::try_from(payload.len()).ok();
    small
}

/// That a batch of so many records has one for each of its offsets.
pub(super) fn without_gaps(header: &BatchHeader, records: u32) -> Result<(), EncodeError> {
    let offsets = header.offsets();
    if i64::from(records) != offsets {
        return Err(EncodeError::Gaps { records, offsets });
    }
    Ok(())
}

/// The metadata of an entry of so many messages. Its key is the first one's, as in Pulsar's batches.
pub(super) fn batch_metadata(key: Option<Bytes>, messages: u32, stamp: Stamp) -> MessageMetadata {
    MessageMetadata {
        producer_name: String::new(),
        sequence_id: stamp.sequence_id,
        publish_time: stamp.now,
        partition_key: key.as_deref().map(encoded),
        partition_key_b64_encoded: key.as_ref().map(|_| true),
        ordering_key: key,
        num_messages_in_batch: i32::try_from(messages).ok(),
        ..MessageMetadata::default()
    }
}

/// The batch's properties: what only a Kafka client asks for.
pub(super) fn batch_properties(header: &BatchHeader) -> Vec<KeyValue> {
    let mut properties = vec![property(ATTRIBUTES, &header.attributes)];
    if header.producer_id >= 0 {
        let BatchHeader {
            producer_id,
            producer_epoch,
            base_sequence,
            ..
        } = header;
        let place = format!("{producer_id}:{producer_epoch}:{base_sequence}");
        properties.push(property(PRODUCER, &place));
    }
    properties
}

fn property(name: &'static str, value: &impl ToString) -> KeyValue {
    KeyValue::new(name.as_bytes(), value.to_string().into_bytes())
}

fn encoded(key: &[u8]) -> Bytes {
    STANDARD.encode(key).into_bytes().into()
}

fn sequence(header: &BatchHeader, i: usize) -> Option<u64> {
    let first = u64::try_from(header.base_sequence).ok()?;
    Some((first + i as u64) % (1 << 31))
}

/// A record's metadata as a message.
pub(super) fn message(record: &Record, sequence_id: Option<u64>) -> SingleMessageMetadata {
    let mut properties = Vec::with_capacity(record.headers.len());
    if !plain(&record.headers) {
        let exact = STANDARD.encode(exact_headers(&record.headers));
        properties.push(KeyValue::new(HEADERS.as_bytes(), exact.into_bytes()));
    }
    let event_time = u64::try_from(record.timestamp.0)
        .ok()
        .filter(|time| *time > 0);
    if event_time.is_none() {
        properties.push(property(TIMESTAMP, &record.timestamp.0));
    }
    for (name, value) in &record.headers {
        properties.push(KeyValue::new(
            text(name),
            value.as_ref().map(text).unwrap_or_default(),
        ));
    }
    SingleMessageMetadata {
        properties,
        partition_key: record.key.as_deref().map(encoded),
        partition_key_b64_encoded: record.key.as_ref().map(|_| true),
        ordering_key: record.key.clone(),
        event_time,
        sequence_id,
        null_value: record.value.is_none().then_some(true),
        ..SingleMessageMetadata::default()
    }
}

/// Whether Pulsar's properties hold the headers without loss, and are not taken for ours.
fn plain(headers: &[(Bytes, Option<Bytes>)]) -> bool {
    headers.iter().all(|(name, value)| {
        std::str::from_utf8(name).is_ok_and(|name| ![HEADERS, TIMESTAMP, EMPTY].contains(&name))
            && value
                .as_ref()
                .is_some_and(|value| std::str::from_utf8(value).is_ok())
    })
}

/// Bytes as the text that a property must be.
fn text(bytes: &Bytes) -> Bytes {
    match String::from_utf8_lossy(bytes) {
        std::borrow::Cow::Borrowed(_) => bytes.clone(),
        std::borrow::Cow::Owned(text) => text.into_bytes().into(),
    }
}

/// `(name length u32, name, value length i32 or −1, value)*`
fn exact_headers(headers: &[(Bytes, Option<Bytes>)]) -> Vec<u8> {
    let mut exact = Vec::new();
    for (name, value) in headers {
        exact.put_u32(u32::try_from(name.len()).unwrap_or(u32::MAX));
        exact.put_slice(name);
        let length = value
            .as_ref()
            .map_or(-1, |v| i32::try_from(v.len()).unwrap_or(i32::MAX));
        exact.put_i32(length);
        exact.put_slice(value.as_deref().unwrap_or_default());
    }
    exact
}

fn read_exact_headers(text: &[u8]) -> Option<Vec<(Bytes, Option<Bytes>)>> {
    let mut rest = Bytes::from(STANDARD.decode(text).ok()?);
    let mut headers = Vec::new();
    while rest.has_remaining() {
        let name = rest.try_get_u32().ok()?;
        let name = take(&mut rest, usize::try_from(name).ok()?)?;
        let value = match rest.try_get_i32().ok()? {
            -1 => None,
            length => Some(take(&mut rest, usize::try_from(length).ok()?)?),
        };
        headers.push((name, value));
    }
    Some(headers)
}

fn take(rest: &mut Bytes, length: usize) -> Option<Bytes> {
    (rest.len() >= length).then(|| rest.split_to(length))
}

/// One batch of all messages that are still in the entry.
pub(super) fn decode(
    metadata: &MessageMetadata,
    payload: &Bytes,
    span: Span,
) -> Result<Placed, DecodeError> {
    let ours = metadata.property(ATTRIBUTES).is_some();
    let mut builder = builder(metadata, span)?;
    if metadata.is_batch() {
        let messages = batch::messages(payload.clone(), metadata.messages());
        for (offset, message) in (span.base..).zip(messages) {
            let message = message?;
            if !message.metadata.compacted_out() {
                let fields = Fields::of_message(&message.metadata);
                builder.push_at(fields.record(offset, message.payload, metadata, ours)?);
            }
        }
    } else {
        let fields = Fields::of_entry(metadata);
        builder.push_at(fields.record(span.base, payload.clone(), metadata, ours)?);
    }
    let last = i32::try_from(span.end - span.base - 1).unwrap_or(i32::MAX);
    let batch = builder.empty_until(last).build()?;
    Ok(Placed {
        base: Offset(span.base),
        batch,
    })
}

fn builder(metadata: &MessageMetadata, span: Span) -> Result<BatchBuilder, DecodeError> {
    let attributes = attributes(metadata)?;
    let codec = Compression::of_attributes(attributes).ok_or(DecodeError::Property(ATTRIBUTES))?;
    let (id, epoch, sequence) = producer(metadata)?.unwrap_or((-1, -1, -1));
    Ok(BatchBuilder::new(codec)
        .base_offset(Offset(span.base))
        .producer(id, epoch, sequence)
        .transactional(attributes & TRANSACTIONAL != 0)
        .control(attributes & CONTROL != 0)
        .log_append_time(attributes & LOG_APPEND_TIME != 0))
}

/// The Kafka batch's attributes; 0 where a Pulsar client wrote the entry.
pub(super) fn attributes(metadata: &MessageMetadata) -> Result<i16, DecodeError> {
    let Some(value) = metadata.property(ATTRIBUTES) else {
        return Ok(0);
    };
    number(value).ok_or(DecodeError::Property(ATTRIBUTES))
}

/// Id, epoch and first sequence number of the idempotent producer. Without [`ATTRIBUTES`] beside it, a
/// property of that name is a Pulsar client's own.
pub(super) fn producer(metadata: &MessageMetadata) -> Result<Option<(i64, i16, i32)>, DecodeError> {
    let ours = metadata.property(ATTRIBUTES).is_some();
    let Some(value) = metadata.property(PRODUCER).filter(|_| ours) else {
        return Ok(None);
    };
    let mut parts = value.split(|byte| *byte == b':');
    let place = (|| {
        let place = (
            number(parts.next()?)?,
            number(parts.next()?)?,
            number(parts.next()?)?,
        );
        parts.next().is_none().then_some(place)
    })();
    place.map(Some).ok_or(DecodeError::Property(PRODUCER))
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The fields that a message in a batch and an entry of one message have in common.
struct Fields<'a> {
    properties: &'a [KeyValue],
    partition_key: Option<&'a Bytes>,
    base64: bool,
    ordering_key: Option<&'a Bytes>,
    event_time: u64,
    null_value: bool,
}

impl<'a> Fields<'a> {
    fn of_message(metadata: &'a SingleMessageMetadata) -> Self {
        Self {
            properties: &metadata.properties,
            partition_key: metadata.partition_key.as_ref(),
            base64: metadata.partition_key_b64_encoded(),
            ordering_key: metadata.ordering_key.as_ref(),
            event_time: metadata.event_time(),
            null_value: metadata.null_value(),
        }
    }

    fn of_entry(metadata: &'a MessageMetadata) -> Self {
        Self {
            properties: &metadata.properties,
            partition_key: metadata.partition_key.as_ref(),
            base64: metadata.partition_key_b64_encoded(),
            ordering_key: metadata.ordering_key.as_ref(),
            event_time: metadata.event_time(),
            null_value: metadata.null_value(),
        }
    }

    fn key(&self) -> Option<Bytes> {
        if let Some(key) = self.ordering_key {
            return Some(key.clone());
        }
        let key = self.partition_key?;
        if !self.base64 {
            return Some(key.clone());
        }
        // A key that claims to be base64 and is not is passed on as it stands.
        Some(
            STANDARD
                .decode(key)
                .map_or_else(|_| key.clone(), Bytes::from),
        )
    }

    fn record(
        &self,
        offset: i64,
        payload: Bytes,
        entry: &MessageMetadata,
        ours: bool,
    ) -> Result<Record, DecodeError> {
        let mut headers = Vec::with_capacity(self.properties.len());
        let mut exact = None;
        // Our own properties stand before the headers, so the first of a name is ours.
        let mut special = None;
        let empty =
            ours && self.properties.first().is_some_and(|p| p.key == EMPTY) && payload == STAND_IN;
        for KeyValue { key, value } in self.properties.iter().skip(usize::from(empty)) {
            if ours && exact.is_none() && key == HEADERS.as_bytes() {
                exact = Some(read_exact_headers(value).ok_or(DecodeError::Property(HEADERS))?);
            } else if ours
                && special.is_none()
                && self.event_time == 0
                && key == TIMESTAMP.as_bytes()
            {
                special = Some(number(value).ok_or(DecodeError::Property(TIMESTAMP))?);
            } else {
                headers.push((key.clone(), Some(value.clone())));
            }
        }
        let time = if self.event_time == 0 {
            entry.publish_time
        } else {
            self.event_time
        };
        let time = special.unwrap_or_else(|| time.try_into().unwrap_or(-1));
        Ok(Record {
            offset: Offset(offset),
            timestamp: Timestamp(time),
            key: self.key(),
            value: (!self.null_value).then(|| if empty { Bytes::new() } else { payload }),
            headers: exact.unwrap_or(headers),
        })
    }
}
