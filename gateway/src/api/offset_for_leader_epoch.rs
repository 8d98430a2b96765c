//! OffsetForLeaderEpoch, versions 2 to 4 (KIP-101, KIP-320): where the records of a leader end.
//!
//! A log never loses what an earlier leader acknowledged, so no epoch's records end before the log
//! does: a client that asks for one up to the present is told the log's end. Of a later epoch nothing
//! is known, which Kafka says with an epoch and an offset of −1.
use futures::{StreamExt as _, stream};
use kop_store::Partition as _;
use kop_wire::{
    Offset, TopicName,
    kafka_protocol::messages::{
        OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
        offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult},
    },
};

use super::{Call, error::Refusal, target::TopicRef};

/// Partitions looked at a time for one request.
const AT_ONCE: usize = 16;

pub(super) async fn handle(
    call: &Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for OffsetForLeaderTopic {
        topic, partitions, ..
    } in request.topics
    {
        let found = call.topic_name(&TopicRef::Name(topic.clone())).await;
        let found = &found;
        let answers = stream::iter(partitions)
            .map(|asked| async move {
                let answer = EpochEndOffset::default().with_partition(asked.partition);
                match end(call, found, &asked).await {
                    Ok(Some(end)) => answer
                        .with_leader_epoch(asked.leader_epoch)
                        .with_end_offset(end.0),
                    Ok(None) => answer,
                    Err(refusal) => answer.with_error_code(call.refuse(refusal.code)),
                }
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        topics.push(
            OffsetForLeaderTopicResult::default()
                .with_topic(topic)
                .with_partitions(answers),
        );
    }
    OffsetForLeaderEpochResponse::default().with_topics(topics)
}

/// The end of the epoch's records; `None` where there has been no such epoch.
async fn end(
    call: &Call,
    topic: &Result<TopicName, Refusal>,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<Offset>, Refusal> {
    let topic = topic.as_ref().map_err(Refusal::clone)?;
    let target = call
        .open(topic, asked.partition, asked.current_leader_epoch)
        .await?;
    if !(0..=target.epoch).contains(&asked.leader_epoch) {
        return Ok(None);
    }
    // The client may have read from an earlier leader what this one has not heard of yet: an end below its
    // position would tell it that records were lost.
    let end = target.partition.end().await;
    end.map(Some)
        .map_err(|error| call.unread(&target.id, error))
}
