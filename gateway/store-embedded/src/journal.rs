//! A look at the key-value store's journals that it does not take itself.
//!
//! fjall reads a journal up to the first bytes that it cannot make sense of, takes them for the torn
//! end of the last write, and cuts the file off there. After a crash that is right: nobody has been
//! answered for a write that is not whole. Anywhere else it loses what was acknowledged, without a
//! word. Here a journal is followed and its checksums verified, to tell one from the other, and to cut off a
//! write that failed and may be there all the same. What is not synced at once, because the segments hold it
//! too, may be missing in the middle after a power cut: fjall would refuse such a journal.
//!
//! A journal of fjall 3 is a sequence of batches: a start (tag 1, number of items, sequence number),
//! items (tag 2, or 4 where a keyspace is cleared) and an end (tag 3, checksum, trailer). Numbers are
//! little-endian. A new journal is 64 MiB of zeros, and written over from its beginning.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3;

use crate::{directory::Directory, engine::OpenStoreError};

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
/// The checksum and trailer behind an end's tag.
const TRAILER: &[u8; 4] = b"FJL\x03";
const EXTENSION: &str = "jnl";
/// Bytes behind the last whole batch of the journal in use that are looked at.
const GLANCE: u64 = 1 << 20;

/// A batch in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    start: u64,
    end: u64,
    sequence: u64,
}

/// Where a journal's whole batches end, and what is behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Nothing, or the zeros of a new journal.
    Nothing,
    /// Bytes of a write that was cut short, as a crash leaves them.
    Torn { at: u64 },
    /// Bytes that are no batch, and a whole batch behind them.
    Damaged { at: u64, next: u64 },
}

/// A journal on the disk, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Journal {
    path: PathBuf,
    rest: Rest,
    /// It is the newest, to which batches are added. The others were whole and synced when the next
    /// one was begun.
    in_use: bool,
}

/// What is wrong with a journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{journal} is damaged at byte {at}, and whole writes follow at byte {next}; to go on without what \
     is between, remove {note}"
)]
struct DamagedJournal {
    journal: PathBuf,
    at: u64,
    next: u64,
    note: PathBuf,
}

/// Looks at the journals before the key-value store opens them, says what is there to be said, and cuts
/// off the newest where its last write was cut short.
///
/// # Errors
/// A journal cannot be read or cut; or it is damaged, and a note says that more was acknowledged than
/// what the key-value store would make of it.
pub(crate) fn prepare(directory: &Directory) -> Result<(), OpenStoreError> {
    let failed = |source| OpenStoreError::Directory {
        path: directory.path().to_owned(),
        source,
    };
    for journal in look(&directory.database()).map_err(failed)? {
        let Journal { path, rest, in_use } = journal;
        let shown = path.display();
        match rest {
            Rest::Nothing => {}
            Rest::Torn { at } if in_use => {
                tracing::info!(
                    journal = %shown,
                    at,
                    "the journal ends in the middle of a write, as a crash leaves it: cut off"
                );
                cut(&path, at).map_err(failed)?;
            }
            Rest::Torn { at } => {
                tracing::warn!(journal = %shown, at, "a write was cut short, and others went on behind it");
            }
            Rest::Damaged { at, next } => match directory.note() {
                Some(note) => {
                    return Err(OpenStoreError::Damaged {
                        path: directory.path().to_owned(),
                        source: Box::new(DamagedJournal {
                            journal: path,
                            at,
                            next,
                            note,
                        }),
                    });
                }
                None => {
                    tracing::error!(journal = %shown, at, next, "damaged: what is between is lost")
                }
            },
        }
    }
    Ok(())
}

fn cut(journal: &Path, at: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(journal)?;
    file.set_len(at)?;
    file.sync_all()
}

/// Looks at all journals of a key-value store.
///
/// # Errors
/// The directory or a file cannot be read.
fn look(database: &Path) -> io::Result<Vec<Journal>> {
    let paths = paths(database)?;
    let newest = paths.last().cloned();
    let mut journals = Vec::with_capacity(paths.len());
    for path in paths {
        let in_use = Some(&path) == newest.as_ref();
        let mut reader = Reader::open(&path)?;
        let last = reader.follow(|_| true)?;
        let at = last.map_or(0, |last| last.end);
        let rest = if in_use {
            match reader.is_zero(at, GLANCE)? {
                true => Rest::Nothing,
                false => Rest::Torn { at },
            }
        } else if reader.is_zero(at, u64::MAX)? {
            Rest::Nothing
        } else {
            match reader.next_whole(at, last)? {
                None => Rest::Torn { at },
                Some(next) => Rest::Damaged { at, next },
            }
        };
        journals.push(Journal { path, rest, in_use });
    }
    Ok(journals)
}

/// Cuts off every batch from this sequence number on, and what is no whole batch. The store must be
/// closed. What is left is on the disk when this returns.
///
/// # Errors
/// A file cannot be read, cut or synced.
pub(crate) fn cut_from(database: &Path, sequence: u64) -> io::Result<()> {
    for path in paths(database)? {
        let mut reader = Reader::open(&path)?;
        let last = reader.follow(|found| found.sequence < sequence)?;
        let end = last.map_or(0, |last| last.end);
        cut(&path, end)?;
    }
    Ok(())
}

/// The journals of a key-value store, the oldest first; none where there is no store yet.
fn paths(database: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(database) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut numbered = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(number) = number.filter(|_: &u64| path.extension() == Some(EXTENSION.as_ref()))
        {
            numbered.push((number, path));
        }
    }
    numbered.sort();
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}

struct Reader {
    file: BufReader<File>,
    /// Of what was taken since it was begun anew.
    hash: Xxh3,
    position: u64,
    size: u64,
}

impl Reader {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self {
            size: file.metadata()?.len(),
            file: BufReader::with_capacity(64 * 1024, file),
            hash: Xxh3::new(),
            position: 0,
        })
    }

    /// Follows whole batches for as long as they are wanted, and gives the last of them.
    fn follow(&mut self, wanted: impl Fn(&Found) -> bool) -> io::Result<Option<Found>> {
        let mut last: Option<Found> = None;
        while let Some(found) = self.batch()?.filter(&wanted) {
            // Sequence numbers rise; what does not continue is from an earlier use of the disk.
            if last.is_some_and(|last| found.sequence <= last.sequence) {
                break;
            }
            last = Some(found);
        }
        Ok(last)
    }

    /// The batch at the position, if a whole one is there.
    fn batch(&mut self) -> io::Result<Option<Found>> {
        let start = self.position;
        let Some([START]) = self.take()? else {
            return Ok(None);
        };
        let (Some(items), Some(sequence)) = (self.take()?, self.take()?) else {
            return Ok(None);
        };
        self.hash.reset();
        for _ in 0..u32::from_le_bytes(items) {
            if !self.item()? {
                return Ok(None);
            }
        }
        let sum = self.hash.digest();
        let (Some([END]), Some(checksum), Some(trailer)) =
            (self.take()?, self.take()?, self.take()?)
        else {
            return Ok(None);
        };
        let is_whole = trailer == *TRAILER && u64::from_le_bytes(checksum) == sum;
        Ok(is_whole.then_some(Found {
            start,
            end: self.position,
            sequence: u64::from_le_bytes(sequence),
        }))
    }

    /// Goes past an item; false where there is none.
    fn item(&mut self) -> io::Result<bool> {
        match self.take()? {
            Some([CLEAR]) => Ok(self.take::<8>()?.is_some()),
            Some([ITEM]) => {
                // Kind, compression (never any) and keyspace; then the lengths of the key, of the value,
                // and of the value as it is stored.
                let (Some([_, compression]), Some(_keyspace)) = (self.take()?, self.take::<8>()?)
                else {
                    return Ok(false);
                };
                let (Some(key), Some(value), Some(stored)) =
                    (self.take()?, self.take()?, self.take()?)
                else {
                    return Ok(false);
                };
                if compression != 0 || value != stored {
                    return Ok(false);
                }
                let key = u64::from(u16::from_le_bytes(key));
                self.skip(key + u64::from(u32::from_le_bytes(value)))
            }
            _ => Ok(false),
        }
    }

    /// The next bytes; `None` where the file ends before.
    fn take<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        if self.size - self.position < N as u64 {
            return Ok(None);
        }
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.hash.update(&bytes);
        self.position += N as u64;
        Ok(Some(bytes))
    }

    fn skip(&mut self, count: u64) -> io::Result<bool> {
        if self.size - self.position < count {
            return Ok(false);
        }
        let mut left = count;
        while left > 0 {
            let bytes = self.file.fill_buf()?;
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let bytes = bytes.get(..most.min(bytes.len())).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(false);
            }
            self.hash.update(bytes);
            let length = bytes.len();
            self.file.consume(length);
            left -= length as u64;
        }
        self.position += count;
        Ok(true)
    }

    fn go_to(&mut self, position: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(position))?;
        self.position = position;
        Ok(())
    }

    /// Whether all bytes from there on are zero, as far as they are to be looked at.
    fn is_zero(&mut self, from: u64, most: u64) -> io::Result<bool> {
        self.go_to(from)?;
        let mut left = most.min(self.size.saturating_sub(from));
        while left > 0 {
            let bytes = self.file.fill_buf()?;
            if bytes.is_empty() {
                break;
            }
            let look = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            if bytes.iter().take(look).any(|byte| *byte != 0) {
                return Ok(false);
            }
            self.file.consume(look);
            left -= look as u64;
        }
        Ok(true)
    }

    /// Where the next whole batch begins behind bytes that are none.
    fn next_whole(&mut self, from: u64, last: Option<Found>) -> io::Result<Option<u64>> {
        let mut candidate = from;
        loop {
            let Some(start) = self.find_start(candidate)? else {
                return Ok(None);
            };
            self.go_to(start)?;
            let follows = |found: &Found| last.is_none_or(|last| found.sequence > last.sequence);
            if self.batch()?.is_some_and(|found| follows(&found)) {
                return Ok(Some(start));
            }
            candidate = start + 1;
        }
    }

    /// The next byte that could begin a batch.
    fn find_start(&mut self, from: u64) -> io::Result<Option<u64>> {
        self.go_to(from)?;
        let mut position = from;
        loop {
            let bytes = self.file.fill_buf()?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Some(at) = bytes.iter().position(|byte| *byte == START) {
                return Ok(Some(position + at as u64));
            }
            let length = bytes.len();
            self.file.consume(length);
            position += length as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use fjall::{CompressionType, Database, KeyspaceCreateOptions, PersistMode};

    use super::*;

    /// A key-value store that was killed, and where its journal's batches end.
    fn database(batches: u32) -> (tempfile::TempDir, PathBuf, Vec<u64>) {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        let database = Database::builder(&open)
            .journal_compression(CompressionType::None)
            .open()
            .unwrap();
        let values = database
            .keyspace("values", KeyspaceCreateOptions::default)
            .unwrap();
        for number in 0..batches {
            let mut writes = database.batch();
            for item in 0..=number {
                writes.insert(
                    &values,
                    item.to_be_bytes(),
                    vec![7; 1_000 * number as usize],
                );
            }
            writes.remove(&values, "nothing");
            writes.commit().unwrap();
        }
        database.persist(PersistMode::SyncAll).unwrap();
        // Closing would change it.
        let killed = folder.path().join("killed");
        fs::create_dir(&killed).unwrap();
        let journal = killed.join("0.jnl");
        fs::copy(open.join("0.jnl"), &journal).unwrap();
        let mut reader = Reader::open(&journal).unwrap();
        let mut ends = Vec::new();
        while let Some(found) = reader.batch().unwrap() {
            assert_eq!(found.start, ends.last().copied().unwrap_or(0));
            ends.push(found.end);
        }
        (folder, killed, ends)
    }

    fn overwrite(journal: &Path, at: u64, bytes: &[u8]) {
        use std::os::unix::fs::FileExt;
        let file = OpenOptions::new().write(true).open(journal).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    fn rest(killed: &Path) -> Rest {
        look(killed).unwrap().first().unwrap().rest
    }

    #[test]
    fn what_fjall_writes_is_followed_to_its_end() {
        let (_folder, killed, ends) = database(20);
        assert_eq!(ends.len(), 20, "fjall writes another format");
        assert_eq!(rest(&killed), Rest::Nothing);
    }

    #[test]
    fn a_write_that_was_cut_short_is_torn() {
        let (_folder, killed, ends) = database(5);
        let journal = killed.join("0.jnl");
        for cut in [1, 100, 2_000] {
            let file = OpenOptions::new().write(true).open(&journal).unwrap();
            file.set_len(ends[4] - cut).unwrap();
            assert_eq!(rest(&killed), Rest::Torn { at: ends[3] });
        }
    }

    #[test]
    fn garbage_behind_the_end_is_torn() {
        let (_folder, killed, ends) = database(5);
        overwrite(&killed.join("0.jnl"), ends[4] + 10, b"garbage");
        assert_eq!(rest(&killed), Rest::Torn { at: ends[4] });
    }

    #[test]
    fn a_hole_in_a_value_is_torn() {
        let (_folder, killed, ends) = database(5);
        overwrite(&killed.join("0.jnl"), ends[3] + 600, &[0; 100]);
        assert_eq!(rest(&killed), Rest::Torn { at: ends[3] });
    }

    #[test]
    fn garbage_in_a_journal_that_is_not_in_use_is_damage() {
        let (_folder, killed, ends) = database(5);
        fs::copy(killed.join("0.jnl"), killed.join("1.jnl")).unwrap();
        assert_eq!(rest(&killed), Rest::Nothing);
        overwrite(&killed.join("0.jnl"), ends[1], b"garbage");
        let damaged = Rest::Damaged {
            at: ends[1],
            next: ends[2],
        };
        assert_eq!(rest(&killed), damaged);
        let journals = look(&killed).unwrap();
        assert_eq!(journals.len(), 2);
        assert!(!journals[0].in_use && journals[1].in_use);
        assert_eq!(journals[1].rest, Rest::Nothing);
    }

    #[test]
    fn batches_are_cut_off_from_a_sequence_number_on() {
        let (_folder, killed, ends) = database(5);
        let journal = killed.join("0.jnl");
        let mut reader = Reader::open(&journal).unwrap();
        let third = reader
            .follow(|found| found.end <= ends[2])
            .unwrap()
            .unwrap();
        overwrite(&journal, ends[4], b"half a batch");
        cut_from(&killed, third.sequence + 1).unwrap();
        assert_eq!(fs::metadata(&journal).unwrap().len(), ends[2]);
        cut_from(&killed, 0).unwrap();
        assert_eq!(fs::metadata(&journal).unwrap().len(), 0);
        assert_eq!(rest(&killed), Rest::Nothing);
    }

    #[test]
    fn a_length_that_cannot_be_is_no_reason_to_take_memory() {
        let (_folder, killed, ends) = database(3);
        // The length of the first value of the third batch.
        overwrite(&killed.join("0.jnl"), ends[1] + 13 + 12, &[0xff; 8]);
        assert_eq!(rest(&killed), Rest::Torn { at: ends[1] });
    }

    #[test]
    fn no_store_has_no_journals() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(look(&folder.path().join("db")).unwrap(), []);
    }
}
