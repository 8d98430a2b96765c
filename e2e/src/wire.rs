//! The stories' own Kafka client: it prepares what a client under test reads, and looks at what one
//! has written as it is stored. It speaks one version of each API and stays with one server.

use crate::wait::until;
use anyhow::{Context, Result};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::{Request, StrBytes};
use std::time::Duration;

mod calls;
mod connection;
mod groups;
mod records;
mod topics;

pub use calls::{COORDINATOR_STARTS, Fetched, NOBODY, Stamp, batch, is_lost};
pub use connection::Connection;
pub use groups::Member;
pub use records::Batch;

/// Longer than any answer takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// A client of one server.
#[derive(Debug)]
pub struct Wire {
    connection: Connection,
}

impl Wire {
    /// Connects to HOST:PORT.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(bootstrap: &str) -> Result<Self> {
        let connection = Connection::connect(bootstrap);
        let connection = connection.with_context(|| format!("dial {bootstrap}"))?;
        Ok(Self { connection })
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
            let answer = self.connection.call(version, request)?;
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

/// Text as messages hold it.
#[must_use]
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
