//! Where batches are, what is read again, and what is given back.
use std::fs;

use super::*;

fn segments(directory: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(directory.join("segments")).unwrap();
    let mut found: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, entry.metadata().unwrap().len())
        })
        .collect();
    found.sort();
    found
}

fn synced(directory: &Path) -> EmbeddedStore {
    let options = EmbeddedOptions::new(directory.to_owned(), Durability::Sync);
    EmbeddedStore::open(options).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            let mut bytes = fs::read(entry.path()).unwrap();
            // Without the zeros that files in use end with.
            let is_in_use = |end| to.extension().is_some_and(|is| is == end);
            if ["jnl", "appended"].into_iter().any(is_in_use) {
                let end = bytes.iter().rposition(|byte| *byte != 0);
                // A record may end with one.
                bytes.truncate(end.map_or(0, |end| end + 2));
            }
            fs::write(to, bytes).unwrap();
        }
    }
}

/// As a power cut may do it: the index of appends is synced now and then.
#[tokio::test]
async fn an_index_that_has_forgotten_appends_is_made_again() {
    let directory = temporary();
    let store = synced(directory.path());
    let (a, b) = (create(&store, "a", 1).await, create(&store, "b", 1).await);
    for sequence in 0..3 {
        append(&a, sequenced(7, sequence, 1)).await;
    }
    let older = temporary();
    copy(&directory.path().join("db"), older.path());
    for sequence in 3..40 {
        append(&a, sequenced(7, sequence, 1)).await;
        append(&b, plain(5)).await;
    }
    let now = temporary();
    copy(directory.path(), now.path());
    drop((a, b, store));
    fs::remove_dir_all(now.path().join("db")).unwrap();
    copy(older.path(), &now.path().join("db"));

    for _ in 0..2 {
        let store = synced(now.path());
        let (a, b) = (
            partition(&store, "a", 0).await,
            partition(&store, "b", 0).await,
        );
        assert_eq!((count(&a, Offset(0)).await, indexed(&store)), (40, 77));
        assert_eq!(count(&b, Offset(0)).await, 37 * 5);
        let again = append(&a, sequenced(7, 39, 1)).await;
        assert_eq!((again.base_offset, again.duplicate), (Offset(39), true));
    }
    let store = synced(now.path());
    let a = partition(&store, "a", 0).await;
    assert_eq!(
        append(&a, sequenced(7, 40, 1)).await.base_offset,
        Offset(40)
    );
}

#[tokio::test]
async fn an_index_that_has_forgotten_whole_segments_is_made_again() {
    let directory = temporary();
    let store = synced(directory.path());
    drop((create(&store, "a", 1).await, store));
    let older = temporary();
    // While nobody has it open: files come and go else.
    copy(&directory.path().join("db"), older.path());
    let store = synced(directory.path());
    let log = partition(&store, "a", 0).await;
    let large = plain(180_000);
    for _ in 0..8 {
        append(&log, large.clone()).await;
    }
    drop((log, store));
    let before = segments(directory.path());
    assert!(before.len() >= 3, "{before:?}");
    fs::remove_dir_all(directory.path().join("db")).unwrap();
    copy(older.path(), &directory.path().join("db"));
    for _ in 0..3 {
        let store = synced(directory.path());
        let log = partition(&store, "a", 0).await;
        assert_eq!(indexed(&store), 8);
        for batch in 0..8 {
            let fetched = log.read(Offset(batch * 180_000), PLENTY).await.unwrap();
            assert_eq!(fetched.len(), large.bytes().len());
        }
        assert_eq!(segments(directory.path()), before);
    }
}

#[tokio::test]
async fn what_is_left_of_dead_segments_is_copied_and_read() {
    let directory = temporary();
    let hands = Hands::at(1_700_000_000_000);
    let store = hands.open(directory.path());
    let config = [("retention.ms", "1000")];
    let (goes, stays) = (
        create_with(&store, "goes", &config).await,
        create_with(&store, "stays", &[("retention.ms", "-1")]).await,
    );
    // Some 200 MiB, of which a tenth stays.
    let (large, small) = (plain(9_000), plain(1_000));
    for _ in 0..200 {
        append(&goes, large.clone()).await;
        append(&stays, small.clone()).await;
    }
    let used = |segments: &[(String, u64)]| segments.iter().map(|(_, size)| size).sum::<u64>();
    let before = segments(directory.path());
    assert!(before.len() >= 3, "{before:?}");
    hands.forward(1_001);
    store.tidy().await;
    store.tidy().await;
    let after = segments(directory.path());
    let live = 200 * small.bytes().len() as u64;
    let most = live + 2 * 64 * 1024 * 1024 + live / 4;
    assert!(used(&after) < most, "{before:?} {after:?}");
    assert!(after.iter().any(|(name, _)| name.ends_with(".copied")));
    assert_eq!(count(&stays, Offset(0)).await, 200_000);
    drop((goes, stays, store));

    let store = hands.open(directory.path());
    let (goes, stays) = (
        partition(&store, "goes", 0).await,
        partition(&store, "stays", 0).await,
    );
    assert_eq!(count(&stays, Offset(0)).await, 200_000);
    assert_eq!(goes.watermarks().log_start, Offset(200 * 9_000));
    store.delete(&name("stays")).await.unwrap();
    store.tidy().await;
    store.tidy().await;
    let left = segments(directory.path());
    assert!(
        left.iter().all(|(name, _)| !name.ends_with(".copied")),
        "{left:?}"
    );
    assert_eq!(left.len(), 1, "{left:?}");
    append(&goes, plain(1)).await;
}

/// Whatever the kind of damage: what is read is what was written, or nobody is told that all is well.
#[tokio::test]
async fn a_damaged_segment_is_told_or_read_as_it_was() {
    let directory = temporary();
    let store = synced(directory.path());
    let log = create(&store, "a", 1).await;
    let older = temporary();
    copy(&directory.path().join("db"), older.path());
    for _ in 0..12 {
        append(&log, plain(2)).await;
    }
    let whole = temporary();
    copy(directory.path(), whole.path());
    drop((log, store));
    fs::remove_dir_all(whole.path().join("db")).unwrap();
    copy(older.path(), &whole.path().join("db"));
    let segment = "segments/00000001.appended";
    let bytes = fs::read(whole.path().join(segment)).unwrap();
    let end = bytes.len();
    for at in (0..end).step_by(37) {
        for (flip, keeps_note) in [(true, true), (false, true), (true, false)] {
            let damaged = temporary();
            copy(whole.path(), damaged.path());
            let mut bytes = bytes.clone();
            if flip {
                bytes[at] ^= 0x10;
            } else {
                bytes.truncate(at);
            }
            fs::write(damaged.path().join(segment), bytes).unwrap();
            if !keeps_note {
                fs::remove_file(damaged.path().join("acknowledged")).unwrap();
            }
            let opened = EmbeddedStore::open(EmbeddedOptions::new(
                damaged.path().to_owned(),
                Durability::Sync,
            ));
            if keeps_note {
                assert!(opened.is_err(), "damaged at {at} and not told");
                continue;
            }
            // Whoever wants what is left has it.
            let store = opened.unwrap();
            let log = partition(&store, "a", 0).await;
            let high = log.watermarks().high;
            assert_eq!(count(&log, Offset(0)).await as i64, high.0);
            assert!(high < Offset(24), "damaged at {at}");
            append(&log, plain(1)).await;
            drop((log, store));
            assert_eq!(
                partition(&synced(damaged.path()), "a", 0)
                    .await
                    .watermarks()
                    .high,
                high + 1
            );
        }
    }
}

#[tokio::test]
async fn a_missing_segment_is_told() {
    let directory = temporary();
    let store = open(directory.path());
    let log = create(&store, "a", 1).await;
    append(&log, plain(2)).await;
    store.close().await.unwrap();
    drop((log, store));
    fs::remove_file(directory.path().join("segments/00000001.appended")).unwrap();
    let refused = try_open(directory.path());
    assert!(
        matches!(refused, Err(OpenStoreError::Damaged { .. })),
        "{refused:?}"
    );
}
