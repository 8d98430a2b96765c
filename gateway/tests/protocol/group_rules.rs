//! Settings of groups and offsets, as clients meet them.
use bytes::Bytes;
use kop_wire::kafka_protocol::{
    ResponseError,
    messages::{
        GroupId, JoinGroupRequest, JoinGroupResponse, OffsetCommitRequest, OffsetFetchRequest,
        join_group_request::JoinGroupRequestProtocol,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    },
    protocol::StrBytes,
};

use crate::client::{Client, Gateway, in_time, text};

fn group(name: &str) -> GroupId {
    text(name).into()
}

async fn join(
    client: &mut Client,
    version: i16,
    session_timeout_ms: i32,
    instance: Option<&str>,
) -> JoinGroupResponse {
    let range = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::new());
    let request = JoinGroupRequest::default()
        .with_group_id(group("g"))
        .with_session_timeout_ms(session_timeout_ms)
        .with_rebalance_timeout_ms(10_000)
        .with_group_instance_id(instance.map(text))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![range]);
    client.call(version, &request).await
}

/// Commits offset 5 of partition 0, as one who is no member, and gives the error.
async fn commit(client: &mut Client, version: i16, retention_ms: i64, note: &str) -> i16 {
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(5)
        .with_committed_metadata(Some(StrBytes::from_string(note.to_owned())));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(text("t").into())
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(group("g"))
        .with_retention_time_ms(retention_ms)
        .with_topics(vec![topic]);
    let answer = client.call(version, &request).await;
    answer.topics[0].partitions[0].error_code
}

async fn has_offset(client: &mut Client) -> bool {
    let request = OffsetFetchRequest::default()
        .with_group_id(group("g"))
        .with_topics(None);
    !client.call(5, &request).await.topics.is_empty()
}

#[tokio::test]
async fn a_commit_may_name_its_own_retention_in_the_versions_that_have_one() {
    let gateway = Gateway::with("offsets-retention-check-interval-ms = 100").await;
    let mut client = gateway.client().await;
    client.create("t", 1).await;
    for version in 2..=4 {
        assert_eq!(commit(&mut client, version, -1, "").await, 0);
        assert!(has_offset(&mut client).await);
        assert_eq!(commit(&mut client, version, 0, "").await, 0);
        in_time(async { while has_offset(&mut client).await {} }).await;
    }
    for version in 5..=9 {
        assert_eq!(commit(&mut client, version, -1, "").await, 0);
    }
    let expired = gateway.metric("kop_group_expired_offsets_total").await;
    assert_eq!(expired, 3.0);
    // Whatever expires at the next looks, this does not.
    let again = Gateway::on(
        gateway.stop().await,
        "offsets-retention-check-interval-ms = 100",
    )
    .await;
    let mut client = again.client().await;
    assert!(has_offset(&mut client).await);
    again.stop().await;
}

#[tokio::test]
async fn a_group_is_no_larger_and_its_members_no_more_patient_than_configured() {
    let toml = "group-max-size = 1\ngroup-min-session-timeout-ms = 100\n\
                group-max-session-timeout-ms = 200\noffset-metadata-max-bytes = 3";
    let gateway = Gateway::with(toml).await;
    let mut client = gateway.client().await;
    client.create("t", 1).await;
    assert_eq!(commit(&mut client, 8, -1, "abc").await, 0);
    let too_large = ResponseError::OffsetMetadataTooLarge.code();
    assert_eq!(commit(&mut client, 8, -1, "abcd").await, too_large);
    for timeout in [99, 201] {
        let refused = join(&mut client, 5, timeout, Some("i")).await;
        assert_eq!(
            refused.error_code,
            ResponseError::InvalidSessionTimeout.code()
        );
    }
    let joined = join(&mut client, 5, 200, Some("i")).await;
    assert_eq!(joined.error_code, 0);
    let mut other = gateway.client().await;
    let refused = join(&mut other, 5, 200, Some("j")).await;
    assert_eq!(
        refused.error_code,
        ResponseError::GroupMaxSizeReached.code()
    );
    assert_eq!(refused.member_id.as_str(), "");
    gateway.stop().await;
}
