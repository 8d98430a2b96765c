//! ListOffsets, versions 1 to 10: where a log ends, begins, or was at some time.
//!
//! Version 7 asks for the newest timestamp (KIP-734). Versions 8 and 9 ask for what is local and what
//! is tiered (KIP-405, KIP-1005): nothing is tiered here, so everything is local.
use futures::{StreamExt as _, stream};
use kop_store::{Partition as _, TimestampedOffset};
use kop_wire::{
    Offset, Timestamp, TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            ListOffsetsRequest, ListOffsetsResponse,
            list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
            list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        },
    },
};

use super::{
    Call,
    error::Refusal,
    target::{Target, TopicRef},
};
/// Partitions looked at a time for one request.
const AT_ONCE: usize = 16;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

const READ_COMMITTED: i8 = 1;

pub(super) async fn handle(call: &Call, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let committed = request.isolation_level == READ_COMMITTED;
    let mut topics = Vec::with_capacity(request.topics.len());
    for ListOffsetsTopic {
        name, partitions, ..
    } in request.topics
    {
        let found = call.topic_name(&TopicRef::Name(name.clone())).await;
        let found = &found;
        let answers = stream::iter(partitions)
            .map(|asked| async move {
                let answer = ListOffsetsPartitionResponse::default()
                    .with_partition_index(asked.partition_index);
                match offset(call, found, &asked, committed).await {
                    Ok((TimestampedOffset { offset, timestamp }, epoch)) => {
                        let known = call.version >= 4 && offset.0 >= 0;
                        answer
                            .with_offset(offset.0)
                            .with_timestamp(timestamp.0)
                            .with_leader_epoch(if known { epoch } else { -1 })
                    }
                    Err(refusal) => answer
                        .with_error_code(call.refuse(refusal.code))
                        .with_offset(-1)
                        .with_timestamp(-1),
                }
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        topics.push(
            ListOffsetsTopicResponse::default()
                .with_name(name)
                .with_partitions(answers),
        );
    }
    ListOffsetsResponse::default().with_topics(topics)
}

async fn offset(
    call: &Call,
    topic: &Result<TopicName, Refusal>,
    asked: &ListOffsetsPartition,
    committed: bool,
) -> Result<(TimestampedOffset, i32), Refusal> {
    let topic = topic.as_ref().map_err(Refusal::clone)?;
    let Target {
        id,
        partition,
        epoch,
    } = call
        .open(topic, asked.partition_index, asked.current_leader_epoch)
        .await?;
    let at = |offset| {
        let timestamp = Timestamp::NONE;
        Ok((TimestampedOffset { offset, timestamp }, epoch))
    };
    let watermarks = partition.watermarks();
    let found = match asked.timestamp {
        LATEST if committed => return at(watermarks.last_stable),
        LATEST => return at(watermarks.high),
        EARLIEST => return at(watermarks.log_start),
        EARLIEST_LOCAL if call.version >= 8 => return at(watermarks.log_start),
        LATEST_TIERED if call.version >= 9 => return at(Offset(-1)),
        MAX_TIMESTAMP if call.version >= 7 => partition.newest().await,
        time @ 0.. => partition.offset_at(Timestamp(time)).await,
        _ => return Err(ResponseError::UnsupportedVersion.into()),
    };
    let none = TimestampedOffset {
        offset: Offset(-1),
        timestamp: Timestamp::NONE,
    };
    match found {
        Ok(found) => Ok((found.unwrap_or(none), epoch)),
        Err(error) => Err(call.unread(&id, error)),
    }
}
