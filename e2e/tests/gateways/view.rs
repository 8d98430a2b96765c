//! Who is in and who leads what, as a gateway tells its clients.

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest};
use kop_e2e::wait::until;
use kop_e2e::wire::{Connection, text};

use super::PATIENCE;

/// What Metadata answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// Node ids, in order.
    pub(super) nodes: Vec<i32>,
    /// By partition of the topic.
    pub(super) leaders: Vec<Leader>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leader {
    pub(super) node: i32,
    pub(super) epoch: i32,
}

pub(super) fn view(address: &str, topic: &str) -> Result<View> {
    let wanted = MetadataRequestTopic::default().with_name(Some(text(topic).into()));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![wanted]))
        .with_allow_auto_topic_creation(false);
    let answer = Connection::connect(address)?.call(9, &request)?;
    let topic = answer.topics.first().context("the topic")?;
    ensure!(topic.error_code == 0, "{topic:?}");
    let mut nodes: Vec<i32> = answer
        .brokers
        .iter()
        .map(|broker| broker.node_id.0)
        .collect();
    nodes.sort_unstable();
    let mut partitions = topic.partitions.clone();
    partitions.sort_by_key(|partition| partition.partition_index);
    let leader =
        |partition: &kafka_protocol::messages::metadata_response::MetadataResponsePartition| {
            Leader {
                node: partition.leader_id.0,
                epoch: partition.leader_epoch,
            }
        };
    Ok(View {
        nodes,
        leaders: partitions.iter().map(leader).collect(),
    })
}

/// The node that coordinates a group; `None` while there is none.
pub(super) fn coordinator(address: &str, group: &str) -> Result<Option<i32>> {
    let request = FindCoordinatorRequest::default().with_key(text(group));
    let answer = Connection::connect(address)?.call(3, &request)?;
    Ok((answer.error_code == 0).then_some(answer.node_id.0))
}

/// The name of a group that a node coordinates.
pub(super) fn group_of(address: &str, node: i32) -> Result<String> {
    let mut n = 0;
    until(&format!("a group of gateway {node}"), PATIENCE, || {
        n += 1;
        let group = format!("readers-{n}");
        Ok((coordinator(address, &group)? == Some(node)).then_some(group))
    })
}
