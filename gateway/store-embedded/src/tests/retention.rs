//! What has grown too old or too much goes.
use super::*;

const NOW: i64 = 1_700_000_000_000;

/// A batch of one record of 100 bytes with that timestamp.
fn at(time: i64) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(Record {
        timestamp: Timestamp(time),
        value: Some(Bytes::from(vec![b'x'; 100])),
        ..Record::default()
    });
    builder.build().unwrap()
}

async fn start_after_tidying(store: &EmbeddedStore, partition: &EmbeddedPartition) -> i64 {
    store.tidy().await;
    partition.watermarks().log_start.0
}

#[tokio::test]
async fn old_batches_go_by_their_newest_record() {
    let directory = temporary();
    let hands = Hands::at(NOW);
    let store = hands.open(directory.path());
    let log = create_with(&store, "a", &[("retention.ms", "1000")]).await;
    assert_eq!(
        start_after_tidying(&store, &log).await,
        0,
        "nothing is there"
    );
    for time in [NOW - 5000, NOW, NOW - 400, NOW + 3000, NOW - 5000] {
        append(&log, at(time)).await;
    }
    assert_eq!(start_after_tidying(&store, &log).await, 1);
    hands.forward(1000);
    assert_eq!(
        start_after_tidying(&store, &log).await,
        1,
        "just as old as it may be"
    );
    hands.forward(1);
    assert_eq!(start_after_tidying(&store, &log).await, 3);
    let below = log.read(Offset(2), PLENTY).await;
    assert!(
        matches!(below, Err(ReadError::OutOfRange { .. })),
        "{below:?}"
    );
    assert_eq!(
        count(&log, Offset(3)).await,
        2,
        "one that is younger holds up the next"
    );
    hands.forward(3000);
    assert_eq!(start_after_tidying(&store, &log).await, 5, "all may go");
    assert_eq!(
        append(&log, at(hands.now_ms())).await.base_offset,
        Offset(5)
    );
    assert_eq!(start_after_tidying(&store, &log).await, 5);
    let left = indexed(&store);
    assert_eq!(left, 1, "and takes no room");
}

#[tokio::test]
async fn batches_without_a_time_go_with_the_next_that_has_one() {
    let directory = temporary();
    let store = Hands::at(NOW).open(directory.path());
    let log = create_with(&store, "a", &[("retention.ms", "1000")]).await;
    for time in [-1, -1] {
        append(&log, at(time)).await;
    }
    assert_eq!(start_after_tidying(&store, &log).await, 0);
    for time in [NOW - 2000, -1, NOW] {
        append(&log, at(time)).await;
    }
    assert_eq!(start_after_tidying(&store, &log).await, 3);
}

#[tokio::test]
async fn what_a_topic_says_holds_at_once_and_else_the_default() {
    let directory = temporary();
    let hands = Hands::at(NOW);
    let store = hands.open(directory.path());
    let (a, b) = (
        create_with(&store, "a", &[]).await,
        create_with(&store, "b", &[("retention.ms", "-1")]).await,
    );
    for log in [&a, &b] {
        append(log, at(NOW)).await;
        append(log, at(NOW + 3_600_000)).await;
    }
    hands.forward(7 * 24 * 3_600_000 + 1);
    assert_eq!(start_after_tidying(&store, &a).await, 1, "seven days");
    assert_eq!(start_after_tidying(&store, &b).await, 0);
    let from = TopicConfig::of([("retention.ms", "-1")]).unwrap();
    let to = TopicConfig::of([("retention.ms", "0")]).unwrap();
    store.configure(&name("b"), &from, to).await.unwrap();
    assert_eq!(start_after_tidying(&store, &b).await, 2);
}

#[tokio::test]
async fn a_partition_keeps_as_many_bytes_as_it_should() {
    let directory = temporary();
    let store = Hands::at(NOW).open(directory.path());
    let size = at(NOW).bytes().len();
    let limit = (3 * size).to_string();
    let config = [("retention.bytes", &*limit), ("retention.ms", "-1")];
    let log = create_with(&store, "a", &config).await;
    let mut start = 0;
    for n in 0..20 {
        append(&log, at(NOW)).await;
        if n % 4 == 3 {
            start = start_after_tidying(&store, &log).await;
            assert_eq!(start, n + 1 - 3);
        }
    }
    // Records deleted by hand count no more, nor what a restart has to count anew.
    log.truncate_before(Offset(start + 2)).await.unwrap();
    append(&log, at(NOW)).await;
    append(&log, at(NOW)).await;
    assert_eq!(start_after_tidying(&store, &log).await, start + 2);
    drop((log, store));
    let store = Hands::at(NOW).open(directory.path());
    let log = partition(&store, "a", 0).await;
    assert_eq!(start_after_tidying(&store, &log).await, start + 2);
    append(&log, at(NOW)).await;
    assert_eq!(start_after_tidying(&store, &log).await, start + 3);
    store.tidy().await;
    let left = indexed(&store);
    assert_eq!(left, 3);
}

#[tokio::test]
async fn producers_are_known_when_their_batches_are_gone() {
    let directory = temporary();
    let hands = Hands::at(1_700_000_000_000);
    for closes in [false, true] {
        let topic = if closes { "closed" } else { "dropped" };
        let store = hands.open(directory.path());
        let log = create_with(&store, topic, &[("retention.ms", "0")]).await;
        append(&log, sequenced(7, 0, 3)).await;
        hands.forward(1);
        assert_eq!(start_after_tidying(&store, &log).await, 3);
        if closes {
            store.close().await.unwrap();
        }
        drop((log, store));
        let store = hands.open(directory.path());
        let log = partition(&store, topic, 0).await;
        let gap = log.append(sequenced(7, 4, 1)).await;
        assert!(
            matches!(gap, Err(AppendError::OutOfOrderSequence { .. })),
            "{gap:?}"
        );
        let next = append(&log, sequenced(7, 3, 1)).await;
        assert_eq!(next.base_offset, Offset(3));
    }
}

#[tokio::test]
async fn compacted_topics_lose_nothing_by_age_unless_they_say_so() {
    let directory = temporary();
    let store = Hands::at(NOW).open(directory.path());
    let keyed = || {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(Record {
            timestamp: Timestamp(NOW - 5000),
            key: Some(Bytes::from_static(b"k")),
            value: Some(Bytes::from_static(b"v")),
            ..Record::default()
        });
        builder.build().unwrap()
    };
    for (policy, start) in [("compact", 0), ("compact,delete", 1)] {
        let config = [("cleanup.policy", policy), ("retention.ms", "1000")];
        let log = create_with(&store, &policy.replace(',', "-"), &config).await;
        append(&log, keyed()).await;
        assert_eq!(start_after_tidying(&store, &log).await, start);
    }
}
