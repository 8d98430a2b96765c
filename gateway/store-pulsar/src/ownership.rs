//! Who may write for Kafka's clients: whoever holds the producer with one fixed name.
//!
//! Pulsar refuses a second live producer of a name on a topic, and closes a dead one's connection
//! when a new one asks. So the name is a lock that Pulsar's own producers, having other names, never
//! meet.
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use kop_store::AppendError;
use pulsar_client::{
    AccessMode, Client, CloseReason, ConnectionId, MessageMetadata, OutgoingEntry, Producer,
    ProducerError, ProducerOptions, Receipt, SendError,
};
use tokio::time::{Instant, sleep};

use crate::{admin::Position, clock, naming::PulsarTopic};

/// The name that owners' producers have.
const OWNER: &str = "kop-owner";
/// How long a name may stay taken: brokers give a silent holder about five seconds.
const PATIENCE: Duration = Duration::from_secs(12);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Marker type of barriers. Pulsar keeps an entry with any marker type from readers and consumers,
/// and gives a meaning to 10–13 and 20–22 only.
const BARRIER: i32 = 90;

/// What has the name, and so the right to write.
pub(crate) struct Owned {
    producer: Arc<Producer>,
    closed: Pin<Box<dyn Future<Output = CloseReason> + Send>>,
    next_sequence: u64,
}

/// Why the name was not won.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    /// The topic is gone.
    #[error("topic deleted")]
    Deleted,
    /// Another gateway holds the name and lives.
    #[error("another gateway owns the partition: {0}")]
    NotOwner(String),
    /// Pulsar does not let us, or not now.
    #[error("partition cannot be owned")]
    Unavailable(#[source] ProducerError),
}

impl From<TakeError> for AppendError {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::Deleted => Self::Deleted,
            TakeError::NotOwner(_) => Self::NotOwner,
            TakeError::Unavailable(error) => Self::Unavailable(error.into()),
        }
    }
}

/// Wins the name, waiting for a dead predecessor to lose it.
pub(crate) async fn take(client: &Client, topic: &PulsarTopic) -> Result<Owned, TakeError> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        let options = ProducerOptions {
            name: Some(OWNER.to_owned()),
            access: AccessMode::Shared,
        };
        let refused = match client.producer(topic.as_str(), options).await {
            Ok(producer) => return Ok(Owned::of(producer)),
            Err(ProducerError::NotFound(_)) => return Err(TakeError::Deleted),
            Err(ProducerError::Busy(who)) => TakeError::NotOwner(who),
            Err(error @ ProducerError::Unavailable(_)) => TakeError::Unavailable(error),
            Err(ProducerError::Fenced(who)) => return Err(TakeError::NotOwner(who)),
            Err(error @ (ProducerError::Unauthorized(_) | ProducerError::Refused { .. })) => {
                return Err(TakeError::Unavailable(error));
            }
        };
        if Instant::now() + pause > deadline {
            return Err(refused);
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl Owned {
    /// Sequence ids rise for ever, across owners and whether or not brokers deduplicate: one that
    /// did not rise would be discarded without an error, here or in a cluster replicated to.
    fn of(producer: Producer) -> Self {
        let known = u64::try_from(producer.last_sequence_id()).map_or(0, |last| last + 1);
        Self {
            closed: Box::pin(producer.closed()),
            next_sequence: known.max(clock::now_micros()),
            producer: Arc::new(producer),
        }
    }

    /// The producer that has the name, for those who ask the broker for it.
    pub(crate) fn holder(&self) -> Weak<Producer> {
        Arc::downgrade(&self.producer)
    }

    /// The connection over which entries are written.
    pub(crate) fn connection(&self) -> ConnectionId {
        self.producer.connection_id()
    }

    /// Largest entry that the broker takes, in bytes.
    pub(crate) fn max_message_size(&self) -> usize {
        self.producer.max_message_size()
    }

    /// The sequence id of the next entry.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Waits until the connection takes more.
    pub(crate) async fn ready(&mut self) {
        self.producer.ready().await;
    }

    /// Puts an entry in line; its sequence id is [`next_sequence`](Self::next_sequence).
    pub(crate) fn send(
        &mut self,
        entry: OutgoingEntry,
    ) -> impl Future<Output = Result<Receipt, SendError>> + Send + 'static {
        self.next_sequence += 1;
        self.producer.send(entry)
    }

    /// Writes a barrier: what an earlier owner has on its way stands before it, or nowhere.
    pub(crate) async fn barrier(&mut self) -> Result<Position, SendError> {
        let metadata = MessageMetadata {
            producer_name: OWNER.to_owned(),
            sequence_id: self.next_sequence,
            publish_time: clock::now_millis(),
            marker_type: Some(BARRIER),
            ..MessageMetadata::default()
        };
        let entry = OutgoingEntry {
            sequence_id: self.next_sequence,
            num_messages: 1,
            metadata,
            payload: Vec::new(),
            checksum: true,
        };
        let Receipt { ledger, entry, .. } = self.send(entry).await?;
        Ok(Position { ledger, entry })
    }

    /// Resolves when the name is lost.
    pub(crate) async fn lost(&mut self) -> CloseReason {
        self.closed.as_mut().await
    }

    /// Gives the name back.
    pub(crate) async fn release(self) {
        self.producer.close().await;
    }
}
