//! What is in a partition, as administrators ask: its producers and its size.
use kop_wire::{
    BatchBuilder, Compression,
    kafka_protocol::messages::{
        DescribeLogDirsRequest, DescribeProducersRequest, InitProducerIdRequest,
        describe_log_dirs_request::DescribableLogDirTopic,
        describe_log_dirs_response::DescribeLogDirsResult,
        describe_producers_request::TopicRequest, describe_producers_response::PartitionResponse,
    },
};

use crate::client::{Client, Gateway, batch, built, text};

async fn producers(client: &mut Client, topic: &str, index: i32) -> PartitionResponse {
    let topic = TopicRequest::default()
        .with_name(text(topic).into())
        .with_partition_indexes(vec![index]);
    let request = DescribeProducersRequest::default().with_topics(vec![topic]);
    let mut response = client.call(0, &request).await;
    response.topics.remove(0).partitions.remove(0)
}

#[tokio::test]
async fn producers_are_described_before_and_after_a_restart() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 2).await;
    client.produce("orders", 0, &batch(&["of nobody"])).await;
    assert_eq!(
        producers(&mut client, "orders", 0).await.active_producers,
        []
    );
    let idempotence = InitProducerIdRequest::default().with_transactional_id(None);
    let id = client.call(4, &idempotence).await.producer_id;
    for (sequence, values) in [(0, &["a", "b"][..]), (2, &["c"])] {
        let builder = BatchBuilder::new(Compression::None).producer(id.0, 5, sequence);
        let answer = client.produce("orders", 0, &built(builder, values)).await;
        assert_eq!(answer.error_code, 0);
    }
    let before = producers(&mut client, "orders", 0).await;
    assert_eq!((before.error_code, before.active_producers.len()), (0, 1));
    let producer = &before.active_producers[0];
    assert_eq!((producer.producer_id, producer.producer_epoch), (id, 5));
    assert_eq!(producer.last_sequence, 2);
    assert!(producer.last_timestamp > 1_700_000_000_000);
    assert_eq!(
        (
            producer.coordinator_epoch,
            producer.current_txn_start_offset
        ),
        (-1, -1)
    );
    assert_eq!(
        producers(&mut client, "orders", 1).await.active_producers,
        []
    );
    for (topic, index) in [("bills", 0), ("orders", 2), ("orders", -1)] {
        assert_eq!(producers(&mut client, topic, index).await.error_code, 3);
    }
    let gateway = Gateway::on(gateway.stop().await, "").await;
    let mut client = gateway.client().await;
    let after = producers(&mut client, "orders", 0).await;
    let known = |answer: &PartitionResponse| {
        let producer = &answer.active_producers[0];
        (
            producer.producer_id,
            producer.producer_epoch,
            producer.last_sequence,
        )
    };
    assert_eq!(known(&after), known(&before));
}

fn sizes(place: &DescribeLogDirsResult, topic: &str) -> Vec<(i32, i64)> {
    let topic = place
        .topics
        .iter()
        .find(|found| found.name.0 == text(topic));
    let partitions = topic.map(|topic| &topic.partitions[..]).unwrap_or_default();
    partitions
        .iter()
        .map(|partition| (partition.partition_index, partition.partition_size))
        .collect()
}

#[tokio::test]
async fn log_dirs_are_described_with_the_bytes_that_were_sent() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 2).await;
    client.create("bills", 1).await;
    let large = batch(&[&"x".repeat(5_000)]);
    for _ in 0..3 {
        client.produce("orders", 1, &large).await;
    }
    let expected = 3 * i64::try_from(large.bytes().len()).unwrap();
    let everything = DescribeLogDirsRequest::default().with_topics(None);
    for version in 1..=4 {
        let response = client.call(version, &everything).await;
        let [place] = &response.results[..] else {
            panic!("one directory");
        };
        assert_eq!((response.error_code, place.error_code), (0, 0));
        let directory = gateway.directory.path().join("data");
        assert_eq!(place.log_dir, text(directory.to_str().unwrap()));
        assert_eq!(sizes(place, "orders"), [(0, 0), (1, expected)]);
        assert_eq!(sizes(place, "bills"), [(0, 0)]);
        assert_eq!((place.total_bytes, place.usable_bytes), (-1, -1));
    }
    let named = |name: &str, partitions: &[i32]| {
        DescribableLogDirTopic::default()
            .with_topic(text(name).into())
            .with_partitions(partitions.to_vec())
    };
    let some = vec![named("orders", &[1, 7, 1]), named("nothing", &[0])];
    let request = DescribeLogDirsRequest::default().with_topics(Some(some));
    let place = client.call(4, &request).await.results.remove(0);
    assert_eq!(place.topics.len(), 1);
    assert_eq!(sizes(&place, "orders"), [(1, expected)]);
}
