//! The group APIs of a whole gateway, over its socket, in every version that is served.
#![cfg(test)]
use std::{net::SocketAddr, path::Path, time::Duration};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kop_config::RawConfig;
use kop_gateway::Running;
use kop_wire::kafka_protocol::{
    ResponseError,
    messages::{
        CreateTopicsRequest, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest,
        JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
        OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
        RequestHeader, ResponseHeader, SyncGroupRequest, SyncGroupResponse, TopicName,
        create_topics_request::CreatableTopic,
        join_group_request::JoinGroupRequestProtocol,
        leave_group_request::MemberIdentity,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch_request::{
            OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        },
        sync_group_request::SyncGroupRequestAssignment,
    },
    protocol::{Decodable as _, Encodable as _, HeaderVersion as _, Request, StrBytes},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

async fn gateway(directory: &Path) -> Running {
    let raw = RawConfig::from_toml(&format!(
        "data-dir = {:?}\ndurability = \"os\"\nlisten = [\"127.0.0.1:0\"]\nadmin-listen = \"127.0.0.1:0\"\n\
         group-initial-rebalance-delay-ms = 0\n",
        directory.join("data")
    ));
    Running::start(raw.unwrap().validate().unwrap())
        .await
        .unwrap()
}

/// A connection that asks one thing after another.
struct Client(TcpStream);

impl Client {
    async fn connect(running: &Running) -> Self {
        let address: SocketAddr = running.kafka()[0];
        Self(TcpStream::connect(address).await.unwrap())
    }

    async fn ask<R: Request>(&mut self, version: i16, request: R) -> R::Response {
        self.send(version, request).await;
        self.answer::<R>(version).await
    }

    async fn send<R: Request>(&mut self, version: i16, request: R) {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(7)
            .with_client_id(Some(text("test")));
        let mut body = BytesMut::new();
        header
            .encode(&mut body, R::header_version(version))
            .unwrap();
        request.encode(&mut body, version).unwrap();
        let mut frame = BytesMut::new();
        frame.put_u32(u32::try_from(body.len()).unwrap());
        frame.unsplit(body);
        self.0.write_all(&frame).await.unwrap();
    }

    async fn answer<R: Request>(&mut self, version: i16) -> R::Response {
        let reading = async {
            let size = self.0.read_u32().await.unwrap();
            let mut frame = vec![0; usize::try_from(size).unwrap()];
            self.0.read_exact(&mut frame).await.unwrap();
            Bytes::from(frame)
        };
        let limit = Duration::from_secs(20);
        let mut frame = tokio::time::timeout(limit, reading)
            .await
            .expect("no answer");
        let header_version = R::Response::header_version(version);
        let header = ResponseHeader::decode(&mut frame, header_version).unwrap();
        assert_eq!(header.correlation_id, 7);
        let response = R::Response::decode(&mut frame, version).unwrap();
        assert!(!frame.has_remaining(), "bytes behind the answer");
        response
    }

    async fn make_topic(&mut self) {
        let topic = CreatableTopic::default()
            .with_name(topic())
            .with_num_partitions(4)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(5_000);
        let made = self.ask(5, request).await;
        assert_eq!(made.topics[0].error_code, 0);
    }

    async fn join(&mut self, version: i16, group: &str, member: &str) -> JoinGroupResponse {
        self.send(version, join_request(version, group, member))
            .await;
        self.answer::<JoinGroupRequest>(version).await
    }

    async fn commit(&mut self, version: i16, request: OffsetCommitRequest) -> OffsetCommitResponse {
        self.ask(version, request).await
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic() -> TopicName {
    TopicName(text("t"))
}

fn code(error: ResponseError) -> i16 {
    error.code()
}

fn join_request(version: i16, group: &str, member: &str) -> JoinGroupRequest {
    let range = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"subscription"));
    JoinGroupRequest::default()
        .with_group_id(text(group).into())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(if version >= 1 { 20_000 } else { -1 })
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![range])
}

fn sync_request(
    group: &str,
    joined: &JoinGroupResponse,
    shares: &[(&StrBytes, &'static [u8])],
) -> SyncGroupRequest {
    let assignments = shares.iter().map(|(member, share)| {
        SyncGroupRequestAssignment::default()
            .with_member_id((*member).clone())
            .with_assignment(Bytes::from_static(share))
    });
    SyncGroupRequest::default()
        .with_group_id(text(group).into())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(assignments.collect())
}

fn commit_request(group: &str, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
    let partitions = offsets.iter().map(|(partition, offset)| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
            .with_committed_metadata(Some(text("note")))
    });
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic())
        .with_partitions(partitions.collect());
    OffsetCommitRequest::default()
        .with_group_id(text(group).into())
        .with_topics(vec![topic])
}

/// What the group has for the topic's partitions 0 and 1.
async fn fetched(client: &mut Client, version: i16, group: &str) -> Vec<(i32, i64, String)> {
    if version >= 8 {
        let topics = OffsetFetchRequestTopics::default()
            .with_name(topic())
            .with_partition_indexes(vec![0, 1]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(text(group).into())
            .with_topics(Some(vec![topics]));
        let request = OffsetFetchRequest::default().with_groups(vec![group]);
        let answer: OffsetFetchResponse = client.ask(version, request).await;
        assert_eq!(answer.groups[0].error_code, 0);
        let partitions = &answer.groups[0].topics[0].partitions;
        assert!(partitions.iter().all(|p| p.error_code == 0));
        let of = |m: &Option<StrBytes>| m.as_ref().unwrap().to_string();
        return partitions
            .iter()
            .map(|p| (p.partition_index, p.committed_offset, of(&p.metadata)))
            .collect();
    }
    let topics = OffsetFetchRequestTopic::default()
        .with_name(topic())
        .with_partition_indexes(vec![0, 1]);
    let request = OffsetFetchRequest::default()
        .with_group_id(text(group).into())
        .with_topics(Some(vec![topics]));
    let answer: OffsetFetchResponse = client.ask(version, request).await;
    assert_eq!(answer.error_code, 0);
    let of = |m: &Option<StrBytes>| m.as_ref().unwrap().to_string();
    answer.topics[0]
        .partitions
        .iter()
        .map(|p| (p.partition_index, p.committed_offset, of(&p.metadata)))
        .collect()
}

/// Finds its coordinator, joins, syncs, lives, commits, fetches and leaves, in these versions.
async fn lifetime(client: &mut Client, version: i16) {
    let group = &format!("group-{version}");
    let find_version = version.min(6);
    let find = FindCoordinatorRequest::default();
    let find = if find_version >= 4 {
        find.with_coordinator_keys(vec![text(group)])
    } else {
        find.with_key(text(group))
    };
    let found: FindCoordinatorResponse = client.ask(find_version, find).await;
    let (error, port) = if find_version >= 4 {
        (found.coordinators[0].error_code, found.coordinators[0].port)
    } else {
        (found.error_code, found.port)
    };
    assert_eq!(
        (error, port),
        (0, i32::from(client.0.peer_addr().unwrap().port()))
    );

    let mut joined = client.join(version, group, "").await;
    if version >= 4 {
        assert_eq!(joined.error_code, code(ResponseError::MemberIdRequired));
        joined = client.join(version, group, &joined.member_id.clone()).await;
    }
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!(
        (&joined.leader, joined.members.len()),
        (&joined.member_id, 1)
    );
    assert_eq!(joined.protocol_name, Some(text("range")));
    assert_eq!(
        joined.protocol_type,
        (version >= 7).then(|| text("consumer"))
    );
    assert!(joined.member_id.starts_with("test-"));

    let mut sync = sync_request(group, &joined, &[(&joined.member_id, b"share")]);
    if version >= 5 {
        sync.protocol_type = Some(text("consumer"));
        sync.protocol_name = Some(text("range"));
    }
    let synced: SyncGroupResponse = client.ask(version.min(5), sync).await;
    assert_eq!(
        (synced.error_code, synced.assignment.as_ref()),
        (0, &b"share"[..])
    );

    let beat = HeartbeatRequest::default()
        .with_group_id(text(group).into())
        .with_generation_id(1)
        .with_member_id(joined.member_id.clone());
    assert_eq!(client.ask(version.min(4), beat).await.error_code, 0);

    let commit = commit_request(group, &[(0, 40 + i64::from(version))])
        .with_generation_id_or_member_epoch(1)
        .with_member_id(joined.member_id.clone());
    let committed = client.commit(version.max(2), commit).await;
    assert_eq!(committed.topics[0].partitions[0].error_code, 0);
    let found = fetched(client, version.max(1), group).await;
    let expected = [
        (0, 40 + i64::from(version), "note".to_owned()),
        (1, -1, String::new()),
    ];
    assert_eq!(found, expected);

    let leave = LeaveGroupRequest::default().with_group_id(text(group).into());
    let leave = if version >= 3 {
        let member = MemberIdentity::default().with_member_id(joined.member_id.clone());
        leave.with_members(vec![member])
    } else {
        leave.with_member_id(joined.member_id.clone())
    };
    let left: LeaveGroupResponse = client.ask(version.min(5), leave.clone()).await;
    assert_eq!(left.error_code, 0);
    assert!(left.members.iter().all(|member| member.error_code == 0));
    let again: LeaveGroupResponse = client.ask(version.min(5), leave).await;
    let told = again
        .members
        .first()
        .map_or(again.error_code, |member| member.error_code);
    assert_eq!(told, code(ResponseError::UnknownMemberId));
}

#[tokio::test]
async fn a_member_lives_through_its_group_in_every_version() {
    let directory = tempfile::tempdir().unwrap();
    let running = gateway(directory.path()).await;
    let mut client = Client::connect(&running).await;
    client.make_topic().await;
    for version in 0..=9 {
        lifetime(&mut client, version).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn strangers_are_refused_with_kafkas_codes() {
    let directory = tempfile::tempdir().unwrap();
    let running = gateway(directory.path()).await;
    let mut client = Client::connect(&running).await;
    let unknown = code(ResponseError::UnknownMemberId);
    for version in 0..=9 {
        assert_eq!(
            client.join(version, "g", "nobody").await.error_code,
            unknown
        );
        let mut hasty = join_request(version, "g", "");
        hasty.session_timeout_ms = 1;
        let refused = client.ask(version, hasty).await.error_code;
        assert_eq!(refused, code(ResponseError::InvalidSessionTimeout));
        let nameless = client.join(version, "", "").await.error_code;
        assert_eq!(nameless, code(ResponseError::InvalidGroupId));
    }
    for version in 0..=5 {
        let stranger = JoinGroupResponse::default()
            .with_generation_id(1)
            .with_member_id(text("x"));
        let synced: SyncGroupResponse =
            client.ask(version, sync_request("g", &stranger, &[])).await;
        assert_eq!(synced.error_code, unknown);
    }
    for version in 0..=4 {
        let beat = HeartbeatRequest::default()
            .with_group_id(text("g").into())
            .with_generation_id(1)
            .with_member_id(text("x"));
        assert_eq!(client.ask(version, beat).await.error_code, unknown);
    }
    running.stop().await;
}

#[tokio::test]
async fn only_groups_have_coordinators() {
    let directory = tempfile::tempdir().unwrap();
    let running = gateway(directory.path()).await;
    let mut client = Client::connect(&running).await;
    for version in 1..=6 {
        for kind in [1, 2] {
            let request = FindCoordinatorRequest::default().with_key_type(kind);
            let request = if version >= 4 {
                request.with_coordinator_keys(vec![text("x")])
            } else {
                request.with_key(text("x"))
            };
            let found: FindCoordinatorResponse = client.ask(version, request).await;
            let error = found
                .coordinators
                .first()
                .map_or(found.error_code, |one| one.error_code);
            assert_eq!(
                error,
                code(ResponseError::InvalidRequest),
                "version {version}"
            );
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn offsets_are_kept_for_topics_that_exist_and_given_back_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let running = gateway(directory.path()).await;
    let mut client = Client::connect(&running).await;
    client.make_topic().await;
    let mut request = commit_request("g", &[(0, 5), (1, 6), (4, 7), (-1, 8)]);
    let mut missing = request.topics[0].clone();
    missing.name = TopicName(text("missing"));
    request.topics.insert(0, missing);
    request.topics[1].partitions[1].committed_metadata = Some(text(&"x".repeat(5_000)));
    let answer = client.commit(8, request).await;
    let codes = |topic: usize| -> Vec<i16> {
        answer.topics[topic]
            .partitions
            .iter()
            .map(|p| p.error_code)
            .collect()
    };
    let no_topic = code(ResponseError::UnknownTopicOrPartition);
    assert_eq!(codes(0), [no_topic; 4]);
    let too_large = code(ResponseError::OffsetMetadataTooLarge);
    assert_eq!(codes(1), [0, too_large, no_topic, no_topic]);
    running.stop().await;

    let running = gateway(directory.path()).await;
    let mut client = Client::connect(&running).await;
    let expected = [(0, 5, "note".to_owned()), (1, -1, String::new())];
    assert_eq!(fetched(&mut client, 7, "g").await, expected);
    // All that the group has, by both ways to ask.
    let request = OffsetFetchRequest::default()
        .with_group_id(text("g").into())
        .with_topics(None);
    let all: OffsetFetchResponse = client.ask(7, request).await;
    assert_eq!((all.topics.len(), &all.topics[0].name), (1, &topic()));
    let group = |id: &str| {
        OffsetFetchRequestGroup::default()
            .with_group_id(text(id).into())
            .with_topics(None)
    };
    let request = OffsetFetchRequest::default().with_groups(vec![group("g"), group("other")]);
    let all: OffsetFetchResponse = client.ask(8, request).await;
    assert_eq!(all.groups[0].topics[0].partitions[0].committed_offset, 5);
    assert!(all.groups[1].topics.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn two_members_share_through_a_rebalance_and_the_gateway_stops_while_one_waits() {
    let directory = tempfile::tempdir().unwrap();
    let running = gateway(directory.path()).await;
    let (mut one, mut other) = (
        Client::connect(&running).await,
        Client::connect(&running).await,
    );
    let first = one.join(3, "g", "").await;
    let shares = [(&first.member_id, &b"all"[..])];
    let _: SyncGroupResponse = one.ask(3, sync_request("g", &first, &shares)).await;
    other.send(3, join_request(3, "g", "")).await;
    let beat = HeartbeatRequest::default()
        .with_group_id(text("g").into())
        .with_generation_id(1)
        .with_member_id(first.member_id.clone());
    while one.ask(3, beat.clone()).await.error_code == 0 {}
    let (mine, theirs) = (
        one.join(3, "g", &first.member_id).await,
        other.answer::<JoinGroupRequest>(3).await,
    );
    assert_eq!(
        (mine.generation_id, theirs.generation_id, mine.members.len()),
        (2, 2, 2)
    );
    other.send(3, sync_request("g", &theirs, &[])).await;
    let shares = [(&mine.member_id, &b"a"[..]), (&theirs.member_id, &b"b"[..])];
    let synced: SyncGroupResponse = one.ask(3, sync_request("g", &mine, &shares)).await;
    assert_eq!(synced.assignment.as_ref(), b"a");
    assert_eq!(
        other
            .answer::<SyncGroupRequest>(3)
            .await
            .assignment
            .as_ref(),
        b"b"
    );
    // One waits for the other, who will not come before the gateway has stopped.
    one.send(3, join_request(3, "g", &mine.member_id)).await;
    let beat = beat
        .with_generation_id(2)
        .with_member_id(theirs.member_id.clone());
    while other.ask(3, beat.clone()).await.error_code == 0 {}
    let stopping = tokio::spawn(running.stop());
    let told = one.answer::<JoinGroupRequest>(3).await.error_code;
    assert_eq!(told, code(ResponseError::CoordinatorNotAvailable));
    tokio::time::timeout(Duration::from_secs(20), stopping)
        .await
        .unwrap()
        .unwrap();
}
