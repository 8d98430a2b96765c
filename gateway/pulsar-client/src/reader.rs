//! Reading entries.
use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use pulsar_protocol::{
    Command, MessageIdData, MessageMetadata,
    command::{self, GetLastMessageId, InitialPosition, Subscribe, SubscriptionType},
    entry, frame,
};
use tokio::sync::mpsc;

use crate::{
    Cause, ReadError,
    connection::{Connection, Delivery, Event, Opens, RawEntry},
    flow::{Flow, MAX_WINDOW},
    lookup::unexpected,
};

/// Entries that wait to be taken, and as many again to be read, at the most: more than the window, which the
/// broker has to keep to.
const QUEUE: usize = 4 * MAX_WINDOW as usize;

/// Position of an entry in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// Ledger.
    pub ledger: u64,
    /// Number in the ledger.
    pub entry: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ledger, self.entry)
    }
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReaderStart {
    /// At the first entry.
    Earliest,
    /// Behind the last entry.
    Latest,
    /// At that entry, itself included; at the next one where it is gone.
    At(EntryId),
}

/// How a reader is opened.
#[derive(Debug, Clone)]
pub struct ReaderOptions {
    /// Bytes of entries to have on their way or waiting, about: entries are whole, and their sizes
    /// are not known before they come. A reader to which four times as much and one entry more is
    /// delivered ends with [`ReadError::Overrun`].
    pub receive_bytes_budget: usize,
    /// Read what compaction has left.
    pub read_compacted: bool,
    /// Have the broker make the topic where it is missing, if brokers may (`allowAutoTopicCreation`).
    pub create: bool,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            receive_bytes_budget: 1024 * 1024,
            read_compacted: false,
            create: false,
        }
    }
}

/// An entry as the broker gave it out.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its position.
    pub id: EntryId,
    /// Index of its **last** message; `None` where the broker has no index interceptor, had none
    /// when the entry was written, or does not show it.
    pub index: Option<u64>,
    /// When the broker took it, milliseconds since the epoch; `None` without the timestamp
    /// interceptor.
    pub broker_timestamp: Option<u64>,
    /// What the producer put before the payload.
    pub metadata: MessageMetadata,
    /// The payload, still compressed.
    pub payload: Bytes,
}

/// A reader of one topic, or partition of one. Dropping it closes it.
#[derive(Debug)]
pub struct Reader {
    id: u64,
    connection: Connection,
    entries: mpsc::Receiver<RawEntry>,
    /// Taken from `entries`, to learn of how many messages they are.
    arrived: VecDeque<Arrived>,
    buffered: Arc<AtomicUsize>,
    end: Arc<OnceLock<Result<(), ReadError>>>,
    flow: Flow,
    /// Why no entry is given out any more, other than by `end`.
    failed: Option<ReadError>,
}

/// An entry that has come, and how many bytes it was.
#[derive(Debug)]
struct Arrived {
    entry: Result<Entry, ReadError>,
    size: usize,
}

impl Reader {
    /// Opens it on the connection of the topic's broker.
    pub(crate) async fn open(
        connection: Connection,
        id: u64,
        subscription: String,
        topic: &str,
        start: ReaderStart,
        options: &ReaderOptions,
    ) -> Result<Self, Cause> {
        let (start, position) = match start {
            ReaderStart::Earliest => (MessageIdData::earliest(), InitialPosition::Earliest),
            ReaderStart::Latest => (MessageIdData::latest(), InitialPosition::Latest),
            ReaderStart::At(id) => (
                MessageIdData::of(id.ledger, id.entry),
                InitialPosition::Earliest,
            ),
        };
        let request_id = connection.next_request();
        let subscribe = Command::Subscribe(Subscribe {
            topic: topic.to_owned(),
            subscription,
            subscription_type: SubscriptionType::Exclusive.into(),
            consumer_id: id,
            request_id,
            consumer_name: None,
            durable: Some(false),
            start_message_id: Some(start),
            read_compacted: Some(options.read_compacted),
            initial_position: Some(position.into()),
            force_topic_creation: Some(options.create),
        });
        let (sender, entries) = mpsc::channel(QUEUE);
        let buffered = Arc::new(AtomicUsize::new(0));
        let end = Arc::new(OnceLock::new());
        let delivery = Delivery {
            entries: sender,
            buffered: buffered.clone(),
            limit: options
                .receive_bytes_budget
                .saturating_mul(4)
                .saturating_add(connection.max_message_size()),
            end: end.clone(),
        };
        match connection
            .request(request_id, subscribe, Opens::Reader { id, delivery })
            .await?
        {
            Command::Success(_) => {}
            other => {
                connection.post(Event::CloseReader { id });
                return Err(unexpected(&other));
            }
        }
        let mut flow = Flow::new(options.receive_bytes_budget);
        let first = flow.begin();
        let reader = Self {
            id,
            connection,
            entries,
            arrived: VecDeque::new(),
            buffered,
            end,
            flow,
            failed: None,
        };
        reader.grant(Some(first));
        Ok(reader)
    }

    /// The next entry, when there is one; `None` at the end of a terminated topic.
    ///
    /// Safe to cancel: no entry is lost when the future is dropped.
    ///
    /// # Errors
    /// Where an entry is damaged or the reader has ended. Every later call fails as well.
    pub async fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.gather();
        if self.arrived.is_empty() {
            match self.entries.recv().await {
                Some(raw) => self.arrive(raw),
                None => return self.ended().map(|()| None),
            }
        }
        self.take()
    }

    /// An entry that has arrived already, if any: `None` says that [`next`](Self::next) would have
    /// to wait, or has nothing more to give.
    ///
    /// # Errors
    /// Where an entry is damaged.
    pub fn try_next(&mut self) -> Result<Option<Entry>, ReadError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.gather();
        if self.arrived.is_empty() && self.entries.is_closed() && self.entries.is_empty() {
            return self.ended().map(|()| None);
        }
        self.take()
    }

    /// The topic's last entry; `None` where it has none. May skip markers.
    ///
    /// # Errors
    /// Where the reader has ended or the broker does not answer.
    pub async fn last_message_id(&self) -> Result<Option<EntryId>, ReadError> {
        let request_id = self.connection.next_request();
        let command = Command::GetLastMessageId(GetLastMessageId {
            consumer_id: self.id,
            request_id,
        });
        let answer = self
            .connection
            .request(request_id, command, Opens::Nothing)
            .await;
        match answer.map_err(ReadError::Unavailable)? {
            Command::GetLastMessageIdResponse(answer) => {
                let id = answer.last_message_id;
                Ok((id.entry_id != u64::MAX).then_some(EntryId {
                    ledger: id.ledger_id,
                    entry: id.entry_id,
                }))
            }
            other => Err(ReadError::Unavailable(unexpected(&other))),
        }
    }

    /// Takes what has come.
    fn gather(&mut self) {
        while self.arrived.len() < QUEUE
            && let Ok(raw) = self.entries.try_recv()
        {
            self.arrive(raw);
        }
    }

    fn arrive(&mut self, raw: RawEntry) {
        let RawEntry { id, bytes } = raw;
        let size = bytes.len();
        let entry = match entry::parse(bytes) {
            Ok(parsed) => {
                self.flow.arrived(parsed.metadata.messages(), size);
                Ok(Entry {
                    id,
                    index: parsed.broker.and_then(|broker| broker.index),
                    broker_timestamp: parsed.broker.and_then(|broker| broker.broker_timestamp),
                    metadata: parsed.metadata,
                    payload: parsed.payload,
                })
            }
            // How many messages the broker has counted it as is not known, so the account of permits
            // is lost with it, and the reader ends there.
            Err(error) => Err(ReadError::Damaged {
                ledger: id.ledger,
                entry: id.entry,
                reason: error.to_string(),
            }),
        };
        self.arrived.push_back(Arrived { entry, size });
    }

    /// The first of what has come, if anything has.
    fn take(&mut self) -> Result<Option<Entry>, ReadError> {
        let Some(Arrived { entry, size }) = self.arrived.pop_front() else {
            return Ok(None);
        };
        self.buffered.fetch_sub(size, Ordering::Relaxed);
        match entry {
            Ok(entry) => {
                let permits = self.flow.grant(self.arrived.len());
                self.grant(permits);
                Ok(Some(entry))
            }
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    fn ended(&self) -> Result<(), ReadError> {
        match self.end.get() {
            Some(end) => end.clone(),
            None => Err(ReadError::Unavailable(self.connection.cause())),
        }
    }

    fn grant(&self, permits: Option<u32>) {
        if let Some(message_permits) = permits {
            let flow = command::Flow {
                consumer_id: self.id,
                message_permits,
            };
            self.connection
                .post(Event::Write(frame::encode(Command::Flow(flow))));
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.end.get().is_none() {
            self.connection.post(Event::CloseReader { id: self.id });
        }
    }
}
