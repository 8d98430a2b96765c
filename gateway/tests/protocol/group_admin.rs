//! Groups looked at and removed from outside, in every version.
use bytes::Bytes;
use kop_wire::kafka_protocol::{
    ResponseError,
    messages::{
        DeleteGroupsRequest, DeleteTopicsRequest, DescribeGroupsRequest, GroupId, JoinGroupRequest,
        LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest,
        OffsetFetchRequest, SyncGroupRequest,
        describe_groups_response::DescribedGroup,
        join_group_request::JoinGroupRequestProtocol,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
        sync_group_request::SyncGroupRequestAssignment,
    },
    protocol::StrBytes,
};

use crate::client::{Client, Gateway, text};

const QUICK: &str = "group-initial-rebalance-delay-ms = 0";
/// A consumer's subscription to the topic `read`.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x04read\xff\xff\xff\xff";

fn group(name: &str) -> GroupId {
    text(name).into()
}

/// Becomes the one member of a group, with an assignment.
async fn join(client: &mut Client, name: &str) -> StrBytes {
    let range = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(SUBSCRIPTION));
    let request = JoinGroupRequest::default()
        .with_group_id(group(name))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![range]);
    let joined = client.call(3, &request).await;
    assert_eq!(joined.error_code, 0);
    let share = SyncGroupRequestAssignment::default()
        .with_member_id(joined.member_id.clone())
        .with_assignment(Bytes::from_static(b"share"));
    let request = SyncGroupRequest::default()
        .with_group_id(group(name))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(vec![share]);
    assert_eq!(client.call(3, &request).await.error_code, 0);
    joined.member_id
}

async fn leave(client: &mut Client, name: &str, member: StrBytes) {
    let request = LeaveGroupRequest::default()
        .with_group_id(group(name))
        .with_member_id(member);
    assert_eq!(client.call(1, &request).await.error_code, 0);
}

/// Commits an offset for partition 0 of a topic, as one who is no member.
async fn commit(client: &mut Client, name: &str, topic: &str) {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(5);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(text(topic).into())
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(group(name))
        .with_topics(vec![topic]);
    let answer = client.call(2, &request).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
}

async fn describe(client: &mut Client, version: i16, name: &str) -> DescribedGroup {
    let request = DescribeGroupsRequest::default()
        .with_groups(vec![group(name)])
        .with_include_authorized_operations(version >= 3);
    let described = client.call(version, &request).await.groups.remove(0);
    assert_eq!(described.group_id, group(name));
    described
}

async fn delete(client: &mut Client, version: i16, name: &str) -> i16 {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![group(name)]);
    let answer = client.call(version, &request).await;
    assert_eq!(answer.results[0].group_id, group(name));
    answer.results[0].error_code
}

async fn list(client: &mut Client, version: i16, states: &[&str], types: &[&str]) -> Vec<String> {
    let texts = |names: &[&str]| names.iter().map(|name| text(name)).collect();
    let request = ListGroupsRequest::default()
        .with_states_filter(texts(states))
        .with_types_filter(texts(types));
    let answer = client.call(version, &request).await;
    assert_eq!(answer.error_code, 0);
    let groups = answer.groups.iter();
    groups
        .map(|one| {
            let (state, kind) = (&one.group_state, &one.group_type);
            let id = one.group_id.as_str();
            format!("{id} {} {state} {kind}", one.protocol_type)
                .trim_end()
                .to_owned()
        })
        .collect()
}

#[tokio::test]
async fn a_group_is_described_with_its_members() {
    let gateway = Gateway::with(QUICK).await;
    let mut client = gateway.client().await;
    let member = join(&mut client, "g").await;
    for version in 0..=6 {
        let described = describe(&mut client, version, "g").await;
        assert_eq!(described.error_code, 0);
        assert_eq!(described.group_state.as_str(), "Stable");
        assert_eq!(described.protocol_type.as_str(), "consumer");
        assert_eq!(described.protocol_data.as_str(), "range");
        let operations = if version >= 3 { 328 } else { i32::MIN };
        assert_eq!(described.authorized_operations, operations);
        let [only] = &described.members[..] else {
            panic!("not one member: {described:?}");
        };
        assert_eq!(only.member_id, member);
        assert_eq!(only.client_id.as_str(), "test");
        assert_eq!(only.client_host.as_str(), "/127.0.0.1");
        assert_eq!(only.member_metadata, SUBSCRIPTION);
        assert_eq!(only.member_assignment, &b"share"[..]);

        let missing = describe(&mut client, version, "missing").await;
        let error = match version {
            6 => ResponseError::GroupIdNotFound.code(),
            _ => 0,
        };
        assert_eq!(missing.error_code, error);
        assert_eq!(missing.group_state.as_str(), "Dead");
    }
    leave(&mut client, "g", member).await;
    let described = describe(&mut client, 5, "g").await;
    assert_eq!(described.group_state.as_str(), "Empty");
    assert!(described.members.is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn groups_of_all_shards_are_listed_also_after_a_restart() {
    let gateway = Gateway::with(QUICK).await;
    let mut client = gateway.client().await;
    assert!(list(&mut client, 0, &[], &[]).await.is_empty());
    client.create("t", 1).await;
    for name in ["c", "a", "b"] {
        commit(&mut client, name, "t").await;
    }
    join(&mut client, "d").await;
    let all = ["a", "b", "c", "d consumer"].map(str::to_owned);
    for version in 0..=3 {
        let listed = list(&mut client, version, &[], &[]).await;
        assert_eq!(listed, all, "version {version}");
    }
    let gateway = Gateway::on(gateway.stop().await, QUICK).await;
    let mut client = gateway.client().await;
    assert_eq!(
        list(&mut client, 4, &[], &[]).await,
        ["a  Empty", "b  Empty", "c  Empty", "d consumer Stable"]
    );
    for version in 4..=5 {
        assert_eq!(list(&mut client, version, &["empty"], &[]).await.len(), 3);
        let both = ["Stable", "Empty", "nonsense"];
        assert_eq!(list(&mut client, version, &both, &[]).await.len(), 4);
        assert!(list(&mut client, version, &["Dead"], &[]).await.is_empty());
    }
    let classic = list(&mut client, 5, &["Stable"], &["Classic"]).await;
    assert_eq!(classic, ["d consumer Stable classic"]);
    assert!(list(&mut client, 5, &[], &["consumer"]).await.is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn a_group_without_members_is_deleted_with_its_offsets_for_good() {
    let gateway = Gateway::with(QUICK).await;
    let mut client = gateway.client().await;
    client.create("t", 1).await;
    for version in 0..=2 {
        let name = format!("g{version}");
        commit(&mut client, &name, "t").await;
        let member = join(&mut client, &name).await;
        let refused = delete(&mut client, version, &name).await;
        assert_eq!(refused, ResponseError::NonEmptyGroup.code());
        leave(&mut client, &name, member).await;
        assert_eq!(delete(&mut client, version, &name).await, 0);
        let again = delete(&mut client, version, &name).await;
        assert_eq!(again, ResponseError::GroupIdNotFound.code());
    }
    let gateway = Gateway::on(gateway.stop().await, QUICK).await;
    let mut client = gateway.client().await;
    assert!(list(&mut client, 4, &[], &[]).await.is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn offsets_are_deleted_where_no_member_reads_the_topic() {
    let gateway = Gateway::with(QUICK).await;
    let mut client = gateway.client().await;
    for topic in ["read", "unread"] {
        client.create(topic, 1).await;
        commit(&mut client, "g", topic).await;
    }
    join(&mut client, "g").await;
    let topic = |name: &str| {
        OffsetDeleteRequestTopic::default()
            .with_name(text(name).into())
            .with_partitions(vec![OffsetDeleteRequestPartition::default()])
    };
    let mut request = OffsetDeleteRequest::default()
        .with_group_id(group("g"))
        .with_topics(vec![topic("unread"), topic("no name"), topic("read")]);
    let answer = client.call(0, &request).await;
    assert_eq!(answer.error_code, 0);
    let answered = answer.topics.iter();
    let codes: Vec<i16> = answered.map(|t| t.partitions[0].error_code).collect();
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    let subscribed = ResponseError::GroupSubscribedToTopic.code();
    assert_eq!(codes, [0, unknown, subscribed]);
    let left = OffsetFetchRequest::default()
        .with_group_id(group("g"))
        .with_topics(None);
    let left = client.call(5, &left).await;
    assert_eq!(left.topics.len(), 1);
    assert_eq!(left.topics[0].name.as_str(), "read");
    request.group_id = group("missing");
    let answer = client.call(0, &request).await;
    assert_eq!(answer.error_code, ResponseError::GroupIdNotFound.code());
    gateway.stop().await;
}

async fn topics_with_offsets(client: &mut Client, name: &str) -> Vec<String> {
    let request = OffsetFetchRequest::default()
        .with_group_id(group(name))
        .with_topics(None);
    let answer = client.call(5, &request).await;
    assert_eq!(answer.error_code, 0);
    let topics = answer.topics.iter();
    topics.map(|topic| topic.name.to_string()).collect()
}

#[tokio::test]
async fn a_deleted_topic_takes_the_offsets_of_all_groups_with_it() {
    let gateway = Gateway::with(QUICK).await;
    let mut client = gateway.client().await;
    for topic in ["gone", "read"] {
        client.create(topic, 1).await;
    }
    for name in ["a", "b", "c"] {
        commit(&mut client, name, "gone").await;
    }
    commit(&mut client, "a", "read").await;
    // After a restart no shard has read its log yet.
    let gateway = Gateway::on(gateway.stop().await, QUICK).await;
    let mut client = gateway.client().await;
    let request = DeleteTopicsRequest::default().with_topic_names(vec![text("gone").into()]);
    assert_eq!(client.call(5, &request).await.responses[0].error_code, 0);
    client.create("gone", 1).await;
    assert_eq!(topics_with_offsets(&mut client, "a").await, ["read"]);
    for name in ["b", "c"] {
        assert!(topics_with_offsets(&mut client, name).await.is_empty());
    }
    assert_eq!(list(&mut client, 4, &[], &[]).await, ["a  Empty"]);
    let gateway = Gateway::on(gateway.stop().await, QUICK).await;
    let mut client = gateway.client().await;
    assert_eq!(topics_with_offsets(&mut client, "a").await, ["read"]);
    assert!(topics_with_offsets(&mut client, "b").await.is_empty());
    gateway.stop().await;
}
