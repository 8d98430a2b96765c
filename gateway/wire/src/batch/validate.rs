//! What a broker checks in the records that a producer sends, before it takes them.
//!
//! The records are walked through without being unpacked: uncompressed ones in place, compressed ones
//! as they come out of the decoder, so that a batch which claims to hold gigabytes costs no memory.
//! What passes here can be read by [`Batch::iter`] and by every consumer.
use bytes::BytesMut;

use super::{
    Batch, BatchError, BatchHeader, CRC_FROM, HEADER_LEN, MAX_TIMESTAMP_AT, TimestampType,
    source::{Source, Stream, Wrong},
};
use crate::{
    Timestamp,
    compression::{CompressionError, DecoderMemory, MAX_OUTPUT},
};

#[cfg(test)]
mod tests;

/// How many records are named that break the rules; there may be more.
const MOST_FAULTS: usize = 1_000;

/// What a topic asks of each record, besides being well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordRules {
    /// Records need a key: the topic is compacted.
    pub keyed: bool,
    /// Earliest timestamp, if there is one: `message.timestamp.before.max.ms` before now (KIP-937).
    pub earliest: Option<Timestamp>,
    /// Latest timestamp, if there is one: `message.timestamp.after.max.ms` after now (KIP-937).
    pub latest: Option<Timestamp>,
}

/// A rule that a record breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// It has no key, and needs one.
    #[error("record without a key for a compacted topic")]
    NoKey,
    /// Its timestamp is outside of what the topic takes.
    #[error("timestamp {0} is out of range")]
    Timestamp(Timestamp),
}

/// Records that are not taken.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRecords {
    /// They are not well formed.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Some of them break the topic's rules: the place of each in its batch, from 0, the first thousand.
    #[error("{} of the records break the topic's rules", .0.len())]
    Faults(Vec<(i32, RecordFault)>),
}

/// Checks batches one after the other, in memory that it keeps in between.
#[derive(Debug, Default)]
pub struct Validator {
    memory: DecoderMemory,
}

impl Validator {
    /// Checks the records of a batch that [`Batch::parse`] has taken: they are as many as the header
    /// says, their offsets follow each other, each is whole, and nothing stands behind them. As
    /// Kafka's brokers do, gives the batch the max timestamp that its records have; where its header
    /// says something else the batch is copied.
    ///
    /// # Errors
    /// Records that are damaged, that decompress to more than
    /// [`MAX_OUTPUT`](crate::compression::MAX_OUTPUT) bytes, or that break the rules.
    pub fn check(&mut self, batch: Batch, rules: &RecordRules) -> Result<Batch, InvalidRecords> {
        let header = *batch.header();
        let mut walk = Walk::new(&header, *rules);
        let payload = batch.bytes.get(HEADER_LEN..).unwrap_or_default();
        let codec = header.compression();
        self.memory
            .read(codec, payload, MAX_OUTPUT, |records| {
                walk.all(&mut Stream::new(records, codec))
            })
            .map_err(BatchError::from)??;
        if !walk.faults.is_empty() {
            return Err(InvalidRecords::Faults(walk.faults));
        }
        let newest = walk.newest;
        if header.timestamp_type() == TimestampType::LogAppend || header.max_timestamp == newest {
            return Ok(batch);
        }
        Ok(batch.with_max_timestamp(newest))
    }
}

/// The way through a batch's records.
struct Walk {
    codec: crate::Compression,
    records: i32,
    base_timestamp: Timestamp,
    rules: RecordRules,
    /// Bytes seen so far.
    bytes: usize,
    newest: Timestamp,
    faults: Vec<(i32, RecordFault)>,
}

/// What is to be known of a record.
struct Seen {
    timestamp_delta: i64,
    offset_delta: i32,
    keyed: bool,
}

impl Walk {
    fn new(header: &BatchHeader, rules: RecordRules) -> Self {
        Self {
            codec: header.compression(),
            records: header.record_count,
            base_timestamp: header.base_timestamp,
            rules,
            bytes: 0,
            newest: Timestamp::NONE,
            faults: Vec::new(),
        }
    }

    fn all(&mut self, from: &mut Stream<'_>) -> Result<(), BatchError> {
        let mut index = 0;
        while index < self.records {
            // Nearly always many whole records are there at a time.
            let (passed, bytes) = self.whole(index, from.some()?)?;
            from.consume(bytes);
            index += passed;
            if passed == 0 {
                let length = from.take(usize::MAX).length()?;
                let length = self.counted(length)?;
                let seen = record_of(&mut from.take(length))?;
                self.record(index, &seen)?;
                index += 1;
            }
        }
        if from.some()?.is_empty() {
            Ok(())
        } else {
            Err(BatchError::Record("bytes behind the last record"))
        }
    }

    /// Goes through the records that are whole; gives how many they are, and of how many bytes.
    fn whole(&mut self, from: i32, bytes: &[u8]) -> Result<(i32, usize), BatchError> {
        let mut rest = bytes;
        let mut passed = 0;
        while from + passed < self.records {
            let mut ahead = rest;
            let Ok(Some(length)) = ahead.length() else {
                break;
            };
            let Some((mut record, behind)) = ahead.split_at_checked(length) else {
                break;
            };
            self.counted(Some(length))?;
            let seen = record_of(&mut record)?;
            self.record(from + passed, &seen)?;
            rest = behind;
            passed += 1;
        }
        Ok((passed, bytes.len() - rest.len()))
    }

    /// A record's length, if all so far are no more than is taken.
    fn counted(&mut self, length: Option<usize>) -> Result<usize, BatchError> {
        let length = length.ok_or(BatchError::Record("record length is negative"))?;
        self.bytes = self.bytes.saturating_add(length);
        if self.bytes > MAX_OUTPUT {
            let (codec, limit) = (self.codec, MAX_OUTPUT);
            return Err(CompressionError::TooLarge { codec, limit }.into());
        }
        Ok(length)
    }

    #[inline]
    fn record(&mut self, index: i32, seen: &Seen) -> Result<(), Wrong> {
        if seen.offset_delta != index {
            return Err("offset does not follow the one before");
        }
        let timestamp = Timestamp(self.base_timestamp.0.wrapping_add(seen.timestamp_delta));
        self.newest = self.newest.max(timestamp);
        let late = self.rules.latest.is_some_and(|latest| timestamp > latest);
        let early = self.rules.earliest.is_some_and(|first| timestamp < first);
        let fault = if self.rules.keyed && !seen.keyed {
            RecordFault::NoKey
        } else if timestamp != Timestamp::NONE && (late || early) {
            RecordFault::Timestamp(timestamp)
        } else {
            return Ok(());
        };
        if self.faults.len() < MOST_FAULTS {
            self.faults.push((index, fault));
        }
        Ok(())
    }
}

/// Reads one record, of which exactly the source's bytes are left.
#[inline]
fn record_of<S: Source>(from: &mut S) -> Result<Seen, S::Error> {
    let _attributes = from.byte()?;
    let timestamp_delta = from.varlong()?;
    let offset_delta = from.varint()?;
    let keyed = skip_bytes(from)?;
    skip_bytes(from)?;
    for _ in 0..from.header_count()? {
        if !skip_bytes(from)? {
            return Err("header without a name".into());
        }
        skip_bytes(from)?;
    }
    if from.left() > 0 {
        return Err("bytes behind the headers".into());
    }
    Ok(Seen {
        timestamp_delta,
        offset_delta,
        keyed,
    })
}

/// Skips bytes with their length in front; says whether there are any, or null.
#[inline]
fn skip_bytes<S: Source>(from: &mut S) -> Result<bool, S::Error> {
    match from.length()? {
        Some(length) => from.skip(length).map(|()| true),
        None => Ok(false),
    }
}

impl Batch {
    /// The same records under another max timestamp, and a checksum that agrees.
    fn with_max_timestamp(self, max_timestamp: Timestamp) -> Self {
        let mut bytes = BytesMut::from(&*self.bytes);
        let put = |bytes: &mut BytesMut, at: usize, field: &[u8]| {
            if let Some(to) = bytes.get_mut(at..at + field.len()) {
                to.copy_from_slice(field);
            }
        };
        put(&mut bytes, MAX_TIMESTAMP_AT, &max_timestamp.0.to_be_bytes());
        let crc = crc32c::crc32c(bytes.get(CRC_FROM..).unwrap_or_default());
        put(&mut bytes, CRC_FROM - 4, &crc.to_be_bytes());
        Self {
            header: BatchHeader {
                crc,
                max_timestamp,
                ..self.header
            },
            bytes: bytes.freeze(),
        }
    }
}
