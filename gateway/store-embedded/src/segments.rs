//! The files that hold the record batches, in [frames](crate::frame).
//!
//! There are two kinds, told by their names. What is appended goes one after the other into the newest
//! file `NUMBER.appended`, whatever log it belongs to: one write and one sync however many logs a group
//! touches. What upkeep keeps of other files, or writes anew, goes into a file `NUMBER.copied` of its own,
//! and is on the disk before anything points to it. Numbers are never used again while anything points
//! to them.
//!
//! A file is written from its beginning on, and cut to what is used when the next one is begun. No byte of
//! it changes afterwards, until all of it is removed.
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, IoSlice},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::{Bytes, BytesMut};

use crate::{
    engine::locked,
    format::{LogId, Pointer},
    frame::{self, Frame, HEADER, Place},
};

pub(crate) mod appending;
pub(crate) mod copying;
pub(crate) mod recovery;
pub(crate) mod scan;
mod shared;

/// A segment of this size is the last time written to. A single write may be larger.
pub(crate) const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Files that are held open for readers.
const MAX_OPEN: usize = 128;
/// Pieces of one system call.
const MAX_PIECES: usize = 1024;

/// What a segment is written by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Appended,
    Copied,
}

impl Kind {
    fn extension(self) -> &'static str {
        match self {
            Self::Appended => "appended",
            Self::Copied => "copied",
        }
    }
}

/// All segments of a store. Readers and the threads that write share it.
#[derive(Debug)]
pub(crate) struct Segments {
    folder: PathBuf,
    state: Mutex<State>,
    shared: Mutex<shared::Shared>,
}

#[derive(Debug, Default)]
struct State {
    known: BTreeMap<u32, Known>,
    /// How many of them are held open.
    held: usize,
    /// The highest number that was ever used, as far as is known.
    last: u32,
    /// Those that are being written.
    appending: Option<u32>,
    copying: Option<u32>,
}

#[derive(Debug)]
struct Known {
    kind: Kind,
    file: Option<Arc<File>>,
}

/// A batch could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// Its segment is not there (any more).
    #[error("segment {0} is missing")]
    Gone(u32),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("segment {} is damaged at byte {}", .0.segment, .0.position)]
    Damaged(Place),
}

impl Segments {
    /// Finds the segments in a folder, which is made where there is none.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        if let Err(error) = fs::create_dir(folder)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error);
        }
        let mut state = State::default();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str());
            let number = number.and_then(|stem| stem.parse().ok());
            let kinds = [Kind::Appended, Kind::Copied];
            let kind = kinds
                .into_iter()
                .find(|kind| path.extension().is_some_and(|is| is == kind.extension()));
            let (Some(number), Some(kind)) = (number, kind) else {
                continue;
            };
            state.known.insert(number, Known { kind, file: None });
            state.last = state.last.max(number);
        }
        Ok(Self {
            folder: folder.to_owned(),
            state: Mutex::new(state),
            shared: Mutex::default(),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn path(&self, number: u32, kind: Kind) -> PathBuf {
        self.folder
            .join(format!("{number:08}.{}", kind.extension()))
    }

    /// The segments of a kind, in their order.
    pub(crate) fn numbers(&self, kind: Kind) -> Vec<u32> {
        let state = locked(&self.state);
        let of_kind = state.known.iter().filter(|(_, known)| known.kind == kind);
        of_kind.map(|(number, _)| *number).collect()
    }

    /// The segments that nothing is written to any more, and how long they are.
    pub(crate) fn sealed(&self) -> io::Result<Vec<(u32, u64)>> {
        let sealed: Vec<_> = {
            let state = locked(&self.state);
            let writing = [state.appending, state.copying];
            let known = state.known.iter();
            known
                .filter(|(number, _)| !writing.contains(&Some(**number)))
                .map(|(number, known)| (*number, known.kind))
                .collect()
        };
        sealed
            .into_iter()
            .map(|(number, kind)| Ok((number, fs::metadata(self.path(number, kind))?.len())))
            .collect()
    }

    /// Takes care that a number is not used for a new segment.
    pub(crate) fn skip(&self, number: u32) {
        let mut state = locked(&self.state);
        state.last = state.last.max(number);
    }

    /// Says which segment is being written to.
    fn writes(&self, kind: Kind, number: Option<u32>) {
        let mut state = locked(&self.state);
        match kind {
            Kind::Appended => state.appending = number,
            Kind::Copied => state.copying = number,
        }
    }

    /// Begins a new segment.
    fn create(&self, kind: Kind) -> io::Result<(u32, File)> {
        let mut state = locked(&self.state);
        let number = state.last.checked_add(1).ok_or_else(|| {
            io::Error::other("all numbers of segments have been used") // After 256 PiB.
        })?;
        let file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .open(self.path(number, kind))?;
        state.last = number;
        state.known.insert(number, Known { kind, file: None });
        match kind {
            Kind::Appended => state.appending = Some(number),
            Kind::Copied => state.copying = Some(number),
        }
        Ok((number, file))
    }

    /// Opens a segment to write to it.
    fn open_to_write(&self, number: u32, kind: Kind) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).open(self.path(number, kind))
    }

    /// Removes a segment that nothing points to. Whoever reads it goes on.
    pub(crate) fn remove(&self, number: u32) -> io::Result<()> {
        let mut state = locked(&self.state);
        let Some(known) = state.known.get(&number) else {
            return Ok(());
        };
        match fs::remove_file(self.path(number, known.kind)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        if state
            .known
            .remove(&number)
            .is_some_and(|known| known.file.is_some())
        {
            state.held -= 1;
        }
        Ok(())
    }

    /// A segment to be read; `None` if there is none of that number.
    pub(crate) fn file(&self, number: u32) -> io::Result<Option<Arc<File>>> {
        let mut state = locked(&self.state);
        let Some(Known { kind, file }) = state.known.get(&number) else {
            return Ok(None);
        };
        if let Some(file) = file {
            return Ok(Some(Arc::clone(file)));
        }
        let file = Arc::new(File::open(self.path(number, *kind))?);
        if state.held >= MAX_OPEN {
            for known in state.known.values_mut() {
                known.file = None;
            }
            state.held = 0;
        }
        if let Some(known) = state.known.get_mut(&number) {
            known.file = Some(Arc::clone(&file));
            state.held += 1;
        }
        Ok(Some(file))
    }

    /// Reads batches of one log whose frames stand in one segment, one behind the other though maybe
    /// not side by side, in one call. Each is checked.
    pub(crate) fn read(&self, log: LogId, run: &[Pointer]) -> Result<Vec<Bytes>, Unread> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            return Ok(Vec::new());
        };
        if let Some(batch) = locked(&self.shared).get(log, run) {
            return Ok(vec![batch]);
        }
        let file = self.file(first.segment)?;
        let file = file.ok_or(Unread::Gone(first.segment))?;
        let from = first.position;
        let size = last.end().saturating_sub(u64::from(from));
        let mut bytes = BytesMut::zeroed(usize::try_from(size).map_err(io::Error::other)?);
        match file.read_exact_at(&mut bytes, u64::from(from)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Unread::Damaged(last.place()));
            }
            read => read?,
        }
        let bytes = bytes.freeze();
        let batches = run
            .iter()
            .map(|pointer| {
                let damaged = || Unread::Damaged(pointer.place());
                let at = usize::try_from(pointer.position.saturating_sub(from))
                    .map_err(io::Error::other)?;
                let end = at.saturating_add(HEADER + pointer.bytes());
                if pointer.position < from || end > bytes.len() {
                    return Err(damaged());
                }
                let found = bytes.slice(at..end);
                let frame = Frame::parse(pointer.place(), &found).ok_or_else(damaged)?;
                let batch = found.slice(HEADER..);
                let is_right =
                    frame.log == log && frame.length == pointer.length && frame::is_whole(&batch);
                if is_right { Ok(batch) } else { Err(damaged()) }
            })
            .collect::<Result<Vec<_>, _>>()?;
        locked(&self.shared).put(log, run, &batches);
        Ok(batches)
    }
}

/// Writes all pieces, one behind the other.
fn write_all_at(file: &File, mut pieces: &mut [IoSlice<'_>], mut position: u64) -> io::Result<()> {
    while !pieces.is_empty() {
        let now = pieces
            .get(..pieces.len().min(MAX_PIECES))
            .unwrap_or_default();
        let written = match rustix::io::pwritev(file, now, position) {
            Err(rustix::io::Errno::INTR) => continue,
            written => written?,
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        position += written as u64;
        IoSlice::advance_slices(&mut pieces, written);
    }
    Ok(())
}

/// Brings the names in a folder to the disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
