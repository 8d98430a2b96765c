//! DescribeLogDirs, versions 1 to 4 (KIP-113): where the records are, and how many bytes of them.
//!
//! There is one place: the embedded store's directory, or the namespace of the Pulsar cluster. A
//! partition's size is that of its batches, as its store tells it. Version 3 can say that the request
//! failed, version 4 how large the disk is (KIP-827), which is not known here: −1.
use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use kop_config::StoreConfig;
use kop_store::{Partition as _, PartitionId, ReadError};
use kop_wire::{
    TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            DescribeLogDirsRequest, DescribeLogDirsResponse,
            describe_log_dirs_response::{
                DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
            },
        },
        protocol::StrBytes,
    },
};

use super::{Call, error::Refusal};

/// Partitions looked at a time for one request.
const AT_ONCE: usize = 4;
/// The most partitions that are asked for by name.
const MOST_NAMED: usize = 100_000;

pub(super) async fn handle(
    call: &Call,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let place = DescribeLogDirsResult::default()
        .with_log_dir(StrBytes::from_string(place(&call.gateway.config.store)))
        .with_total_bytes(-1)
        .with_usable_bytes(-1);
    let place = match topics(call, request).await {
        Ok(topics) => place.with_topics(topics),
        Err(_) => place.with_error_code(call.refuse(ResponseError::KafkaStorageError)),
    };
    DescribeLogDirsResponse::default().with_results(vec![place])
}

/// The place as an operator of the gateway knows it.
fn place(store: &StoreConfig) -> String {
    match store {
        StoreConfig::Embedded { data_dir, .. } => {
            let absolute = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.clone());
            absolute.display().to_string()
        }
        StoreConfig::Pulsar(pulsar) => {
            let (tenant, namespace) = (&pulsar.tenant, &pulsar.namespace);
            format!("{}/{tenant}/{namespace}", pulsar.service_url)
        }
    }
}

/// The sizes of what is asked for, or of everything. As in Kafka, what is not here is left out.
async fn topics(
    call: &Call,
    request: DescribeLogDirsRequest,
) -> Result<Vec<DescribeLogDirsTopic>, Refusal> {
    let mut ids: Vec<PartitionId> = match request.topics {
        Some(topics) => named(topics),
        None => all(call).await?,
    };
    ids.sort_unstable();
    ids.dedup();
    let mut sizes = stream::iter(ids)
        .map(|id| async move {
            let size = size(call, &id).await;
            (id, size)
        })
        .buffered(AT_ONCE);
    let mut topics: BTreeMap<TopicName, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    while let Some((PartitionId { topic, index }, size)) = sizes.next().await {
        let Some(size) = size? else { continue };
        let partition = DescribeLogDirsPartition::default()
            .with_partition_index(index)
            .with_partition_size(i64::try_from(size).unwrap_or(i64::MAX));
        topics.entry(topic).or_default().push(partition);
    }
    let topic = |(name, partitions): (TopicName, _)| {
        DescribeLogDirsTopic::default()
            .with_name(StrBytes::from_string(name.to_string()).into())
            .with_partitions(partitions)
    };
    Ok(topics.into_iter().map(topic).collect())
}

type Named = kop_wire::kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;

fn named(topics: Vec<Named>) -> Vec<PartitionId> {
    let named = topics.into_iter().filter_map(|topic| {
        let name = TopicName::new(&topic.topic).ok()?;
        let of = move |index| PartitionId {
            topic: name.clone(),
            index,
        };
        Some(topic.partitions.into_iter().map(of))
    });
    named.flatten().take(MOST_NAMED).collect()
}

async fn all(call: &Call) -> Result<Vec<PartitionId>, Refusal> {
    let topics = call.gateway.topics.list(&call.gateway.store).await?;
    let of = |topic: kop_store::Topic| {
        let indexes = 0..i32::try_from(topic.partitions).unwrap_or(i32::MAX);
        indexes.map(move |index| PartitionId {
            topic: topic.name.clone(),
            index,
        })
    };
    Ok(topics.into_iter().flat_map(of).collect())
}

/// Bytes of a partition; `None` where there is no such partition.
async fn size(call: &Call, id: &PartitionId) -> Result<Option<u64>, Refusal> {
    let target = match call.open(&id.topic, id.index, -1).await {
        Ok(target) => target,
        Err(Refusal {
            code: ResponseError::UnknownTopicOrPartition | ResponseError::NotLeaderOrFollower,
            ..
        }) => return Ok(None),
        Err(refusal) => return Err(refusal),
    };
    match target.partition.stored_bytes().await {
        Ok(size) => Ok(Some(size)),
        Err(ReadError::Deleted) => Ok(None),
        Err(error) => Err(call.unread(id, error)),
    }
}
