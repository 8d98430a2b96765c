//! Writing as fast, or as steadily, as one connection allows, with requests that were made before: what is
//! measured is the server, not who asks it.
//!
//! Kafka's and Pulsar's frames both begin with their length, so the same loop drives a gateway and the
//! broker behind it.

use crate::wire::{NOBODY, batch};
use anyhow::{Context, Result, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
    produce_request as produce,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use pulsar_protocol::prost::Message as _;
use pulsar_protocol::{BaseCommand, Command, MessageMetadata, command, frame};
use std::collections::VecDeque;
use std::io::{IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Version of produce requests: the newest that names topics and that KoP answers.
const VERSION: i16 = 9;
/// Longer than any answer takes.
const DEADLINE: Duration = Duration::from_secs(30);
/// Requests handed to the system at once.
const AT_ONCE: usize = 16;
/// Room for answers, in bytes.
const ROOM: usize = 64 << 10;

/// A connection on which one request is sent again and again.
#[derive(Debug)]
pub struct Load {
    stream: TcpStream,
    request: Bytes,
    check: fn(&[u8]) -> Result<()>,
}

impl Load {
    /// Produce requests for a topic of Kafka: to each of the partitions one batch of `records` records of
    /// `bytes` bytes, not idempotent, to be acknowledged by all.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn kafka(
        address: &str,
        topic: &str,
        partitions: std::ops::Range<i32>,
        (records, bytes): (usize, usize),
    ) -> Result<Self> {
        // Not one byte over and over: nothing on the way is to compress it.
        let value: String = (0..bytes)
            .map(|at| char::from(b'!' + (at * 31 % 93) as u8))
            .collect();
        let batch = batch(NOBODY, vec![value; records])?;
        let data = partitions.map(|index| {
            produce::PartitionProduceData::default()
                .with_index(index)
                .with_records(Some(batch.clone()))
        });
        let data = produce::TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
            .with_partition_data(data.collect());
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![data]);
        let header = RequestHeader::default()
            .with_request_api_key(ProduceRequest::KEY)
            .with_request_api_version(VERSION)
            .with_client_id(Some(StrBytes::from_static_str("load")));
        let mut said = BytesMut::new();
        header.encode(&mut said, ProduceRequest::header_version(VERSION))?;
        request.encode(&mut said, VERSION)?;
        let mut whole = BytesMut::with_capacity(4 + said.len());
        whole.put_u32(u32::try_from(said.len())?);
        whole.put(said);
        Ok(Self {
            stream: connect(address)?,
            request: whole.freeze(),
            check: check_kafka,
        })
    }

    /// Entries of `bytes` bytes for a topic of Pulsar, as a native producer sends them.
    ///
    /// # Errors
    /// Nobody listens there, or the broker refuses the producer.
    pub fn pulsar(service_url: &str, topic: &str, bytes: usize) -> Result<Self> {
        let address = service_url
            .strip_prefix("pulsar://")
            .context("a service URL")?;
        let mut stream = connect(address)?;
        let asked = [
            Command::Connect(command::Connect {
                client_version: "load".to_owned(),
                protocol_version: Some(20),
                ..command::Connect::default()
            }),
            Command::Producer(command::Producer {
                topic: topic.to_owned(),
                producer_id: 1,
                request_id: 1,
                ..command::Producer::default()
            }),
        ];
        for command in asked {
            stream.write_all(&frame::encode(command))?;
            let mut size = [0; 4];
            stream.read_exact(&mut size)?;
            let mut answer = vec![0; usize::try_from(u32::from_be_bytes(size))?];
            stream.read_exact(&mut answer)?;
            let answer = pulsar_command(&answer)?;
            let good = matches!(answer, Command::Connected(_) | Command::ProducerSuccess(_));
            ensure!(good, "{answer:?}");
        }
        let payload = Bytes::from(vec![b'x'; bytes]);
        let send = Command::Send(command::Send {
            producer_id: 1,
            num_messages: Some(1),
            ..command::Send::default()
        });
        let metadata = MessageMetadata {
            producer_name: "load".to_owned(),
            publish_time: 1,
            ..MessageMetadata::default()
        };
        let head = frame::encode_with_entry(send, &metadata, std::slice::from_ref(&payload), true);
        Ok(Self {
            stream,
            request: [head, payload].concat().into(),
            check: check_pulsar,
        })
    }

    /// Bytes of one request.
    #[must_use]
    pub fn request_bytes(&self) -> usize {
        self.request.len()
    }

    /// Sends so many requests, at most `window` without answer; how long that took.
    ///
    /// # Errors
    /// The connection is lost, or an answer is not a good one.
    pub fn run(&mut self, window: usize, requests: usize) -> Result<Duration> {
        let began = Instant::now();
        let (mut sent, mut answered) = (0, 0);
        let mut inbox = Inbox::new();
        let slices = [IoSlice::new(&self.request); AT_ONCE];
        while answered < requests {
            let room = (window + answered - sent).min(requests - sent).min(AT_ONCE);
            if room > 0 {
                let slices = slices.get(..room).unwrap_or_default();
                let mut written = self.stream.write_vectored(slices)?;
                sent += room;
                while written < room * self.request.len() {
                    let rest = self.request.get(written % self.request.len()..);
                    let rest = rest.unwrap_or_default();
                    self.stream.write_all(rest)?;
                    written += rest.len();
                }
            }
            if sent - answered == window || sent == requests {
                answered += inbox.read(&mut self.stream, self.check)?;
            }
        }
        Ok(began.elapsed())
    }

    /// Sends `rate` requests a second for that long; how long each of them waited for its answer.
    ///
    /// # Errors
    /// The connection is lost, or an answer is not a good one.
    pub fn steadily(&mut self, rate: u32, long: Duration) -> Result<Vec<Duration>> {
        let requests = usize::try_from(rate)? * usize::try_from(long.as_secs())?;
        let (times, sent) = mpsc::channel::<Instant>();
        let (mut stream, check) = (self.stream.try_clone()?, self.check);
        let reading = std::thread::spawn(move || -> Result<Vec<Duration>> {
            let mut inbox = Inbox::new();
            let mut waited = Vec::with_capacity(requests);
            let mut waiting = VecDeque::new();
            while waited.len() < requests {
                let answered = inbox.read(&mut stream, check)?;
                let now = Instant::now();
                waiting.extend(sent.try_iter());
                for _ in 0..answered {
                    let began = waiting.pop_front().context("an answer to nothing")?;
                    waited.push(now - began);
                }
            }
            Ok(waited)
        });
        let began = Instant::now();
        for number in 0..u32::try_from(requests)? {
            let due = began + Duration::from_secs(1) * number / rate;
            pause_until(due);
            times.send(Instant::now())?;
            self.stream.write_all(&self.request)?;
        }
        reading.join().ok().context("the reading thread panicked")?
    }
}

/// The value below which so many of a hundred lie.
#[must_use]
pub fn percentile(values: &[Duration], percent: f64) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() as f64 * percent / 100.0) as usize;
    sorted
        .get(at.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a steady load is what this makes: it waits for a time, not for a condition"
)]
fn pause_until(due: Instant) {
    let early = due.saturating_duration_since(Instant::now());
    if !early.is_zero() {
        std::thread::sleep(early);
    }
}

fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// Answers that arrive.
struct Inbox {
    buffer: Vec<u8>,
    filled: usize,
}

impl Inbox {
    fn new() -> Self {
        Self {
            buffer: vec![0; ROOM],
            filled: 0,
        }
    }

    /// Reads once; how many answers were completed by it.
    fn read(&mut self, stream: &mut TcpStream, check: fn(&[u8]) -> Result<()>) -> Result<usize> {
        let read = stream.read(self.buffer.get_mut(self.filled..).unwrap_or_default())?;
        ensure!(read > 0, "the connection was closed");
        self.filled += read;
        let (mut taken, mut answers) = (0, 0);
        loop {
            let rest = self.buffer.get(taken..self.filled).unwrap_or_default();
            let Some((size, rest)) = rest.split_first_chunk::<4>() else {
                break;
            };
            let size = usize::try_from(u32::from_be_bytes(*size))?;
            let Some(answer) = rest.get(..size) else {
                break;
            };
            check(answer)?;
            taken += 4 + size;
            answers += 1;
        }
        self.buffer.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        Ok(answers)
    }
}

fn check_kafka(answer: &[u8]) -> Result<()> {
    let mut answer = Bytes::copy_from_slice(answer);
    ResponseHeader::decode(&mut answer, ProduceResponse::header_version(VERSION))?;
    let answer = ProduceResponse::decode(&mut answer, VERSION)?;
    for partition in answer.responses.iter().flat_map(|t| &t.partition_responses) {
        ensure!(partition.error_code == 0, "{partition:?}");
    }
    Ok(())
}

fn check_pulsar(answer: &[u8]) -> Result<()> {
    let answer = pulsar_command(answer)?;
    ensure!(matches!(answer, Command::SendReceipt(_)), "{answer:?}");
    Ok(())
}

fn pulsar_command(answer: &[u8]) -> Result<Command> {
    let command = answer.get(4..).context("a command")?;
    let command = BaseCommand::decode(command)?.command;
    command.context("a known command")
}
