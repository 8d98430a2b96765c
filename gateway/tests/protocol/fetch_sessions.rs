//! Fetch sessions (KIP-227).
use kop_wire::kafka_protocol::messages::{
    DeleteTopicsRequest, FetchRequest, FetchResponse, MetadataRequest,
    fetch_request::{FetchPartition, FetchTopic, ForgottenTopic},
};
use uuid::Uuid;

use crate::client::{Client, Gateway, batch, text, values};

/// A request of a session that waits for nothing.
fn request(id: i32, epoch: i32, partitions: &[(i32, i64)]) -> FetchRequest {
    let partition = |(index, offset): &(i32, i64)| {
        FetchPartition::default()
            .with_partition(*index)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(1 << 20)
    };
    let topic = FetchTopic::default()
        .with_topic(text("orders").into())
        .with_partitions(partitions.iter().map(partition).collect());
    let topics = if partitions.is_empty() {
        Vec::new()
    } else {
        vec![topic]
    };
    FetchRequest::default()
        .with_max_bytes(10 << 20)
        .with_session_id(id)
        .with_session_epoch(epoch)
        .with_topics(topics)
}

/// What an answer says, in its order: partitions, with the values of their records.
fn said(response: &FetchResponse) -> Vec<(i32, Vec<String>)> {
    let partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions);
    let partition = |data: &kop_wire::kafka_protocol::messages::fetch_response::PartitionData| {
        let values = values(data).into_iter().map(|(_, value)| value);
        (data.partition_index, values.collect())
    };
    partitions.map(partition).collect()
}

fn nothing(index: i32) -> (i32, Vec<String>) {
    (index, Vec::new())
}

async fn orders(gateway: &Gateway) -> Client {
    let mut client = gateway.client().await;
    client.create("orders", 4).await;
    client
}

#[tokio::test]
async fn a_session_says_what_is_new_and_nothing_else() {
    let gateway = Gateway::start().await;
    let mut client = orders(&gateway).await;
    let full = request(0, 0, &[(0, 0), (1, 0), (2, 0)]);
    let first = client.call(12, &full).await;
    let id = first.session_id;
    assert!(id > 0);
    assert_eq!(said(&first), [nothing(0), nothing(1), nothing(2)]);

    let second = client.call(12, &request(id, 1, &[])).await;
    assert_eq!((second.error_code, second.session_id), (0, id));
    assert_eq!(said(&second), []);

    client.produce("orders", 1, &batch(&["a", "b"])).await;
    let third = client.call(12, &request(id, 2, &[])).await;
    assert_eq!(said(&third), [(1, vec!["a".to_owned(), "b".to_owned()])]);

    // What is not asked for elsewhere is read there again.
    let fourth = client.call(12, &request(id, 3, &[])).await;
    assert_eq!(said(&fourth).len(), 1);
    let fifth = client.call(12, &request(id, 4, &[(1, 2)])).await;
    assert_eq!(said(&fifth), []);

    // A new partition is told of; a forgotten one is not, whatever happens to it.
    let forgotten = ForgottenTopic::default()
        .with_topic(text("orders").into())
        .with_partitions(vec![1]);
    let sixth = request(id, 5, &[(3, 0)]).with_forgotten_topics_data(vec![forgotten]);
    assert_eq!(said(&client.call(12, &sixth).await), [nothing(3)]);
    client.produce("orders", 1, &batch(&["c"])).await;
    client.produce("orders", 0, &batch(&["d"])).await;
    let seventh = client.call(12, &request(id, 6, &[])).await;
    assert_eq!(said(&seventh), [(0, vec!["d".to_owned()])]);
}

#[tokio::test]
async fn a_session_waits_for_records() {
    let gateway = Gateway::start().await;
    let mut client = orders(&gateway).await;
    let mut producer = gateway.client().await;
    let full = request(0, 0, &[(0, 0), (1, 0)]);
    let id = client.call(12, &full).await.session_id;
    let next = request(id, 1, &[])
        .with_max_wait_ms(60_000)
        .with_min_bytes(1);
    let number = client.send(12, &next).await;
    producer.produce("orders", 1, &batch(&["news"])).await;
    let response = client.receive::<FetchRequest>(12, number).await;
    assert_eq!(said(&response), [(1, vec!["news".to_owned()])]);
}

#[tokio::test]
async fn a_session_does_not_wait_long_while_its_client_holds_a_part_of_what_is_there() {
    let gateway = Gateway::start().await;
    let mut client = orders(&gateway).await;
    for value in ["a", "b"] {
        client.produce("orders", 1, &batch(&[value])).await;
    }
    // A byte of each partition: one batch of it.
    let mut full = request(0, 0, &[(0, 0), (1, 0)]);
    for partition in &mut full.topics[0].partitions {
        partition.partition_max_bytes = 1;
    }
    let first = client.call(12, &full).await;
    assert_eq!(said(&first), [nothing(0), (1, vec!["a".to_owned()])]);
    let forgotten = ForgottenTopic::default()
        .with_topic(text("orders").into())
        .with_partitions(vec![1]);
    // Far longer than this test's own deadline.
    let next = request(first.session_id, 1, &[])
        .with_max_wait_ms(300_000)
        .with_min_bytes(1)
        .with_forgotten_topics_data(vec![forgotten]);
    assert_eq!(said(&client.call(12, &next).await), []);
    let back = request(first.session_id, 2, &[(1, 1)]).with_max_wait_ms(300_000);
    assert_eq!(
        said(&client.call(12, &back).await),
        [(1, vec!["b".to_owned()])]
    );
}

#[tokio::test]
async fn errors_are_repeated_until_they_are_over() {
    let gateway = Gateway::start().await;
    let mut client = orders(&gateway).await;
    let first = client.call(12, &request(0, 0, &[(0, 0), (1, 5)])).await;
    let id = first.session_id;
    let codes = |response: &FetchResponse| -> Vec<(i32, i16)> {
        let partitions = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partitions);
        partitions
            .map(|data| (data.partition_index, data.error_code))
            .collect()
    };
    assert_eq!(codes(&first), [(0, 0), (1, 1)]);
    for epoch in 1..3 {
        let again = client.call(12, &request(id, epoch, &[])).await;
        assert_eq!(codes(&again), [(1, 1)]);
    }
    let over = client.call(12, &request(id, 3, &[(1, 0)])).await;
    assert_eq!(codes(&over), [(1, 0)]);
    assert_eq!(codes(&client.call(12, &request(id, 4, &[])).await), []);
    // The topic goes under the session.
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![text("orders").into()]);
    assert_eq!(client.call(5, &delete).await.responses[0].error_code, 0);
    let gone = client.call(12, &request(id, 5, &[])).await;
    assert_eq!(codes(&gone), [(0, 3), (1, 3)]);
}

#[tokio::test]
async fn what_does_not_belong_to_a_session_is_refused() {
    let gateway = Gateway::start().await;
    let mut client = orders(&gateway).await;
    let id = client.call(12, &request(0, 0, &[(0, 0)])).await.session_id;
    for (id, epoch, code) in [(id, 2, 71), (id ^ 1, 1, 70), (0, 1, 70), (id, -2, 71)] {
        let response = client.call(12, &request(id, epoch, &[(0, 0)])).await;
        assert_eq!((response.error_code, response.session_id), (code, 0));
        assert_eq!(response.responses, []);
    }
    let by_id = client.call(13, &request(id, 1, &[])).await;
    assert_eq!(by_id.error_code, 106);
    // None of them has ended it, nor counted.
    let next = client.call(12, &request(id, 1, &[])).await;
    assert_eq!((next.error_code, next.session_id), (0, id));
    let repeated = client.call(12, &request(id, 1, &[])).await;
    assert_eq!(repeated.error_code, 71);
}

#[tokio::test]
async fn a_session_ends_when_its_client_says_so_or_wants_nothing() {
    let gateway = Gateway::start().await;
    let mut client = orders(&gateway).await;
    // A full fetch without a session.
    let alone = client.call(12, &request(0, -1, &[(0, 0)])).await;
    assert_eq!((alone.session_id, said(&alone)), (0, vec![nothing(0)]));
    let id = client.call(12, &request(0, 0, &[(0, 0)])).await.session_id;
    // Another one in its place, by any connection.
    let mut other = gateway.client().await;
    let next = other.call(12, &request(id, 0, &[(0, 0)])).await.session_id;
    assert!(next > 0 && next != id);
    assert_eq!(client.call(12, &request(id, 1, &[])).await.error_code, 70);
    // The last request is answered in full.
    let last = client.call(12, &request(next, -1, &[(2, 0)])).await;
    assert_eq!((last.session_id, said(&last)), (0, vec![nothing(2)]));
    assert_eq!(client.call(12, &request(next, 1, &[])).await.error_code, 70);
    // Nothing is left to be fetched.
    let id = client.call(12, &request(0, 0, &[(0, 0)])).await.session_id;
    let forgotten = ForgottenTopic::default()
        .with_topic(text("orders").into())
        .with_partitions(vec![0]);
    let empty = request(id, 1, &[]).with_forgotten_topics_data(vec![forgotten]);
    let empty = client.call(12, &empty).await;
    assert_eq!((empty.error_code, empty.session_id), (0, 0));
    assert_eq!(client.call(12, &request(id, 2, &[])).await.error_code, 70);
}

#[tokio::test]
async fn versions_with_topic_ids_have_sessions_of_their_own() {
    let gateway = Gateway::start().await;
    let mut client = orders(&gateway).await;
    let all = MetadataRequest::default().with_topics(None);
    let topic_id = client.call(12, &all).await.topics[0].topic_id;
    let by_id = |id, epoch, partitions: &[(i32, i64)]| {
        let mut request = request(id, epoch, partitions);
        for topic in &mut request.topics {
            topic.topic = text("").into();
            topic.topic_id = topic_id;
        }
        request
    };
    for version in [13, 18] {
        let first = client.call(version, &by_id(0, 0, &[(0, 0), (1, 0)])).await;
        let id = first.session_id;
        assert_eq!(first.responses[0].topic_id, topic_id);
        assert_eq!(said(&client.call(version, &by_id(id, 1, &[])).await), []);
        let forgotten = ForgottenTopic::default()
            .with_topic_id(topic_id)
            .with_partitions(vec![0]);
        let next = by_id(id, 2, &[(2, 0)]).with_forgotten_topics_data(vec![forgotten]);
        assert_eq!(said(&client.call(version, &next).await), [nothing(2)]);
        assert_eq!(client.call(12, &request(id, 3, &[])).await.error_code, 106);
    }
    // An id that is none, in a session as outside of any.
    let mut unknown = by_id(0, 0, &[(0, 0)]);
    unknown.topics[0].topic_id = Uuid::from_u128(9);
    let response = client.call(13, &unknown).await;
    assert_eq!(response.responses[0].partitions[0].error_code, 100);
    let again = client.call(13, &by_id(response.session_id, 1, &[])).await;
    assert_eq!(again.responses[0].partitions[0].error_code, 100);
}

#[tokio::test]
async fn a_busy_partition_does_not_starve_the_others() {
    let gateway = Gateway::start().await;
    let mut client = orders(&gateway).await;
    let large = "x".repeat(10_000);
    for partition in 0..4 {
        for _ in 0..4 {
            let answer = client.produce("orders", partition, &batch(&[&large])).await;
            assert_eq!(answer.error_code, 0);
        }
    }
    // An answer holds less than two batches, so each has one.
    let small = |request: FetchRequest| request.with_max_bytes(1);
    let full = small(request(0, 0, &[(0, 0), (1, 0), (2, 0), (3, 0)]));
    let first = client.call(12, &full).await;
    let had = |response: &FetchResponse| {
        let said = said(response);
        let with: Vec<i32> = said
            .iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(index, _)| *index)
            .collect();
        assert_eq!(with.len(), 1);
        with[0]
    };
    let mut turns = vec![had(&first)];
    for epoch in 1..12 {
        // The client goes on in the partition that it has just had.
        let last = *turns.last().unwrap();
        let offset = turns.iter().filter(|turn| **turn == last).count();
        let next = request(first.session_id, epoch, &[(last, offset as i64)]);
        turns.push(had(&client.call(12, &small(next)).await));
    }
    assert_eq!(turns, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
}
