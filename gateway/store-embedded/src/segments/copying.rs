//! The segment that upkeep writes to: what it keeps of segments that go, and what it writes anew. It is
//! on the disk before anything points to it, so nothing of it is read again after a crash.
use std::{
    fs::File,
    io::{self, IoSlice},
    sync::Arc,
};

use bytes::{BufMut as _, Bytes};

use super::{Kind, SEGMENT_BYTES, Segments, sync_folder, write_all_at};
use crate::{
    format::{LogId, Pointer},
    frame::{Frame, HEADER, Place},
};

/// Where the upkeep's batches go. Its thread has it.
#[derive(Debug)]
pub(crate) struct Copying {
    segments: Arc<Segments>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    number: u32,
    file: File,
    position: u64,
}

impl Copying {
    pub(crate) fn new(segments: Arc<Segments>) -> Self {
        segments.writes(Kind::Copied, None);
        Self {
            segments,
            open: None,
        }
    }

    /// Writes batches and brings them to the disk; says where they are, in their order.
    pub(crate) fn write(&mut self, batches: &[(LogId, Bytes)]) -> io::Result<Vec<Pointer>> {
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        // What a write that fails leaves behind is not written over.
        let open = match self.open.take() {
            Some(open) if open.position < SEGMENT_BYTES => open,
            _ => {
                let (number, file) = self.segments.create(Kind::Copied)?;
                sync_folder(self.segments.folder())?;
                Open {
                    number,
                    file,
                    position: 0,
                }
            }
        };
        let mut bytes = Vec::new();
        let mut pointers = Vec::with_capacity(batches.len());
        for (log, batch) in batches {
            let place = Place {
                segment: open.number,
                position: u32::try_from(open.position + bytes.len() as u64)
                    .map_err(io::Error::other)?,
            };
            let frame = Frame {
                log: *log,
                length: u32::try_from(batch.len()).map_err(io::Error::other)?,
                begins: place.position,
                synced: true,
            };
            bytes.reserve(HEADER + batch.len());
            frame.put(place, [batch, &[]], &mut bytes);
            bytes.put_slice(batch);
            pointers.push(Pointer {
                segment: open.number,
                position: place.position,
                length: frame.length,
            });
        }
        write_all_at(&open.file, &mut [IoSlice::new(&bytes)], open.position)?;
        open.file.sync_data()?;
        self.open = Some(Open {
            position: open.position + bytes.len() as u64,
            ..open
        });
        Ok(pointers)
    }
}
