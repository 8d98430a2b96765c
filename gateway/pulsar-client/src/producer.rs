//! Writing entries.
use std::{future::Future, time::Duration};

use bytes::Bytes;
use pulsar_protocol::{
    Command, MessageMetadata,
    command::{self, ProducerAccessMode},
    frame,
};
use tokio::sync::{oneshot, watch};

use crate::{
    Cause, ConnectionId, SendError,
    connection::{Connection, Event, Line, Opens},
    lookup::unexpected,
};

/// How a producer is opened.
#[derive(Debug, Clone, Default)]
pub struct ProducerOptions {
    /// Its name. The broker refuses a second live producer of a name chosen here. `None` lets the
    /// broker choose a unique one.
    pub name: Option<String>,
    /// What it demands of other producers.
    pub access: AccessMode,
}

/// What a producer demands of others on its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessMode {
    /// Others may write too.
    #[default]
    Shared,
    /// No other: refused with `Fenced` or `Busy` where there is one.
    Exclusive,
    /// No other: those that are there are closed.
    ExclusiveWithFencing,
}

/// Why a producer has ended.
pub type CloseReason = Cause;

/// An entry to be written.
#[derive(Debug, Clone)]
pub struct OutgoingEntry {
    /// Rises from entry to entry; receipts carry it.
    pub sequence_id: u64,
    /// By so much the topic's index rises; at least 1. Set `metadata.num_messages_in_batch` to the
    /// same where the entry is a batch.
    pub num_messages: u32,
    /// What stands before the payload. Written as it is.
    pub metadata: MessageMetadata,
    /// The payload in parts, none of which is copied.
    pub payload: Vec<Bytes>,
    /// Whether a checksum is computed that broker and readers verify.
    pub checksum: bool,
}

/// Where an entry is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Ledger.
    pub ledger: u64,
    /// Number in the ledger.
    pub entry: u64,
    /// The entry's sequence id.
    pub sequence_id: u64,
}

/// A producer on one topic, or partition of one. Dropping it closes it; entries without receipt
/// fail then.
#[derive(Debug)]
pub struct Producer {
    id: u64,
    name: String,
    last_sequence_id: i64,
    topic_epoch: Option<u64>,
    connection: Connection,
    closed: watch::Receiver<Option<Cause>>,
}

impl Producer {
    /// Opens it on the connection of the topic's broker.
    pub(crate) async fn open(
        connection: Connection,
        id: u64,
        topic: &str,
        options: &ProducerOptions,
    ) -> Result<Self, Cause> {
        let request_id = connection.next_request();
        let access = match options.access {
            AccessMode::Shared => ProducerAccessMode::Shared,
            AccessMode::Exclusive => ProducerAccessMode::Exclusive,
            AccessMode::ExclusiveWithFencing => ProducerAccessMode::ExclusiveWithFencing,
        };
        let command = Command::Producer(command::Producer {
            topic: topic.to_owned(),
            producer_id: id,
            request_id,
            producer_name: options.name.clone(),
            metadata: Vec::new(),
            epoch: None,
            user_provided_producer_name: Some(options.name.is_some()),
            producer_access_mode: Some(access.into()),
            topic_epoch: None,
        });
        let (sender, closed) = watch::channel(None);
        let opens = Opens::Producer { id, closed: sender };
        match connection.request(request_id, command, opens).await? {
            Command::ProducerSuccess(success) => Ok(Self {
                id,
                last_sequence_id: success.last_sequence_id(),
                topic_epoch: success.topic_epoch,
                name: success.producer_name,
                connection,
                closed,
            }),
            other => {
                connection.post(Event::CloseProducer {
                    id,
                    request: u64::MAX,
                    reply: None,
                });
                Err(unexpected(&other))
            }
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Highest sequence id that the broker knows of a producer of this name (with deduplication
    /// on); −1 where it knows none.
    #[must_use]
    pub fn last_sequence_id(&self) -> i64 {
        self.last_sequence_id
    }

    /// The topic's epoch, which rises with each exclusive producer; `None` for shared access.
    #[must_use]
    pub fn topic_epoch(&self) -> Option<u64> {
        self.topic_epoch
    }

    /// The connection over which it writes.
    #[must_use]
    pub fn connection_id(&self) -> ConnectionId {
        self.connection.id()
    }

    /// Largest entry (metadata and payload) that the broker takes, in bytes.
    #[must_use]
    pub fn max_message_size(&self) -> usize {
        self.connection.max_message_size()
    }

    /// Puts an entry in line to be written, at once and in the order of the calls; the future is
    /// its receipt. Dropping the future does not take the entry back.
    ///
    /// At most 900 entries of a connection are written and without receipt; others wait in line,
    /// up to a bound: see [`ready`](Self::ready).
    pub fn send(
        &self,
        entry: OutgoingEntry,
    ) -> impl Future<Output = Result<Receipt, SendError>> + Send + 'static {
        let receipt = self.enqueue(entry);
        let mut closed = self.closed.clone();
        let connection = self.connection.clone();
        async move {
            match receipt?.await {
                Ok(outcome) => outcome,
                // The connection's task is gone, and took what was in line along.
                Err(_) => {
                    let cause = closed.borrow_and_update().clone();
                    Err(SendError::Unavailable(
                        cause.unwrap_or_else(|| connection.cause()),
                    ))
                }
            }
        }
    }

    fn enqueue(
        &self,
        entry: OutgoingEntry,
    ) -> Result<oneshot::Receiver<Result<Receipt, SendError>>, SendError> {
        if let Some(cause) = self.closed.borrow().clone() {
            return Err(SendError::NotSent(cause));
        }
        let OutgoingEntry {
            sequence_id,
            num_messages,
            metadata,
            payload,
            checksum,
        } = entry;
        let limit = self.connection.max_message_size();
        let body = payload
            .iter()
            .fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let size = body.saturating_add(prost_len(&metadata));
        if size > limit {
            return Err(SendError::TooLarge { size, limit });
        }
        let command = Command::Send(command::Send {
            producer_id: self.id,
            sequence_id,
            num_messages: Some(i32::try_from(num_messages.max(1)).unwrap_or(i32::MAX)),
            ..command::Send::default()
        });
        let head = frame::encode_with_entry(command, &metadata, &payload, checksum);
        let size = head.len() + body;
        if !self.connection.load().take(size) {
            return Err(SendError::Overloaded);
        }
        let (reply, receipt) = oneshot::channel();
        let line = Line {
            producer: self.id,
            sequence_id,
            head,
            payload,
            size,
            reply,
        };
        self.connection.post(Event::Send(line));
        Ok(receipt)
    }

    /// Waits until the connection takes more without queueing it, or the producer has ended: call
    /// it before accepting work.
    pub async fn ready(&self) {
        tokio::select! {
            () = self.connection.load().light() => {}
            _ = self.closed() => {}
        }
    }

    /// Resolves when the broker, the connection or [`close`](Self::close) has ended the producer.
    /// It is not re-created.
    pub fn closed(&self) -> impl Future<Output = CloseReason> + Send + 'static {
        let mut closed = self.closed.clone();
        async move {
            match closed.wait_for(Option::is_some).await {
                Ok(cause) => cause.clone().unwrap_or(Cause::Closed),
                Err(_) => Cause::Disconnected("connection ended".to_owned()),
            }
        }
    }

    /// Whether it is known to have ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.closed.borrow().is_some()
    }

    /// Asks the broker whether it still has the producer, and returns when it has said so: brokers tell
    /// of a producer's end, or close its connection, before they answer what was asked after it.
    ///
    /// # Errors
    /// Why the producer has ended, or [`Cause::Timeout`].
    pub async fn confirm(&self, within: Duration) -> Result<(), Cause> {
        let (reply, sign) = oneshot::channel();
        self.connection.post(Event::Ping(reply));
        let sign = tokio::time::timeout(within, sign).await;
        if let Some(cause) = self.closed.borrow().clone() {
            return Err(cause);
        }
        match sign {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.connection.cause()),
            Err(_) => Err(Cause::Timeout),
        }
    }

    /// Ends the producer and waits until the broker has let go of its name. Entries that wait for
    /// a receipt get it first; those that were not written yet fail.
    pub async fn close(&self) {
        let request = self.connection.next_request();
        let (reply, answer) = oneshot::channel();
        self.connection.post(Event::CloseProducer {
            id: self.id,
            request,
            reply: Some(reply),
        });
        // Whatever the answer: the producer is over.
        let _ = answer.await;
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if self.closed.borrow().is_none() {
            self.connection.post(Event::CloseProducer {
                id: self.id,
                request: u64::MAX,
                reply: None,
            });
        }
    }
}

fn prost_len(metadata: &MessageMetadata) -> usize {
    pulsar_protocol::prost::Message::encoded_len(metadata)
}
