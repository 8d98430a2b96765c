//! What a store remembers.
use super::*;

#[tokio::test]
async fn records_topics_and_ids_outlive_the_process() {
    let directory = temporary();
    let store = open(directory.path());
    let first = create(&store, "a", 2).await;
    append(&first, plain(3)).await;
    append(&partition(&store, "a", 1).await, plain(2)).await;
    let topics = store.list().await.unwrap();
    let ids = store.allocate_producer_ids(100).await.unwrap();
    // No close: as after a kill.
    drop((first, store));

    let store = open(directory.path());
    assert_eq!(store.list().await.unwrap(), topics);
    assert!(store.allocate_producer_ids(1).await.unwrap().start >= ids.end);
    let (a0, a1) = (
        partition(&store, "a", 0).await,
        partition(&store, "a", 1).await,
    );
    assert_eq!(count(&a0, Offset(0)).await, 3);
    assert_eq!(count(&a1, Offset(0)).await, 2);
    assert_eq!(append(&a0, plain(1)).await.base_offset, Offset(3));
    assert_eq!(count(&a0, Offset(0)).await, 4);
}

#[tokio::test]
async fn what_is_set_outlives_the_process() {
    let directory = temporary();
    let store = open(directory.path());
    let set = |pairs: &[(&str, &str)]| TopicConfig::of(pairs.iter().copied()).unwrap();
    let first = set(&[
        ("retention.ms", "1000"),
        ("cleanup.policy", "compact,delete"),
    ]);
    let made = store
        .create(NewTopic {
            name: name("a"),
            partitions: 1,
            config: first.clone(),
        })
        .await
        .unwrap();
    let second = set(&[
        ("max.message.bytes", "7"),
        ("min.cleanable.dirty.ratio", "0.1"),
    ]);
    create(&store, "b", 1).await;
    let b = name("b");
    store
        .configure(&b, &TopicConfig::new(), second.clone())
        .await
        .unwrap();
    drop(store);

    let store = open(directory.path());
    assert_eq!(store.find(&made.name).await.unwrap(), Some(made.clone()));
    assert_eq!(made.config, first);
    let found = store.find(&b).await.unwrap().unwrap();
    assert_eq!(found.config, second);
    let settings = partition(&store, "b", 0).await.settings();
    assert_eq!(settings.max_message_bytes, 7);
}

/// Has a store hold its batches as it did before there were segments.
fn without_segments(store: &EmbeddedStore) {
    let keyspaces = keyspaces(store);
    let mut writes = keyspaces.database.batch();
    for item in keyspaces.batches.iter() {
        let (key, value) = item.into_inner().unwrap();
        match BatchKey::decode(&key) {
            Ok(decoded) => {
                let batch = keyspaces.batch(decoded.log, &key, value).unwrap().unwrap();
                writes.insert(&keyspaces.batches, key, batch);
            }
            Err(_) => writes.remove(&keyspaces.batches, key),
        }
    }
    keyspaces.commit(writes, None).unwrap();
}

#[tokio::test]
async fn directories_of_earlier_formats_are_brought_up_to_date() {
    for earlier in [1, 2] {
        let directory = temporary();
        let store = open(directory.path());
        let forever = [("retention.ms", "-1")];
        let log = create_with(&store, "a", &forever).await;
        append(&log, plain(3)).await;
        append(&log, plain(700)).await;
        let id = store.find(&name("a")).await.unwrap().unwrap().id;
        let config = TopicConfig::of(forever).unwrap();
        if earlier == 1 {
            // What the first format held of a topic, where nothing was removed by age.
            let value = format!(r#"{{"id":"{id}","partitions":1}}"#);
            let meta = keyspaces(&store).meta;
            meta.insert("topic/a", value).unwrap();
        }
        store.close().await.unwrap();
        without_segments(&store);
        drop((log, store));
        std::fs::remove_dir_all(directory.path().join("segments")).unwrap();
        let format = directory.path().join("format");
        std::fs::write(&format, format!("kop embedded store {earlier}\n")).unwrap();

        for more in 0..2 {
            let store = open(directory.path());
            let topic = store.find(&name("a")).await.unwrap().unwrap();
            assert_eq!((topic.id, &topic.config), (id, &config));
            let log = partition(&store, "a", 0).await;
            assert_eq!(count(&log, Offset(0)).await, 703 + more);
            let now = std::fs::read_to_string(&format).unwrap();
            assert_eq!(now, "kop embedded store 3\n");
            append(&log, plain(1)).await;
            drop((log, store));
        }
        // What is from before can be compacted and removed.
        let store = open(directory.path());
        let log = partition(&store, "a", 0).await;
        assert_eq!(count(&log, Offset(2)).await, 705, "the whole first batch");
        let stored: usize = batches(&log).await.iter().map(|b| b.bytes().len()).sum();
        assert_eq!(log.stored_bytes().await.unwrap(), stored as u64);
        log.truncate_before(Offset(703)).await.unwrap();
        store.tidy().await;
        assert_eq!(indexed(&store), 2);
    }
}

#[tokio::test]
async fn idempotent_producers_outlive_the_process() {
    let directory = temporary();
    for closes in [false, true] {
        let topic = if closes { "closed" } else { "dropped" };
        let store = open(directory.path());
        let log = create(&store, topic, 1).await;
        // More than is kept unsaved, so that both the saved state and what followed count.
        for n in 0..1_500 {
            append(&log, sequenced(7, n, 1)).await;
        }
        if closes {
            store.close().await.unwrap();
        }
        drop((log, store));

        let store = open(directory.path());
        let log = partition(&store, topic, 0).await;
        let again = append(&log, sequenced(7, 1_499, 1)).await;
        assert_eq!((again.base_offset, again.duplicate), (Offset(1_499), true));
        let gap = log.append(sequenced(7, 1_501, 1)).await;
        assert!(
            matches!(
                gap,
                Err(AppendError::OutOfOrderSequence {
                    expected: 1_500,
                    found: 1_501
                })
            ),
            "{gap:?}"
        );
        assert_eq!(
            append(&log, sequenced(7, 1_500, 1)).await.base_offset,
            Offset(1_500)
        );
    }
}

#[tokio::test]
async fn truncation_and_deletion_outlive_the_process() {
    let directory = temporary();
    let store = open(directory.path());
    let kept = create(&store, "kept", 1).await;
    let emptied = create(&store, "emptied", 1).await;
    let deleted = create(&store, "deleted", 1).await;
    for log in [&kept, &emptied, &deleted] {
        append(log, plain(3)).await;
        append(log, plain(3)).await;
    }
    kept.truncate_before(Offset(4)).await.unwrap();
    emptied.truncate_before(Offset(6)).await.unwrap();
    store.delete(&name("deleted")).await.unwrap();
    drop((kept, emptied, deleted, store));

    let store = open(directory.path());
    assert_eq!(store.find(&name("deleted")).await.unwrap(), None);
    let kept = partition(&store, "kept", 0).await;
    assert_eq!(kept.watermarks().log_start, Offset(4));
    let below = kept.read(Offset(3), PLENTY).await;
    assert!(
        matches!(below, Err(ReadError::OutOfRange { .. })),
        "{below:?}"
    );
    assert_eq!(
        count(&kept, Offset(4)).await,
        3,
        "the whole batch that holds the start"
    );
    let emptied = partition(&store, "emptied", 0).await;
    assert_eq!(emptied.watermarks().log_start, Offset(6));
    assert_eq!(append(&emptied, plain(1)).await.base_offset, Offset(6));
}

#[tokio::test]
async fn commits_that_were_superseded_take_no_room() {
    let directory = temporary();
    let store = open(directory.path());
    let log = create(&store, kop_store::CONSUMER_OFFSETS, 1).await;
    let commit = |key: &'static str, value: u32| {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(Record {
            key: Some(Bytes::from_static(key.as_bytes())),
            value: Some(Bytes::from(value.to_string())),
            ..Record::default()
        });
        builder.build().unwrap()
    };
    append(&log, commit("once", 0)).await;
    for n in 1..15_000 {
        append(&log, commit("often", n)).await;
    }
    store.tidy().await;
    assert_eq!(indexed(&store), 2);
    drop((log, store));

    let store = open(directory.path());
    let log = partition(&store, kop_store::CONSUMER_OFFSETS, 0).await;
    assert_eq!(log.watermarks().high, Offset(15_000));
    let mut position = Offset(0);
    let mut last = std::collections::HashMap::new();
    while position < Offset(15_000) {
        let fetched = log.read(position, PLENTY).await.unwrap();
        for batch in Batch::split(Bytes::from(fetched.chunks.concat())) {
            let batch = batch.unwrap();
            assert!(
                batch.header().last_offset() >= position,
                "a read does not go back"
            );
            position = batch.header().last_offset() + 1;
            for record in batch.records().unwrap() {
                last.insert(record.key.unwrap(), record.value.unwrap());
            }
        }
    }
    assert_eq!(last[&b"once"[..]], "0");
    assert_eq!(last[&b"often"[..]], "14999");
    assert_eq!(
        append(&log, commit("often", 0)).await.base_offset,
        Offset(15_000)
    );
}

#[tokio::test]
async fn what_was_deleted_takes_no_room() {
    let directory = temporary();
    let store = open(directory.path());
    let log = create(&store, "a", 1).await;
    for _ in 0..1_200 {
        append(&log, plain(1)).await;
    }
    store.delete(&name("a")).await.unwrap();
    drop((log, store));
    // Whatever the thread did not get to, the next start does.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let store = open(directory.path());
        let left = indexed(&store);
        let notes = keyspaces(&store).meta.iter().count();
        // The one that stays is the id of the cluster.
        if (left, notes) == (0, 1) {
            break;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "{left} batches, {notes} notes left"
        );
    }
}
