//! Real clients' bytes for the fuzz targets: with `KOP_E2E_CAPTURE=FOLDER` every gateway of a story
//! stands behind a proxy that keeps a few requests of each kind, and every Pulsar behind one that keeps
//! what it sends. `fuzz/README.md` says what becomes of them.
//!
//! Both protocols put a length of four bytes in front of each frame; nothing else is understood here
//! but what tells one kind of frame from another.

use anyhow::{Context, Result};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Frames of one kind that are kept.
const OF_A_KIND: usize = 2;
/// Larger frames are not kept: mutations would hardly hit what matters in them.
const LARGEST: usize = 4096;
/// Bytes of a connection's beginning that are kept.
const BEGINNING: usize = 4096;

/// Whose frames, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Requests of Kafka clients.
    KafkaRequests,
    /// What a Pulsar broker sends.
    FromPulsar,
}

/// Where frames are to be kept, if they are.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    std::env::var_os("KOP_E2E_CAPTURE").map(|folder| crate::install::checkout().join(folder))
}

/// Listens on `port` and passes everything on to `upstream`, both on 127.0.0.1, until the process ends.
///
/// # Errors
/// The port cannot be listened on, or the folder cannot be made.
pub fn proxy(kept: Kept, folder: &Path, port: u16, upstream: u16) -> Result<()> {
    let folder = folder.join(match kept {
        Kept::KafkaRequests => "kafka",
        Kept::FromPulsar => "pulsar",
    });
    std::fs::create_dir_all(&folder)?;
    let listener = TcpListener::bind(("127.0.0.1", port)).context("port of the proxy")?;
    let keeper = Arc::new(Mutex::new(Keeper { kept, folder }));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A server that is not there refuses the client, as it would without the proxy.
            let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else {
                continue;
            };
            let Ok((client_too, server_too)) = client
                .try_clone()
                .and_then(|c| Ok((c, server.try_clone()?)))
            else {
                continue;
            };
            let (watched, other) = match kept {
                Kept::KafkaRequests => ((client, server), (server_too, client_too)),
                Kept::FromPulsar => ((server, client), (client_too, server_too)),
            };
            let keeper = Arc::clone(&keeper);
            std::thread::spawn(move || pass(watched, Some(&keeper)));
            std::thread::spawn(move || pass(other, None));
        }
    });
    Ok(())
}

/// Copies until one of the two ends, and then ends the other.
fn pass((mut from, mut to): (TcpStream, TcpStream), keeper: Option<&Mutex<Keeper>>) {
    let mut connection = Connection::default();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        let Some(bytes) = buffer.get(..size) else {
            break;
        };
        if let Some(keeper) = keeper {
            let keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
            connection.received(bytes, &keeper);
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    if let Some(keeper) = keeper {
        let keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let label = format!(
            "{}-connection-{}",
            connection.who,
            connection.kinds.join(".")
        );
        keeper.keep(&label, &connection.beginning);
    }
    // Either may be gone by now.
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// What is known of one connection.
#[derive(Default)]
struct Connection {
    /// Received and not yet a whole frame.
    rest: Vec<u8>,
    /// The first frames, with their lengths.
    beginning: Vec<u8>,
    /// What they are, each kind once.
    kinds: Vec<String>,
    /// What the client calls itself.
    who: String,
}

impl Connection {
    fn received(&mut self, bytes: &[u8], keeper: &Keeper) {
        self.rest.extend_from_slice(bytes);
        while let Some(length) = self.rest.first_chunk() {
            let end = 4 + u32::from_be_bytes(*length) as usize;
            if self.rest.len() < end {
                return;
            }
            let frame: Vec<u8> = self.rest.drain(..end).collect();
            let Some(kind) = frame.get(4..).and_then(|body| self.frame(body, keeper)) else {
                continue;
            };
            if self.beginning.len() + frame.len() <= BEGINNING {
                self.beginning.extend_from_slice(&frame);
                if !self.kinds.contains(&kind) {
                    self.kinds.push(kind);
                }
            }
        }
    }

    /// Keeps a frame, and says of which kind it is.
    fn frame(&mut self, body: &[u8], keeper: &Keeper) -> Option<String> {
        let (label, kind) = match keeper.kept {
            Kept::KafkaRequests => {
                let (key, version) = (number(body, 0)?, number(body, 2)?);
                if let Some(who) = client_software(body) {
                    self.who = who;
                } else if self.who.is_empty() {
                    self.who = client_id(body);
                }
                let codec = codec(body).filter(|_| key == 0);
                let codec = codec.map_or_else(String::new, |codec| format!("-codec{codec}"));
                let label = format!("{}-api{key:02}-v{version:02}{codec}", self.who);
                (label, key.to_string())
            }
            Kept::FromPulsar => {
                "broker".clone_into(&mut self.who);
                // [command size u32][tag of the command's type, 08][type]
                let kind = body.get(5).copied().unwrap_or_default();
                (format!("command{kind:02}"), kind.to_string())
            }
        };
        keeper.keep(&label, body);
        Some(kind)
    }
}

/// Keeps files in a folder, which several tests may fill one after the other.
struct Keeper {
    kept: Kept,
    folder: PathBuf,
}

impl Keeper {
    fn keep(&self, label: &str, bytes: &[u8]) {
        if bytes.is_empty() || bytes.len() > LARGEST {
            return;
        }
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let files = std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten();
        let there = files
            .filter(|file| {
                file.file_name()
                    .to_string_lossy()
                    .starts_with(&format!("{label}-"))
            })
            .count();
        if there < OF_A_KIND {
            let name = format!("{label}-{:08x}", hasher.finish() & 0xffff_ffff);
            if let Err(error) = std::fs::write(self.folder.join(&name), bytes) {
                eprintln!("{name} is not kept: {error}");
            }
        }
    }
}

/// The codec of the first record batch in a request: format 2, with the base offset 0 that producers
/// write, at least as long as its header.
fn codec(body: &[u8]) -> Option<u8> {
    let batch = body.windows(23).find(|bytes| {
        let (offset, rest) = bytes.split_at(8);
        offset.iter().all(|byte| *byte == 0)
            && rest
                .first_chunk()
                .is_some_and(|n| i32::from_be_bytes(*n) >= 49)
            && rest.get(8) == Some(&2)
    })?;
    batch.last().map(|attributes| attributes & 7)
}

fn number(body: &[u8], at: usize) -> Option<i16> {
    Some(i16::from_be_bytes(*body.get(at..)?.first_chunk()?))
}

/// The client id of a request's header, as a file name without numbers.
fn client_id(body: &[u8]) -> String {
    let length = number(body, 8).and_then(|length| usize::try_from(length).ok());
    let id = length.and_then(|length| body.get(10..10 + length));
    let id = String::from_utf8_lossy(id.unwrap_or_default());
    let letters: String = id.chars().filter(char::is_ascii_alphabetic).collect();
    if letters.is_empty() {
        "unnamed".to_owned()
    } else {
        letters
    }
}

/// Name and version of the client's software, which ApiVersions 3 and newer carry (KIP-511).
fn client_software(body: &[u8]) -> Option<String> {
    if number(body, 0)? != 18 || number(body, 2)? < 3 {
        return None;
    }
    let id = usize::try_from(number(body, 8)?).unwrap_or(0);
    // Behind the header's empty tagged fields: two texts, each with its length and one more in front.
    let rest = body.get(10 + id + 1..)?;
    let (name, rest) = compact_text(rest)?;
    let (version, _) = compact_text(rest)?;
    Some(format!("{name}-{version}"))
}

fn compact_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(length.checked_sub(1)?))?;
    let text = std::str::from_utf8(text).ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    text.chars().all(plain).then_some((text, rest))
}
