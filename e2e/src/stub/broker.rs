//! The binary protocol's side of the stub.

use super::topics::{LEDGER, Log, Reading, Sink, Topics, locked};
use anyhow::{Context, Result, bail};
use pulsar_protocol::prost::Message as _;
use pulsar_protocol::{BaseCommand, Command, MessageIdData, command, frame};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

/// Room for what is read at a time, in bytes: more than the largest frame.
const ROOM: usize = 8 << 20;
const MAX_MESSAGE_SIZE: i32 = 5 << 20;

/// One connection's producers and readers.
struct Connection<'a> {
    stream: Sink,
    url: &'a str,
    topics: &'a Topics,
    producers: HashMap<u64, Arc<Mutex<Log>>>,
    readers: HashMap<u64, Arc<Mutex<Log>>>,
    /// What is written once all that has been read is worked off.
    answers: Vec<u8>,
}

/// Serves a connection until the client closes it.
pub(super) fn serve(mut stream: TcpStream, url: &str, topics: &Topics) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection {
        stream: Arc::new(Mutex::new(stream.try_clone()?)),
        url,
        topics,
        producers: HashMap::new(),
        readers: HashMap::new(),
        answers: Vec::new(),
    };
    let mut inbox = vec![0; ROOM];
    let mut filled = 0;
    loop {
        let room = inbox.get_mut(filled..).unwrap_or_default();
        let read = match stream.read(room) {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        filled += read;
        let mut taken = 0;
        while let Some(frame) = whole_frame(inbox.get(taken..filled).unwrap_or_default())? {
            taken += 4 + frame.len();
            connection.take(frame)?;
        }
        inbox.copy_within(taken..filled, 0);
        filled -= taken;
        if !connection.answers.is_empty() {
            locked(&connection.stream).write_all(&connection.answers)?;
            connection.answers.clear();
        }
    }
    for (id, log) in &connection.readers {
        locked(log).close_reader(*id, &connection.stream);
    }
    Ok(())
}

/// The first frame, without its size, if it is all there.
fn whole_frame(bytes: &[u8]) -> Result<Option<&[u8]>> {
    let Some(size) = bytes.first_chunk::<4>() else {
        return Ok(None);
    };
    let size = usize::try_from(u32::from_be_bytes(*size))?;
    if size > ROOM - 4 {
        bail!("a frame of {size} bytes");
    }
    Ok(bytes.get(4..4 + size))
}

impl Connection<'_> {
    fn take(&mut self, frame: &[u8]) -> Result<()> {
        let (size, rest) = frame.split_first_chunk::<4>().context("a command's size")?;
        let size = usize::try_from(u32::from_be_bytes(*size))?;
        let (command, trailer) = rest.split_at_checked(size).context("a command")?;
        match BaseCommand::decode(command)?.command {
            Some(Command::Send(send)) => self.send(&send, trailer),
            Some(other) => self.other(other),
            None => Ok(()),
        }
    }

    fn answer(&mut self, command: Command) {
        self.answers.extend_from_slice(&frame::encode(command));
    }

    fn send(&mut self, send: &command::Send, trailer: &[u8]) -> Result<()> {
        let log = self
            .producers
            .get(&send.producer_id)
            .context("no such producer")?;
        let messages = u64::try_from(send.num_messages()).unwrap_or(1);
        let entry = locked(log).append(messages, trailer);
        self.answer(Command::SendReceipt(command::SendReceipt {
            producer_id: send.producer_id,
            sequence_id: send.sequence_id,
            message_id: Some(MessageIdData::of(LEDGER, entry)),
            highest_sequence_id: None,
        }));
        Ok(())
    }

    fn other(&mut self, asked: Command) -> Result<()> {
        let success = |request_id| Command::Success(command::Success { request_id });
        let answer = match asked {
            Command::Connect(_) => Command::Connected(command::Connected {
                server_version: "stub".to_owned(),
                protocol_version: Some(20),
                max_message_size: Some(MAX_MESSAGE_SIZE),
                feature_flags: None,
            }),
            Command::Ping(_) => Command::Pong(command::Pong {}),
            Command::LookupTopic(asked) => {
                Command::LookupTopicResponse(command::LookupTopicResponse {
                    broker_service_url: Some(self.url.to_owned()),
                    response: Some(command::LookupOutcome::Connect.into()),
                    request_id: asked.request_id,
                    ..command::LookupTopicResponse::default()
                })
            }
            Command::PartitionMetadata(asked) => self.partitions(&asked),
            Command::GetTopicsOfNamespace(asked) => {
                Command::GetTopicsOfNamespaceResponse(command::GetTopicsOfNamespaceResponse {
                    request_id: asked.request_id,
                    topics: self.topics.all(&asked.namespace),
                })
            }
            Command::Producer(asked) => {
                self.producers
                    .insert(asked.producer_id, self.topics.log(&asked.topic));
                Command::ProducerSuccess(command::ProducerSuccess {
                    request_id: asked.request_id,
                    producer_name: asked.producer_name.unwrap_or_else(|| "stub".to_owned()),
                    last_sequence_id: Some(-1),
                    ..command::ProducerSuccess::default()
                })
            }
            Command::Subscribe(asked) => {
                self.subscribe(&asked);
                success(asked.request_id)
            }
            Command::Flow(flow) => {
                if let Some(log) = self.readers.get(&flow.consumer_id) {
                    let permits = u64::from(flow.message_permits);
                    locked(log).permit(flow.consumer_id, &self.stream, permits);
                }
                return Ok(());
            }
            Command::GetLastMessageId(asked) => {
                let log = self
                    .readers
                    .get(&asked.consumer_id)
                    .context("no such reader")?;
                let last = locked(log).next_entry().wrapping_sub(1);
                Command::GetLastMessageIdResponse(command::GetLastMessageIdResponse {
                    last_message_id: MessageIdData::of(LEDGER, last),
                    request_id: asked.request_id,
                })
            }
            Command::CloseProducer(close) => {
                self.producers.remove(&close.producer_id);
                success(close.request_id)
            }
            Command::CloseConsumer(close) => {
                if let Some(log) = self.readers.remove(&close.consumer_id) {
                    locked(&log).close_reader(close.consumer_id, &self.stream);
                }
                success(close.request_id)
            }
            other => bail!("{other:?} is not what a gateway asks for"),
        };
        self.answer(answer);
        Ok(())
    }

    fn partitions(&self, asked: &command::PartitionedTopicMetadata) -> Command {
        let metadata = self.topics.partitioned(&asked.topic);
        Command::PartitionMetadataResponse(command::PartitionedTopicMetadataResponse {
            partitions: Some(metadata.map_or(0, |metadata| metadata.partitions)),
            request_id: asked.request_id,
            response: Some(command::MetadataOutcome::Success.into()),
            ..command::PartitionedTopicMetadataResponse::default()
        })
    }

    fn subscribe(&mut self, asked: &command::Subscribe) {
        let log = self.topics.log(&asked.topic);
        let start = asked.start_message_id.as_ref();
        let start = start.map_or(0, |start| match start.ledger_id {
            LEDGER => start.entry_id,
            id if id == MessageIdData::earliest().ledger_id => 0,
            _ => u64::MAX,
        });
        {
            let mut log = locked(&log);
            let next = start.min(log.next_entry());
            log.read(Reading {
                stream: Arc::clone(&self.stream),
                id: asked.consumer_id,
                next,
                permits: 0,
            });
        }
        self.readers.insert(asked.consumer_id, log);
    }
}
