//! Records by their times, in a log that was just opened.
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_for_a_time_look_through_a_log_once() {
    let options = options(EntryFormat::Kafka);
    let first = store(&options).await;
    let name = new_topic(&first).await;
    let partition = open(&first, &name).await;
    for n in 0..300 {
        partition.append(batch(&[&format!("{n}")])).await.unwrap();
    }
    first.close().await;

    let second = store(&options).await;
    let partition = open(&second, &name).await;
    let before = second.metrics().readers_opened;
    // All records are older, which nobody knows who has not seen them all.
    let later = Timestamp(1_800_000_000_000);
    let looks = (0..8).map(|_| partition.offset_at(later));
    for found in futures::future::join_all(looks).await {
        assert_eq!(found.unwrap(), None);
    }
    assert_eq!(second.metrics().readers_opened - before, 1);
    let found = partition.offset_at(Timestamp(1)).await.unwrap();
    assert_eq!(found.unwrap().offset, Offset(0));
    second.close().await;
}
