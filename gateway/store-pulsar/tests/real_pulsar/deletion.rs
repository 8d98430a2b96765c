//! Records that are deleted up to an offset stay deleted, for whoever reads.
use kop_store::TruncateError;

use super::*;

/// A partition of twenty records in batches of two.
async fn twenty(store: &PulsarStore) -> TopicName {
    let name = new_topic(store).await;
    let partition = open(store, &name).await;
    for n in 0..10 {
        let values = [format!("{}", n * 2), format!("{}", n * 2 + 1)];
        let appended = partition.append(batch(&[&values[0], &values[1]])).await;
        assert_eq!(appended.unwrap().base_offset, Offset(n * 2));
    }
    name
}

async fn begins_at(partition: &impl Partition, offset: i64) {
    assert_eq!(partition.watermarks().log_start, Offset(offset));
    let below = partition.read(Offset(offset - 1), PLENTY).await;
    let Err(ReadError::OutOfRange { log_start, .. }) = below else {
        panic!("{below:?}")
    };
    assert_eq!(log_start, Offset(offset));
    let found = partition.offset_at(Timestamp(0)).await.unwrap();
    assert_eq!(found.unwrap().offset, Offset(offset));
    let expected: Vec<_> = (offset..20).map(|n| (n, n.to_string())).collect();
    assert_eq!(values(partition, offset).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_records_stay_deleted_after_restarts_and_unloads() {
    for format in [EntryFormat::Pulsar, EntryFormat::Kafka] {
        let options = options(format);
        let first = store(&options).await;
        let name = twenty(&first).await;
        let partition = open(&first, &name).await;
        partition.truncate_before(Offset(7)).await.unwrap();
        begins_at(&partition, 7).await;
        unload(&name).await;
        begins_at(&partition, 7).await;

        // Another gateway, at the same time and afterwards.
        let other = store(&options).await;
        let theirs = open(&other, &name).await;
        begins_at(&theirs, 7).await;
        theirs.truncate_before(Offset(13)).await.unwrap();
        begins_at(&theirs, 13).await;
        // The first one has not looked yet: what it asks for is nothing new to Pulsar.
        partition.truncate_before(Offset(9)).await.unwrap();
        first.close().await;
        other.close().await;

        unload(&name).await;
        let next = store(&options).await;
        let partition = open(&next, &name).await;
        begins_at(&partition, 13).await;
        // Offsets go on where they were, also when nothing is left.
        partition.truncate_before(Offset(20)).await.unwrap();
        assert!(matches!(
            partition.truncate_before(Offset(21)).await,
            Err(TruncateError::OutOfRange {
                high: Offset(20),
                ..
            })
        ));
        assert_eq!(partition.watermarks().log_start, Offset(20));
        assert!(partition.offset_at(Timestamp(0)).await.unwrap().is_none());
        let appended = partition.append(batch(&["next"])).await.unwrap();
        assert_eq!(appended.base_offset, Offset(20));
        assert_eq!(values(&partition, 20).await, [(20, "next".to_owned())]);
        assert_eq!(next.metrics().offset_mismatches, 0);
        next.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_anew_begins_at_zero() {
    let store = store(&options(EntryFormat::Kafka)).await;
    let name = twenty(&store).await;
    let partition = open(&store, &name).await;
    partition.truncate_before(Offset(20)).await.unwrap();
    store.delete(&name).await.unwrap();
    assert!(matches!(
        partition.truncate_before(Offset(20)).await,
        Err(TruncateError::Deleted)
    ));
    store
        .create(NewTopic {
            name: name.clone(),
            partitions: 1,
            config: TopicConfig::new(),
        })
        .await
        .unwrap();
    let partition = open(&store, &name).await;
    assert_eq!(partition.watermarks().log_start, Offset(0));
    let appended = partition.append(batch(&["first"])).await.unwrap();
    assert_eq!(appended.base_offset, Offset(0));
    assert_eq!(values(&partition, 0).await, [(0, "first".to_owned())]);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_is_remembered_though_its_records_were_deleted() {
    let options = options(EntryFormat::Kafka);
    let first = store(&options).await;
    let id = first.allocate_producer_ids(1).await.unwrap().start;
    let name = new_topic(&first).await;
    let partition = open(&first, &name).await;
    partition
        .append(idempotent(id, 0, &["a", "b"]))
        .await
        .unwrap();
    partition.truncate_before(Offset(2)).await.unwrap();
    first.close().await;

    let second = store(&options).await;
    let partition = open(&second, &name).await;
    let again = partition.append(idempotent(id, 0, &["a", "b"])).await;
    assert!(again.unwrap().duplicate);
    let gap = partition.append(idempotent(id, 5, &["gap"])).await;
    assert!(gap.is_err());
    partition.append(idempotent(id, 2, &["c"])).await.unwrap();
    second.close().await;
}
