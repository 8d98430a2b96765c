//! Topics: what they are called, what is in them, how they come and go.
use std::{fmt, future::Future, ops::Range};

use kop_wire::TopicName;
use uuid::Uuid;

use crate::{
    CatalogError, ConfigureError, CreateError, DeleteError, GrowError, OpenError, Partition,
    TopicConfig, UnsupportedConfig,
};

/// Kafka's name of the topic in which consumer groups and committed offsets are kept.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
/// Kafka's name of the topic in which the transaction coordinator keeps its state.
pub const TRANSACTION_STATE: &str = "__transaction_state";

/// The topics that an engine holds.
///
/// Every method may be called from many tasks at once. A topic that one call has created is seen by
/// every later call.
pub trait Catalog: Send + Sync + 'static {
    /// A log of this engine.
    type Partition: Partition;

    /// Makes a topic with empty partitions.
    fn create(&self, topic: NewTopic) -> impl Future<Output = Result<Topic, CreateError>> + Send;

    /// Removes a topic and its records. Partitions that were opened before answer
    /// [`Deleted`](crate::ReadError::Deleted) from then on.
    fn delete(&self, topic: &TopicName) -> impl Future<Output = Result<(), DeleteError>> + Send;

    /// Gives a topic more partitions, so that it has `partitions` of them; the new ones are empty, the
    /// others stay as they are.
    fn grow(
        &self,
        topic: &TopicName,
        partitions: u32,
    ) -> impl Future<Output = Result<Topic, GrowError>> + Send;

    /// Changes what is set for a topic from `from`, which must be what is set now, to `to`. From then on
    /// the topic's partitions act on it ([`Partition::settings`]).
    fn configure(
        &self,
        topic: &TopicName,
        from: &TopicConfig,
        to: TopicConfig,
    ) -> impl Future<Output = Result<Topic, ConfigureError>> + Send;

    /// Whether the engine honours all that is set there. [`Self::create`] and [`Self::configure`] refuse
    /// what it does not.
    ///
    /// # Errors
    /// The first option that it cannot honour, and why.
    fn supports(&self, config: &TopicConfig) -> Result<(), UnsupportedConfig>;

    /// One topic by name; `None` where there is no such topic.
    fn find(
        &self,
        topic: &TopicName,
    ) -> impl Future<Output = Result<Option<Topic>, CatalogError>> + Send;

    /// As [`Self::find`], and as it is now: not as it was a moment ago where an engine that shares its
    /// topics with other processes remembers them for a while.
    fn find_anew(
        &self,
        topic: &TopicName,
    ) -> impl Future<Output = Result<Option<Topic>, CatalogError>> + Send {
        self.find(topic)
    }

    /// All topics, internal ones included, ordered by name.
    fn list(&self) -> impl Future<Output = Result<Vec<Topic>, CatalogError>> + Send;

    /// A handle to one partition. Opening twice gives two handles to the same log; the engine keeps
    /// what is expensive (ownership, caches) and shares it.
    fn open(
        &self,
        id: &PartitionId,
    ) -> impl Future<Output = Result<Self::Partition, OpenError>> + Send;

    /// Takes `count` producer ids that no one else has had or will ever have, across restarts.
    fn allocate_producer_ids(
        &self,
        count: u32,
    ) -> impl Future<Output = Result<Range<i64>, CatalogError>> + Send;
}

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name, unique in the catalog.
    pub name: TopicName,
    /// How many partitions it starts with, at least one.
    pub partitions: u32,
    /// What is set for it.
    pub config: TopicConfig,
}

/// A topic as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: TopicName,
    /// Kafka's topic id (KIP-516): another one after the topic was deleted and made anew.
    pub id: Uuid,
    /// Number of partitions; they are numbered from 0.
    pub partitions: u32,
    /// What is set for it.
    pub config: TopicConfig,
}

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId {
    /// The topic.
    pub topic: TopicName,
    /// The partition's number, from 0.
    pub index: i32,
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}

/// What a topic's records are for. An engine may store each class in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicClass {
    /// Records of applications.
    UserData,
    /// `__consumer_offsets`: keyed records, the last one of a key counts.
    GroupLog,
    /// `__transaction_state`: keyed records, the last one of a key counts.
    TransactionLog,
}

impl TopicClass {
    /// The class of a topic, which its name decides, as in Kafka.
    #[must_use]
    pub fn of(topic: &TopicName) -> Self {
        match topic.as_str() {
            CONSUMER_OFFSETS => Self::GroupLog,
            TRANSACTION_STATE => Self::TransactionLog,
            _ => Self::UserData,
        }
    }

    /// Whether Kafka clients see the topic marked as internal.
    #[must_use]
    pub fn is_internal(self) -> bool {
        self != Self::UserData
    }
}
