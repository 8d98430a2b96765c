use bytes::{BufMut as _, Bytes, BytesMut};
use kop_wire::kafka_protocol::{
    messages::{
        AlterConfigsRequest, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest,
        DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeClusterRequest,
        DescribeConfigsRequest, DescribeGroupsRequest, DescribeTopicPartitionsRequest,
        ElectLeadersRequest, FetchRequest, FindCoordinatorRequest, HeartbeatRequest,
        IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest,
        ListGroupsRequest, ListOffsetsRequest, ListPartitionReassignmentsRequest, MetadataRequest,
        OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, OffsetForLeaderEpochRequest,
        ProduceRequest, SyncGroupRequest,
        alter_configs_request::{AlterConfigsResource, AlterableConfig},
        create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic},
        create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig},
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
        delete_topics_request::DeleteTopicState,
        describe_configs_request::DescribeConfigsResource,
        describe_topic_partitions_request::{Cursor, TopicRequest},
        elect_leaders_request::TopicPartitions,
        fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState},
        incremental_alter_configs_request,
        join_group_request::JoinGroupRequestProtocol,
        leave_group_request::MemberIdentity,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        list_partition_reassignments_request::ListPartitionReassignmentsTopics,
        metadata_request::MetadataRequestTopic,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
        offset_fetch_request::{
            OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        },
        offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
        produce_request::{PartitionProduceData, TopicProduceData},
        sync_group_request::SyncGroupRequestAssignment,
    },
    protocol::{Encodable, Message, StrBytes},
};

use super::*;

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn name(text: &'static str) -> kop_wire::kafka_protocol::messages::TopicName {
    StrBytes::from_static_str(text).into()
}

/// Writes the request in every version it has and walks it to exactly its end.
fn fits<Request: Encodable + Message>(key: ApiKey, request: impl Fn(i16) -> Request) {
    for version in Request::VERSIONS.min..=Request::VERSIONS.max {
        let mut bytes = BytesMut::new();
        request(version).encode(&mut bytes, version).unwrap();
        assert_eq!(
            walk(key, version, &bytes),
            Ok(&[][..]),
            "{key:?} version {version}"
        );
        for cut in 0..bytes.len() {
            assert!(
                walk(key, version, &bytes[..cut]).is_err(),
                "{key:?} {version} cut at {cut}"
            );
        }
    }
}

#[test]
fn every_row_of_the_table_has_a_schema() {
    for api in crate::api::APIS {
        let known = tables::SCHEMAS.iter().any(|schema| schema.key == api.key);
        assert!(known, "{} has no schema", api.name);
    }
}

#[test]
fn requests_for_records_are_walked_to_their_end() {
    fits(ApiKey::Produce, |version| {
        let partition = PartitionProduceData::default()
            .with_index(3)
            .with_records(Some(Bytes::from_static(b"some records")));
        let topic = TopicProduceData::default()
            .with_partition_data(vec![partition.clone(), partition.with_records(None)]);
        let topic = if version >= 13 {
            topic.with_topic_id(uuid::Uuid::max())
        } else {
            topic.with_name(name("orders"))
        };
        ProduceRequest::default()
            .with_transactional_id(Some(text("tx").into()))
            .with_topic_data(vec![topic.clone(), topic])
    });
    fits(ApiKey::Fetch, |version| {
        let mut partition = FetchPartition::default().with_partition(1);
        if version >= 17 {
            partition = partition.with_replica_directory_id(uuid::Uuid::max());
        }
        if version >= 18 {
            partition = partition.with_high_watermark(7);
        }
        let mut topic = FetchTopic::default().with_partitions(vec![partition.clone(), partition]);
        let mut forgotten = ForgottenTopic::default().with_partitions(vec![1, 2, 3]);
        if version >= 13 {
            topic = topic.with_topic_id(uuid::Uuid::max());
            forgotten = forgotten.with_topic_id(uuid::Uuid::max());
        } else {
            topic = topic.with_topic(name("orders"));
            forgotten = forgotten.with_topic(name("bills"));
        }
        let mut request = FetchRequest::default().with_topics(vec![topic.clone(), topic]);
        if version >= 7 {
            request = request.with_forgotten_topics_data(vec![forgotten]);
        }
        if version >= 11 {
            request = request.with_rack_id(text("rack"));
        }
        if version >= 12 {
            request = request.with_cluster_id(Some(text("cluster")));
        }
        if version >= 15 {
            request = request.with_replica_state(ReplicaState::default().with_replica_epoch(9));
        }
        request
    });
    fits(ApiKey::ListOffsets, |_| {
        let partition = ListOffsetsPartition::default().with_timestamp(5);
        let topic = ListOffsetsTopic::default()
            .with_name(name("orders"))
            .with_partitions(vec![partition.clone(), partition]);
        ListOffsetsRequest::default().with_topics(vec![topic])
    });
    fits(ApiKey::InitProducerId, |_| InitProducerIdRequest::default());
}

#[test]
fn requests_about_topics_are_walked_to_their_end() {
    fits(ApiKey::Metadata, |_| {
        let topic = MetadataRequestTopic::default().with_name(Some(name("orders")));
        MetadataRequest::default().with_topics(Some(vec![topic.clone(), topic]))
    });
    fits(ApiKey::Metadata, |version| {
        let topics = if version >= 1 { None } else { Some(Vec::new()) };
        MetadataRequest::default().with_topics(topics)
    });
    fits(ApiKey::CreateTopics, |_| {
        let assignment = CreatableReplicaAssignment::default().with_broker_ids(vec![0.into()]);
        let config = CreatableTopicConfig::default()
            .with_name(text("retention.ms"))
            .with_value(Some(text("5")));
        let topic = CreatableTopic::default()
            .with_name(name("orders"))
            .with_assignments(vec![assignment.clone(), assignment])
            .with_configs(vec![config.clone(), config.with_value(None)]);
        CreateTopicsRequest::default().with_topics(vec![topic.clone(), topic])
    });
    fits(ApiKey::DeleteTopics, |version| {
        let state = DeleteTopicState::default().with_name(Some(name("orders")));
        if version >= 6 {
            DeleteTopicsRequest::default().with_topics(vec![state])
        } else {
            DeleteTopicsRequest::default().with_topic_names(vec![name("a"), name("b")])
        }
    });
    fits(ApiKey::ApiVersions, |version| {
        if version >= 3 {
            ApiVersionsRequest::default().with_client_software_name(text("kcat"))
        } else {
            ApiVersionsRequest::default()
        }
    });
}

#[test]
fn requests_about_the_cluster_are_walked_to_their_end() {
    fits(ApiKey::DescribeCluster, |_| {
        DescribeClusterRequest::default()
    });
    fits(ApiKey::DescribeConfigs, |_| {
        let resource = DescribeConfigsResource::default()
            .with_resource_name(text("orders"))
            .with_configuration_keys(Some(vec![text("retention.ms")]));
        let all = resource.clone().with_configuration_keys(None);
        DescribeConfigsRequest::default().with_resources(vec![resource, all])
    });
    fits(ApiKey::AlterConfigs, |_| {
        let config = AlterableConfig::default().with_name(text("retention.ms"));
        let set = config.clone().with_value(Some(text("1")));
        let resource = AlterConfigsResource::default()
            .with_resource_name(text("orders"))
            .with_configs(vec![config, set]);
        AlterConfigsRequest::default().with_resources(vec![resource.clone(), resource])
    });
    fits(ApiKey::IncrementalAlterConfigs, |_| {
        let config = incremental_alter_configs_request::AlterableConfig::default()
            .with_name(text("retention.ms"));
        let set = config.clone().with_value(Some(text("1")));
        let resource = incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_name(text("orders"))
            .with_configs(vec![config, set]);
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource.clone(), resource])
    });
    fits(ApiKey::CreatePartitions, |_| {
        let assignment = CreatePartitionsAssignment::default().with_broker_ids(vec![1.into()]);
        let topic = CreatePartitionsTopic::default()
            .with_name(name("orders"))
            .with_assignments(Some(vec![assignment.clone(), assignment]));
        let plain = topic.clone().with_assignments(None);
        CreatePartitionsRequest::default().with_topics(vec![topic, plain])
    });
    fits(ApiKey::DeleteRecords, |_| {
        let topic = DeleteRecordsTopic::default()
            .with_name(name("orders"))
            .with_partitions(vec![DeleteRecordsPartition::default(); 2]);
        DeleteRecordsRequest::default().with_topics(vec![topic.clone(), topic])
    });
    fits(ApiKey::OffsetForLeaderEpoch, |_| {
        let topic = OffsetForLeaderTopic::default()
            .with_topic(name("orders"))
            .with_partitions(vec![OffsetForLeaderPartition::default(); 2]);
        OffsetForLeaderEpochRequest::default().with_topics(vec![topic])
    });
    fits(ApiKey::ElectLeaders, |_| {
        let topic = TopicPartitions::default()
            .with_topic(name("orders"))
            .with_partitions(vec![1, 2]);
        ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic]))
    });
    fits(ApiKey::ListPartitionReassignments, |_| {
        let topic = ListPartitionReassignmentsTopics::default()
            .with_name(name("orders"))
            .with_partition_indexes(vec![1, 2]);
        ListPartitionReassignmentsRequest::default().with_topics(Some(vec![topic]))
    });
    for cursor in [
        None,
        Some(Cursor::default().with_topic_name(name("orders"))),
    ] {
        fits(ApiKey::DescribeTopicPartitions, |_| {
            let topic = TopicRequest::default().with_name(name("orders"));
            DescribeTopicPartitionsRequest::default()
                .with_topics(vec![topic.clone(), topic])
                .with_cursor(cursor.clone())
        });
    }
}

#[test]
fn requests_of_groups_are_walked_to_their_end() {
    fits(ApiKey::FindCoordinator, |version| {
        if version >= 4 {
            FindCoordinatorRequest::default().with_coordinator_keys(vec![text("a"), text("b")])
        } else {
            FindCoordinatorRequest::default().with_key(text("group"))
        }
    });
    fits(ApiKey::JoinGroup, |_| {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text("range"))
            .with_metadata(Bytes::from_static(b"topics"));
        JoinGroupRequest::default()
            .with_group_id(text("group").into())
            .with_protocols(vec![protocol.clone(), protocol])
    });
    fits(ApiKey::SyncGroup, |_| {
        let assignment = SyncGroupRequestAssignment::default()
            .with_member_id(text("member"))
            .with_assignment(Bytes::from_static(b"partitions"));
        SyncGroupRequest::default().with_assignments(vec![assignment.clone(), assignment])
    });
    fits(ApiKey::Heartbeat, |_| {
        HeartbeatRequest::default().with_member_id(text("member"))
    });
    fits(ApiKey::LeaveGroup, |version| {
        let request = LeaveGroupRequest::default().with_group_id(text("group").into());
        if version >= 3 {
            let member = MemberIdentity::default().with_member_id(text("member"));
            request.with_members(vec![member.clone(), member])
        } else {
            request.with_member_id(text("member"))
        }
    });
    fits(ApiKey::OffsetCommit, |_| {
        let partition =
            OffsetCommitRequestPartition::default().with_committed_metadata(Some(text("note")));
        let topic = OffsetCommitRequestTopic::default()
            .with_name(name("orders"))
            .with_partitions(vec![partition.clone(), partition]);
        OffsetCommitRequest::default().with_topics(vec![topic])
    });
    fits(ApiKey::OffsetFetch, |version| {
        if version >= 8 {
            let topics = OffsetFetchRequestTopics::default()
                .with_name(name("orders"))
                .with_partition_indexes(vec![1, 2]);
            let group = OffsetFetchRequestGroup::default()
                .with_group_id(text("group").into())
                .with_topics(Some(vec![topics]));
            OffsetFetchRequest::default().with_groups(vec![group.clone(), group.with_topics(None)])
        } else {
            let topic = OffsetFetchRequestTopic::default()
                .with_name(name("orders"))
                .with_partition_indexes(vec![1, 2]);
            OffsetFetchRequest::default()
                .with_group_id(text("group").into())
                .with_topics(Some(vec![topic]))
        }
    });
}

#[test]
fn requests_about_groups_are_walked_to_their_end() {
    fits(ApiKey::DescribeGroups, |_| {
        DescribeGroupsRequest::default().with_groups(vec![text("a").into(), text("b").into()])
    });
    fits(ApiKey::ListGroups, |version| {
        let mut request = ListGroupsRequest::default();
        if version >= 4 {
            request = request.with_states_filter(vec![text("Empty"), text("Stable")]);
        }
        if version >= 5 {
            request = request.with_types_filter(vec![text("classic")]);
        }
        request
    });
    fits(ApiKey::DeleteGroups, |_| {
        DeleteGroupsRequest::default().with_groups_names(vec![text("a").into(), text("b").into()])
    });
    fits(ApiKey::OffsetDelete, |_| {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(3);
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(name("orders"))
            .with_partitions(vec![partition.clone(), partition]);
        OffsetDeleteRequest::default()
            .with_group_id(text("group").into())
            .with_topics(vec![topic.clone(), topic])
    });
}

#[test]
fn an_array_that_claims_more_than_there_is_goes_no_further() {
    let mut bytes = BytesMut::new();
    bytes.put_i32(i32::MAX);
    assert_eq!(check(ApiKey::Metadata, 0, &bytes), Err(Misshapen::Short));
    let mut bytes = BytesMut::new();
    bytes.put_i32(-2);
    assert_eq!(check(ApiKey::Metadata, 0, &bytes), Err(Misshapen::Length));
}

#[test]
fn a_request_of_very_many_elements_is_refused() {
    let mut bytes = BytesMut::new();
    bytes.put_i32(200_000);
    bytes.put_bytes(0, 400_000);
    assert_eq!(check(ApiKey::Metadata, 0, &bytes), Err(Misshapen::Elements));
}

#[test]
fn a_tagged_field_is_as_long_as_it_says() {
    let request = FetchRequest::default().with_cluster_id(Some(text("cluster")));
    let mut bytes = BytesMut::new();
    request.encode(&mut bytes, 12).unwrap();
    assert_eq!(check(ApiKey::Fetch, 12, &bytes), Ok(()));
    // Tag, size, length of the string, and the string stand last.
    let size = bytes.len() - 9;
    assert_eq!(bytes[size], 8);
    bytes[size] = 3;
    assert_eq!(check(ApiKey::Fetch, 12, &bytes), Err(Misshapen::Tag));
}
