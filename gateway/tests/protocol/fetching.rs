use std::time::Duration;

use kop_wire::kafka_protocol::messages::{
    FetchRequest, ProduceRequest, fetch_request::FetchPartition,
};
use tokio::time::Instant;

use crate::client::{Gateway, batch, fetch, produce, text, values};

#[tokio::test]
async fn a_fetch_waits_for_a_record_and_no_longer() {
    let gateway = Gateway::start().await;
    let (mut producer, mut consumer) = (gateway.client().await, gateway.client().await);
    producer.create("orders", 1).await;
    let began = Instant::now();
    let number = consumer
        .send(12, &fetch("orders", 0, 0).with_max_wait_ms(60_000))
        .await;
    producer.produce("orders", 0, &batch(&["news"])).await;
    let response = consumer.receive::<FetchRequest>(12, number).await;
    assert_eq!(
        values(&response.responses[0].partitions[0]),
        [(0, "news".to_owned())]
    );
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_fetch_that_finds_nothing_answers_when_its_time_is_up() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let began = Instant::now();
    let data = client
        .fetch(&fetch("orders", 0, 0).with_max_wait_ms(300))
        .await;
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!((data.error_code, data.high_watermark), (0, 0));
    assert!(values(&data).is_empty());
}

#[tokio::test]
async fn a_fetch_waits_for_as_much_as_it_asks_for() {
    let gateway = Gateway::start().await;
    let (mut producer, mut consumer) = (gateway.client().await, gateway.client().await);
    producer.create("orders", 1).await;
    let one = batch(&["x"]);
    let three = i32::try_from(3 * one.bytes().len()).unwrap();
    let request = fetch("orders", 0, 0)
        .with_max_wait_ms(60_000)
        .with_min_bytes(three);
    let number = consumer.send(12, &request).await;
    for _ in 0..3 {
        producer.produce("orders", 0, &one).await;
    }
    let response = consumer.receive::<FetchRequest>(12, number).await;
    assert_eq!(values(&response.responses[0].partitions[0]).len(), 3);
}

#[tokio::test]
async fn a_produce_behind_a_waiting_fetch_is_done_and_answered_after_it() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let waiting = client
        .send(12, &fetch("orders", 0, 0).with_max_wait_ms(60_000))
        .await;
    let written = client
        .send(9, &produce("orders", 0, batch(&["a"]).bytes().clone()))
        .await;
    let response = client.receive::<FetchRequest>(12, waiting).await;
    assert_eq!(values(&response.responses[0].partitions[0]).len(), 1);
    let response = client.receive::<ProduceRequest>(9, written).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test]
async fn limits_hold_but_for_a_first_batch() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 2).await;
    let large = batch(&[&"x".repeat(2000)]);
    for partition in [0, 0, 0, 1, 1] {
        assert_eq!(
            client.produce("orders", partition, &large).await.error_code,
            0
        );
    }
    let two = |partition_bytes: i32, bytes: i32| {
        let mut request = fetch("orders", 0, 0).with_max_bytes(bytes);
        let partition = |index| {
            FetchPartition::default()
                .with_partition(index)
                .with_partition_max_bytes(partition_bytes)
        };
        request.topics[0].partitions = vec![partition(0), partition(1)];
        request
    };
    let many = 1 << 20;
    for (partition_bytes, bytes, expected) in [
        (many, many, [3, 2]),
        (5000, many, [2, 2]),
        (many, 1, [1, 0]),
        (1, many, [1, 0]),
        (0, 0, [1, 0]),
        (many, 3000, [1, 0]),
    ] {
        let response = client.call(12, &two(partition_bytes, bytes)).await;
        let partitions = &response.responses[0].partitions;
        let found = [values(&partitions[0]).len(), values(&partitions[1]).len()];
        assert_eq!(found, expected, "{partition_bytes} {bytes}");
    }
    // Where the first partition has nothing, the next one may be larger than allowed.
    let mut request = two(1, many);
    request.topics[0].partitions[0].fetch_offset = 3;
    let response = client.call(12, &request).await;
    assert_eq!(values(&response.responses[0].partitions[1]).len(), 1);
}

#[tokio::test]
async fn what_cannot_be_fetched_is_refused_at_once() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let waiting = |request: FetchRequest| request.with_max_wait_ms(60_000);
    let data = client.fetch(&waiting(fetch("orders", 0, 1))).await;
    assert_eq!((data.error_code, data.high_watermark), (1, -1));
    assert_eq!(
        client
            .fetch(&waiting(fetch("orders", 0, -1)))
            .await
            .error_code,
        1
    );
    assert_eq!(
        client
            .fetch(&waiting(fetch("orders", 7, 0)))
            .await
            .error_code,
        3
    );
    assert_eq!(
        client
            .fetch(&waiting(fetch("bills", 0, 0)))
            .await
            .error_code,
        3
    );
    let mut fenced = waiting(fetch("orders", 0, 0));
    fenced.topics[0].partitions[0].current_leader_epoch = 5;
    assert_eq!(client.fetch(&fenced).await.error_code, 76 - 1);
    let mut by_id = waiting(fetch("", 0, 0));
    by_id.topics[0].topic_id = uuid::Uuid::from_u128(5);
    let response = client.call(13, &by_id).await;
    assert_eq!(response.responses[0].partitions[0].error_code, 100);
}

#[tokio::test]
async fn who_has_records_of_another_history_is_told_where_it_parts() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    client.produce("orders", 0, &batch(&["a", "b"])).await;
    for (offset, epoch, diverges) in [
        (0, -1, false),
        (0, 0, false),
        (2, 0, false),
        (3, 0, true),
        (1, 1, true),
    ] {
        let mut request = fetch("orders", 0, offset).with_max_wait_ms(0);
        request.topics[0].partitions[0].last_fetched_epoch = epoch;
        let data = client.fetch(&request).await;
        assert_eq!(data.error_code, 0, "{offset} {epoch}");
        let told = (data.diverging_epoch.epoch, data.diverging_epoch.end_offset);
        let expected = if diverges { (0, 2) } else { (-1, -1) };
        assert_eq!(told, expected, "{offset} {epoch}");
        let some = !diverges && offset < 2;
        assert_eq!(!values(&data).is_empty(), some, "{offset} {epoch}");
    }
}

#[tokio::test]
async fn those_who_read_committed_are_told_that_nothing_was_aborted() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    client.produce("orders", 0, &batch(&["a"])).await;
    for version in [4, 11, 12] {
        let request = fetch("orders", 0, 0);
        let all = client.call(version, &request.clone()).await;
        assert_eq!(all.responses[0].partitions[0].aborted_transactions, None);
        let committed = client.call(version, &request.with_isolation_level(1)).await;
        let data = &committed.responses[0].partitions[0];
        assert_eq!(data.aborted_transactions, Some(Vec::new()));
        assert_eq!((data.last_stable_offset, values(data).len()), (1, 1));
    }
}

#[tokio::test]
async fn a_partition_deleted_under_a_waiting_fetch_ends_it() {
    let gateway = Gateway::start().await;
    let (mut admin, mut consumer) = (gateway.client().await, gateway.client().await);
    admin.create("orders", 1).await;
    consumer.fetch(&fetch("orders", 0, 0)).await;
    let number = consumer
        .send(12, &fetch("orders", 0, 0).with_max_wait_ms(60_000))
        .await;
    let request = kop_wire::kafka_protocol::messages::DeleteTopicsRequest::default()
        .with_topic_names(vec![text("orders").into()]);
    assert_eq!(admin.call(5, &request).await.responses[0].error_code, 0);
    let response = consumer.receive::<FetchRequest>(12, number).await;
    assert_eq!(response.responses[0].partitions[0].error_code, 3);
}
