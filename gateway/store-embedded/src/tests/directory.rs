//! Who may open a directory, and what is in it.
use std::{fs, path::PathBuf};

use super::*;

/// All files of the key-value store.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_directory_is_open_once_at_a_time() {
    let directory = temporary();
    let first = open(directory.path());
    let second = try_open(directory.path());
    assert!(
        matches!(second, Err(OpenStoreError::InUse(_))),
        "{second:?}"
    );
    drop(first);
    open(directory.path());
}

#[test]
fn the_lock_file_of_a_dead_process_is_no_obstacle() {
    let directory = temporary();
    fs::write(directory.path().join("lock"), "").unwrap();
    open(directory.path());
}

#[test]
fn a_first_start_that_was_interrupted_is_no_obstacle() {
    let whole = temporary();
    drop(open(whole.path()));
    // As a kill leaves it that comes while the key-value store is being made.
    fs::rename(whole.path().join("format"), whole.path().join("format.new")).unwrap();
    fs::remove_file(whole.path().join("db/version")).unwrap();
    fs::remove_file(whole.path().join("acknowledged")).unwrap();
    open(whole.path());
    assert!(whole.path().join("format").exists());
    assert!(!whole.path().join("format.new").exists());
}

#[test]
fn folders_called_like_those_of_a_store_are_left_alone() {
    let directory = temporary();
    let mine = directory.path().join("db/mine");
    fs::create_dir_all(&mine).unwrap();
    let opened = try_open(directory.path());
    assert!(
        matches!(opened, Err(OpenStoreError::Foreign(_))),
        "{opened:?}"
    );
    assert!(mine.exists());
}

#[test]
fn a_directory_with_other_files_is_left_alone() {
    let directory = temporary();
    fs::write(directory.path().join("thesis.tex"), "words").unwrap();
    let opened = try_open(directory.path());
    assert!(
        matches!(opened, Err(OpenStoreError::Foreign(_))),
        "{opened:?}"
    );
    assert_eq!(files(directory.path()).len(), 1);
}

#[test]
fn a_store_of_another_version_is_left_alone() {
    let directory = temporary();
    drop(open(directory.path()));
    fs::write(directory.path().join("format"), "kop embedded store 4\n").unwrap();
    let opened = try_open(directory.path()).map_err(|error| error.to_string());
    let message = opened.err().unwrap();
    assert!(message.contains("kop embedded store 4"), "{message}");
    fs::write(directory.path().join("format"), "\u{0}\u{1}").unwrap();
    assert!(matches!(
        try_open(directory.path()),
        Err(OpenStoreError::Foreign(_))
    ));
}

#[test]
fn a_path_that_is_no_directory_is_named() {
    let directory = temporary();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let message = try_open(&file)
        .map_err(|error| error.to_string())
        .err()
        .unwrap();
    assert!(message.contains(file.to_str().unwrap()), "{message}");
}

#[tokio::test]
async fn a_store_that_lost_what_it_acknowledged_says_so_until_it_is_told_to_go_on() {
    let directory = temporary();
    let store = open(directory.path());
    let log = create(&store, "a", 1).await;
    for _ in 0..3 {
        append(&log, plain(1)).await;
    }
    let changed = ["db/0.jnl", "segments/00000001.appended"];
    // Closing writes some more.
    let [journal, segment] = changed.map(|file| fs::read(directory.path().join(file)).unwrap());
    drop((log, store));
    let end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).unwrap();
    // The index forgets the last record, and its segment has lost a byte of it.
    for (file, bytes) in changed.into_iter().zip([journal, segment]) {
        fs::write(directory.path().join(file), &bytes[..end(&bytes)]).unwrap();
    }

    let refused = try_open(directory.path());
    let Err(OpenStoreError::Damaged { source, .. }) = refused else {
        panic!("{refused:?}");
    };
    let message = source.to_string();
    assert!(message.contains("topic a"), "{message}");
    assert!(
        message.contains("up to offset 3, and end at 2"),
        "{message}"
    );
    // Looking at it has not changed that.
    assert!(try_open(directory.path()).is_err());

    fs::remove_file(directory.path().join("acknowledged")).unwrap();
    let store = open(directory.path());
    let log = partition(&store, "a", 0).await;
    assert_eq!(append(&log, plain(1)).await.base_offset, Offset(2));
}

#[tokio::test]
async fn damaged_files_are_an_error_and_no_panic() {
    let whole = temporary();
    let store = open(whole.path());
    let partition = create(&store, "a", 1).await;
    append(&partition, sequenced(1, 0, 10)).await;
    store.close().await.unwrap();
    drop((partition, store));
    let database = whole.path().join("db");
    let mut opened_in_spite = Vec::new();
    let is_journal = |file: &Path| file.extension().is_some_and(|end| end == "jnl");
    for damaged in files(&database) {
        if damaged.file_name().is_some_and(|name| name == "lock") {
            continue;
        }
        let copy = temporary();
        for file in files(whole.path()) {
            let to = copy.path().join(file.strip_prefix(whole.path()).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            let garbage = file == damaged;
            if garbage {
                fs::write(to, b"garbage".repeat(10)).unwrap();
            } else {
                fs::copy(&file, to).unwrap();
            }
        }
        // A crash may leave garbage at the end of a journal, so that is cut off there; and files of
        // former versions, which nothing reads any more.
        match try_open(copy.path()) {
            Err(OpenStoreError::Damaged { .. }) => opened_in_spite.push(None),
            Ok(store) => opened_in_spite.push(Some((damaged, store.list().await.unwrap()))),
            Err(other) => panic!("{}: {other:?}", damaged.display()),
        }
    }
    let refused = opened_in_spite
        .iter()
        .filter(|opened| opened.is_none())
        .count();
    assert!(refused > 0, "garbage is noticed");
    for (damaged, topics) in opened_in_spite.into_iter().flatten() {
        assert!(
            is_journal(&damaged) || topics.len() == 1,
            "lost by {}",
            damaged.display()
        );
    }
}
