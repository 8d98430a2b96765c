//! A look at a directory before a store is opened in it. Nothing is made or changed there.
use std::{
    fs::{OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use kop_store::Finding;
use rustix::fs::{Access, StatVfs, access, statvfs};

use crate::{
    directory::{LOCK, holds_something_else, read_format},
    format::{FORMAT, FORMAT_1, FORMAT_2, FORMAT_PREFIX},
};

/// Below this there is no room for the key-value store's own files.
const NEEDED: u64 = 256 * 1024 * 1024;
/// Below this the disk is full before long.
const COMFORTABLE: u64 = 2 * 1024 * 1024 * 1024;

/// Says whether a store can be opened in the directory.
#[must_use]
pub fn examine(directory: &Path) -> Vec<Finding> {
    let mut findings = vec![usable(directory)];
    if directory.is_dir() {
        findings.extend(content(directory));
        findings.extend(lock(directory));
    }
    findings.push(space(directory));
    findings
}

/// The directory, or the first one above it that exists.
fn existing(directory: &Path) -> PathBuf {
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let mut ancestors = absolute.ancestors();
    let found = ancestors.find(|ancestor| ancestor.exists());
    found.map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

fn usable(directory: &Path) -> Finding {
    const SUBJECT: &str = "directory";
    let (shown, existing) = (directory.display(), existing(directory));
    if !existing.is_dir() {
        let text = format!("{} is a file", existing.display());
        return Finding::missing(SUBJECT, text);
    }
    if let Err(error) = access(
        &existing,
        Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
    ) {
        let error = io::Error::from(error);
        let text = format!("{} cannot be written: {error}", existing.display());
        return Finding::missing(SUBJECT, text);
    }
    if directory.is_dir() {
        Finding::ok(SUBJECT, format!("{shown} can be written"))
    } else {
        Finding::ok(SUBJECT, format!("{shown} does not exist and can be made"))
    }
}

fn content(directory: &Path) -> Option<Finding> {
    const SUBJECT: &str = "content";
    let foreign = || {
        let text = "files that are no store of this gateway; give an empty or a new directory";
        Finding::missing(SUBJECT, text)
    };
    let format = match read_format(directory) {
        Ok(format) => format,
        Err(error) => {
            return Some(Finding::missing(
                SUBJECT,
                format!("cannot be read: {error}"),
            ));
        }
    };
    Some(match format {
        Some(found) if found == FORMAT => Finding::ok(
            SUBJECT,
            format!("a store of this version ({})", found.trim()),
        ),
        Some(found) if found == FORMAT_1 || found == FORMAT_2 => Finding::ok(
            SUBJECT,
            format!(
                "a store of an earlier version ({}), which is brought up to date when it is opened",
                found.trim()
            ),
        ),
        Some(found) if found.starts_with(FORMAT_PREFIX) => Finding::missing(
            SUBJECT,
            format!(
                "\"{}\", which this version ({}) cannot read",
                found.trim_end(),
                FORMAT.trim_end()
            ),
        ),
        Some(_) => foreign(),
        None if holds_something_else(directory).unwrap_or(true) => foreign(),
        None => Finding::ok(SUBJECT, "empty"),
    })
}

fn lock(directory: &Path) -> Option<Finding> {
    const SUBJECT: &str = "lock";
    let file = match OpenOptions::new().write(true).open(directory.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        file => file,
    };
    // Held for this moment only, and given back with the file.
    Some(match file.map(|file| file.try_lock()) {
        Ok(Ok(())) => Finding::ok(SUBJECT, "no other process has the store open"),
        Ok(Err(TryLockError::WouldBlock)) => {
            Finding::missing(SUBJECT, "another process has the store open")
        }
        Ok(Err(TryLockError::Error(error))) | Err(error) => {
            Finding::missing(SUBJECT, format!("cannot be taken: {error}"))
        }
    })
}

fn space(directory: &Path) -> Finding {
    const SUBJECT: &str = "free space";
    match statvfs(existing(directory)) {
        Ok(stat) => of_space(available(&stat)),
        Err(error) => {
            let error = io::Error::from(error);
            Finding::warning(SUBJECT, format!("not known: {error}"))
        }
    }
}

/// Bytes that a user without privileges may still write.
fn available(stat: &StatVfs) -> u64 {
    stat.f_bavail.saturating_mul(stat.f_frsize)
}

fn of_space(bytes: u64) -> Finding {
    const SUBJECT: &str = "free space";
    const MEBIBYTE: u64 = 1024 * 1024;
    let text = format!("{} MiB", bytes / MEBIBYTE);
    if bytes < NEEDED {
        let needed = NEEDED / MEBIBYTE;
        return Finding::missing(SUBJECT, format!("{text}; at least {needed} MiB are needed"));
    }
    if bytes < COMFORTABLE {
        return Finding::warning(
            SUBJECT,
            format!("{text}: nothing is removed by age or size"),
        );
    }
    Finding::ok(SUBJECT, text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kop_store::FindingState::{self, Missing, Ok as Well, Warning};

    use super::*;
    use crate::directory::Directory;

    fn states(directory: &Path) -> Vec<(String, FindingState)> {
        let findings = examine(directory);
        let named = |finding: Finding| (finding.subject, finding.state);
        // How full the machine's disk is does not matter here.
        let without = |(subject, _): &(String, FindingState)| subject != "free space";
        findings.into_iter().map(named).filter(without).collect()
    }

    fn expected(states: &[(&str, FindingState)]) -> Vec<(String, FindingState)> {
        let own = |(subject, state): &(&str, FindingState)| ((*subject).to_owned(), *state);
        states.iter().map(own).collect()
    }

    #[test]
    fn a_directory_that_is_to_be_made_is_not_made_by_looking() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("a/b");
        assert_eq!(states(&directory), expected(&[("directory", Well)]));
        assert!(!base.path().join("a").exists());
        fs::write(base.path().join("a"), "").unwrap();
        assert_eq!(states(&directory), expected(&[("directory", Missing)]));
    }

    #[test]
    fn a_store_is_told_from_other_files_and_other_versions() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path();
        let empty = expected(&[("directory", Well), ("content", Well)]);
        assert_eq!(states(path), empty);

        let mut open = Directory::take(path).unwrap();
        fs::create_dir(open.database()).unwrap();
        fs::create_dir(path.join("segments")).unwrap();
        open.made().unwrap();
        let in_use = [("directory", Well), ("content", Well), ("lock", Missing)];
        assert_eq!(states(path), expected(&in_use));
        drop(open);
        let free = [("directory", Well), ("content", Well), ("lock", Well)];
        assert_eq!(states(path), expected(&free));

        fs::write(path.join("format"), "kop embedded store 99\n").unwrap();
        let newer = [("directory", Well), ("content", Missing), ("lock", Well)];
        assert_eq!(states(path), expected(&newer));
        assert!(examine(path).iter().any(|f| f.text.contains("store 99")));

        let foreign = tempfile::tempdir().unwrap();
        fs::write(foreign.path().join("letter.txt"), "").unwrap();
        let others = [("directory", Well), ("content", Missing)];
        assert_eq!(states(foreign.path()), expected(&others));
    }

    #[test]
    fn little_space_is_told_before_there_is_none() {
        assert_eq!(of_space(NEEDED - 1).state, Missing);
        assert_eq!(of_space(NEEDED).state, Warning);
        assert_eq!(of_space(COMFORTABLE).state, Well);
    }
}
