//! The log in which the gateways of one Pulsar tell each other who is there, and the seats that prove
//! it.
//!
//! A seat is a producer on the log's topic with a name of its node. Pulsar lets one live producer have
//! a name, so no two gateways of one node id are in at a time, and whoever wins another's seat has
//! proved that the other is gone. All that is announced of a node is written by who holds its seat.
//! What is announced is the caller's business.
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use pulsar_client::{
    AccessMode, CloseReason, EntryId, MessageMetadata, OutgoingEntry, Producer, ProducerError,
    ProducerOptions, ReadError, Reader, ReaderError, ReaderOptions, ReaderStart, SendError,
};
use tokio::time::{Instant, sleep};

use crate::{PulsarStore, admin::AdminError, clock, naming::PulsarTopic, shared::Shared};

const TOPIC: &str = "__kop_gateways";
/// Between two attempts to win a seat, or to read on.
const PAUSE: Duration = Duration::from_millis(200);

/// The log of one Pulsar's gateways. Clones are the same log.
#[derive(Debug, Clone)]
pub struct MembershipLog {
    shared: Arc<Shared>,
    topic: PulsarTopic,
}

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// Its topic cannot be made.
    #[error("the gateways' topic cannot be made")]
    Create(#[source] AdminError),
    /// It cannot be read.
    #[error("the gateways' topic cannot be opened")]
    Open(#[from] ReaderError),
    /// It could be read, and cannot any more.
    #[error("the gateways' topic cannot be read")]
    Read(#[from] ReadError),
    /// Its entries have no index: the brokers lack the interceptor.
    #[error("entry {0} of the gateways' topic has no index")]
    Unnumbered(EntryId),
    /// The topic was terminated.
    #[error("the gateways' topic is terminated")]
    Terminated,
}

/// Why a seat was not won.
#[derive(Debug, thiserror::Error)]
pub enum SeatError {
    /// Whoever has it lives: {0} is what the broker says.
    #[error("another gateway has the seat: {0}")]
    Taken(String),
    /// Pulsar does not let us, or not now.
    #[error("the gateways' topic takes no producer")]
    Unavailable(#[source] ProducerError),
}

/// One announcement as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Its place among all that were ever written to the log, from 0.
    pub index: u64,
    /// What was written.
    pub payload: Bytes,
}

impl PulsarStore {
    /// The log of the gateways that share this Pulsar, tenant and metadata namespace. Makes its topic
    /// where there is none.
    ///
    /// # Errors
    /// Where it can be neither found nor made.
    pub async fn membership(&self) -> Result<MembershipLog, MembershipError> {
        let shared = Arc::clone(self.shared());
        let topic = shared.naming.metadata_topic(TOPIC);
        let made = async {
            if shared.admin.exists(&topic).await? {
                return Ok(());
            }
            let namespace = shared.naming.metadata_namespace();
            shared.admin.create_namespace(&namespace).await?;
            match shared.admin.create_plain(&topic).await {
                Err(AdminError::Conflict(_)) => Ok(()),
                made => made,
            }
        };
        made.await.map_err(MembershipError::Create)?;
        Ok(MembershipLog { shared, topic })
    }
}

impl MembershipLog {
    /// Reads from the first announcement that is still there.
    ///
    /// # Errors
    /// Where the topic cannot be read.
    pub async fn follow(&self) -> Result<Announcements, MembershipError> {
        let mut following = Announcements {
            log: self.clone(),
            reader: None,
            last: None,
        };
        following.open().await?;
        Ok(following)
    }

    /// Wins the seat of a node, trying for `patience`: a broker takes about five seconds to find that
    /// a holder who says nothing is gone.
    ///
    /// # Errors
    /// [`Taken`](SeatError::Taken) where its holder lives.
    pub async fn seat(&self, node: i32, patience: Duration) -> Result<Seat, SeatError> {
        let deadline = Instant::now() + patience;
        let name = format!("kop-gateway-{node}");
        loop {
            let options = ProducerOptions {
                name: Some(name.clone()),
                access: AccessMode::Shared,
            };
            let error = match self
                .shared
                .client
                .producer(self.topic.as_str(), options)
                .await
            {
                Ok(producer) => return Ok(Seat::of(producer, name)),
                Err(ProducerError::Busy(who) | ProducerError::Fenced(who)) => SeatError::Taken(who),
                Err(error) => SeatError::Unavailable(error),
            };
            if Instant::now() + PAUSE > deadline {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }
}

/// The announcements, in order.
#[derive(Debug)]
pub struct Announcements {
    log: MembershipLog,
    reader: Option<Reader>,
    last: Option<(EntryId, u64)>,
}

impl Announcements {
    /// Waits for the next announcement. When the connection is lost it is opened anew, behind what has
    /// been read, until that succeeds.
    ///
    /// # Errors
    /// Where the topic is not what it has to be, and reading on makes no sense.
    pub async fn next(&mut self) -> Result<Announced, MembershipError> {
        loop {
            let read = match &mut self.reader {
                Some(reader) => reader.next().await,
                None => match self.open().await {
                    Ok(()) => continue,
                    Err(error) => {
                        tracing::debug!(%error, "the gateways' topic is not readable now");
                        sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            let entry = match read {
                Ok(Some(entry)) => entry,
                Ok(None) => return Err(MembershipError::Terminated),
                Err(error) => {
                    tracing::debug!(%error, "reader of the gateways' topic ended");
                    self.reader = None;
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let index = entry.index.ok_or(MembershipError::Unnumbered(entry.id))?;
            // A reader that is opened again begins with the entry that was read last.
            if self.last.is_none_or(|(_, last)| index > last) {
                self.last = Some((entry.id, index));
                return Ok(Announced {
                    index,
                    payload: entry.payload,
                });
            }
        }
    }

    async fn open(&mut self) -> Result<(), MembershipError> {
        let start = self
            .last
            .map_or(ReaderStart::Earliest, |(id, _)| ReaderStart::At(id));
        let MembershipLog { shared, topic } = &self.log;
        let options = ReaderOptions::default();
        let reader = shared.client.reader(topic.as_str(), start, options).await?;
        self.reader = Some(reader);
        Ok(())
    }
}

/// The right to announce a node's coming and going. Dropping it gives it back.
pub struct Seat {
    producer: Producer,
    name: String,
    next_sequence: u64,
    lost: Pin<Box<dyn Future<Output = CloseReason> + Send>>,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Seat {
    fn of(producer: Producer, name: String) -> Self {
        // They rise for ever, across holders, as brokers that deduplicate ask for.
        let known = u64::try_from(producer.last_sequence_id()).map_or(0, |last| last + 1);
        Self {
            next_sequence: known.max(clock::now_micros()),
            lost: Box::pin(producer.closed()),
            name,
            producer,
        }
    }

    /// Writes an announcement, and answers when it is there for all to read.
    ///
    /// # Errors
    /// Where it may not have been written; then the seat may be lost as well.
    pub async fn announce(&mut self, payload: Vec<u8>) -> Result<(), SendError> {
        let sequence_id = self.next_sequence;
        self.next_sequence += 1;
        let metadata = MessageMetadata {
            producer_name: self.name.clone(),
            sequence_id,
            publish_time: clock::now_millis(),
            ..MessageMetadata::default()
        };
        let entry = OutgoingEntry {
            sequence_id,
            num_messages: 1,
            metadata,
            payload: vec![payload.into()],
            checksum: true,
        };
        self.producer.send(entry).await.map(drop)
    }

    /// Resolves when somebody else may have the seat. Not to be asked again after that.
    pub async fn lost(&mut self) {
        let reason = self.lost.as_mut().await;
        tracing::debug!(seat = self.name, ?reason, "seat lost");
    }

    /// Gives it back.
    pub async fn release(self) {
        self.producer.close().await;
    }
}
