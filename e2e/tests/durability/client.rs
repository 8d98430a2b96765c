//! A Kafka client that sends what it is told to, several requests at a time, and tells what came back.

use anyhow::{Context, Result, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than any answer takes; what takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// `COORDINATOR_LOAD_IN_PROGRESS` and `NOT_COORDINATOR`: ask again.
pub(crate) const COORDINATOR_STARTS: [i16; 2] = [14, 16];

pub(crate) struct Client {
    stream: TcpStream,
    next: i32,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, next: 0 })
    }

    /// The port on this side.
    pub(crate) fn port(&self) -> Result<u16> {
        Ok(self.stream.local_addr()?.port())
    }

    /// How many requests it has sent.
    pub(crate) fn requests(&self) -> usize {
        self.next as usize
    }

    /// Sends a request and gives its number.
    pub(crate) fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<i32> {
        self.next += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.next)
            .with_client_id(Some(StrBytes::from_static_str("durability")));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        header.encode(&mut frame, R::header_version(version))?;
        request.encode(&mut frame, version)?;
        let size = i32::try_from(frame.len() - 4)?;
        frame[..4].copy_from_slice(&size.to_be_bytes());
        self.stream.write_all(&frame)?;
        Ok(self.next)
    }

    /// Receives the answer to request `number`, which must be the next one.
    pub(crate) fn receive<R: Request>(&mut self, version: i16, number: i32) -> Result<R::Response> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size))?];
        self.stream.read_exact(&mut frame)?;
        let mut frame = Bytes::from(frame);
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version))?;
        ensure!(
            header.correlation_id == number,
            "answer {} where {number} was due",
            header.correlation_id
        );
        R::Response::decode(&mut frame, version)
    }

    pub(crate) fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        let number = self.send(version, request)?;
        self.receive::<R>(version, number)
    }
}

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
