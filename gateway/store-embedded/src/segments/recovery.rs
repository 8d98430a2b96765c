//! Reading again, when a store is opened, what was appended and is not in the index: with a sync for each
//! group of appends, the index itself is brought to the disk only now and then.
//!
//! Where the frames end, a write was cut short by a crash, or the disk has lost what was there. A frame says
//! where the write began that it came with, and whether everything before was on the disk by then: what is
//! not whole in front of such a place was acknowledged.
use std::{
    collections::HashMap,
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use fjall::OwnedWriteBatch;
use kop_store::Cause;
use kop_wire::Offset;
use uuid::Uuid;

use super::{
    Kind, Segments,
    appending::Appending,
    scan::{Scan, Step},
    sync_folder,
};
use crate::{
    Durability,
    format::{self, BatchKey, LogId, Pointer},
    frame::Place,
    keyspaces::Keyspaces,
};

mod lost;

/// Batches that are put into the index at a time.
const AT_ONCE: usize = 2_000;

/// Where appends go on, and what has to go before they do.
#[derive(Debug)]
pub(crate) struct Recovered {
    at: Place,
    /// What is behind is no frame.
    is_cut: bool,
    /// Segments behind that place.
    behind: Vec<u32>,
}

/// What is wrong with a segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{segment} {what}; to go on without what is missing, remove {note}")]
struct DamagedSegment {
    segment: PathBuf,
    what: String,
    note: PathBuf,
}

/// Brings the index up to what the segments hold.
///
/// # Errors
/// A segment cannot be read; or it is damaged, and there is a `note` of what was acknowledged last.
pub(crate) fn recover(keyspaces: &Keyspaces, note: Option<&Path>) -> Result<Recovered, Cause> {
    let segments = &keyspaces.segments;
    let indexed = match keyspaces.batches.get(format::INDEXED)? {
        Some(value) => format::indexed_of(&value)?,
        None => Place {
            segment: 0,
            position: 0,
        },
    };
    segments.skip(indexed.segment);
    look_for_missing(keyspaces, indexed, note)?;
    let mut indexed = indexed;
    if let Some(lost) = lost::from(keyspaces, indexed)? {
        let segment = segments.path(lost.segment, Kind::Appended);
        let at = lost.position;
        if let Some(note) = note {
            return Err(Box::new(DamagedSegment {
                segment,
                what: format!("has lost what was acknowledged, from byte {at} on"),
                note: note.to_owned(),
            }));
        }
        tracing::error!(segment = %segment.display(), at, "damaged: what follows is lost");
        lost::forget(keyspaces, lost)?;
        indexed = lost;
    }
    let mut again = Again::new(keyspaces, indexed)?;
    let mut numbers = segments.numbers(Kind::Appended);
    numbers.retain(|number| *number >= indexed.segment);
    for (index, number) in numbers.iter().enumerate() {
        let behind = numbers.get(index + 1..).unwrap_or_default();
        let Some(broken) = again.read(*number)? else {
            continue;
        };
        let path = segments.path(*number, Kind::Appended);
        let mut promised = broken.promised;
        for next in behind {
            let mut scan = Scan::open(segments, *next, 0)?;
            let first = scan.step()?;
            promised |= matches!(first, Some(Step::Whole(found)) if found.frame.synced);
        }
        let (shown, at) = (path.display(), broken.at);
        match note {
            Some(note) if promised => {
                return Err(Box::new(DamagedSegment {
                    segment: path,
                    what: format!("is damaged at byte {at}, and whole records follow"),
                    note: note.to_owned(),
                }));
            }
            _ if promised => {
                tracing::error!(segment = %shown, at, "damaged: what follows is lost");
            }
            _ => {
                tracing::info!(
                    segment = %shown,
                    at,
                    "the segment ends in the middle of a write, as a crash leaves it: cut off"
                );
            }
        }
        again.at = Place {
            segment: *number,
            position: at,
        };
        let behind = behind.to_vec();
        return again.done(true, behind);
    }
    again.done(false, Vec::new())
}

impl Recovered {
    /// Removes what has to go, and goes on.
    pub(crate) fn go_on(
        self,
        segments: &Arc<Segments>,
        durability: Durability,
    ) -> io::Result<Appending> {
        cut(segments, self.at, self.is_cut, &self.behind)?;
        Appending::at(Arc::clone(segments), durability, self.at)
    }
}

/// Cuts off what stands behind a place. What is left is on the disk when this returns.
fn cut(segments: &Segments, at: Place, is_cut: bool, behind: &[u32]) -> io::Result<()> {
    for number in behind.iter().rev() {
        segments.remove(*number)?;
    }
    if !behind.is_empty() {
        sync_folder(segments.folder())?;
    }
    if is_cut {
        let path = segments.path(at.segment, Kind::Appended);
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(u64::from(at.position))?;
        file.sync_all()?;
    }
    Ok(())
}

/// Cuts off what was appended from a place on, after a write that failed.
pub(crate) fn cut_from(segments: &Segments, at: Place) -> io::Result<()> {
    let mut behind = segments.numbers(Kind::Appended);
    let is_there = behind.contains(&at.segment);
    behind.retain(|number| *number > at.segment);
    cut(segments, at, is_there, &behind)
}

/// Compares the segments that are there with those that should be.
fn look_for_missing(
    keyspaces: &Keyspaces,
    indexed: Place,
    note: Option<&Path>,
) -> Result<(), Cause> {
    let segments = &keyspaces.segments;
    let mut there = segments.numbers(Kind::Appended);
    // What was appended since is not known by its number.
    let mut unknown = there.clone();
    unknown.retain(|number| *number < indexed.segment);
    let copied = segments.numbers(Kind::Copied);
    unknown.extend(&copied);
    there.extend(copied);
    let mut lost = keyspaces.database.batch();
    for item in keyspaces.batches.prefix(format::SEGMENTS) {
        let (key, value) = item.into_inner()?;
        let (number, _) = format::segment_of(&key, &value)?;
        segments.skip(number);
        unknown.retain(|there| *there != number);
        if there.contains(&number) {
            continue;
        }
        let segment = segments.folder().join(format!("{number:08}"));
        match note {
            Some(note) => {
                return Err(Box::new(DamagedSegment {
                    segment,
                    what: "is missing".to_owned(),
                    note: note.to_owned(),
                }));
            }
            None => {
                tracing::error!(segment = %segment.display(), "missing: what it held is lost");
                lost.remove(&keyspaces.batches, key);
            }
        }
    }
    keyspaces.commit(lost, None)?;
    // They were about to be removed, or nothing points to them yet.
    for number in unknown {
        if is_of_use(keyspaces, number)? {
            tracing::warn!(segment = number, "not known, and of use: kept");
            let value = 0_u64.to_be_bytes();
            let mut found = keyspaces.database.batch();
            found.insert(
                &keyspaces.batches,
                format::segment_key(number),
                value.as_slice(),
            );
            keyspaces.commit(found, None)?;
        } else {
            segments.remove(number)?;
        }
    }
    Ok(())
}

/// Whether the index points into a segment, or may.
fn is_of_use(keyspaces: &Keyspaces, number: u32) -> Result<bool, Cause> {
    let mut scan = Scan::open(&keyspaces.segments, number, 0)?;
    while let Some(step) = scan.step()? {
        match step {
            Step::Whole(found) if !keyspaces.points_to(&found)? => {}
            // What is behind something that is broken is not known.
            _ => return Ok(true),
        }
    }
    Ok(false)
}

/// Where frames end that are not followed by zeros alone.
struct Broken {
    at: u32,
    /// What is not whole was on the disk once.
    promised: bool,
}

/// Puts into the index what is not there.
struct Again<'a> {
    keyspaces: &'a Keyspaces,
    /// Partitions of the topics.
    topics: HashMap<Uuid, u32>,
    /// Where logs end with what was read; `None` where there is no such log.
    ends: HashMap<LogId, Option<Offset>>,
    writes: OwnedWriteBatch,
    /// Up to where everything is in the index.
    at: Place,
    /// The segments that were read since the last write.
    read: Vec<u32>,
    found: u64,
    foreign: u64,
}

impl<'a> Again<'a> {
    fn new(keyspaces: &'a Keyspaces, at: Place) -> Result<Self, Cause> {
        let mut topics = HashMap::new();
        for item in keyspaces.meta.prefix(format::TOPICS) {
            let (key, value) = item.into_inner()?;
            let topic = format::topic_of(&key, &value)?;
            topics.insert(topic.id, topic.partitions);
        }
        Ok(Self {
            keyspaces,
            topics,
            ends: HashMap::new(),
            writes: keyspaces.database.batch(),
            at,
            read: Vec::new(),
            found: 0,
            foreign: 0,
        })
    }

    /// Reads a segment from where it is not in the index.
    fn read(&mut self, number: u32) -> Result<Option<Broken>, Cause> {
        if number != self.at.segment {
            self.at = Place {
                segment: number,
                position: 0,
            };
        }
        self.read.push(number);
        let mut scan = Scan::open(&self.keyspaces.segments, number, self.at.position)?;
        while let Some(step) = scan.step()? {
            let at = scan.position();
            match step {
                Step::Whole(found) => {
                    let is_next = match self.end(found.key.log)? {
                        None => {
                            self.foreign += 1;
                            true
                        }
                        Some(end) if found.key.base == end => {
                            self.insert(found.key, found.pointer);
                            true
                        }
                        // A batch before it is missing, or it was there before.
                        Some(_) => false,
                    };
                    if !is_next {
                        return Ok(Some(Broken {
                            at: found.pointer.position,
                            promised: found.frame.synced,
                        }));
                    }
                    self.at.position = at;
                    if self.writes.len() >= AT_ONCE {
                        self.commit()?;
                    }
                }
                Step::Broken { at } => {
                    let promised = scan.is_promised(at)?;
                    return Ok(Some(Broken { at, promised }));
                }
            }
        }
        Ok(None)
    }

    /// Where a log ends.
    fn end(&mut self, log: LogId) -> Result<Option<Offset>, Cause> {
        if let Some(known) = self.ends.get(&log) {
            return Ok(*known);
        }
        let partitions = self.topics.get(&log.topic);
        let end = match partitions.filter(|partitions| log.partition < **partitions) {
            None => None,
            Some(_) => {
                let start = self.keyspaces.start(log)?;
                Some(self.keyspaces.end(log, start)?)
            }
        };
        self.ends.insert(log, end);
        Ok(end)
    }

    fn insert(&mut self, key: BatchKey, pointer: Pointer) {
        let batches = &self.keyspaces.batches;
        self.writes
            .insert(batches, key.encode(), pointer.encode().as_slice());
        self.ends.insert(key.log, Some(key.end()));
        self.found += 1;
    }

    fn commit(&mut self) -> fjall::Result<()> {
        let (keyspaces, at) = (self.keyspaces, self.at);
        let new = keyspaces.database.batch();
        let mut writes = std::mem::replace(&mut self.writes, new);
        let batches = &keyspaces.batches;
        writes.insert(batches, format::INDEXED, format::indexed_value(at));
        // What points into a segment is never written without this.
        let read = std::mem::take(&mut self.read);
        for number in read.into_iter().chain([at.segment]) {
            let key = format::segment_key(number);
            if !batches.contains_key(&key)? {
                writes.insert(batches, key, 0_u64.to_be_bytes().as_slice());
            }
        }
        keyspaces.commit(writes, None)
    }

    fn done(mut self, is_cut: bool, behind: Vec<u32>) -> Result<Recovered, Cause> {
        let is_there = self.keyspaces.segments.numbers(Kind::Appended);
        if is_there.contains(&self.at.segment) {
            self.commit()?;
        }
        if self.found > 0 {
            tracing::info!(batches = self.found, "read again what was appended last");
        }
        if self.foreign > 0 {
            let batches = self.foreign;
            tracing::warn!(batches, "appended to topics that are not there: left out");
        }
        Ok(Recovered {
            at: self.at,
            is_cut,
            behind,
        })
    }
}
