//! The segment that appends go to. The writer thread has it.
use std::{
    fs::File,
    io::{self, IoSlice},
    sync::Arc,
};

use bytes::{BufMut as _, Bytes};

use super::{Kind, SEGMENT_BYTES, Segments, sync_folder, write_all_at};
use crate::{
    Durability,
    format::{LogId, Pointer},
    frame::{Frame, HEADER, Place},
};

/// A batch of fewer bytes is copied, so that the system is given one piece for many.
const COPIED: usize = 2048;

/// A batch to be appended, in two pieces.
pub(crate) type Batch = [Bytes; 2];

/// Where appends go.
#[derive(Debug)]
pub(crate) struct Appending {
    segments: Arc<Segments>,
    durability: Durability,
    open: Option<Open>,
    /// Where the next write begins.
    at: Place,
    /// What was written since, which does not count before [`keep`](Self::keep).
    to: Place,
    /// Frame headers and small batches of one write, used again.
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    number: u32,
    file: File,
}

/// What a write came to.
#[derive(Debug)]
pub(crate) struct Written {
    /// Where the batches are, in their order.
    pub(crate) pointers: Vec<Pointer>,
    /// Everything before is in the index, once these batches are.
    pub(crate) indexed: Place,
    /// It began a segment.
    pub(crate) is_new: bool,
}

impl Appending {
    /// Goes on at a place, with the segment there if there is one.
    pub(crate) fn at(
        segments: Arc<Segments>,
        durability: Durability,
        at: Place,
    ) -> io::Result<Self> {
        let mut open = None;
        let is_there = segments.numbers(Kind::Appended).contains(&at.segment);
        if is_there && u64::from(at.position) < SEGMENT_BYTES {
            let number = at.segment;
            let file = segments.open_to_write(number, Kind::Appended)?;
            prepare(&file, durability)?;
            open = Some(Open { number, file });
        }
        segments.writes(Kind::Appended, open.as_ref().map(|open| open.number));
        Ok(Self {
            segments,
            durability,
            open,
            at,
            to: at,
            buffer: Vec::new(),
        })
    }

    /// Where the next write begins.
    pub(crate) fn place(&self) -> Place {
        self.at
    }

    /// Writes batches, and with [`Durability::Sync`] brings them to the disk.
    pub(crate) fn write(&mut self, batches: &[(LogId, Batch)]) -> io::Result<Written> {
        let bytes: u64 = batches.iter().map(|(_, batch)| size(batch)).sum();
        let is_new = match &self.open {
            Some(_) => u64::from(self.at.position) + bytes > SEGMENT_BYTES && self.at.position > 0,
            None => true,
        };
        if is_new {
            self.begin()?;
        }
        let Some(Open { number, file }) = &self.open else {
            return Err(io::Error::other("no segment"));
        };
        let begins = self.at.position;
        let mut position = begins;
        let mut pointers = Vec::with_capacity(batches.len());
        // The pieces of the buffer that a batch that is not copied into it follows.
        let mut ends = Vec::new();
        self.buffer.clear();
        for (log, batch) in batches {
            let [head, rest] = batch;
            let length = head.len() + rest.len();
            let frame = Frame {
                log: *log,
                length: u32::try_from(length).map_err(io::Error::other)?,
                begins,
                synced: self.durability == Durability::Sync,
            };
            let place = Place {
                segment: *number,
                position,
            };
            frame.put(place, [head, rest], &mut self.buffer);
            self.buffer.put_slice(head);
            if rest.len() < COPIED {
                self.buffer.put_slice(rest);
            } else {
                ends.push((self.buffer.len(), rest));
            }
            pointers.push(Pointer {
                segment: *number,
                position,
                length: frame.length,
            });
            position = u64::from(position)
                .checked_add(frame.size())
                .and_then(|end| u32::try_from(end).ok())
                .ok_or_else(|| io::Error::other("more than fits into a segment"))?;
        }
        let mut pieces = Vec::with_capacity(2 * ends.len() + 1);
        let mut from = 0;
        for (end, rest) in &ends {
            pieces.push(IoSlice::new(
                self.buffer.get(from..*end).unwrap_or_default(),
            ));
            pieces.push(IoSlice::new(rest));
            from = *end;
        }
        if from < self.buffer.len() {
            pieces.push(IoSlice::new(self.buffer.get(from..).unwrap_or_default()));
        }
        write_all_at(file, &mut pieces, u64::from(begins))?;
        if self.durability == Durability::Sync {
            file.sync_data()?;
        }
        if self.buffer.capacity() > 1 << 20 {
            self.buffer = Vec::new();
        }
        self.to = Place {
            segment: *number,
            position,
        };
        Ok(Written {
            pointers,
            indexed: self.to,
            is_new,
        })
    }

    /// The last write counts: everything points to it that should.
    pub(crate) fn keep(&mut self) {
        self.at = self.to;
    }

    /// Brings everything to the disk that was written.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match &self.open {
            Some(Open { file, .. }) => file.sync_data(),
            None => Ok(()),
        }
    }

    /// Ends the segment and begins another one.
    fn begin(&mut self) -> io::Result<()> {
        if let Some(Open { file, .. }) = &self.open {
            file.set_len(u64::from(self.at.position))?;
        }
        let (number, file) = self.segments.create(Kind::Appended)?;
        prepare(&file, self.durability)?;
        if self.durability == Durability::Sync {
            sync_folder(self.segments.folder())?;
        }
        self.at = Place {
            segment: number,
            position: 0,
        };
        self.to = self.at;
        self.open = Some(Open { number, file });
        Ok(())
    }
}

/// Gives a segment its full length, so that a sync has no new length to write.
fn prepare(file: &File, durability: Durability) -> io::Result<()> {
    if file.metadata()?.len() < SEGMENT_BYTES {
        file.set_len(SEGMENT_BYTES)?;
    }
    if durability == Durability::Sync {
        file.sync_all()?;
    }
    Ok(())
}

/// Bytes that a batch takes with its frame.
fn size(batch: &Batch) -> u64 {
    let [head, rest] = batch;
    (HEADER + head.len() + rest.len()) as u64
}
