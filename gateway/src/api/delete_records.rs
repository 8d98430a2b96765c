//! DeleteRecords, versions 0 to 2 (KIP-107): a log begins at a later offset.
//!
//! Offset −1 stands for the high watermark. A store that keeps its records by a policy of its own
//! refuses; the answer is a policy violation then.
use kop_store::{Partition as _, TopicClass, TruncateError};
use kop_wire::{
    Offset, TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            DeleteRecordsRequest, DeleteRecordsResponse,
            delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
            delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
        },
    },
};
use tracing::info;

use super::{
    Call,
    error::Refusal,
    target::{Target, TopicRef},
};

const HIGH_WATERMARK: i64 = -1;

pub(super) async fn handle(call: &Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for DeleteRecordsTopic {
        name, partitions, ..
    } in request.topics
    {
        let found = deletable(call, &name).await;
        let mut results = Vec::with_capacity(partitions.len());
        for asked in partitions {
            let result =
                DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
            results.push(match delete(call, &found, &asked).await {
                Ok(log_start) => result.with_low_watermark(log_start.0),
                Err(refusal) => result
                    .with_low_watermark(-1)
                    .with_error_code(call.refuse(refusal.code)),
            });
        }
        topics.push(
            DeleteRecordsTopicResult::default()
                .with_name(name)
                .with_partitions(results),
        );
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

async fn deletable(
    call: &Call,
    name: &kop_wire::kafka_protocol::messages::TopicName,
) -> Result<TopicName, Refusal> {
    let name = call.topic_name(&TopicRef::Name(name.clone())).await?;
    if TopicClass::of(&name).is_internal() {
        let why = "internal topics belong to the gateway";
        return Err(Refusal::new(ResponseError::InvalidTopicException, why));
    }
    Ok(name)
}

/// Where the log begins afterwards.
async fn delete(
    call: &Call,
    topic: &Result<TopicName, Refusal>,
    asked: &DeleteRecordsPartition,
) -> Result<Offset, Refusal> {
    let topic = topic.as_ref().map_err(Refusal::clone)?;
    let Target { id, partition, .. } = call.open(topic, asked.partition_index, -1).await?;
    let offset = match asked.offset {
        HIGH_WATERMARK => partition.watermarks().high,
        offset @ 0.. => Offset(offset),
        _ => return Err(ResponseError::OffsetOutOfRange.into()),
    };
    if let Err(error) = partition.truncate_before(offset).await {
        if matches!(error, TruncateError::Deleted) {
            call.gone(&id);
        }
        return Err(error.into());
    }
    info!(partition = %id, %offset, peer = %call.peer, "records deleted");
    Ok(partition.watermarks().log_start)
}
