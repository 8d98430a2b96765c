//! DescribeTopicPartitions, version 0 (KIP-966): topics and their partitions, a page at a time.
//!
//! Topics come ordered by name. A page ends after so many partitions, and its cursor says with which
//! partition the next one begins. Asked for no topic, it describes all.
use kop_store::{Catalog as _, Topic, TopicClass};
use kop_wire::{
    TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
            describe_topic_partitions_response::{
                Cursor, DescribeTopicPartitionsResponsePartition,
                DescribeTopicPartitionsResponseTopic,
            },
        },
        protocol::StrBytes,
    },
};

use super::{Call, error::Refusal, metadata::NO_OPERATIONS};
use crate::cluster::Leader;

/// Partitions of one page at the most, as in Kafka.
const PAGE: i32 = 2_000;
/// Topics of one page at the most: one that is not there has no partitions to count.
const PAGE_TOPICS: usize = 2_000;

pub(super) async fn handle(
    call: &Call,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let first = match &request.cursor {
        Some(cursor) => (cursor.topic_name.to_string(), cursor.partition_index),
        None => (String::new(), 0),
    };
    let names = request.topics.iter().map(|topic| topic.name.to_string());
    let mut asked: Vec<String> = names.collect();
    asked.sort_unstable();
    asked.dedup();
    if first.1 < 0 {
        let refusal = Refusal::from(ResponseError::InvalidRequest);
        let refused = asked.iter().map(|name| refused(call, name, &refusal));
        return DescribeTopicPartitionsResponse::default().with_topics(refused.collect());
    }
    let found = if asked.is_empty() {
        all(call).await
    } else {
        asked.retain(|name| *name >= first.0);
        some(call, asked).await
    };
    page(
        call,
        found,
        &first,
        request.response_partition_limit.clamp(1, PAGE),
    )
}

type Found = Vec<(String, Result<Topic, Refusal>)>;

async fn all(call: &Call) -> Found {
    match call.gateway.topics.list(&call.gateway.store).await {
        Ok(topics) => topics
            .into_iter()
            .map(|topic| (topic.name.to_string(), Ok(topic)))
            .collect(),
        Err(error) => {
            // There is no field that could say so for all topics at once.
            call.refuse(Refusal::from(error).code);
            Vec::new()
        }
    }
}

/// As many of the topics as a page may need, and one more.
async fn some(call: &Call, names: Vec<String>) -> Found {
    let mut found = Vec::new();
    for name in names.into_iter().take(PAGE_TOPICS + 1) {
        let topic = one(call, &name).await;
        found.push((name, topic));
    }
    found
}

async fn one(call: &Call, name: &str) -> Result<Topic, Refusal> {
    let name = TopicName::new(name)
        .map_err(|error| Refusal::new(ResponseError::InvalidTopicException, error.to_string()))?;
    let found = call.gateway.store.find(&name).await?;
    found.ok_or_else(|| ResponseError::UnknownTopicOrPartition.into())
}

/// Describes what is found from `first` on, with `limit` partitions at the most.
fn page(
    call: &Call,
    found: Found,
    (first_topic, first_partition): &(String, i32),
    limit: i32,
) -> DescribeTopicPartitionsResponse {
    let mut left = u32::try_from(limit).unwrap_or(0);
    let mut topics = Vec::new();
    for (name, topic) in found {
        if name < *first_topic {
            continue;
        }
        let begin = if name == *first_topic {
            u32::try_from(*first_partition).unwrap_or(0)
        } else {
            0
        };
        let cut = |partition: u32| {
            Some(
                Cursor::default()
                    .with_topic_name(StrBytes::from_string(name.clone()).into())
                    .with_partition_index(i32::try_from(partition).unwrap_or(i32::MAX)),
            )
        };
        if left == 0 || topics.len() == PAGE_TOPICS {
            return DescribeTopicPartitionsResponse::default()
                .with_topics(topics)
                .with_next_cursor(cut(begin));
        }
        let topic = match topic {
            Ok(topic) => topic,
            Err(refusal) => {
                topics.push(refused(call, &name, &refusal));
                continue;
            }
        };
        let end = topic.partitions.min(begin.saturating_add(left));
        left -= end.saturating_sub(begin);
        topics.push(described(call, &topic, begin..end));
        if end < topic.partitions {
            return DescribeTopicPartitionsResponse::default()
                .with_topics(topics)
                .with_next_cursor(cut(end));
        }
    }
    DescribeTopicPartitionsResponse::default()
        .with_topics(topics)
        .with_next_cursor(None)
}

fn refused(call: &Call, name: &str, refusal: &Refusal) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(call.refuse(refusal.code))
        .with_name(Some(StrBytes::from_string(name.to_owned()).into()))
        .with_topic_authorized_operations(NO_OPERATIONS)
}

fn described(
    call: &Call,
    topic: &Topic,
    partitions: std::ops::Range<u32>,
) -> DescribeTopicPartitionsResponseTopic {
    let partition = |index: u32| {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        let Leader { node, epoch } = call.leader(&topic.name, index);
        let leader = DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(node.into())
            .with_leader_epoch(epoch)
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()));
        if node < 0 {
            return leader.with_error_code(ResponseError::LeaderNotAvailable.code());
        }
        leader
            .with_replica_nodes(vec![node.into()])
            .with_isr_nodes(vec![node.into()])
    };
    let name = StrBytes::from_string(topic.name.as_str().to_owned());
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(name.into()))
        .with_topic_id(topic.id)
        .with_is_internal(TopicClass::of(&topic.name).is_internal())
        .with_partitions(partitions.map(partition).collect())
        .with_topic_authorized_operations(NO_OPERATIONS)
}
