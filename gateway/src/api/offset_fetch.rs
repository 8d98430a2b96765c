//! OffsetFetch, versions 1 to 9: how far a group has read.
//!
//! From version 2 on no topics means all, and the group has an error of its own. Version 5 adds the
//! leader epoch, which is not stored: −1. Version 7 lets a client ask for offsets that no open
//! transaction could change (KIP-447): there are no transactions, so every offset is one. Version 8
//! asks for several groups (KIP-709). Version 9 is for KIP-848's groups and served as 8.
use std::collections::HashMap;

use kop_coordinator::{FetchOffsets, FetchedOffset, GroupId, Name, Reply, Request, Wanted};
use kop_wire::{
    TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            GroupId as KafkaGroupId, OffsetFetchRequest, OffsetFetchResponse,
            TopicName as KafkaTopicName,
            offset_fetch_request::OffsetFetchRequestTopics,
            offset_fetch_response::{
                OffsetFetchResponseGroup, OffsetFetchResponsePartition,
                OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
            },
        },
        protocol::StrBytes,
    },
};

use super::{Call, error::Refusal, groups};

pub(super) async fn handle(call: &Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let response = OffsetFetchResponse::default();
    if call.version >= 8 {
        let mut answered = Vec::with_capacity(request.groups.len());
        for group in request.groups {
            let answer = of_group(call, group.group_id, group.topics).await;
            answered.push(answer);
        }
        return response.with_groups(answered);
    }
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| {
            OffsetFetchRequestTopics::default()
                .with_name(topic.name)
                .with_partition_indexes(topic.partition_indexes)
        });
        topics.collect()
    });
    let answer = of_group(call, request.group_id, topics).await;
    let code = answer.error_code;
    let topics = answer.topics.into_iter().map(|topic| {
        let partitions = topic
            .partitions
            .into_iter()
            .map(|partition| as_before_8(partition, code));
        OffsetFetchResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions.collect())
    });
    response.with_topics(topics.collect()).with_error_code(code)
}

fn as_before_8(
    partition: OffsetFetchResponsePartitions,
    group_error: i16,
) -> OffsetFetchResponsePartition {
    let own = partition.error_code;
    OffsetFetchResponsePartition::default()
        .with_partition_index(partition.partition_index)
        .with_committed_offset(partition.committed_offset)
        .with_committed_leader_epoch(partition.committed_leader_epoch)
        .with_metadata(partition.metadata)
        // Version 1 has no other place for the group's error.
        .with_error_code(if own == 0 { group_error } else { own })
}

async fn of_group(
    call: &Call,
    id: KafkaGroupId,
    topics: Option<Vec<OffsetFetchRequestTopics>>,
) -> OffsetFetchResponseGroup {
    let fetched = match &topics {
        Some(topics) => these(call, &id, topics).await,
        None => all(call, &id).await,
    };
    let group = OffsetFetchResponseGroup::default().with_group_id(id);
    match fetched {
        Ok(fetched) => group.with_topics(fetched),
        Err(refusal) => {
            let none = topics.into_iter().flatten().map(|topic| {
                let indexes = topic.partition_indexes.into_iter();
                let partitions = indexes.map(|index| partition(index, None)).collect();
                answered_topic(topic.name, partitions)
            });
            group
                .with_topics(none.collect())
                .with_error_code(call.refuse(refusal.code))
        }
    }
}

/// What was asked for, under the names it was asked for by.
async fn these(
    call: &Call,
    id: &KafkaGroupId,
    topics: &[OffsetFetchRequestTopics],
) -> Result<Vec<OffsetFetchResponseTopics>, Refusal> {
    // A name that no topic can have has no offsets, and is not asked for.
    let names: Vec<Option<Name>> = topics.iter().map(|t| stored_name(call, &t.name)).collect();
    let named = topics
        .iter()
        .zip(&names)
        .filter_map(|(topic, name)| Some((topic, name.as_ref()?)));
    let wanted = named.flat_map(|(topic, name)| {
        topic
            .partition_indexes
            .iter()
            .map(|index| (name.clone(), *index))
    });
    let mut fetched = fetch(call, id, Wanted::These(wanted.collect()))
        .await?
        .into_iter();
    let mut answered = Vec::with_capacity(topics.len());
    for (topic, name) in topics.iter().zip(&names) {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for index in &topic.partition_indexes {
            let found = match name {
                Some(_) => Some(fetched.next().ok_or(ResponseError::UnknownServerError)?),
                None => None,
            };
            partitions.push(partition(*index, found));
        }
        answered.push(answered_topic(topic.name.clone(), partitions));
    }
    Ok(answered)
}

fn stored_name(call: &Call, topic: &str) -> Option<Name> {
    let topic = TopicName::new(topic).ok()?;
    Name::new(&call.gateway.store.stored_topic_name(&topic)).ok()
}

/// Everything the group has, under the names that clients use.
async fn all(call: &Call, id: &KafkaGroupId) -> Result<Vec<OffsetFetchResponseTopics>, Refusal> {
    let mut order: Vec<Name> = Vec::new();
    let mut by_topic: HashMap<Name, Vec<OffsetFetchResponsePartitions>> = HashMap::new();
    for fetched in fetch(call, id, Wanted::All).await? {
        let partitions = by_topic.entry(fetched.topic.clone()).or_insert_with(|| {
            order.push(fetched.topic.clone());
            Vec::new()
        });
        partitions.push(partition(fetched.partition, Some(fetched)));
    }
    let answered = order.into_iter().filter_map(|stored| {
        let name = call.gateway.store.topic_from_stored(stored.as_str())?;
        let name = KafkaTopicName(StrBytes::from_string(name.to_string()));
        Some(answered_topic(name, by_topic.remove(&stored)?))
    });
    Ok(answered.collect())
}

async fn fetch(
    call: &Call,
    id: &KafkaGroupId,
    wanted: Wanted,
) -> Result<Vec<FetchedOffset>, Refusal> {
    let group: GroupId = groups::group(id)?;
    match groups::ask(call, Request::FetchOffsets(FetchOffsets { group, wanted })).await? {
        Reply::FetchOffsets(fetched) => Ok(fetched),
        other => Err(groups::misdirected(&other)),
    }
}

fn answered_topic(
    name: KafkaTopicName,
    partitions: Vec<OffsetFetchResponsePartitions>,
) -> OffsetFetchResponseTopics {
    OffsetFetchResponseTopics::default()
        .with_name(name)
        .with_partitions(partitions)
}

/// −1 and no text where there is no committed offset.
fn partition(index: i32, fetched: Option<FetchedOffset>) -> OffsetFetchResponsePartitions {
    let committed = fetched.and_then(|fetched| fetched.committed);
    let (offset, epoch, metadata) = match committed {
        Some(committed) => (
            committed.offset,
            committed.leader_epoch,
            committed.metadata.to_string(),
        ),
        None => (-1, -1, String::new()),
    };
    OffsetFetchResponsePartitions::default()
        .with_partition_index(index)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(epoch)
        .with_metadata(Some(StrBytes::from_string(metadata)))
}
