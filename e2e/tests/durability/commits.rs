//! Groups that commit offsets all the time, with and without members.

use crate::pace::Pace;
use crate::producers::{PARTITIONS, TOPIC};
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    JoinGroupRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;
use kop_e2e::wire::{COORDINATOR_STARTS, Connection, text};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{Duration, Instant};

const COMMIT: i16 = 8;
const FETCH: i16 = 7;
const JOIN: i16 = 7;
const SYNC: i16 = 5;
const IN_FLIGHT: usize = 4;
const MEMBER_ID_REQUIRED: i16 = 79;
const LOADING: Duration = Duration::from_secs(20);
const PROTOCOL: StrBytes = StrBytes::from_static_str("range");

/// A group whose offsets only rise: commit `n` sets the offset `n` in each partition.
pub(crate) struct Group {
    pub(crate) name: String,
    /// Generation and member id, if the group has a member.
    member: Option<(i32, StrBytes)>,
    sent: i64,
    /// The highest commit that was acknowledged, or seen after a restart.
    held: i64,
    pub(crate) acknowledged: u64,
}

impl Group {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            member: None,
            sent: 0,
            held: -1,
            acknowledged: 0,
        }
    }

    /// Makes the group have one member, which leads it, and which no session timeout throws out.
    pub(crate) fn join(&mut self, client: &mut Connection) -> Result<()> {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(PROTOCOL)
            .with_metadata(Bytes::from_static(b"metadata"));
        let join = JoinGroupRequest::default()
            .with_group_id(text(&self.name).into())
            .with_session_timeout_ms(1_800_000)
            .with_rebalance_timeout_ms(10_000)
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_protocols(vec![protocol]);
        let deadline = Instant::now() + LOADING;
        let given = loop {
            let given = client.call(JOIN, &join)?;
            if !COORDINATOR_STARTS.contains(&given.error_code) {
                break given;
            }
            ensure!(Instant::now() < deadline, "the coordinator does not start");
        };
        ensure!(given.error_code == MEMBER_ID_REQUIRED, "{given:?}");
        let joined = client.call(JOIN, &join.with_member_id(given.member_id))?;
        ensure!(joined.error_code == 0, "{joined:?}");
        let assignment = SyncGroupRequestAssignment::default()
            .with_member_id(joined.member_id.clone())
            .with_assignment(Bytes::from_static(b"assignment"));
        let sync = SyncGroupRequest::default()
            .with_group_id(text(&self.name).into())
            .with_generation_id(joined.generation_id)
            .with_member_id(joined.member_id.clone())
            .with_protocol_type(Some(StrBytes::from_static_str("consumer")))
            .with_protocol_name(Some(PROTOCOL))
            .with_assignments(vec![assignment]);
        let synced = client.call(SYNC, &sync)?;
        ensure!(synced.error_code == 0, "{synced:?}");
        self.member = Some((joined.generation_id, joined.member_id));
        Ok(())
    }

    /// Commits until the connection is lost. A member's generation must outlive the gateway.
    pub(crate) fn run(&mut self, address: &str, pace: &Pace) -> Result<Infallible> {
        let mut client = Connection::connect(address)?;
        let mut in_flight = VecDeque::new();
        loop {
            while in_flight.len() < IN_FLIGHT {
                let request = self.commit(self.sent);
                // Counted first: it may arrive though sending it fails.
                self.sent += 1;
                in_flight.push_back((client.send(COMMIT, &request)?, self.sent - 1));
            }
            let (number, commit) = in_flight.pop_front().context("just filled")?;
            let response = client.receive::<OffsetCommitRequest>(COMMIT, number)?;
            let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            let codes: Vec<i16> = partitions.map(|partition| partition.error_code).collect();
            if codes == [0; PARTITIONS] {
                self.held = commit;
                self.acknowledged += 1;
                pace.acknowledged();
            } else if !codes.iter().all(|code| COORDINATOR_STARTS.contains(code)) {
                bail!("commit {commit} of {}: {codes:?}", self.name);
            }
        }
    }

    fn commit(&self, offset: i64) -> OffsetCommitRequest {
        let partition = |index| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(index)
                .with_committed_offset(offset)
                .with_committed_metadata(Some(text(&offset.to_string())))
        };
        let topic = OffsetCommitRequestTopic::default()
            .with_name(text(TOPIC).into())
            .with_partitions((0..PARTITIONS as i32).map(partition).collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(text(&self.name).into())
            .with_topics(vec![topic]);
        match &self.member {
            Some((generation, member)) => request
                .with_generation_id_or_member_epoch(*generation)
                .with_member_id(member.clone()),
            None => request.with_generation_id_or_member_epoch(-1),
        }
    }

    /// What is committed must be an acknowledged commit or a later one that was sent.
    pub(crate) fn check(&mut self, client: &mut Connection) -> Result<()> {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(text(TOPIC).into())
            .with_partition_indexes((0..PARTITIONS as i32).collect());
        let request = OffsetFetchRequest::default()
            .with_group_id(text(&self.name).into())
            .with_topics(Some(vec![topic]));
        let deadline = Instant::now() + LOADING;
        let mut response = loop {
            let response = client.call(FETCH, &request)?;
            if !COORDINATOR_STARTS.contains(&response.error_code) {
                break response;
            }
            ensure!(Instant::now() < deadline, "the coordinator does not start");
        };
        ensure!(response.error_code == 0, "{response:?}");
        let topic = response.topics.pop().context("no topic in the answer")?;
        ensure!(topic.partitions.len() == PARTITIONS, "{topic:?}");
        for partition in &topic.partitions {
            let offset = partition.committed_offset;
            let metadata = match offset {
                -1 => String::new(),
                _ => offset.to_string(),
            };
            ensure!(
                partition.error_code == 0
                    && (self.held..self.sent).contains(&offset)
                    && partition.metadata.as_deref().unwrap_or_default() == metadata,
                "{}: {} was acknowledged and {} commits sent, but there is {partition:?}",
                self.name,
                self.held,
                self.sent
            );
        }
        // One request is one batch of records: all of it counts, or nothing.
        let offsets = topic.partitions.iter().map(|p| p.committed_offset);
        let (least, most) = (offsets.clone().min(), offsets.max());
        ensure!(least == most, "{}: half a commit: {topic:?}", self.name);
        self.held = least.unwrap_or(-1);
        Ok(())
    }
}
