//! Requests out, answers in, several on their way at a time.

use anyhow::{Result, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::DEADLINE;

/// A connection to one server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    next: i32,
}

impl Connection {
    /// Connects to HOST:PORT.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { stream, next: 0 })
    }

    /// The port on this side.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn port(&self) -> Result<u16> {
        Ok(self.stream.local_addr()?.port())
    }

    /// How many requests it has sent.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.next as usize
    }

    /// Sends a request and gives its number.
    ///
    /// # Errors
    /// The connection is gone, or the request cannot be said in that version.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<i32> {
        self.next += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.next)
            .with_client_id(Some(StrBytes::from_static_str("story")));
        let mut said = BytesMut::new();
        header.encode(&mut said, R::header_version(version))?;
        request.encode(&mut said, version)?;
        let mut frame = BytesMut::with_capacity(4 + said.len());
        frame.put_i32(i32::try_from(said.len())?);
        frame.put(said);
        self.send_bytes(&frame)?;
        Ok(self.next)
    }

    /// Sends what may be no request at all.
    ///
    /// # Errors
    /// The connection is gone, or the other side takes nothing.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Receives the answer to request `number`, which must be the next one.
    ///
    /// # Errors
    /// The connection is gone, nothing came in time, or it is another answer.
    pub fn receive<R: Request>(&mut self, version: i16, number: i32) -> Result<R::Response> {
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

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`receive`](Self::receive).
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        let number = self.send(version, request)?;
        self.receive::<R>(version, number)
    }
}
