//! The stories' own Kafka client: it prepares what a client under test reads, and looks at what one
//! has written as it is stored. It speaks one version of each API, and where there are several servers
//! it asks one after the other until it has come to the one that leads.

use crate::wait::until;
use anyhow::{Context, Result};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::{Request, StrBytes};
use std::collections::VecDeque;
use std::time::Duration;

mod calls;
mod connection;
mod groups;
mod records;
mod topics;

pub use calls::{COORDINATOR_STARTS, Fetched, NOBODY, Stamp, batch, is_lost, produce};
pub use connection::Connection;
pub use groups::Member;
pub use records::Batch;

/// Longer than any answer takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// A client of one cluster.
#[derive(Debug)]
pub struct Wire {
    /// One to each server, the one that answered last in front.
    servers: VecDeque<Connection>,
}

impl Wire {
    /// Connects to all servers that the first of HOST:PORT,HOST:PORT… names.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(bootstrap: &str) -> Result<Self> {
        let first = bootstrap.split(',').next().unwrap_or_default();
        let dial =
            |address: &str| Connection::connect(address).with_context(|| format!("dial {address}"));
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        let brokers = dial(first)?.call(8, &request)?.brokers;
        let addresses = brokers.iter().map(|b| format!("{}:{}", b.host, b.port));
        let servers = addresses.map(|address| dial(&address));
        Ok(Self {
            servers: servers.collect::<Result<_>>()?,
        })
    }

    fn server(&mut self) -> Result<&mut Connection> {
        self.servers.front_mut().context("a server")
    }

    /// Asks, and as long as the server does not know where a topic or a group is, asks the next one, or
    /// again, as clients do.
    fn ask<R: Request, T>(
        &mut self,
        version: i16,
        request: &R,
        read: impl Fn(&R::Response) -> Result<T>,
    ) -> Result<T> {
        until("a final answer", DEADLINE, || {
            for _ in 0..self.servers.len() {
                let answer = self.server()?.call(version, request)?;
                match read(&answer) {
                    Err(error) if error.downcast_ref().is_some_and(Refused::passes) => {
                        self.servers.rotate_left(1);
                    }
                    read => return read.map(Some),
                }
            }
            Ok(None)
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

/// Text as messages hold it.
#[must_use]
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
