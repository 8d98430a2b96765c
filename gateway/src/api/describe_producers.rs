//! DescribeProducers, version 0 (KIP-664): the idempotent producers of partitions, as their engine
//! remembers them.
//!
//! There are no transactions, so no producer is in one and no coordinator has written for it: epoch and
//! offset of −1 say so.
use futures::{StreamExt as _, stream};
use kop_store::{Partition as _, producer_state::ActiveProducer};
use kop_wire::{
    TopicName,
    kafka_protocol::{
        messages::{
            DescribeProducersRequest, DescribeProducersResponse,
            describe_producers_request::TopicRequest,
            describe_producers_response::{PartitionResponse, ProducerState, TopicResponse},
        },
        protocol::StrBytes,
    },
};

use super::{Call, error::Refusal, target::TopicRef};

/// Partitions looked at a time for one request.
const AT_ONCE: usize = 16;

pub(super) async fn handle(
    call: &Call,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for TopicRequest {
        name,
        partition_indexes,
        ..
    } in request.topics
    {
        let found = call.topic_name(&TopicRef::Name(name.clone())).await;
        let found = &found;
        let partitions = stream::iter(partition_indexes)
            .map(|index| async move {
                let answer = PartitionResponse::default().with_partition_index(index);
                match producers(call, found, index).await {
                    Ok(producers) => answer.with_active_producers(producers),
                    Err(refusal) => answer
                        .with_error_code(call.refuse(refusal.code))
                        .with_error_message(refusal.message.map(StrBytes::from_string)),
                }
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        topics.push(
            TopicResponse::default()
                .with_name(name)
                .with_partitions(partitions),
        );
    }
    DescribeProducersResponse::default().with_topics(topics)
}

async fn producers(
    call: &Call,
    topic: &Result<TopicName, Refusal>,
    index: i32,
) -> Result<Vec<ProducerState>, Refusal> {
    let topic = topic.as_ref().map_err(Refusal::clone)?;
    let target = call.open(topic, index, -1).await?;
    let producers = target.partition.producers().await;
    let producers = producers.map_err(|error| call.unread(&target.id, error))?;
    let state = |producer: ActiveProducer| {
        ProducerState::default()
            .with_producer_id(producer.id.into())
            .with_producer_epoch(producer.epoch.into())
            .with_last_sequence(producer.last_sequence)
            .with_last_timestamp(producer.seen_ms)
            .with_coordinator_epoch(-1)
            .with_current_txn_start_offset(-1)
    };
    Ok(producers.into_iter().map(state).collect())
}
