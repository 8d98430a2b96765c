//! The directory: whose it is, and that only one process has it open.
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    engine::OpenStoreError,
    format::{FORMAT, FORMAT_PREFIX},
};

const LOCK: &str = "lock";
const FORMAT_FILE: &str = "format";
const FORMAT_DRAFT: &str = "format.new";
const DATABASE: &str = "db";

/// A directory that this process holds. The operating system gives it back when the process ends,
/// however it ends.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Takes a directory, which is made where there is none.
    pub(crate) fn take(path: &Path) -> Result<Self, OpenStoreError> {
        let failed = |source| OpenStoreError::Directory {
            path: path.to_owned(),
            source,
        };
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
        match format {
            None => write_format(path).map_err(failed)?,
            Some(found) if found == FORMAT => {}
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
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the key-value store is.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }
}

/// The beginning of the file `format`; `None` where there is no such file.
fn read_format(path: &Path) -> io::Result<Option<String>> {
    use io::Read;
    let file = match File::open(path.join(FORMAT_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(100).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Written aside and renamed, so that no crash leaves half of it.
fn write_format(path: &Path) -> io::Result<()> {
    let draft = path.join(FORMAT_DRAFT);
    let mut file = File::create(&draft)?;
    file.write_all(FORMAT.as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, path.join(FORMAT_FILE))?;
    File::open(path)?.sync_all()
}

/// Whether there are files in a directory without a format that an interrupted first start cannot have
/// left.
fn holds_something_else(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name != LOCK && name != FORMAT_DRAFT {
            return Ok(true);
        }
    }
    Ok(false)
}
