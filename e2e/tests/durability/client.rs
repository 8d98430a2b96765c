//! What the load says to a server, and how it takes a connection that is gone.

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};
use std::io;

pub(crate) use kop_e2e::wire::Connection as Client;

/// `COORDINATOR_LOAD_IN_PROGRESS` and `NOT_COORDINATOR`: ask again.
pub(crate) const COORDINATOR_STARTS: [i16; 2] = [14, 16];

/// Whether an error says that the other side is gone. Silence is none of these.
pub(crate) fn is_lost(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(
        kind,
        Some(
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::BrokenPipe
        )
    )
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Who wrote a batch, for the broker to recognise a repetition: id, epoch and first sequence number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) producer: i64,
    pub(crate) epoch: i16,
    pub(crate) sequence: i32,
}

/// A producer that the broker need not recognise.
pub(crate) const NOBODY: Stamp = Stamp {
    producer: -1,
    epoch: -1,
    sequence: -1,
};

/// A record batch with these values.
pub(crate) fn batch(stamp: Stamp, values: Vec<String>) -> Result<Bytes> {
    let mut records = Vec::with_capacity(values.len());
    for (index, value) in (0..).zip(values) {
        records.push(Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: stamp.producer,
            producer_epoch: stamp.epoch,
            timestamp_type: TimestampType::Creation,
            // The encoder puts into one batch what has the same distance between the two.
            offset: i64::from(index),
            sequence: stamp.sequence + index,
            timestamp: 1_700_000_000_000,
            key: None,
            value: Some(value.into()),
            headers: Default::default(),
        });
    }
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records, &options).context("a batch")?;
    Ok(bytes.freeze())
}
