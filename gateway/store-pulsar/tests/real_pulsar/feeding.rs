//! A gateway that writes all that is new does not read it back, and sees what others write all the same.
use futures::future::join_all;

use super::*;

/// Appends `rounds` times 32 batches of one record at once.
async fn write(partition: &impl Partition, rounds: usize, name: &str) -> Vec<(i64, String)> {
    let mut written = Vec::new();
    for round in 0..rounds {
        let values: Vec<String> = (0..32).map(|n| format!("{name} {round} {n}")).collect();
        let appends = values.iter().map(|value| partition.append(batch(&[value])));
        let appended = join_all(appends).await;
        for (appended, value) in appended.into_iter().zip(values) {
            written.push((appended.unwrap().base_offset.0, value));
        }
    }
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steady_writer_is_not_read_back_and_misses_nothing() {
    let store = store(&options(EntryFormat::Kafka)).await;
    let name = new_topic(&store).await;
    let partition = open(&store, &name).await;
    let client = Client::new(ClientOptions::new(environment("KOP_TEST_PULSAR")));
    let topic = format!("persistent://public/default/{name}-partition-0");
    let native = native_producer(&client, &topic).await;

    let mut all = Vec::new();
    let mut sequence = 0;
    for turn in 0..3 {
        partition.watermarks();
        let parked = store.metrics().tail_readers_parked;
        while store.metrics().tail_readers_parked == parked {
            all.extend(write(&partition, 10, &format!("own {turn}")).await);
        }
        // Behind a silent writer.
        let high = partition.watermarks().high;
        native_send(&native, sequence, &format!("silent {turn}")).await;
        sequence += 1;
        timeout(DEADLINE, partition.advanced(high))
            .await
            .expect("it is seen");
        all.push((high.0, format!("silent {turn}")));
        // Between the entries of a busy one.
        all.extend(write(&partition, 20, &format!("again {turn}")).await);
        let high = partition.watermarks().high;
        native_send(&native, sequence, &format!("busy {turn}")).await;
        sequence += 1;
        all.push((high.0, format!("busy {turn}")));
        all.extend(write(&partition, 1, &format!("behind {turn}")).await);
    }
    let end = all.len() as i64;
    timeout(DEADLINE, partition.advanced(Offset(end - 1)))
        .await
        .expect("all are seen");
    assert_eq!(values(&partition, 0).await, all);
    assert_eq!(store.metrics().offset_mismatches, 0);
    store.close().await;
}
