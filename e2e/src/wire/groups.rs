//! Groups as their coordinator knows them.

use super::{Wire, good, only, text, topic_name};
use anyhow::{Context, Result};
use bytes::{Buf as _, Bytes};
use kafka_protocol::messages::{
    ConsumerProtocolAssignment, GroupId, describe_groups_request as groups,
    offset_fetch_request as committed,
};
use kafka_protocol::protocol::Decodable as _;
use std::collections::{BTreeMap, BTreeSet};

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What the client calls itself.
    pub client_id: String,
    /// Partitions that it was given, of all topics.
    pub partitions: BTreeSet<i32>,
}

impl Wire {
    /// Members of a group that is stable; `None` while it is not.
    ///
    /// # Errors
    /// The server refuses.
    pub fn members(&mut self, group: &str) -> Result<Option<Vec<Member>>> {
        let request =
            groups::DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
        self.ask(4, &request, |answer| {
            let answer = only(&answer.groups)?;
            good(answer.error_code)?;
            if answer.group_state.as_str() != "Stable" {
                return Ok(None);
            }
            let members = answer.members.iter().map(|member| {
                Ok(Member {
                    client_id: member.client_id.to_string(),
                    partitions: assigned(member.member_assignment.clone())?,
                })
            });
            members.collect::<Result<_>>().map(Some)
        })
    }

    /// The offsets that a group has committed for a topic's first partitions.
    ///
    /// # Errors
    /// The server refuses.
    pub fn committed(
        &mut self,
        group: &str,
        topic: &str,
        partitions: i32,
    ) -> Result<BTreeMap<i32, i64>> {
        let wanted = committed::OffsetFetchRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partition_indexes((0..partitions).collect());
        let request = committed::OffsetFetchRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(Some(vec![wanted]));
        self.ask(5, &request, |answer| {
            good(answer.error_code)?;
            let mut offsets = BTreeMap::new();
            for partition in &only(&answer.topics)?.partitions {
                good(partition.error_code)?;
                if partition.committed_offset >= 0 {
                    offsets.insert(partition.partition_index, partition.committed_offset);
                }
            }
            Ok(offsets)
        })
    }
}

/// The partitions in an assignment of Kafka's consumers.
fn assigned(mut bytes: Bytes) -> Result<BTreeSet<i32>> {
    if bytes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let version = bytes.try_get_i16().context("an assignment's version")?;
    let read = ConsumerProtocolAssignment::decode(&mut bytes, version.clamp(0, 3))?;
    let partitions = read
        .assigned_partitions
        .iter()
        .flat_map(|topic| &topic.partitions);
    Ok(partitions.copied().collect())
}
