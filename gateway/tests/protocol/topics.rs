use kop_wire::kafka_protocol::{
    messages::{
        CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest, MetadataResponse,
        create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig},
        delete_topics_request::DeleteTopicState,
        metadata_request::MetadataRequestTopic,
    },
    protocol::StrBytes,
};
use uuid::Uuid;

use crate::client::{Client, Gateway, batch, text};

fn topic(name: &str) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(text(name).into())
        .with_num_partitions(-1)
        .with_replication_factor(-1)
}

fn asked(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(text(name).into()))
}

fn names(response: &MetadataResponse) -> Vec<StrBytes> {
    response
        .topics
        .iter()
        .map(|topic| topic.name.clone().unwrap().0)
        .collect()
}

async fn id_of(client: &mut Client, name: &str) -> Uuid {
    let request = MetadataRequest::default().with_topics(Some(vec![asked(name)]));
    client.call(12, &request).await.topics[0].topic_id
}

#[tokio::test]
async fn metadata_names_the_gateway_and_its_topics_in_every_version() {
    let gateway = Gateway::with("node-id = 7").await;
    let mut client = gateway.client().await;
    client.create("orders", 3).await;
    for version in 0..=13 {
        let all = if version == 0 { Some(Vec::new()) } else { None };
        let response = client
            .call(version, &MetadataRequest::default().with_topics(all))
            .await;
        let broker = &response.brokers[0];
        assert_eq!((broker.node_id.0, &*broker.host), (7, "127.0.0.1"));
        assert_eq!(broker.port, i32::from(gateway.address().port()));
        assert_eq!(names(&response), [text("orders")], "version {version}");
        let topic = &response.topics[0];
        assert_eq!((topic.error_code, topic.is_internal), (0, false));
        let partitions: Vec<_> = topic
            .partitions
            .iter()
            .map(|p| (p.partition_index, p.leader_id.0))
            .collect();
        assert_eq!(partitions, [(0, 7), (1, 7), (2, 7)]);
        assert_eq!(topic.topic_id.is_nil(), version < 10);
        if version >= 1 {
            assert_eq!(response.controller_id.0, 7);
            let none = MetadataRequest::default().with_topics(Some(Vec::new()));
            assert!(client.call(version, &none).await.topics.is_empty());
        }
    }
}

#[tokio::test]
async fn asking_for_a_topic_makes_it_unless_the_client_or_the_gateway_says_no() {
    let gateway = Gateway::with("default-partitions = 4").await;
    let mut client = gateway.client().await;
    let request = |name| MetadataRequest::default().with_topics(Some(vec![asked(name)]));
    let forbidden = request("orders").with_allow_auto_topic_creation(false);
    let response = client.call(9, &forbidden).await;
    assert_eq!(response.topics[0].error_code, 3);
    let allowed = request("orders").with_allow_auto_topic_creation(true);
    let response = client.call(9, &allowed).await;
    assert_eq!(
        (
            response.topics[0].error_code,
            response.topics[0].partitions.len()
        ),
        (0, 4)
    );
    // Older clients cannot say no.
    assert_eq!(
        client.call(3, &request("bills")).await.topics[0]
            .partitions
            .len(),
        4
    );
    let illegal = request("no/name at all").with_allow_auto_topic_creation(true);
    assert_eq!(client.call(9, &illegal).await.topics[0].error_code, 17);
    let internal = request("__consumer_offsets").with_allow_auto_topic_creation(true);
    assert_eq!(client.call(9, &internal).await.topics[0].error_code, 3);

    let gateway = Gateway::with("auto-create-topics = false").await;
    let mut client = gateway.client().await;
    assert_eq!(
        client.call(3, &request("orders")).await.topics[0].error_code,
        3
    );
}

#[tokio::test]
async fn topics_are_found_by_their_ids() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let id = id_of(&mut client, "orders").await;
    let by_id = |id| {
        let topic = MetadataRequestTopic::default()
            .with_topic_id(id)
            .with_name(None);
        MetadataRequest::default().with_topics(Some(vec![topic]))
    };
    let response = client.call(12, &by_id(id)).await;
    assert_eq!(
        (response.topics[0].error_code, names(&response)),
        (0, vec![text("orders")])
    );
    let response = client.call(12, &by_id(Uuid::from_u128(1))).await;
    assert_eq!(
        (response.topics[0].error_code, &response.topics[0].name),
        (100, &None)
    );
    // Made anew, a topic has another id, and the old one is that of no topic.
    let state = DeleteTopicState::default()
        .with_topic_id(id)
        .with_name(None);
    let delete = DeleteTopicsRequest::default().with_topics(vec![state]);
    let response = client.call(6, &delete).await;
    let deleted = &response.responses[0];
    assert_eq!(
        (deleted.error_code, deleted.name.clone()),
        (0, Some(text("orders").into()))
    );
    client.create("orders", 1).await;
    assert_ne!(id_of(&mut client, "orders").await, id);
    assert_eq!(client.call(12, &by_id(id)).await.topics[0].error_code, 100);
}

#[tokio::test]
async fn topics_are_created_as_asked_in_every_version() {
    let gateway = Gateway::with("default-partitions = 2").await;
    let mut client = gateway.client().await;
    for version in 2..=7 {
        let name = format!("topic-{version}");
        let config = CreatableTopicConfig::default()
            .with_name(text("cleanup.policy"))
            .with_value(Some(text("delete")));
        let topics = vec![
            topic(&name).with_configs(vec![config]),
            topic(&format!("{name}-5"))
                .with_num_partitions(5)
                .with_replication_factor(1),
        ];
        let request = CreateTopicsRequest::default().with_topics(topics);
        let response = client.call(version, &request).await;
        let made: Vec<_> = response
            .topics
            .iter()
            .map(|t| (t.error_code, t.num_partitions))
            .collect();
        let expected = if version < 5 {
            [(0, -1), (0, -1)]
        } else {
            [(0, 2), (0, 5)]
        };
        assert_eq!(made, expected, "version {version}");
        assert_eq!(response.topics[0].topic_id.is_nil(), version < 7);
        // The second time they are there.
        let again = client.call(version, &request).await;
        assert_eq!(again.topics[0].error_code, 36);
    }
}

#[tokio::test]
async fn topics_that_cannot_be_as_asked_are_refused() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    let assigned = |node: i32, partitions: &[i32]| {
        let one = |index: &i32| {
            CreatableReplicaAssignment::default()
                .with_partition_index(*index)
                .with_broker_ids(vec![node.into()])
        };
        topic("assigned").with_assignments(partitions.iter().map(one).collect())
    };
    let config = CreatableTopicConfig::default()
        .with_name(text("compression.type"))
        .with_value(Some(text("gzip")));
    for (topic, code) in [
        (topic("a/b"), 17),
        (topic("__consumer_offsets"), 17),
        (topic("a").with_num_partitions(0), 37),
        (topic("a").with_num_partitions(1_000_000), 37),
        (topic("a").with_replication_factor(3), 38),
        (topic("a").with_configs(vec![config]), 40),
        (assigned(0, &[0, 2]), 39),
        (assigned(5, &[0]), 39),
        (assigned(0, &[1, 0]), 0),
    ] {
        let request = CreateTopicsRequest::default().with_topics(vec![topic]);
        let result = client.call(7, &request).await.topics.remove(0);
        assert_eq!(result.error_code, code, "{result:?}");
        assert_eq!(result.error_message.is_some(), code != 0);
    }
    let twice = CreateTopicsRequest::default().with_topics(vec![topic("a"), topic("a")]);
    let response = client.call(7, &twice).await;
    assert_eq!(
        (response.topics.len(), response.topics[0].error_code),
        (1, 42)
    );
    let validated = CreateTopicsRequest::default()
        .with_topics(vec![topic("a"), topic("assigned")])
        .with_validate_only(true);
    let response = client.call(7, &validated).await;
    assert_eq!(
        (response.topics[0].error_code, response.topics[1].error_code),
        (0, 36)
    );
    let all = client
        .call(9, &MetadataRequest::default().with_topics(None))
        .await;
    assert_eq!(names(&all), [text("assigned")]);
}

#[tokio::test]
async fn deleted_topics_are_gone_in_every_version() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    for version in 1..=6 {
        client.create("orders", 1).await;
        assert_eq!(
            client
                .produce("orders", 0, &batch(&["a"]))
                .await
                .base_offset,
            0
        );
        let request = if version >= 6 {
            let state = DeleteTopicState::default().with_name(Some(text("orders").into()));
            DeleteTopicsRequest::default().with_topics(vec![state])
        } else {
            DeleteTopicsRequest::default().with_topic_names(vec![text("orders").into()])
        };
        assert_eq!(
            client.call(version, &request).await.responses[0].error_code,
            0
        );
        assert_eq!(
            client.call(version, &request).await.responses[0].error_code,
            3
        );
        assert_eq!(
            client.produce("orders", 0, &batch(&["a"])).await.error_code,
            3
        );
    }
}
