//! How a record batch stands in a segment. Pure.
//!
//! | at | bytes | field |
//! | --- | --- | --- |
//! | 0 | 3 | `kob` |
//! | 3 | 1 | 1 where [`Frame::begins`] can be relied on after a power cut, else 0 |
//! | 4 | 4 | length of the batch |
//! | 8 | 4 | where the write began that the frame was written with |
//! | 12 | 20 | the log: topic id (16), partition (4) |
//! | 32 | 4 | CRC-32C of the segment's number, the frame's position, the fields before, and the batch's first 61 bytes |
//! | 36 | … | the batch, its base offset set |
//!
//! Numbers are big-endian. The checksum holds what the batch's own leaves out, and where the frame
//! stands: what is left of an earlier use of the disk is no frame. The rest of the batch is held by the
//! batch's own checksum.
use bytes::{Buf as _, BufMut as _};
use kop_wire::{Offset, Timestamp};
use uuid::Uuid;

use crate::format::{BatchKey, LogId};

/// Bytes in front of a batch.
pub(crate) const HEADER: usize = 36;
/// Bytes of a batch's own header.
pub(crate) const BATCH_HEADER: usize = 61;
/// Where a batch's checksum stands in it, and where what it holds begins.
const BATCH_CRC: std::ops::Range<usize> = 17..21;
/// What every frame begins with.
pub(crate) const MAGIC: [u8; 3] = *b"kob";
const CRC_AT: usize = 32;

/// Where a frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) segment: u32,
    pub(crate) position: u32,
}

/// What the header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) log: LogId,
    /// Bytes of the batch.
    pub(crate) length: u32,
    /// Where the write began that it was written with.
    pub(crate) begins: u32,
    /// Everything before that was on the disk when it was written, and all of the segments before.
    pub(crate) synced: bool,
}

impl Frame {
    /// Writes the header of a frame, for a batch that begins with these pieces.
    pub(crate) fn put(self, place: Place, batch: [&[u8]; 2], into: &mut Vec<u8>) {
        let from = into.len();
        into.put_slice(&MAGIC);
        into.put_u8(u8::from(self.synced));
        into.put_u32(self.length);
        into.put_u32(self.begins);
        into.put_slice(self.log.topic.as_bytes());
        into.put_u32(self.log.partition);
        let mut crc = place.crc(into.get(from..).unwrap_or_default());
        let mut left = BATCH_HEADER;
        for piece in batch {
            let piece = piece.get(..left.min(piece.len())).unwrap_or_default();
            crc = crc32c::crc32c_append(crc, piece);
            left -= piece.len();
        }
        into.put_u32(crc);
    }

    /// The frame at the front of `bytes`, of which at least the batch's header must be there; `None`
    /// where there is no frame.
    pub(crate) fn parse(place: Place, bytes: &[u8]) -> Option<Self> {
        let begins_batch = bytes.get(HEADER..HEADER + BATCH_HEADER)?;
        let crc = crc32c::crc32c_append(place.crc(bytes.get(..CRC_AT)?), begins_batch);
        let mut fields = bytes.get(..HEADER)?.strip_prefix(&MAGIC)?;
        let synced = match fields.try_get_u8().ok()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let frame = Self {
            length: fields.try_get_u32().ok()?,
            begins: fields.try_get_u32().ok()?,
            log: LogId {
                topic: Uuid::from_u128(fields.try_get_u128().ok()?),
                partition: fields.try_get_u32().ok()?,
            },
            synced,
        };
        (fields.try_get_u32().ok()? == crc).then_some(frame)
    }

    /// Bytes that the frame takes.
    pub(crate) fn size(&self) -> u64 {
        HEADER as u64 + u64::from(self.length)
    }
}

impl Place {
    fn crc(self, fields: &[u8]) -> u32 {
        let crc = crc32c::crc32c(&self.segment.to_be_bytes());
        let crc = crc32c::crc32c_append(crc, &self.position.to_be_bytes());
        crc32c::crc32c_append(crc, fields)
    }
}

/// The key of the batch that a frame holds, by its header alone; `None` where there is less.
pub(crate) fn key(log: LogId, mut batch: &[u8]) -> Option<BatchKey> {
    let mut max_timestamp = batch.get(35..)?;
    let mut last_offset_delta = batch.get(23..)?;
    Some(BatchKey {
        log,
        base: Offset(batch.try_get_i64().ok()?),
        last_offset_delta: last_offset_delta.try_get_i32().ok()?,
        max_timestamp: Timestamp(max_timestamp.try_get_i64().ok()?),
    })
}

/// Whether a batch is as it was when its checksum was made.
pub(crate) fn is_whole(batch: &[u8]) -> bool {
    let stored = batch.get(BATCH_CRC).and_then(|crc| crc.try_into().ok());
    let held = batch.get(BATCH_CRC.end..).unwrap_or_default();
    stored.map(u32::from_be_bytes) == Some(crc32c::crc32c(held))
}

#[cfg(test)]
mod tests {
    use kop_wire::{BatchBuilder, Compression, Record};

    use super::*;

    #[test]
    fn a_frame_is_known_only_where_it_was_written() {
        let mut builder = BatchBuilder::new(Compression::None);
        for _ in 0..3 {
            builder.push(Record {
                timestamp: Timestamp(77),
                ..Record::default()
            });
        }
        let batch = builder.build().unwrap();
        let [head, rest] = batch.place(Offset(12), 0);
        let place = Place {
            segment: 4,
            position: 1_000,
        };
        let log = LogId {
            topic: Uuid::from_u128(9),
            partition: 2,
        };
        let frame = Frame {
            log,
            length: u32::try_from(batch.bytes().len()).unwrap(),
            begins: 900,
            synced: true,
        };
        let mut bytes = Vec::new();
        frame.put(place, [&head, &rest], &mut bytes);
        assert_eq!(bytes.len(), HEADER);
        bytes.extend([head, rest].concat());
        assert_eq!(Frame::parse(place, &bytes), Some(frame));
        assert!(is_whole(&bytes[HEADER..]));
        let key = key(log, &bytes[HEADER..]).unwrap();
        assert_eq!(key, BatchKey::new(log, Offset(12), batch.header()));
        for elsewhere in [
            Place {
                segment: 5,
                ..place
            },
            Place {
                position: 1_001,
                ..place
            },
        ] {
            assert_eq!(Frame::parse(elsewhere, &bytes), None);
        }
        for at in 0..HEADER + BATCH_HEADER {
            bytes[at] ^= 4;
            assert_eq!(Frame::parse(place, &bytes), None, "{at}");
            bytes[at] ^= 4;
        }
        assert_eq!(
            Frame::parse(place, &bytes[..HEADER + BATCH_HEADER - 1]),
            None
        );
    }
}
