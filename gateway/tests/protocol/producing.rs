use bytes::{Bytes, BytesMut};
use kop_wire::{
    BatchBuilder, Compression,
    kafka_protocol::messages::{InitProducerIdRequest, MetadataRequest, ProduceRequest},
};

use crate::client::{Gateway, batch, built, fetch, produce, text, values};

/// Asks for a producer id.
fn idempotence() -> InitProducerIdRequest {
    InitProducerIdRequest::default().with_transactional_id(None)
}

fn idempotent(id: i64, epoch: i16, sequence: i32, value: &str) -> kop_wire::Batch {
    built(
        BatchBuilder::new(Compression::None).producer(id, epoch, sequence),
        &[value],
    )
}

#[tokio::test]
async fn what_is_produced_in_any_version_is_fetched_in_any_version() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let topics = client
        .call(12, &MetadataRequest::default().with_topics(None))
        .await
        .topics;
    let id = topics
        .iter()
        .find(|t| t.name.as_ref().unwrap().0 == text("orders"))
        .unwrap()
        .topic_id;
    let mut expected = Vec::new();
    for version in 3..=13 {
        let value = format!("version {version}");
        let sent = built(BatchBuilder::new(Compression::Gzip), &[&value, "and more"]);
        let mut request = produce("orders", 0, sent.bytes().clone());
        if version >= 13 {
            request.topic_data[0].name = text("").into();
            request.topic_data[0].topic_id = id;
        }
        let response = client.call(version, &request).await;
        let answer = &response.responses[0].partition_responses[0];
        let base = i64::try_from(expected.len()).unwrap();
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (0, base),
            "version {version}"
        );
        expected.extend([(base, value), (base + 1, "and more".to_owned())]);
    }
    for version in 4..=18 {
        let mut request = fetch("orders", 0, 0);
        if version < 7 {
            request.session_epoch = -1;
        }
        if version >= 13 {
            request.topics[0].topic = text("").into();
            request.topics[0].topic_id = id;
        }
        let response = client.call(version, &request).await;
        let data = &response.responses[0].partitions[0];
        assert_eq!(
            (data.error_code, data.high_watermark),
            (0, 22),
            "version {version}"
        );
        assert_eq!(values(data), expected, "version {version}");
    }
}

#[tokio::test]
async fn every_codec_comes_back_as_it_was_sent() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let codecs = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    let long = "many words ".repeat(1000);
    for (offset, codec) in codecs.into_iter().enumerate() {
        let sent = built(BatchBuilder::new(codec), &[&long]);
        assert_eq!(client.produce("orders", 0, &sent).await.error_code, 0);
        let offset = i64::try_from(offset).unwrap();
        let data = client.fetch(&fetch("orders", 0, offset)).await;
        assert_eq!(values(&data), [(offset, long.clone())]);
        // All but the place of the batch is the producer's.
        assert_eq!(data.records.unwrap()[16..], sent.bytes()[16..]);
    }
}

#[tokio::test]
async fn requests_in_flight_are_appended_in_their_order() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 3).await;
    let mut numbers = Vec::new();
    for n in 0..300 {
        // The first of each partition has to open it; those behind may not overtake it.
        let request = produce("orders", n % 3, batch(&[&n.to_string()]).bytes().clone());
        numbers.push(client.send(9, &request).await);
    }
    for (n, number) in numbers.into_iter().enumerate() {
        let response = client.receive::<ProduceRequest>(9, number).await;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, 0);
        assert_eq!(answer.base_offset, i64::try_from(n / 3).unwrap());
    }
}

#[tokio::test]
async fn without_acks_there_is_no_answer_but_what_follows_sees_the_record() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let request = produce("orders", 0, batch(&["silent"]).bytes().clone()).with_acks(0);
    client.send(9, &request).await;
    assert_eq!(client.list_offsets(4, "orders", -1).await.offset, 1);
    // A failure can be told only by closing the connection.
    let nowhere = produce("bills", 0, batch(&["lost"]).bytes().clone()).with_acks(0);
    client.send(9, &nowhere).await;
    client.closed().await;
}

#[tokio::test]
async fn a_repeated_batch_is_written_once() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let id = client.call(4, &idempotence()).await.producer_id.0;
    for (sequence, value) in ["a", "b", "c"].iter().enumerate() {
        let sent = idempotent(id, 0, i32::try_from(sequence).unwrap(), value);
        let first = client.produce("orders", 0, &sent).await;
        let again = client.produce("orders", 0, &sent).await;
        assert_eq!((first.error_code, again.error_code), (0, 0));
        assert_eq!(first.base_offset, again.base_offset);
    }
    let data = client.fetch(&fetch("orders", 0, 0)).await;
    let expected = [(0, "a"), (1, "b"), (2, "c")].map(|(at, value)| (at, value.to_owned()));
    assert_eq!(values(&data), expected);
}

#[tokio::test]
async fn a_gap_in_the_sequence_and_an_old_epoch_are_refused() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let id = client.call(4, &idempotence()).await.producer_id.0;
    assert_eq!(
        client
            .produce("orders", 0, &idempotent(id, 1, 0, "a"))
            .await
            .error_code,
        0
    );
    assert_eq!(
        client
            .produce("orders", 0, &idempotent(id, 1, 2, "c"))
            .await
            .error_code,
        45
    );
    assert_eq!(
        client
            .produce("orders", 0, &idempotent(id, 0, 1, "b"))
            .await
            .error_code,
        47
    );
    assert_eq!(
        client
            .produce("orders", 0, &idempotent(id, 1, 1, "b"))
            .await
            .error_code,
        0
    );
}

#[tokio::test]
async fn producer_ids_are_never_given_twice() {
    let gateway = Gateway::start().await;
    let mut ids = Vec::new();
    for version in 0..=5 {
        let mut client = gateway.client().await;
        let response = client.call(version, &idempotence()).await;
        assert_eq!((response.error_code, response.producer_epoch), (0, 0));
        ids.push(response.producer_id);
    }
    let gateway = Gateway::on(gateway.stop().await, "").await;
    let mut client = gateway.client().await;
    // Naming the id that one has had gives a new one all the same.
    let request = idempotence()
        .with_producer_id(ids[0])
        .with_producer_epoch(0);
    ids.push(client.call(5, &request).await.producer_id);
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), ids.len());
}

#[tokio::test]
async fn transactions_are_refused() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let init = InitProducerIdRequest::default().with_transactional_id(Some(text("tx").into()));
    assert_eq!(client.call(4, &init).await.error_code, 53);
    let request = produce("orders", 0, batch(&["a"]).bytes().clone())
        .with_transactional_id(Some(text("tx").into()));
    let response = client.call(9, &request).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 53);
    let builder = BatchBuilder::new(Compression::None).producer(1, 0, 0);
    let transactional = built(builder.transactional(true), &["a"]);
    assert_eq!(
        client.produce("orders", 0, &transactional).await.error_code,
        48
    );
}

#[tokio::test]
async fn batches_that_are_none_are_refused_and_explained() {
    let gateway = Gateway::with("max-message-bytes = 4096").await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let good = batch(&["a"]).bytes().clone();
    let mut damaged = BytesMut::from(&good[..]);
    *damaged.last_mut().unwrap() ^= 1;
    let old = {
        let mut old = BytesMut::from(&good[..]);
        old[16] = 1;
        old.freeze()
    };
    let control = built(BatchBuilder::new(Compression::None).control(true), &["a"]);
    let late = built(
        BatchBuilder::new(Compression::None).log_append_time(true),
        &["a"],
    );
    let large = batch(&[&"x".repeat(5000)]);
    let cases = [
        (Bytes::new(), 87, "nothing"),
        (damaged.freeze(), 2, "damaged"),
        (good.slice(..40), 87, "cut"),
        ([&good[..], &good[..]].concat().into(), 87, "two"),
        (old, 87, "old format"),
        (control.bytes().clone(), 87, "control"),
        (late.bytes().clone(), 32, "log append time"),
        (large.bytes().clone(), 10, "large"),
    ];
    for (bytes, code, what) in cases {
        let response = client.call(9, &produce("orders", 0, bytes)).await;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (code, -1),
            "{what}"
        );
        assert!(answer.error_message.is_some(), "{what}");
    }
    assert_eq!(client.list_offsets(4, "orders", -1).await.offset, 0);
}

#[tokio::test]
async fn zstd_is_for_those_who_know_it() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let zstd = built(BatchBuilder::new(Compression::Zstd), &["a"]);
    let response = client
        .call(6, &produce("orders", 0, zstd.bytes().clone()))
        .await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 76);
}

#[tokio::test]
async fn records_go_to_topics_of_applications_only() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let sent = batch(&["a"]);
    for (topic, partition, code) in [
        ("bills", 0, 3),
        ("orders", 1, 3),
        ("orders", -1, 3),
        ("", 0, 3),
        ("__consumer_offsets", 0, 17),
    ] {
        let answer = client.produce(topic, partition, &sent).await;
        assert_eq!(answer.error_code, code, "{topic} {partition}");
    }
    let acks = produce("orders", 0, sent.bytes().clone()).with_acks(2);
    let response = client.call(9, &acks).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 21);
}
