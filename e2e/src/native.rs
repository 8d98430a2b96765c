//! Messages to the byte, as lines of text that `PulsarExact.java` writes and reads: Pulsar's own client
//! beside the gateway.

use crate::clients::pulsar_class;
use crate::process::Process;
use crate::scratch::Scratch;
use anyhow::{Context, Result, bail, ensure};
use bytes::BytesMut;
use pulsar_protocol::Command;
use pulsar_protocol::command::{Connect, Producer, Send};
use pulsar_protocol::frame::{self, DEFAULT_MAX_MESSAGE_SIZE};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);

/// Where a message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Ledger.
    pub ledger: u64,
    /// Entry of it.
    pub entry: u64,
    /// Its number in the entry's batch; `None` where the entry is no batch.
    pub index: Option<u32>,
}

/// A message as the client shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it is.
    pub place: Place,
    /// When it was published, milliseconds since the epoch.
    pub published: i64,
    /// The codec of its entry.
    pub codec: String,
    /// `EVENT_TIME KEY ORDERING_KEY VALUE [NAME=VALUE]…`, properties by name.
    pub shown: String,
}

impl Place {
    fn of<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<Self> {
        Some(Self {
            ledger: fields.next()?.parse().ok()?,
            entry: fields.next()?.parse().ok()?,
            index: fields.next()?.parse().ok(),
        })
    }
}

fn message(line: &str) -> Option<Message> {
    let mut fields = line.strip_prefix("at ")?.splitn(6, ' ');
    Some(Message {
        place: Place::of(&mut fields)?,
        published: fields.next()?.parse().ok()?,
        codec: fields.next()?.to_owned(),
        shown: fields.next()?.to_owned(),
    })
}

fn stored(line: &str) -> Option<Place> {
    Place::of(&mut line.strip_prefix("stored ")?.split(' '))
}

/// The topic of a partition in the default namespace.
#[must_use]
pub fn partition(topic: &str, partition: u32) -> String {
    format!("persistent://public/default/{topic}-partition-{partition}")
}

/// Starts to write what the lines say.
///
/// # Errors
/// Pulsar's client is missing, or it does not start.
pub fn begin(
    scratch: &Scratch,
    service_url: &str,
    topic: &str,
    lines: &[String],
) -> Result<Process> {
    let file = scratch.data("written.messages");
    std::fs::write(&file, lines.join("\n"))?;
    let file = file.display().to_string();
    let arguments = ["write", service_url, topic, &file];
    pulsar_class(scratch, "PulsarExact", "native-write", &arguments)
}

/// Writes what the lines say, and gives the places of the messages.
///
/// # Errors
/// It fails.
pub fn write(
    scratch: &Scratch,
    service_url: &str,
    topic: &str,
    lines: &[String],
) -> Result<Vec<Place>> {
    let process = begin(scratch, service_url, topic, lines)?;
    let said = said(process).with_context(|| format!("write to {topic}"))?;
    let places = said.iter().map(|line| stored(line).context("a place"));
    places.collect()
}

/// Reads the first messages of a topic, `count` of them.
///
/// # Errors
/// There are fewer.
pub fn read(
    scratch: &Scratch,
    service_url: &str,
    topic: &str,
    count: usize,
) -> Result<Vec<Message>> {
    let arguments = ["read", service_url, topic, &count.to_string()];
    let process = pulsar_class(scratch, "PulsarExact", "native-read", &arguments)?;
    let said = said(process).with_context(|| format!("read {topic}"))?;
    let messages = said.iter().map(|line| message(line).context("a message"));
    messages.collect()
}

fn said(mut process: Process) -> Result<Vec<String>> {
    process.succeed(PATIENCE)?;
    let mut lines = process.lines(0, <[String]>::to_vec);
    ensure!(lines.pop().as_deref() == Some("done"), "did not say done");
    Ok(lines)
}

/// Bytes as the lines have them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("x{}", digits.collect::<String>())
}

/// Sends an entry as it is, which no client would: metadata (length and bytes) and payload, with no
/// checksum before them.
///
/// # Errors
/// The broker does not take it.
pub fn send_raw(service_url: &str, topic: &str, entry: &[u8]) -> Result<()> {
    let address = service_url.strip_prefix("pulsar://").context("an URL")?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let connect = Connect {
        client_version: "e2e".to_owned(),
        protocol_version: Some(19),
        ..Connect::default()
    };
    stream.write_all(&frame::encode(Command::Connect(connect)))?;
    let mut received = BytesMut::new();
    let producer = Producer {
        topic: topic.to_owned(),
        producer_id: 1,
        request_id: 1,
        ..Producer::default()
    };
    let send = Send {
        producer_id: 1,
        sequence_id: 0,
        ..Send::default()
    };
    loop {
        match answer(&mut stream, &mut received)? {
            Command::Connected(_) => {
                stream.write_all(&frame::encode(Command::Producer(producer.clone())))?;
            }
            Command::ProducerSuccess(_) => {
                let frame = frame::encode_with_trailer(Command::Send(send.clone()), entry);
                stream.write_all(&frame)?;
            }
            Command::SendReceipt(_) => return Ok(()),
            other => bail!("answered {other:?}"),
        }
    }
}

fn answer(stream: &mut TcpStream, received: &mut BytesMut) -> Result<Command> {
    loop {
        if let Some(frame) = frame::decode(received, DEFAULT_MAX_MESSAGE_SIZE)? {
            return frame.command.command.context("a command");
        }
        let mut some = [0; 4096];
        let count = stream.read(&mut some)?;
        ensure!(count > 0, "the broker has closed the connection");
        received.extend_from_slice(some.get(..count).context("what was read")?);
    }
}
