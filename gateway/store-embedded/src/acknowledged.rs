//! What was acknowledged last, noted beside the key-value store.
//!
//! A journal that lost its end looks like one that was never longer. The note tells: it is written when
//! a write is durable and before anyone is answered, and never synced, so that on the disk it may be
//! older than the store, and never newer. A store that is behind it has lost what it promised.
//!
//! Two lines in the file `acknowledged`, each padded to a fixed length and written over in one call: what was
//! appended last, which the segments hold, and what was changed last, which the journals hold alone. Each of
//! the two loses its end before anything else. Without the file nothing is compared: whoever wants to go on with what is left removes it.
use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use kop_store::Cause;
use kop_wire::Offset;
use uuid::Uuid;

use crate::{
    format::{self, LogId},
    keyspaces::Keyspaces,
    topics::Topics,
};

const FILE: &str = "acknowledged";
const LENGTH: usize = 128;

/// Something that is true of a store once it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A log ends at this offset or later.
    End(LogId, Offset),
    /// A log begins at this offset or later.
    Start(LogId, Offset),
    /// A topic is there, with so many partitions or more.
    Topic(Uuid, u32),
    /// A topic is not there.
    NoTopic(Uuid),
    /// No producer id below this one will be given out.
    ProducerIds(i64),
}

/// The note of an open store.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    path: PathBuf,
    file: File,
    line: String,
}

/// What a store has lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; to go on with what is left, remove {note}")]
pub(crate) struct Lost {
    what: String,
    note: PathBuf,
}

impl Acknowledged {
    /// Opens the note of the store in a directory, and gives what it says.
    pub(crate) fn open(directory: &Path) -> io::Result<(Self, Vec<Fact>)> {
        let path = directory.join(FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = options.create(true).open(&path)?;
                // A note whose name is gone after a power cut tells of no loss.
                File::open(directory)?.sync_all()?;
                file
            }
            opened => opened?,
        };
        let mut bytes = [0; 2 * LENGTH];
        let read = file.read_at(&mut bytes, 0)?;
        let mut facts = Vec::new();
        for said in bytes.get(..read).unwrap_or_default().chunks(LENGTH) {
            let fact = Fact::parse(&String::from_utf8_lossy(said));
            // Where nothing was changed yet the first line may be zeros.
            if fact.is_none() && said.iter().any(|byte| *byte != 0) {
                tracing::warn!(path = %path.display(), "unreadable note of what was acknowledged last");
            }
            facts.extend(fact);
        }
        let line = String::with_capacity(LENGTH);
        Ok((Self { path, file, line }, facts))
    }

    /// The note of the store in a directory, if there is one. Without it the store may be behind.
    pub(crate) fn is_there(directory: &Path) -> Option<PathBuf> {
        let path = directory.join(FILE);
        let is_there = path.metadata().is_ok_and(|note| note.len() > 0);
        is_there.then_some(path)
    }

    /// Takes back what was said of a topic that has been deleted since, by a write that nobody was answered
    /// for: soon nothing tells of it any more.
    pub(crate) fn settle(&self, said: &[Fact], topics: &Topics) -> io::Result<()> {
        let entries = topics.entries();
        let is_there = |id: Uuid| entries.iter().any(|entry| entry.topic.id == id);
        for fact in said {
            if fact.topic().is_some_and(|id| !is_there(id)) {
                self.file.write_all_at(&[0; LENGTH], fact.place())?;
            }
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes what is durable now.
    pub(crate) fn note(&mut self, fact: Fact) -> io::Result<()> {
        self.line.clear();
        fact.write(&mut self.line);
        let spaces = (LENGTH - 1).saturating_sub(self.line.len());
        self.line.extend(std::iter::repeat_n(' ', spaces));
        self.line.push('\n');
        self.file.write_all_at(self.line.as_bytes(), fact.place())?;
        // What was appended last may have been appended there.
        match fact {
            Fact::NoTopic(_) => self.file.write_all_at(&[0; LENGTH], 0),
            _ => Ok(()),
        }
    }
}

impl Fact {
    /// Whether it is about what was appended.
    pub(crate) fn is_append(&self) -> bool {
        matches!(self, Self::End(..))
    }

    /// Where its line is in the file.
    fn place(&self) -> u64 {
        if self.is_append() { 0 } else { LENGTH as u64 }
    }

    /// The topic that is there if it is true.
    fn topic(&self) -> Option<Uuid> {
        match self {
            Self::End(log, _) | Self::Start(log, _) => Some(log.topic),
            Self::Topic(topic, _) => Some(*topic),
            Self::NoTopic(_) | Self::ProducerIds(_) => None,
        }
    }

    fn write(self, line: &mut String) {
        let written = match self {
            Self::End(LogId { topic, partition }, offset) => {
                write!(line, "end {topic} {partition} {offset}")
            }
            Self::Start(LogId { topic, partition }, offset) => {
                write!(line, "start {topic} {partition} {offset}")
            }
            Self::Topic(topic, partitions) => write!(line, "topic {topic} {partitions}"),
            Self::NoTopic(topic) => write!(line, "no-topic {topic}"),
            Self::ProducerIds(next) => write!(line, "producer-ids {next}"),
        };
        let sum = checksum(line);
        let written = written.and_then(|()| write!(line, " {sum:08x}"));
        written.expect("a string takes any text");
    }

    fn parse(line: &str) -> Option<Self> {
        let (said, sum) = line.trim_end_matches([' ', '\n', '\0']).rsplit_once(' ')?;
        if u32::from_str_radix(sum, 16).ok()? != checksum(said) {
            return None;
        }
        let mut words = said.split(' ');
        let mut word = || words.next();
        let kind = word()?;
        if kind == "producer-ids" {
            return Some(Self::ProducerIds(word()?.parse().ok()?));
        }
        let topic = Uuid::parse_str(word()?).ok()?;
        let mut log = || {
            let partition = word()?.parse().ok()?;
            Some((LogId { topic, partition }, Offset(word()?.parse().ok()?)))
        };
        match kind {
            "end" => log().map(|(log, offset)| Self::End(log, offset)),
            "start" => log().map(|(log, offset)| Self::Start(log, offset)),
            "topic" => Some(Self::Topic(topic, word()?.parse().ok()?)),
            "no-topic" => Some(Self::NoTopic(topic)),
            _ => None,
        }
    }

    /// What a store lacks of this; `None` where it is true of it.
    fn missing(self, keyspaces: &Keyspaces, topics: &Topics) -> Result<Option<String>, Cause> {
        let entries = topics.entries();
        let entry = |id: Uuid| entries.iter().find(|entry| entry.topic.id == id);
        // A topic may have been deleted since, by a write that nobody was answered for.
        let is_deleted = |id: Uuid| keyspaces.meta.contains_key(format::removed_key(id));
        let log = |id: LogId| {
            let logs = &entry(id.topic)?.logs;
            logs.get(usize::try_from(id.partition).ok()?)
        };
        let name = |id: Uuid| match entry(id) {
            Some(entry) => format!("topic {}", entry.topic.name),
            None => format!("the topic with the id {id}"),
        };
        Ok(match self {
            Self::End(id, offset) => match log(id) {
                Some(log) if log.bounds().high >= offset => None,
                None if is_deleted(id.topic)? => None,
                found => Some(format!(
                    "records of partition {} of {} were acknowledged up to offset {offset}, and \
                     end at {} now",
                    id.partition,
                    name(id.topic),
                    found.map_or(Offset(0), |log| log.bounds().high)
                )),
            },
            Self::Start(id, offset) => match log(id) {
                Some(log) if log.bounds().start >= offset => None,
                None if is_deleted(id.topic)? => None,
                _ => Some(format!(
                    "records below {offset} of partition {} of {} were deleted, and are there again",
                    id.partition,
                    name(id.topic)
                )),
            },
            Self::Topic(id, partitions) => match entry(id) {
                Some(entry) if entry.topic.partitions >= partitions => None,
                None if is_deleted(id)? => None,
                Some(_) => Some(format!(
                    "{} had {partitions} partitions, and has fewer now",
                    name(id)
                )),
                None => Some(format!("{} is gone", name(id))),
            },
            Self::NoTopic(id) => entry(id).map(|entry| {
                let name = &entry.topic.name;
                format!("topic {name} was deleted, and is there again")
            }),
            Self::ProducerIds(next) => {
                let stored = keyspaces.meta.get(format::NEXT_PRODUCER_ID)?;
                let stored = stored
                    .map(|value| format::number_of(&value, "next producer id"))
                    .transpose()?
                    .unwrap_or(0);
                (stored < next).then(|| {
                    format!(
                        "producer ids below {next} were given out; now it would be {stored} again"
                    )
                })
            }
        })
    }

    /// Compares it with a store that has been read.
    pub(crate) fn check(
        self,
        keyspaces: &Keyspaces,
        topics: &Topics,
        directory: &Path,
    ) -> Result<(), Cause> {
        match self.missing(keyspaces, topics)? {
            None => Ok(()),
            Some(what) => Err(Box::new(Lost {
                what,
                note: directory.join(FILE),
            })),
        }
    }
}

fn checksum(text: &str) -> u32 {
    crc32c::crc32c(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_last_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let (mut note, said) = Acknowledged::open(folder.path()).unwrap();
        assert_eq!(said, []);
        assert_eq!(Acknowledged::is_there(folder.path()), None);
        let topic = Uuid::from_u128(u128::MAX);
        let log = LogId {
            topic,
            partition: u32::MAX,
        };
        let appended = Fact::End(log, Offset(i64::MAX));
        for fact in [
            appended,
            Fact::Start(log, Offset(0)),
            Fact::Topic(topic, 7),
            Fact::ProducerIds(12),
            Fact::NoTopic(topic),
        ] {
            note.note(fact).unwrap();
            let said = Acknowledged::open(folder.path()).unwrap().1;
            assert_eq!(said.last(), Some(&fact));
            let others = usize::from(fact != appended && fact != Fact::NoTopic(topic));
            assert_eq!(said.len(), 1 + others);
        }
        let path = folder.path().join(FILE);
        assert_eq!(std::fs::read(&path).unwrap().len(), 2 * LENGTH);
        std::fs::write(path, "end of the world").unwrap();
        assert_eq!(Acknowledged::open(folder.path()).unwrap().1, []);
        assert!(Acknowledged::is_there(folder.path()).is_some());
    }
}
