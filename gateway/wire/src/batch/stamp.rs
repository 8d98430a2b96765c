//! Giving a batch the time at which it was appended.
use bytes::{BufMut, Bytes, BytesMut};

use super::{
    Batch, CRC_FROM, HEADER_LEN, LENGTH_END,
    builder::put_checked,
    header::{LOG_APPEND_TIME, magic},
};
use crate::Timestamp;

impl Batch {
    /// The batch as a log that keeps its own time stores it: consumers see `time` on every record. The
    /// header is new, its checksum right, the records are those of this batch and stay as they are.
    #[must_use]
    pub fn appended_at(&self, time: Timestamp) -> Self {
        let payload = self.payload();
        let mut header = self.header;
        header.attributes |= LOG_APPEND_TIME;
        header.max_timestamp = time;
        let mut checked = Vec::with_capacity(HEADER_LEN - CRC_FROM);
        put_checked(&mut checked, &header);
        header.crc = crc32c::crc32c_append(crc32c::crc32c(&checked), &payload);
        let mut bytes = BytesMut::with_capacity(self.bytes.len());
        bytes.put_i64(header.base_offset.0);
        bytes.extend_from_slice(self.bytes.get(8..LENGTH_END).unwrap_or_default());
        bytes.put_i32(header.leader_epoch);
        bytes.put_i8(magic());
        bytes.put_u32(header.crc);
        bytes.extend_from_slice(&checked);
        bytes.extend_from_slice(&payload);
        Self {
            header,
            bytes: Bytes::from(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchBuilder, Compression, Record, TimestampType};

    #[test]
    fn a_stamped_batch_is_whole_and_has_the_time_on_every_record() {
        for compression in [Compression::None, Compression::Gzip] {
            let mut builder = BatchBuilder::new(compression).producer(7, 1, 3);
            for time in [1_000, 5_000, 3_000] {
                builder.push(Record {
                    timestamp: Timestamp(time),
                    value: Some(Bytes::from(format!("sent at {time}"))),
                    ..Record::default()
                });
            }
            let sent = builder.build().unwrap();
            let stamped = sent.appended_at(Timestamp(2_000));
            let stored = Batch::parse(stamped.bytes().clone()).unwrap();
            assert_eq!(stored, stamped);
            assert_eq!(stored.header().timestamp_type(), TimestampType::LogAppend);
            assert_eq!(stored.header().max_timestamp, Timestamp(2_000));
            assert_eq!(stored.payload(), sent.payload());
            let (now, before) = (stored.records().unwrap(), sent.records().unwrap());
            for (record, before) in now.into_iter().zip(before) {
                let timestamp = Timestamp(2_000);
                assert_eq!(
                    record,
                    Record {
                        timestamp,
                        ..before
                    }
                );
            }
        }
    }
}
