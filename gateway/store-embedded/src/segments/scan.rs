//! Going through a segment from frame to frame.
use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    sync::Arc,
};

use bytes::Bytes;
use kop_wire::Batch;

use super::Segments;
use crate::{
    format::{BatchKey, Pointer},
    frame::{self, BATCH_HEADER, Frame, HEADER, Place},
};

/// Bytes that are read at a time.
const BUFFER: usize = 256 * 1024;

/// A segment that is read from a place on.
#[derive(Debug)]
pub(crate) struct Scan {
    file: BufReader<Arc<File>>,
    number: u32,
    position: u64,
    size: u64,
}

/// What is found in a segment.
#[derive(Debug)]
pub(crate) enum Step {
    Whole(Found),
    /// No whole frame stands there, and not only zeros.
    Broken {
        at: u32,
    },
}

/// A whole frame.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) frame: Frame,
    pub(crate) key: BatchKey,
    pub(crate) pointer: Pointer,
    pub(crate) batch: Bytes,
}

impl Scan {
    pub(crate) fn open(segments: &Segments, number: u32, from: u32) -> io::Result<Self> {
        let file = segments.file(number)?;
        let file = file.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let mut scan = Self {
            size: file.metadata()?.len(),
            file: BufReader::with_capacity(BUFFER, file),
            number,
            position: 0,
        };
        scan.go_to(u64::from(from))?;
        Ok(scan)
    }

    /// Where the next frame stands.
    pub(crate) fn position(&self) -> u32 {
        u32::try_from(self.position).unwrap_or(u32::MAX)
    }

    /// The next frame; `None` where there is nothing, or nothing but zeros.
    pub(crate) fn step(&mut self) -> io::Result<Option<Step>> {
        let at = self.position;
        if let Some(found) = self.frame()? {
            return Ok(Some(Step::Whole(found)));
        }
        let is_end = self.is_zero(at)?;
        self.go_to(at)?;
        let at = self.position();
        Ok((!is_end).then_some(Step::Broken { at }))
    }

    /// Whether what stands at a place was on the disk when a frame behind it was written.
    pub(crate) fn is_promised(&self, at: u32) -> io::Result<bool> {
        let file = self.file.get_ref();
        let mut window = vec![0; BUFFER];
        let mut from = u64::from(at) + 1;
        while from < self.size {
            let read = file.read_at(&mut window, from)?;
            let bytes = window.get(..read).unwrap_or_default();
            let begins = bytes
                .windows(frame::MAGIC.len())
                .enumerate()
                .filter(|(_, bytes)| *bytes == frame::MAGIC);
            for (index, _) in begins {
                if let Some(frame) = self.header_at(from + index as u64)?
                    && frame.synced
                    && frame.begins > at
                {
                    return Ok(true);
                }
            }
            if read < frame::MAGIC.len() {
                break;
            }
            from += (read - frame::MAGIC.len() + 1) as u64;
        }
        Ok(false)
    }

    fn header_at(&self, position: u64) -> io::Result<Option<Frame>> {
        let Some(place) = self.place(position) else {
            return Ok(None);
        };
        let mut bytes = [0; HEADER + BATCH_HEADER];
        match self.file.get_ref().read_exact_at(&mut bytes, position) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            read => read.map(|()| Frame::parse(place, &bytes)),
        }
    }

    fn place(&self, position: u64) -> Option<Place> {
        Some(Place {
            segment: self.number,
            position: u32::try_from(position).ok()?,
        })
    }

    fn go_to(&mut self, position: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(position))?;
        self.position = position;
        Ok(())
    }

    /// The header of the frame at the position, and of its batch, which are gone past.
    fn header(&mut self) -> io::Result<Option<(Frame, [u8; HEADER + BATCH_HEADER])>> {
        let mut bytes = [0; HEADER + BATCH_HEADER];
        let Some(place) = self.place(self.position) else {
            return Ok(None);
        };
        if self.size.saturating_sub(self.position) < bytes.len() as u64 {
            return Ok(None);
        }
        self.file.read_exact(&mut bytes)?;
        self.position += bytes.len() as u64;
        Ok(Frame::parse(place, &bytes).map(|frame| (frame, bytes)))
    }

    /// The frame at the position, if a whole one is there.
    fn frame(&mut self) -> io::Result<Option<Found>> {
        let position = self.position();
        let Some((frame, bytes)) = self.header()? else {
            return Ok(None);
        };
        let begun = bytes.get(HEADER..).unwrap_or_default();
        let left = u64::from(frame.length).checked_sub(begun.len() as u64);
        let Some(left) = left.filter(|left| *left <= self.size.saturating_sub(self.position))
        else {
            return Ok(None);
        };
        let length = usize::try_from(frame.length).map_err(io::Error::other)?;
        let mut batch = Vec::with_capacity(length);
        batch.extend_from_slice(begun);
        (&mut self.file).take(left).read_to_end(&mut batch)?;
        self.position += left;
        let is_whole = batch.len() == length && frame::is_whole(&batch);
        let key = frame::key(frame.log, &batch).filter(|_| is_whole);
        let batch = Bytes::from(batch);
        let batch = Batch::parse_stored(batch).ok();
        let (Some(key), Some(batch)) = (key, batch) else {
            return Ok(None);
        };
        Ok(Some(Found {
            frame,
            key,
            pointer: Pointer {
                segment: self.number,
                position,
                length: frame.length,
            },
            batch: batch.bytes().clone(),
        }))
    }

    /// Whether all bytes from there on are zero.
    fn is_zero(&mut self, from: u64) -> io::Result<bool> {
        self.go_to(from)?;
        loop {
            let bytes = self.file.fill_buf()?;
            if bytes.is_empty() {
                return Ok(true);
            }
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            let length = bytes.len();
            self.file.consume(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kop_wire::{BatchBuilder, Compression, Offset, Record};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{
        Durability,
        format::LogId,
        segments::{Kind, appending::Appending},
    };

    const START: Place = Place {
        segment: 1,
        position: 0,
    };

    /// Some are copied into the buffer of a write, others are not.
    fn batch(size: usize, base: i64) -> [Bytes; 2] {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(Record {
            value: Some(vec![7; size].into()),
            ..Record::default()
        });
        builder.build().unwrap().place(Offset(base), 0)
    }

    /// Writes groups of batches; says where each group begins, and what each frame holds.
    fn written(
        folder: &std::path::Path,
        groups: &[Vec<usize>],
        durability: Durability,
    ) -> (Vec<u32>, Frames) {
        let segments = Arc::new(Segments::open(folder).unwrap());
        let mut appending = Appending::at(segments, durability, START).unwrap();
        let (mut begins, mut frames) = (Vec::new(), Vec::new());
        for group in groups {
            begins.push(appending.place().position);
            let log = LogId {
                topic: Uuid::from_u128(5),
                partition: 3,
            };
            let base = |index: usize| i64::try_from(frames.len() + index).unwrap();
            let sizes = group.iter().enumerate();
            let batches: Vec<_> = sizes
                .map(|(index, size)| (log, batch(*size, base(index))))
                .collect();
            let written = appending.write(&batches).unwrap();
            appending.keep();
            for ((_, batch), pointer) in batches.iter().zip(written.pointers) {
                frames.push((pointer.position, Bytes::from(batch.concat())));
            }
        }
        // Going through all the zeros behind takes long.
        let file = fs::OpenOptions::new()
            .write(true)
            .open(folder.join("00000001.appended"))
            .unwrap();
        file.set_len(u64::from(appending.place().position)).unwrap();
        (begins, frames)
    }

    /// Positions of frames, and the batches in them.
    type Frames = Vec<(u32, Bytes)>;

    /// What is found, and where something else stands, and whether it was on the disk.
    fn found(folder: &std::path::Path) -> (Frames, Option<(u32, bool)>) {
        let segments = Segments::open(folder).unwrap();
        let mut scan = Scan::open(&segments, 1, 0).unwrap();
        let mut frames = Vec::new();
        loop {
            match scan.step().unwrap() {
                Some(Step::Whole(found)) => frames.push((found.pointer.position, found.batch)),
                Some(Step::Broken { at }) => {
                    return (frames, Some((at, scan.is_promised(at).unwrap())));
                }
                None => return (frames, None),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 64,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn whatever_is_cut_off_or_garbled_the_frames_before_it_are_found_and_no_others(
            groups in prop::collection::vec(prop::collection::vec(0..6_000_usize, 1..4), 1..8),
            at in any::<prop::sample::Index>(),
            change in 0..4,
            sync in any::<bool>(),
        ) {
            let durability = if sync { Durability::Sync } else { Durability::Os };
            let folder = tempfile::tempdir().unwrap();
            let (begins, frames) = written(folder.path(), &groups, durability);
            prop_assert_eq!(&found(folder.path()), &(frames.clone(), None));
            let path = folder.path().join("00000001.appended");
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            bytes.truncate(end);
            let at = at.index(end);
            match change {
                0 => bytes.truncate(at),
                1 => bytes[at] ^= 1,
                2 => bytes[at] ^= 0x80,
                // A page that was not written.
                _ => {
                    let page = at / 4096 * 4096;
                    let page_end = end.min(page + 4096);
                    bytes[page..page_end].fill(0);
                }
            }
            fs::write(&path, &bytes).unwrap();
            let (left, broken) = found(folder.path());
            let hurt = if change == 3 { at / 4096 * 4096 } else { at };
            let ends = |(position, batch): &(u32, Bytes)| *position as usize + HEADER + batch.len();
            let whole = frames.iter().take_while(|frame| ends(frame) <= hurt).count();
            // A page may have held nothing but zeros where a frame's header was hurt.
            prop_assert_eq!(&left[..], &frames[..left.len()]);
            prop_assert!(left.len() >= whole && left.len() < frames.len());
            let broken_at = frames[left.len()].0;
            if let Some((at, promised)) = broken {
                prop_assert_eq!(at, broken_at);
                // Groups behind that are whole say that it was on the disk.
                let hurt_end = if change == 3 { hurt + 4096 } else { hurt + 1 };
                let behind = begins.iter().any(|begin| *begin > at && *begin as usize >= hurt_end);
                if sync && change != 0 {
                    prop_assert!(promised || !behind);
                } else {
                    prop_assert!(!promised);
                }
            }
        }
    }

    #[test]
    fn a_segment_ends_where_the_next_write_does_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let segments = Arc::new(Segments::open(folder.path()).unwrap());
        let mut appending = Appending::at(Arc::clone(&segments), Durability::Os, START).unwrap();
        let log = LogId {
            topic: Uuid::from_u128(5),
            partition: 3,
        };
        let large = batch(30 << 20, 0);
        for number in [1, 1, 2, 2, 3] {
            let written = appending.write(&[(log, large.clone())]).unwrap();
            appending.keep();
            assert_eq!(written.pointers[0].segment, number);
            let read = segments.read(log, &written.pointers).unwrap();
            assert_eq!(read[0], large.concat());
            let other = LogId {
                partition: 4,
                ..log
            };
            assert!(segments.read(other, &written.pointers).is_err());
        }
        assert_eq!(segments.numbers(Kind::Appended), [1, 2, 3]);
        let sealed = segments.sealed().unwrap();
        let numbers: Vec<_> = sealed.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2]);
        assert!(
            sealed.iter().all(|(_, size)| *size < 61 << 20),
            "{sealed:?}"
        );
    }
}
