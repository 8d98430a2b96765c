use kop_wire::kafka_protocol::{
    messages::{
        CreatePartitionsRequest, DeleteRecordsRequest, DescribeClusterRequest,
        DescribeConfigsRequest, DescribeTopicPartitionsRequest, ElectLeadersRequest,
        ListPartitionReassignmentsRequest, MetadataRequest, OffsetForLeaderEpochRequest,
        create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic},
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::DescribeConfigsResult,
        describe_topic_partitions_request::{Cursor, TopicRequest},
        elect_leaders_request::TopicPartitions,
        offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
    },
    protocol::StrBytes,
};

use crate::client::{Client, Gateway, batch, fetch, text, values};

#[tokio::test]
async fn the_cluster_is_this_gateway_in_every_version() {
    let gateway = Gateway::with("node-id = 7").await;
    let mut client = gateway.client().await;
    let id = client.call(9, &MetadataRequest::default()).await.cluster_id;
    for version in 0..=2 {
        let response = client
            .call(version, &DescribeClusterRequest::default())
            .await;
        assert_eq!((response.error_code, response.controller_id.0), (0, 7));
        assert_eq!(Some(&response.cluster_id), id.as_ref());
        let brokers: Vec<_> = response
            .brokers
            .iter()
            .map(|b| (b.broker_id.0, b.host.to_string(), b.port))
            .collect();
        let port = i32::from(gateway.address().port());
        assert_eq!(brokers, [(7, "127.0.0.1".to_owned(), port)]);
    }
    for (endpoint, error) in [(2, 114), (3, 115)] {
        let request = DescribeClusterRequest::default().with_endpoint_type(endpoint);
        let response = client.call(2, &request).await;
        assert_eq!(response.error_code, error);
        assert!(response.brokers.is_empty());
    }
}

async fn grown(client: &mut Client, version: i16, topic: CreatePartitionsTopic, dry: bool) -> i16 {
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![topic])
        .with_validate_only(dry);
    client.call(version, &request).await.results[0].error_code
}

fn more(name: &str, count: i32) -> CreatePartitionsTopic {
    CreatePartitionsTopic::default()
        .with_name(text(name).into())
        .with_count(count)
        .with_assignments(None)
}

#[tokio::test]
async fn topics_grow_in_every_version_and_keep_their_records() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    client.produce("orders", 0, &batch(&["kept"])).await;
    for version in 0..=3 {
        let count = i32::from(version) + 2;
        assert_eq!(
            grown(&mut client, version, more("orders", count), false).await,
            0
        );
        let new = client.produce("orders", count - 1, &batch(&["new"])).await;
        assert_eq!(
            (new.error_code, new.base_offset),
            (0, 0),
            "version {version}"
        );
    }
    let data = client.fetch(&fetch("orders", 0, 0)).await;
    assert_eq!(values(&data), [(0, "kept".to_owned())]);
    let gateway = Gateway::on(gateway.stop().await, "").await;
    let mut client = gateway.client().await;
    let data = client.fetch(&fetch("orders", 4, 0)).await;
    assert_eq!(values(&data), [(0, "new".to_owned())]);
}

#[tokio::test]
async fn topics_do_not_grow_where_that_makes_no_sense() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 2).await;
    for (topic, error) in [
        (more("orders", 2), 37),
        (more("orders", 1), 37),
        (more("orders", -1), 37),
        (more("orders", 10_001), 37),
        (more("bills", 3), 3),
        (more("no/name at all", 3), 3),
        (more("__consumer_offsets", 60), 42),
    ] {
        assert_eq!(
            grown(&mut client, 3, topic.clone(), false).await,
            error,
            "{topic:?}"
        );
        assert_eq!(
            grown(&mut client, 3, topic.clone(), true).await,
            error,
            "{topic:?}"
        );
    }
    let on = |nodes: &[i32]| {
        let each = |node: &i32| {
            CreatePartitionsAssignment::default().with_broker_ids(vec![(*node).into()])
        };
        more("orders", 4).with_assignments(Some(nodes.iter().map(each).collect()))
    };
    assert_eq!(grown(&mut client, 3, on(&[0]), false).await, 39);
    assert_eq!(grown(&mut client, 3, on(&[0, 1]), false).await, 39);
    assert_eq!(grown(&mut client, 3, on(&[0, 0]), true).await, 0);
    assert_eq!(client.fetch(&fetch("orders", 2, 0)).await.error_code, 3);
    assert_eq!(grown(&mut client, 3, on(&[0, 0]), false).await, 0);
    assert_eq!(client.fetch(&fetch("orders", 3, 0)).await.error_code, 0);
    let twice =
        CreatePartitionsRequest::default().with_topics(vec![more("orders", 8), more("orders", 9)]);
    let response = client.call(3, &twice).await;
    assert_eq!(
        (response.results.len(), response.results[0].error_code),
        (1, 42)
    );
}

async fn configs(
    client: &mut Client,
    version: i16,
    kind: i8,
    name: &str,
    keys: Option<Vec<StrBytes>>,
) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(keys);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true);
    client.call(version, &request).await.results.remove(0)
}

#[tokio::test]
async fn configurations_are_those_in_force() {
    let gateway = Gateway::with("default-partitions = 4\nmax-message-bytes = 5000").await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    for version in 1..=4 {
        let result = configs(&mut client, version, 2, "orders", None).await;
        assert_eq!(result.error_code, 0);
        let told = |name: &str| {
            let config = result.configs.iter().find(|c| *c.name == *name).unwrap();
            (config.value.clone().unwrap(), config.config_source)
        };
        assert_eq!(told("cleanup.policy"), (text("delete"), 5));
        assert_eq!(told("retention.ms"), (text("604800000"), 5));
        assert_eq!(told("max.message.bytes"), (text("5000"), 4));
    }
    let keys = |names: &[&str]| Some(names.iter().map(|name| text(name)).collect());
    let asked = keys(&["num.partitions", "auto.create.topics.enable", "log.dirs"]);
    let result = configs(&mut client, 4, 4, "0", asked).await;
    let told: Vec<_> = result
        .configs
        .iter()
        .map(|c| {
            (
                c.name.to_string(),
                c.value.clone().unwrap(),
                c.config_source,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("auto.create.topics.enable".to_owned(), text("true"), 5),
            ("num.partitions".to_owned(), text("4"), 4),
        ]
    );
    for (kind, name, error) in [(2, "bills", 3), (2, "a b", 17), (4, "9", 42), (8, "0", 42)] {
        let result = configs(&mut client, 4, kind, name, None).await;
        assert_eq!((result.error_code, result.configs.len()), (error, 0));
    }
    let result = configs(&mut client, 4, 4, "", None).await;
    assert_eq!((result.error_code, result.configs.len()), (0, 0));
}

#[tokio::test]
async fn records_are_deleted_up_to_an_offset() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    for value in ["a", "b", "c"] {
        client.produce("orders", 0, &batch(&[value])).await;
    }
    let request = |topic: &str, partition, offset| {
        let partition = DeleteRecordsPartition::default()
            .with_partition_index(partition)
            .with_offset(offset);
        let topic = DeleteRecordsTopic::default()
            .with_name(text(topic).into())
            .with_partitions(vec![partition]);
        DeleteRecordsRequest::default().with_topics(vec![topic])
    };
    let mut answers = Vec::new();
    for (version, topic, partition, offset) in [
        (0, "orders", 0, 1),
        (1, "orders", 0, 2),
        (2, "orders", 0, 1),
        (2, "orders", 0, 4),
        (2, "orders", 0, -2),
        (2, "orders", 1, 0),
        (2, "bills", 0, 0),
        (2, "__consumer_offsets", 0, 0),
    ] {
        let response = client
            .call(version, &request(topic, partition, offset))
            .await;
        let answer = &response.topics[0].partitions[0];
        answers.push((answer.error_code, answer.low_watermark));
    }
    let refused = [(1, -1), (1, -1), (3, -1), (3, -1), (17, -1)];
    assert_eq!(answers[..3], [(0, 1), (0, 2), (0, 2)]);
    assert_eq!(answers[3..], refused);
    assert_eq!(client.list_offsets(4, "orders", -2).await.offset, 2);
    assert_eq!(client.fetch(&fetch("orders", 0, 1)).await.error_code, 1);
    let data = client.fetch(&fetch("orders", 0, 2)).await;
    assert_eq!(values(&data), [(2, "c".to_owned())]);
    let response = client.call(2, &request("orders", 0, -1)).await;
    assert_eq!(response.topics[0].partitions[0].low_watermark, 3);
}

#[tokio::test]
async fn the_one_leader_epoch_ends_where_the_log_ends() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    client.produce("orders", 0, &batch(&["a", "b"])).await;
    for version in 2..=4 {
        let mut answers = Vec::new();
        for (partition, current, epoch) in [
            (0, 0, 0),
            (0, -1, 0),
            (0, 0, 1),
            (0, 0, -1),
            (0, 1, 0),
            (1, 0, 0),
        ] {
            let partition = OffsetForLeaderPartition::default()
                .with_partition(partition)
                .with_current_leader_epoch(current)
                .with_leader_epoch(epoch);
            let topic = OffsetForLeaderTopic::default()
                .with_topic(text("orders").into())
                .with_partitions(vec![partition]);
            let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
            let response = client.call(version, &request).await;
            let answer = &response.topics[0].partitions[0];
            answers.push((answer.error_code, answer.leader_epoch, answer.end_offset));
        }
        let expected = [
            (0, 0, 2),
            (0, 0, 2),
            (0, -1, -1),
            (0, -1, -1),
            (75, -1, -1),
            (3, -1, -1),
        ];
        assert_eq!(answers, expected, "version {version}");
    }
}

#[tokio::test]
async fn topics_are_described_a_page_at_a_time() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    for name in ["c", "a", "b"] {
        client.create(name, 3).await;
    }
    let names = |names: &[&str]| {
        let topic = |name: &&str| TopicRequest::default().with_name(text(name).into());
        names.iter().map(topic).collect::<Vec<_>>()
    };
    for asked in [vec![], names(&["b", "a", "c", "a"])] {
        let mut pages = Vec::new();
        let mut cursor = None;
        loop {
            let request = DescribeTopicPartitionsRequest::default()
                .with_topics(asked.clone())
                .with_response_partition_limit(4)
                .with_cursor(cursor.take());
            let response = client.call(0, &request).await;
            let page: Vec<_> = response
                .topics
                .iter()
                .map(|topic| {
                    let index = topic.partitions.iter().map(|p| p.partition_index);
                    let name = topic.name.as_ref().unwrap().0.to_string();
                    (name, index.collect::<Vec<_>>())
                })
                .collect();
            pages.push(page);
            let Some(next) = response.next_cursor else {
                break;
            };
            cursor = Some(
                Cursor::default()
                    .with_topic_name(next.topic_name)
                    .with_partition_index(next.partition_index),
            );
        }
        let part = |name: &str, partitions: &[i32]| (name.to_owned(), partitions.to_vec());
        let expected = [
            vec![part("a", &[0, 1, 2]), part("b", &[0])],
            vec![part("b", &[1, 2]), part("c", &[0, 1])],
            vec![part("c", &[2])],
        ];
        assert_eq!(pages, expected);
    }
    let request = DescribeTopicPartitionsRequest::default()
        .with_topics(names(&["missing", "a", "no name"]))
        .with_response_partition_limit(2000);
    let response = client.call(0, &request).await;
    let codes: Vec<_> = response.topics.iter().map(|t| t.error_code).collect();
    assert_eq!(codes, [0, 3, 17]);
    assert!(response.next_cursor.is_none());
}

#[tokio::test]
async fn nothing_is_reassigned_and_no_leader_needs_electing() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let request = ListPartitionReassignmentsRequest::default().with_topics(None);
    let response = client.call(0, &request).await;
    assert_eq!((response.error_code, response.topics.len()), (0, 0));
    let topics = ["orders", "bills"].map(|name| {
        TopicPartitions::default()
            .with_topic(text(name).into())
            .with_partitions(vec![0, 1])
    });
    for version in 0..=2 {
        let request = ElectLeadersRequest::default();
        let all = client
            .call(version, &request.clone().with_topic_partitions(None))
            .await;
        assert_eq!((all.error_code, all.replica_election_results.len()), (0, 0));
        let some = request.with_topic_partitions(Some(topics.to_vec()));
        let response = client.call(version, &some).await;
        let codes: Vec<_> = response
            .replica_election_results
            .iter()
            .flat_map(|topic| topic.partition_result.iter().map(|p| p.error_code))
            .collect();
        assert_eq!(codes, [84, 3, 3, 3]);
    }
}
