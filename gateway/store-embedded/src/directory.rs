//! The directory: whose it is, and that only one process has it open.
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    acknowledged::{Acknowledged, Fact},
    engine::OpenStoreError,
    format::{FORMAT, FORMAT_1, FORMAT_2, FORMAT_PREFIX},
};

pub(crate) const LOCK: &str = "lock";
const FORMAT_FILE: &str = "format";
const FORMAT_DRAFT: &str = "format.new";
const DATABASE: &str = "db";
const SEGMENTS: &str = "segments";

/// A directory that this process holds. The operating system gives it back when the process ends,
/// however it ends.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// The folders that were made for it, outermost first, if the store is being made.
    making: Option<Vec<PathBuf>>,
    /// An earlier version wrote it, which this one can bring up to date.
    outdated: Option<Outdated>,
    _lock: File,
}

/// Which earlier version wrote a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outdated {
    First,
    Second,
}

impl Directory {
    /// Takes a directory, which is made where there is none. What an interrupted first start left is
    /// removed: nobody has been told that it is kept.
    pub(crate) fn take(path: &Path) -> Result<Self, OpenStoreError> {
        let failed = |source| OpenStoreError::Directory {
            path: path.to_owned(),
            source,
        };
        let made = missing_folders(path).map_err(failed)?;
        fs::create_dir_all(path).map_err(failed)?;
        let format = read_format(path).map_err(failed)?;
        if format.is_none() && holds_something_else(path).map_err(failed)? {
            return Err(OpenStoreError::Foreign(path.to_owned()));
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenStoreError::InUse(path.to_owned()));
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let outdated = match format.as_deref() {
            Some(FORMAT_1) => Some(Outdated::First),
            Some(FORMAT_2) => Some(Outdated::Second),
            _ => None,
        };
        let mut making = None;
        match format {
            None => {
                draft_format(path).map_err(failed)?;
                for folder in [DATABASE, SEGMENTS] {
                    remove_draft(&path.join(folder)).map_err(failed)?;
                }
                making = Some(made);
            }
            Some(ref found) if found == FORMAT || outdated.is_some() => {}
            Some(found) if found.starts_with(FORMAT_PREFIX) => {
                let found = found.trim_end().to_owned();
                return Err(OpenStoreError::Version {
                    path: path.to_owned(),
                    found,
                });
            }
            Some(_) => return Err(OpenStoreError::Foreign(path.to_owned())),
        }
        Ok(Self {
            path: path.to_owned(),
            making,
            outdated,
            _lock: lock,
        })
    }

    /// The key-value store is there. If it is a new one, this brings the names of all its files and
    /// folders to the disk and then makes the directory a store: after a power cut it is one as a
    /// whole, or nothing.
    pub(crate) fn made(&mut self) -> Result<(), OpenStoreError> {
        let Some(made) = self.making.take() else {
            return Ok(());
        };
        self.publish(&made)
            .map_err(|source| OpenStoreError::Directory {
                path: self.path.clone(),
                source,
            })
    }

    fn publish(&self, made: &[PathBuf]) -> io::Result<()> {
        sync_folders(&self.database())?;
        sync_folders(&segments(&self.path))?;
        Acknowledged::open(&self.path)?;
        // The draft's name must not be the only one that is on the disk.
        sync_folder(&self.path)?;
        fs::rename(self.path.join(FORMAT_DRAFT), self.path.join(FORMAT_FILE))?;
        sync_folder(&self.path)?;
        for folder in made.iter().rev() {
            sync_folder(&parent(folder))?;
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Which earlier version wrote it, if one did.
    pub(crate) fn outdated(&self) -> Option<Outdated> {
        self.outdated
    }

    /// Notes that it has been brought up to date.
    pub(crate) fn updated(&self) -> Result<(), OpenStoreError> {
        let updated = sync_folder(&self.path)
            .and_then(|()| draft_format(&self.path))
            .and_then(|()| fs::rename(self.path.join(FORMAT_DRAFT), self.path.join(FORMAT_FILE)))
            .and_then(|()| sync_folder(&self.path));
        updated.map_err(|source| OpenStoreError::Directory {
            path: self.path.clone(),
            source,
        })
    }

    /// Where what was acknowledged last is noted, if anything is.
    pub(crate) fn note(&self) -> Option<PathBuf> {
        Acknowledged::is_there(&self.path)
    }

    /// The note of what was acknowledged last, and what it says.
    pub(crate) fn acknowledged(&self) -> Result<(Acknowledged, Vec<Fact>), OpenStoreError> {
        Acknowledged::open(&self.path).map_err(|source| OpenStoreError::Directory {
            path: self.path.clone(),
            source,
        })
    }

    /// Where the key-value store is.
    pub(crate) fn database(&self) -> PathBuf {
        database(&self.path)
    }
}

/// Where the key-value store of the store in a directory is.
pub(crate) fn database(directory: &Path) -> PathBuf {
    directory.join(DATABASE)
}

/// Where its record batches are.
pub(crate) fn segments(directory: &Path) -> PathBuf {
    directory.join(SEGMENTS)
}

/// The beginning of the file `format`; `None` where there is no such file.
pub(crate) fn read_format(path: &Path) -> io::Result<Option<String>> {
    use io::Read;
    let file = match File::open(path.join(FORMAT_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(100).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Written aside; the store is renamed into being when all else is there.
fn draft_format(path: &Path) -> io::Result<()> {
    let mut file = File::create(path.join(FORMAT_DRAFT))?;
    file.write_all(FORMAT.as_bytes())?;
    file.sync_all()?;
    sync_folder(path)
}

fn remove_draft(database: &Path) -> io::Result<()> {
    match fs::remove_dir_all(database) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The folder and those above it that do not exist, outermost first.
fn missing_folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut missing = Vec::new();
    let mut next = Some(path);
    while let Some(folder) = next.filter(|folder| !folder.as_os_str().is_empty()) {
        if folder.try_exists()? {
            break;
        }
        missing.push(folder.to_owned());
        next = folder.parent();
    }
    missing.reverse();
    Ok(missing)
}

/// The folder that another one is in.
fn parent(folder: &Path) -> PathBuf {
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Brings the names in a folder to the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The same, for all folders in it too, innermost first.
fn sync_folders(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(path)
}

/// Whether there are files in a directory without a format that an interrupted first start cannot have
/// left.
pub(crate) fn holds_something_else(path: &Path) -> io::Result<bool> {
    let begun = path.join(FORMAT_DRAFT).try_exists()?;
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        let part = begun && (name == DATABASE || name == SEGMENTS);
        let ours = name == LOCK || name == FORMAT_DRAFT || part;
        if !ours {
            return Ok(true);
        }
    }
    Ok(false)
}
