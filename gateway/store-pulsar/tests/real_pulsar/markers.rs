//! Transaction markers behind the last record, as `KoP` writes them: no reader is given them, and groups
//! have committed offsets behind them.
use super::*;

/// Type of the marker that ends a transaction well.
const TXN_COMMIT: i32 = 21;

async fn native_marker(producer: &Producer, sequence_id: u64) {
    let metadata = MessageMetadata {
        producer_name: producer.name().to_owned(),
        sequence_id,
        publish_time: 1_700_000_000_000,
        marker_type: Some(TXN_COMMIT),
        txnid_most_bits: Some(7),
        txnid_least_bits: Some(0),
        ..MessageMetadata::default()
    };
    let entry = OutgoingEntry {
        sequence_id,
        num_messages: 1,
        metadata,
        payload: Vec::new(),
        checksum: true,
    };
    producer.send(entry).await.unwrap();
}

async fn at_the_end(partition: &impl Partition, offset: i64) {
    let read = partition.read(Offset(offset), PLENTY).await.unwrap();
    // Its reader is told that it has come to the end: `kcat -e` stops there.
    assert!(read.is_empty() && read.watermarks.high == Offset(offset));
    assert_eq!(read.watermarks.last_stable, Offset(offset));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_behind_trailing_markers_is_at_the_end_and_goes_on() {
    let options = options(EntryFormat::Pulsar);
    let first = store(&options).await;
    let name = new_topic(&first).await;
    let partition = open(&first, &name).await;
    partition.append(batch(&["a", "b", "c"])).await.unwrap();
    let client = Client::new(ClientOptions::new(environment("KOP_TEST_PULSAR")));
    let topic = format!("persistent://public/default/{name}-partition-0");
    let native = native_producer(&client, &topic).await;
    native_marker(&native, 0).await;
    native_marker(&native, 1).await;

    // One that knew the log before the markers came, and one that comes behind them.
    let newcomer = store(&options).await;
    let theirs = open(&newcomer, &name).await;
    for partition in [&partition, &theirs] {
        assert_eq!(partition.watermarks().high, Offset(3));
        for offset in 3..=5 {
            at_the_end(partition, offset).await;
        }
        assert!(matches!(
            partition.read(Offset(6), PLENTY).await,
            Err(ReadError::OutOfRange { .. })
        ));
        assert_eq!(partition.end().await.unwrap(), Offset(5));
    }

    // Whoever waits there is woken by what comes next, and reads it.
    let (appended, woken) = tokio::join!(
        partition.append(batch(&["d"])),
        timeout(DEADLINE, theirs.advanced(Offset(5)))
    );
    woken.expect("woken by the record behind the markers");
    assert_eq!(appended.unwrap().base_offset, Offset(5));
    for partition in [&partition, &theirs] {
        for from in 3..=5 {
            assert_eq!(values(partition, from).await, [(5, "d".to_owned())]);
        }
    }
    assert_eq!(first.metrics().offset_mismatches, 0);
    first.close().await;
    newcomer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_what_another_gateway_may_have_served() {
    let options = options(EntryFormat::Kafka);
    let owner = store(&options).await;
    let name = new_topic(&owner).await;
    let partition = open(&owner, &name).await;
    let other = store(&options).await;
    let theirs = open(&other, &name).await;
    for n in 0..50 {
        let appended = partition.append(batch(&["x", "y"])).await.unwrap();
        // Whether or not it has heard of them yet.
        let end = theirs.end().await.unwrap();
        assert_eq!(end, Offset(n * 2 + 2), "after {:?}", appended.base_offset);
        let read = theirs.read(end, PLENTY).await.unwrap();
        assert!(read.is_empty() && read.watermarks.high >= end);
    }
    owner.close().await;
    other.close().await;
}
