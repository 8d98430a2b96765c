//! What the directory holds.
//!
//! | file | content |
//! | --- | --- |
//! | `format` | the line `kop embedded store 3` |
//! | `format.new` | the same; the store is being made or brought to this version, and the line does not count yet |
//! | `lock` | locked by the process that has the store open |
//! | `acknowledged` | one line: what was acknowledged last, to notice when the store has lost it |
//! | `probe` | for a moment: whether the disk takes writes again |
//! | `db/` | the key-value store |
//! | `segments/` | the record batches, in [segments](crate::segments) |
//!
//! Two keyspaces. Numbers are big-endian, so that keys sort as numbers do. A *log* is one partition
//! of one topic: the topic's id (16 bytes) and the partition's number (4).
//!
//! | keyspace | key | value |
//! | --- | --- | --- |
//! | `batches` | log, base offset (8), last offset delta (4), max timestamp (8) | where the record batch is: segment (4), position (4), length (4); or, from before format 3, the batch |
//! | `batches` | 16 zeros, `indexed` | segment (4) and position (4) up to which what was appended is in this keyspace |
//! | `batches` | 16 zeros, `segment/` and a segment (4) | how many of its bytes nothing points to any more (8), as far as is known |
//! | `meta` | `topic/` and a topic's name | JSON: id, number of partitions, and what is set for it |
//! | `meta` | `removed/` and a topic's id | number of partitions (4) of a topic whose batches are being removed |
//! | `meta` | `start/` and a log | the log's first offset (8), where that is not 0 |
//! | `meta` | `producers/` and a log | an offset (8) and the [producer state](kop_store::producer_state) up to there |
//! | `meta` | `cleaned/` and a log | the offset (8) up to which the log was compacted, and when the next record without a value may go (8, milliseconds) |
//! | `meta` | `cluster-id` | the cluster's id as text, chosen when the store was made |
//! | `meta` | `next-producer-id` | the first producer id (8) that no one has had |
//!
//! Offsets have no gaps, except in compacted topics, within batches and between them.
//! The last batch of a log is never removed before its topic is, or the log's start is behind it.
//!
//! The key of a batch tells where it ends and how new it is, so that finding an end or a time touches
//! no values.
use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes};
use kop_store::{Topic, TopicConfig};
use kop_wire::{BatchHeader, Offset, Timestamp, TopicName};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::frame::{HEADER, Place};

/// Content of the file `format`.
pub(crate) const FORMAT: &str = "kop embedded store 3\n";
/// Its content in directories that are brought to this version when they are opened: all batches in the
/// key-value store.
pub(crate) const FORMAT_2: &str = "kop embedded store 2\n";
/// The same, and without topic configurations.
pub(crate) const FORMAT_1: &str = "kop embedded store 1\n";
/// What the content of every version begins with.
pub(crate) const FORMAT_PREFIX: &str = "kop embedded store ";

pub(crate) const CLUSTER_ID: &[u8] = b"cluster-id";
pub(crate) const NEXT_PRODUCER_ID: &[u8] = b"next-producer-id";
pub(crate) const TOPICS: &[u8] = b"topic/";
pub(crate) const REMOVED: &[u8] = b"removed/";
/// No topic has an id of zeros.
pub(crate) const INDEXED: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0indexed";
pub(crate) const SEGMENTS: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0segment/";
/// Bytes of a pointer.
const POINTER: usize = 12;
const STARTS: &[u8] = b"start/";
const PRODUCERS: &[u8] = b"producers/";
const CLEANED: &[u8] = b"cleaned/";

/// A value or key that this version did not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("damaged {0}")]
pub(crate) struct Damaged(pub(crate) &'static str);

/// Which log: a topic's partition. A topic made anew under its old name has another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LogId {
    pub(crate) topic: Uuid,
    pub(crate) partition: u32,
}

impl LogId {
    fn put(self, key: &mut Vec<u8>) {
        key.extend_from_slice(self.topic.as_bytes());
        key.put_u32(self.partition);
    }

    /// What the keys of the log's batches begin with.
    pub(crate) fn prefix(self) -> Vec<u8> {
        let mut key = Vec::with_capacity(20);
        self.put(&mut key);
        key
    }

    /// A key in front of the batch at `offset`, if there is one, and behind all earlier ones.
    pub(crate) fn key_at(self, offset: Offset) -> Vec<u8> {
        let mut key = Vec::with_capacity(40);
        self.put(&mut key);
        key.put_i64(offset.0.max(0));
        key
    }

    /// Key of the log's first offset.
    pub(crate) fn start_key(self) -> Vec<u8> {
        self.meta_key(STARTS)
    }

    /// Key of the log's producer state.
    pub(crate) fn producers_key(self) -> Vec<u8> {
        self.meta_key(PRODUCERS)
    }

    /// Key of how far the log has been compacted.
    pub(crate) fn cleaned_key(self) -> Vec<u8> {
        self.meta_key(CLEANED)
    }

    fn meta_key(self, kind: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(kind.len() + 20);
        key.extend_from_slice(kind);
        self.put(&mut key);
        key
    }
}

/// What the key of a batch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchKey {
    pub(crate) log: LogId,
    pub(crate) base: Offset,
    pub(crate) last_offset_delta: i32,
    pub(crate) max_timestamp: Timestamp,
}

impl BatchKey {
    pub(crate) fn new(log: LogId, base: Offset, header: &BatchHeader) -> Self {
        Self {
            log,
            base,
            last_offset_delta: header.last_offset_delta,
            max_timestamp: header.max_timestamp,
        }
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let mut key = self.log.key_at(self.base);
        key.put_i32(self.last_offset_delta);
        key.put_i64(self.max_timestamp.0);
        key
    }

    pub(crate) fn decode(mut key: &[u8]) -> Result<Self, Damaged> {
        let mut read = || {
            let decoded = Self {
                log: LogId {
                    topic: Uuid::from_u128(key.try_get_u128()?),
                    partition: key.try_get_u32()?,
                },
                base: Offset(key.try_get_i64()?),
                last_offset_delta: key.try_get_i32()?,
                max_timestamp: Timestamp(key.try_get_i64()?),
            };
            Ok::<_, bytes::TryGetError>(decoded)
        };
        match read() {
            Ok(decoded)
                if key.is_empty() && decoded.base.0 >= 0 && decoded.last_offset_delta >= 0 =>
            {
                Ok(decoded)
            }
            _ => Err(Damaged("key of a batch")),
        }
    }

    /// The offset behind the batch.
    pub(crate) fn end(self) -> Offset {
        self.base + i64::from(self.last_offset_delta) + 1
    }
}

/// Where a record batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) segment: u32,
    /// Of its frame.
    pub(crate) position: u32,
    /// Of the batch, in bytes.
    pub(crate) length: u32,
}

/// What is stored under a batch's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Where it is.
    At(Pointer),
    /// The batch itself, as before format 3.
    Here(Bytes),
}

impl Pointer {
    pub(crate) fn encode(self) -> [u8; POINTER] {
        let mut value = [0; POINTER];
        let fields = [self.segment, self.position, self.length];
        let fields = fields.into_iter().flat_map(u32::to_be_bytes);
        for (byte, field) in value.iter_mut().zip(fields) {
            *byte = field;
        }
        value
    }

    /// Where the frame stands.
    pub(crate) fn place(self) -> Place {
        Place {
            segment: self.segment,
            position: self.position,
        }
    }

    /// Where the frame ends.
    pub(crate) fn end(self) -> u64 {
        u64::from(self.position) + self.size()
    }

    /// Bytes of the batch.
    pub(crate) fn bytes(self) -> usize {
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }

    /// Bytes that the frame takes in its segment.
    pub(crate) fn size(self) -> u64 {
        HEADER as u64 + u64::from(self.length)
    }
}

impl Stored {
    /// A batch is longer than a pointer.
    pub(crate) fn of(value: Bytes) -> Result<Self, Damaged> {
        let mut fields = &*value;
        if fields.len() > POINTER {
            return Ok(Self::Here(value));
        }
        let mut read = || {
            Ok::<_, bytes::TryGetError>(Pointer {
                segment: fields.try_get_u32()?,
                position: fields.try_get_u32()?,
                length: fields.try_get_u32()?,
            })
        };
        match read() {
            Ok(pointer) if fields.is_empty() => Ok(Self::At(pointer)),
            _ => Err(Damaged("place of a batch")),
        }
    }

    /// Bytes of the batch.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::At(pointer) => pointer.bytes(),
            Self::Here(batch) => batch.len(),
        }
    }
}

pub(crate) fn indexed_value(place: Place) -> Vec<u8> {
    [place.segment.to_be_bytes(), place.position.to_be_bytes()].concat()
}

pub(crate) fn indexed_of(mut value: &[u8]) -> Result<Place, Damaged> {
    let mut read = || {
        Ok::<_, bytes::TryGetError>(Place {
            segment: value.try_get_u32()?,
            position: value.try_get_u32()?,
        })
    };
    match read() {
        Ok(place) if value.is_empty() => Ok(place),
        _ => Err(Damaged("note of what is in the index")),
    }
}

pub(crate) fn segment_key(number: u32) -> Vec<u8> {
    [SEGMENTS, &number.to_be_bytes()].concat()
}

/// The number of a segment, and how many of its bytes nothing points to.
pub(crate) fn segment_of(key: &[u8], value: &[u8]) -> Result<(u32, u64), Damaged> {
    const SEGMENT: Damaged = Damaged("note of a segment");
    let number = key.strip_prefix(SEGMENTS).ok_or(SEGMENT)?;
    let number = number.try_into().map_err(|_| SEGMENT)?;
    let dead = value.try_into().map_err(|_| SEGMENT)?;
    Ok((u32::from_be_bytes(number), u64::from_be_bytes(dead)))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicValue {
    id: String,
    partitions: u32,
    /// What is set for it, by Kafka's names.
    #[serde(default)]
    config: BTreeMap<String, String>,
}

pub(crate) fn topic_key(name: &TopicName) -> Vec<u8> {
    [TOPICS, name.as_str().as_bytes()].concat()
}

pub(crate) fn topic_value(topic: &Topic) -> Vec<u8> {
    let value = TopicValue {
        id: topic.id.to_string(),
        partitions: topic.partitions,
        config: topic
            .config
            .iter()
            .map(|(spec, value)| (spec.name.to_owned(), value.to_string()))
            .collect(),
    };
    serde_json::to_vec(&value).expect("texts and a number are JSON")
}

pub(crate) fn topic_of(key: &[u8], value: &[u8]) -> Result<Topic, Damaged> {
    const TOPIC: Damaged = Damaged("description of a topic");
    let name = key.strip_prefix(TOPICS).ok_or(TOPIC)?;
    let name = std::str::from_utf8(name).map_err(|_| TOPIC)?;
    let TopicValue {
        id,
        partitions,
        config,
    } = serde_json::from_slice(value).map_err(|_| TOPIC)?;
    let config = config.iter().map(|(name, value)| (&**name, &**value));
    Ok(Topic {
        name: TopicName::new(name).map_err(|_| TOPIC)?,
        id: Uuid::parse_str(&id).map_err(|_| TOPIC)?,
        partitions,
        config: TopicConfig::of(config).map_err(|_| TOPIC)?,
    })
}

pub(crate) fn removed_key(topic: Uuid) -> Vec<u8> {
    [REMOVED, topic.as_bytes()].concat()
}

pub(crate) fn removed_of(key: &[u8], value: &[u8]) -> Result<(Uuid, u32), Damaged> {
    const REMOVAL: Damaged = Damaged("note of a topic to be removed");
    let id = key.strip_prefix(REMOVED).ok_or(REMOVAL)?;
    let id = Uuid::from_slice(id).map_err(|_| REMOVAL)?;
    let partitions = value.try_into().map_err(|_| REMOVAL)?;
    Ok((id, u32::from_be_bytes(partitions)))
}

pub(crate) fn cluster_id_of(value: &[u8]) -> Result<&str, Damaged> {
    std::str::from_utf8(value).map_err(|_| Damaged("cluster id"))
}

pub(crate) fn number_of(value: &[u8], what: &'static str) -> Result<i64, Damaged> {
    value
        .try_into()
        .map(i64::from_be_bytes)
        .map_err(|_| Damaged(what))
}

/// How far a log has been compacted, and when the next record without a value may go.
pub(crate) fn cleaned_value(to: Offset, horizon_ms: i64) -> Vec<u8> {
    [to.0.to_be_bytes(), horizon_ms.to_be_bytes()].concat()
}

pub(crate) fn cleaned_of(value: &[u8]) -> Result<(Offset, i64), Damaged> {
    const CLEANED: Damaged = Damaged("note of how far a log was compacted");
    let (to, horizon_ms) = value.split_first_chunk().ok_or(CLEANED)?;
    let horizon_ms = horizon_ms.try_into().map_err(|_| CLEANED)?;
    let to = Offset(i64::from_be_bytes(*to));
    Ok((to, i64::from_be_bytes(horizon_ms)))
}

/// A snapshot of the producer state with the offset it reaches to.
pub(crate) fn producers_value(end: Offset, snapshot: &[u8]) -> Vec<u8> {
    [&end.0.to_be_bytes(), snapshot].concat()
}

pub(crate) fn producers_of(value: &[u8]) -> Result<(Offset, &[u8]), Damaged> {
    let (end, snapshot) = value.split_first_chunk().ok_or(Damaged("producer state"))?;
    Ok((Offset(i64::from_be_bytes(*end)), snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: u32, base: i64, max_timestamp: i64) -> BatchKey {
        BatchKey {
            log: LogId {
                topic: Uuid::from_u128(7),
                partition,
            },
            base: Offset(base),
            last_offset_delta: 9,
            max_timestamp: Timestamp(max_timestamp),
        }
    }

    #[test]
    fn keys_of_batches_say_what_they_were_made_of() {
        for wanted in [key(0, 0, -1), key(3, i64::MAX, i64::MIN)] {
            assert_eq!(BatchKey::decode(&wanted.encode()), Ok(wanted));
        }
        let mut long = key(0, 0, 0).encode();
        assert!(BatchKey::decode(&long[..39]).is_err());
        long.push(0);
        assert!(BatchKey::decode(&long).is_err());
    }

    #[test]
    fn keys_sort_by_partition_and_offset() {
        let keys = [
            key(0, 0, 9),
            key(0, 1, 5),
            key(0, 256, 1),
            key(1, 0, 0),
            key(256, 0, 0),
        ];
        assert!(keys.map(BatchKey::encode).is_sorted());
        let log = key(0, 0, 0).log;
        assert!(log.key_at(Offset(1)) < key(0, 1, i64::MIN).encode());
        assert!(log.key_at(Offset(1)) > key(0, 0, i64::MAX).encode());
    }

    #[test]
    fn a_topic_is_described_in_words() {
        let name = TopicName::new("orders").unwrap();
        let topic = Topic {
            name,
            id: Uuid::from_u128(1),
            partitions: 8,
            config: TopicConfig::of([("retention.ms", "-1"), ("cleanup.policy", "delete,compact")])
                .unwrap(),
        };
        let value = topic_value(&topic);
        let text = String::from_utf8(value.clone()).unwrap();
        assert_eq!(
            text,
            r#"{"id":"00000000-0000-0000-0000-000000000001","partitions":8,"config":{"cleanup.policy":"delete,compact","retention.ms":"-1"}}"#
        );
        assert_eq!(topic_of(&topic_key(&topic.name), &value), Ok(topic));
        assert!(topic_of(b"topic/orders", b"{}").is_err());
        assert!(topic_of(b"topic/a b", &value).is_err());
    }
}
