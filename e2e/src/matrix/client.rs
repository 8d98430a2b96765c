//! What a client under test is to the rows of the matrix.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A record as a client writes or reads it. Keys and values are text.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Record {
    /// `None`: a record without a key.
    pub key: Option<String>,
    /// `None`: a tombstone.
    pub value: Option<String>,
    /// In order; a name may come more than once.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Partition and offset, of a record that was read by a client that tells.
    #[serde(default, skip_serializing)]
    pub place: Option<(i32, i64)>,
}

impl Record {
    /// A record with neither key nor headers.
    #[must_use]
    pub fn value(value: String) -> Self {
        Self {
            value: Some(value),
            ..Self::default()
        }
    }

    /// A record with a key and perhaps a value.
    #[must_use]
    pub fn keyed(key: &str, value: Option<&str>) -> Self {
        Self {
            key: Some(key.to_owned()),
            value: value.map(str::to_owned),
            ..Self::default()
        }
    }
}

/// How a producer is to write.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct How {
    /// Kafka's name of a codec, or `none`.
    pub codec: &'static str,
    /// Whether the producer is an idempotent one. Clients that are unless told otherwise stay it.
    pub idempotent: bool,
}

impl How {
    /// Uncompressed, by the producer that the client makes by itself.
    pub const PLAIN: Self = Self {
        codec: "none",
        idempotent: false,
    };
}

/// Settings of a topic by name.
pub type Settings = BTreeMap<String, String>;

/// An unmodified client, made to do something by a driver program or by its own command line.
///
/// Every operation has a default that fails: what a client cannot do is not asked of it, because
/// [`cannot`](Self::cannot) says so.
pub trait Client: std::fmt::Debug {
    /// Why the client does not do the row of this name, for the reader of the table; `None` if it does.
    fn cannot(&self, row: &str) -> Option<&'static str>;

    /// The client's version, as it tells itself.
    ///
    /// # Errors
    /// It does not run.
    fn version(&mut self) -> Result<String>;

    /// Writes records in order, all replicas acknowledging, and gives where they stand if it is told.
    ///
    /// # Errors
    /// One is not acknowledged.
    fn produce(&mut self, topic: &str, records: &[Record], how: How) -> Result<Vec<(i32, i64)>>;

    /// Reads `count` records from the beginning of all partitions, outside of any group.
    ///
    /// # Errors
    /// Fewer are there.
    fn consume(&mut self, topic: &str, count: usize) -> Result<Vec<Record>>;

    /// Reads the next `count` records as the only member of a group, commits them, and leaves.
    ///
    /// # Errors
    /// Fewer come.
    fn resume(&mut self, topic: &str, group: &str, count: usize) -> Result<Vec<Record>>;

    /// Joins a group as `member` (its client id), and goes on reading.
    ///
    /// # Errors
    /// It does not start.
    fn join(&mut self, topic: &str, group: &str, member: &str) -> Result<()>;

    /// What the member has read so far.
    ///
    /// # Errors
    /// It failed.
    fn seen(&mut self, member: &str) -> Result<Vec<Record>>;

    /// The member commits, leaves the group and ends.
    ///
    /// # Errors
    /// It does not end well.
    fn leave(&mut self, member: &str) -> Result<()>;

    /// Creates a topic.
    ///
    /// # Errors
    /// The server refuses.
    fn create(&mut self, _topic: &str, _partitions: i32, _settings: &Settings) -> Result<()> {
        bail!("the client creates no topics")
    }

    /// How many partitions a topic has.
    ///
    /// # Errors
    /// The server refuses.
    fn describe(&mut self, _topic: &str) -> Result<i32> {
        bail!("the client describes no topics")
    }

    /// A topic's settings.
    ///
    /// # Errors
    /// The server refuses.
    fn settings(&mut self, _topic: &str) -> Result<Settings> {
        bail!("the client describes no settings")
    }

    /// Sets some of a topic's settings.
    ///
    /// # Errors
    /// The server refuses.
    fn alter(&mut self, _topic: &str, _settings: &Settings) -> Result<()> {
        bail!("the client alters no settings")
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// The server refuses.
    fn delete(&mut self, _topic: &str) -> Result<()> {
        bail!("the client deletes no topics")
    }
}
