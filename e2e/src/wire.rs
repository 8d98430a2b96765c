//! The stories' own Kafka client: it prepares what a client under test reads, and looks at what one
//! has written as it is stored. It speaks one version of each API and stays with one server.

use crate::wait::until;
use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

mod groups;
mod records;
mod topics;

pub use groups::Member;
pub use records::Batch;

/// Longer than any answer takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// A connection to one server.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    next: i32,
}

impl Wire {
    /// Connects to HOST:PORT.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(bootstrap: &str) -> Result<Self> {
        let stream = TcpStream::connect(bootstrap).with_context(|| format!("dial {bootstrap}"))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, next: 1 })
    }

    fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        let number = self.next;
        self.next += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(number)
            .with_client_id(Some(StrBytes::from_static_str("story")));
        let mut frame = BytesMut::new();
        header.encode(&mut frame, R::header_version(version))?;
        request.encode(&mut frame, version)?;
        let size = i32::try_from(frame.len())?;
        self.stream.write_all(&size.to_be_bytes())?;
        self.stream.write_all(&frame)?;

        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size))?];
        self.stream.read_exact(&mut frame)?;
        let mut frame = Bytes::from(frame);
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version))?;
        ensure!(
            header.correlation_id == number,
            "an answer to another request"
        );
        R::Response::decode(&mut frame, version)
    }

    /// Asks, and as long as the server does not yet know where a topic or a group is, asks again, as
    /// clients do.
    fn ask<R: Request, T>(
        &mut self,
        version: i16,
        request: &R,
        read: impl Fn(&R::Response) -> Result<T>,
    ) -> Result<T> {
        until("a final answer", DEADLINE, || {
            let answer = self.call(version, request)?;
            match read(&answer) {
                Err(error) if error.downcast_ref().is_some_and(Refused::passes) => Ok(None),
                read => read.map(Some),
            }
        })
    }
}

/// The server does not do what it was asked for.
#[derive(Debug)]
struct Refused(ResponseError);

impl Refused {
    fn passes(&self) -> bool {
        matches!(
            self.0,
            ResponseError::UnknownTopicOrPartition
                | ResponseError::NotLeaderOrFollower
                | ResponseError::LeaderNotAvailable
                | ResponseError::NotCoordinator
                | ResponseError::CoordinatorNotAvailable
                | ResponseError::CoordinatorLoadInProgress
        )
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the server answers {:?}", self.0)
    }
}

impl std::error::Error for Refused {}

fn good(code: i16) -> Result<()> {
    match ResponseError::try_from_code(code) {
        None => Ok(()),
        Some(error) => Err(Refused(error).into()),
    }
}

fn only<T>(answers: &[T]) -> Result<&T> {
    answers.first().context("an answer for what was asked")
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
