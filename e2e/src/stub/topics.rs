//! What the stub knows of topics.

use bytes::Bytes;
use pulsar_protocol::entry::Entry;
use pulsar_protocol::{BrokerEntryMetadata, Command, MessageIdData, command, entry, frame};
use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The one ledger of every topic.
pub(super) const LEDGER: u64 = 7;

/// The writing half of a connection.
pub(super) type Sink = Arc<Mutex<TcpStream>>;

/// All topics, by full name: partitions by theirs.
#[derive(Debug, Default)]
pub(super) struct Topics {
    partitioned: Mutex<BTreeMap<String, Partitioned>>,
    logs: Mutex<HashMap<String, Arc<Mutex<Log>>>>,
}

/// A partitioned topic's metadata.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Partitioned {
    pub(super) partitions: u32,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, String>,
}

/// One topic or partition.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Index of the message behind each entry, by the entry's number.
    ends: Vec<u64>,
    /// The entries, where they are kept.
    kept: Option<Vec<Entry>>,
    readers: Vec<Reading>,
}

/// A reader: where it stands, and what it may still be sent.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) stream: Sink,
    pub(super) id: u64,
    pub(super) next: u64,
    pub(super) permits: u64,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Topics {
    /// The log of a topic or partition, made where there is none.
    pub(super) fn log(&self, name: &str) -> Arc<Mutex<Log>> {
        let mut logs = locked(&self.logs);
        if let Some(log) = logs.get(name) {
            return Arc::clone(log);
        }
        let local = name.rsplit('/').next().unwrap_or_default();
        let log = Log {
            kept: local.starts_with("__").then(Vec::new),
            ..Log::default()
        };
        Arc::clone(
            logs.entry(name.to_owned())
                .or_insert(Arc::new(Mutex::new(log))),
        )
    }

    pub(super) fn partitioned(&self, name: &str) -> Option<Partitioned> {
        locked(&self.partitioned).get(name).cloned()
    }

    pub(super) fn set_partitioned(&self, name: &str, metadata: Partitioned) {
        locked(&self.partitioned).insert(name.to_owned(), metadata);
    }

    pub(super) fn remove_partitioned(&self, name: &str) -> Option<Partitioned> {
        let partition = format!("{name}-partition-");
        locked(&self.logs).retain(|log, _| !log.starts_with(&partition));
        locked(&self.partitioned).remove(name)
    }

    /// Full names of a namespace's partitioned topics.
    pub(super) fn all_partitioned(&self, namespace: &str) -> Vec<String> {
        let prefix = format!("persistent://{namespace}/");
        let all = locked(&self.partitioned);
        all.keys()
            .filter(|name| name.starts_with(&prefix))
            .cloned()
            .collect()
    }

    /// Full names of a namespace's topics, each partition by itself.
    pub(super) fn all(&self, namespace: &str) -> Vec<String> {
        let prefix = format!("persistent://{namespace}/");
        let all = locked(&self.logs);
        all.keys()
            .filter(|name| name.starts_with(&prefix))
            .cloned()
            .collect()
    }
}

impl Log {
    /// Number of the next entry.
    pub(super) fn next_entry(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Takes an entry; its number.
    pub(super) fn append(&mut self, messages: u64, trailer: &[u8]) -> u64 {
        let number = self.next_entry();
        self.ends.push(self.ends.last().unwrap_or(&0) + messages);
        if let Some(kept) = &mut self.kept
            && let Ok(entry) = entry::parse(Bytes::copy_from_slice(trailer))
        {
            kept.push(entry);
            self.deliver();
        }
        number
    }

    pub(super) fn read(&mut self, reading: Reading) {
        self.readers.push(reading);
    }

    pub(super) fn close_reader(&mut self, id: u64, stream: &Sink) {
        let is_it = |reading: &Reading| reading.id == id && Arc::ptr_eq(&reading.stream, stream);
        self.readers.retain(|reading| !is_it(reading));
    }

    /// Lets a reader be sent so many messages more.
    pub(super) fn permit(&mut self, id: u64, stream: &Sink, permits: u64) {
        for reading in &mut self.readers {
            if reading.id == id && Arc::ptr_eq(&reading.stream, stream) {
                reading.permits += permits;
            }
        }
        self.deliver();
    }

    /// Sends readers what is there. Who cannot be sent anything is gone.
    fn deliver(&mut self) {
        let Some(kept) = &self.kept else { return };
        self.readers.retain_mut(|reading| {
            while reading.permits > 0 {
                let next = usize::try_from(reading.next).unwrap_or(usize::MAX);
                let Some((entry, end)) = kept.get(next).zip(self.ends.get(next)) else {
                    break;
                };
                let message = Command::Message(command::Message {
                    consumer_id: reading.id,
                    message_id: MessageIdData::of(LEDGER, reading.next),
                    ..command::Message::default()
                });
                reading.next += 1;
                if entry.metadata.marker_type.is_some() {
                    continue;
                }
                let messages = u64::from(entry.metadata.messages());
                reading.permits = reading.permits.saturating_sub(messages);
                let broker = BrokerEntryMetadata {
                    broker_timestamp: None,
                    index: Some(end - 1),
                };
                let payload = std::slice::from_ref(&entry.payload);
                let trailer = entry::encode(Some(&broker), &entry.metadata, payload, true);
                let sent = frame::encode_with_trailer(message, &trailer);
                if locked(&reading.stream).write_all(&sent).is_err() {
                    return false;
                }
            }
            true
        });
    }

    /// Whether entry `number` is a marker, where that is known.
    pub(super) fn is_marker(&self, number: u64) -> bool {
        let kept = self.kept.as_ref().zip(usize::try_from(number).ok());
        kept.and_then(|(kept, at)| kept.get(at))
            .is_some_and(|entry| entry.metadata.marker_type.is_some())
    }

    /// Index of entry `number`'s last message, and its messages.
    pub(super) fn facts(&self, number: u64) -> Option<(u64, u64)> {
        let at = usize::try_from(number).ok()?;
        let end = self.ends.get(at)?;
        let begin = at.checked_sub(1).and_then(|before| self.ends.get(before));
        Some((end - 1, end - begin.unwrap_or(&0)))
    }
}
