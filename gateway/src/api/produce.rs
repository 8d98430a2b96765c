//! Produce, versions 3 to 13: one record batch for each partition named.
//!
//! Batches of one connection are handed to the store in the order in which they were sent, however
//! many requests are in flight. Transactions and control batches are refused. `acks` 0 gets no
//! answer: its failure closes the connection. Version 7 allows zstd (KIP-110), version 8 explains
//! refusals (KIP-467), version 13 names topics by id.
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use kop_store::{AppendError, Appended, Partition as _};
use kop_wire::{
    Batch, Compression, TimestampType, TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            ProduceRequest, ProduceResponse,
            produce_request::{PartitionProduceData, TopicProduceData},
            produce_response::{PartitionProduceResponse, TopicProduceResponse},
        },
        protocol::StrBytes,
    },
};
use tokio::time::{Instant, timeout_at};

use super::{
    Answer, Call, Reply,
    answer::UnwritableAnswer,
    error::Refusal,
    target::{Target, TopicRef, check_writable},
};

/// Bounds of the time that a producer may set for its appends.
const TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// What becomes of a produce request.
pub(super) enum ProduceAnswer {
    /// All partitions have been worked off.
    Response(ProduceResponse),
    /// They have been, and nobody wants to know.
    Unwanted { failed: bool },
}

impl Answer for ProduceAnswer {
    fn into_reply(self, version: i16) -> Result<Reply, UnwritableAnswer> {
        match self {
            Self::Response(response) => response.into_reply(version),
            Self::Unwanted { failed: false } => Ok(Reply::Silent),
            Self::Unwanted { failed: true } => Ok(Reply::Close),
        }
    }
}

/// A topic of the request.
struct Topic {
    named: TopicRef,
    parts: Vec<Part>,
}

/// A partition of the request.
struct Part {
    index: i32,
    write: Result<(Target, Batch), Refusal>,
}

pub(super) async fn handle(call: &Call, request: ProduceRequest) -> ProduceAnswer {
    let (acks, timeout) = (request.acks, request.timeout_ms);
    let timeout = Duration::from_millis(u64::try_from(timeout).unwrap_or(0));
    let deadline = Instant::now() + timeout.clamp(TIMEOUT.0, TIMEOUT.1);
    let refusal = if !matches!(acks, -1..=1) {
        Some(ResponseError::InvalidRequiredAcks)
    } else if request.transactional_id.is_some() {
        Some(ResponseError::TransactionalIdAuthorizationFailed)
    } else {
        None
    };
    let batches: usize = request
        .topic_data
        .iter()
        .map(|topic| topic.partition_data.len())
        .sum();
    let alone = batches == 1;
    let opening = request
        .topic_data
        .into_iter()
        .map(|data| topic(call, data, refusal, (alone, deadline)));
    let topics = join_all(opening).await;
    let responses = append(call, topics, deadline).await;
    if acks == 0 {
        return ProduceAnswer::Unwanted {
            failed: call.refused().is_some(),
        };
    }
    ProduceAnswer::Response(ProduceResponse::default().with_responses(responses))
}

/// Checks the batches for one topic and opens its partitions.
async fn topic(
    call: &Call,
    data: TopicProduceData,
    refusal: Option<ResponseError>,
    (alone, deadline): (bool, Instant),
) -> Topic {
    let named = if call.version >= 13 {
        TopicRef::Id(data.topic_id)
    } else {
        TopicRef::Name(data.name)
    };
    let name = match refusal {
        Some(code) => Err(code.into()),
        None => call
            .topic_name(&named)
            .await
            .and_then(|n| check_writable(&n).map(|()| n)),
    };
    let part = |data: PartitionProduceData| {
        let name = &name;
        async move {
            let index = data.index;
            let write = async {
                let name: &TopicName = name.as_ref().map_err(Refusal::clone)?;
                let batch = checked(call, data, alone)?;
                let target = timeout_at(deadline, call.open(name, index)).await;
                Ok((target.map_err(|_| ResponseError::RequestTimedOut)??, batch))
            };
            Part {
                index,
                write: write.await,
            }
        }
    };
    let parts = join_all(data.partition_data.into_iter().map(part)).await;
    Topic { named, parts }
}

/// Takes the one batch of a partition, if it may be written. A batch that is not `alone` in its request
/// is copied: the store may keep it in memory for long, and would keep the whole request with it.
fn checked(call: &Call, data: PartitionProduceData, alone: bool) -> Result<Batch, Refusal> {
    let invalid = |why: &str| Err(Refusal::new(ResponseError::InvalidRecord, why));
    let Some(bytes) = data.records.filter(|bytes| !bytes.is_empty()) else {
        return invalid("no record batch");
    };
    let limit = call.gateway.config.limits.message_bytes;
    if bytes.len() > limit {
        let why = format!("batch of {} bytes is larger than {limit}", bytes.len());
        return Err(Refusal::new(ResponseError::MessageTooLarge, why));
    }
    let bytes = if alone {
        bytes
    } else {
        Bytes::copy_from_slice(&bytes)
    };
    let batch = Batch::parse(bytes)?;
    let header = batch.header();
    if header.is_control() {
        return invalid("clients write no control batches");
    }
    if header.is_transactional() {
        let why = "transactions are not served";
        return Err(Refusal::new(ResponseError::InvalidTxnState, why));
    }
    if header.timestamp_type() == TimestampType::LogAppend {
        let why = "producers do not set the time of appending";
        return Err(Refusal::new(ResponseError::InvalidTimestamp, why));
    }
    if header.producer_id >= 0 && (header.producer_epoch < 0 || header.base_sequence < 0) {
        return invalid("a producer id without epoch or sequence");
    }
    if header.compression() == Compression::Zstd && call.version < 7 {
        let why = "zstd needs version 7 of the request";
        return Err(Refusal::new(ResponseError::UnsupportedCompressionType, why));
    }
    Ok(batch)
}

/// Hands all batches to the store when it is this request's turn, then waits for them.
async fn append(call: &Call, topics: Vec<Topic>, deadline: Instant) -> Vec<TopicProduceResponse> {
    let turn = match call.take_turn() {
        Some(turn) => Some(turn.come().await),
        None => None,
    };
    let topic = |topic: Topic| async move {
        let parts = topic
            .parts
            .into_iter()
            .map(|part| one(call, part, deadline));
        let responses =
            TopicProduceResponse::default().with_partition_responses(join_all(parts).await);
        match topic.named {
            TopicRef::Name(name) => responses.with_name(name),
            TopicRef::Id(id) => responses.with_topic_id(id),
        }
    };
    let mut appends = join_all(topics.into_iter().map(topic));
    // Polled once, each append has its place in its log.
    let first = futures::poll!(&mut appends);
    drop(turn);
    match first {
        std::task::Poll::Ready(responses) => responses,
        std::task::Poll::Pending => appends.await,
    }
}

async fn one(call: &Call, part: Part, deadline: Instant) -> PartitionProduceResponse {
    let appended = match part.write {
        Ok((target, batch)) => {
            let append = timeout_at(deadline, target.partition.append(batch)).await;
            match append {
                Ok(Ok(appended)) => Ok(appended),
                Ok(Err(error)) => {
                    if matches!(error, AppendError::Deleted | AppendError::NotOwner) {
                        call.gone(&target.id);
                    }
                    Err(error.into())
                }
                Err(_) => Err(Refusal::from(ResponseError::RequestTimedOut)),
            }
        }
        Err(refusal) => Err(refusal),
    };
    let response = PartitionProduceResponse::default().with_index(part.index);
    match appended {
        Ok(Appended {
            base_offset,
            log_start,
            duplicate: _,
        }) => response
            .with_base_offset(base_offset.0)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(log_start.0),
        Err(Refusal { code, message }) => {
            let response = response
                .with_error_code(call.refuse(code))
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1);
            if call.version < 8 {
                return response;
            }
            response.with_error_message(message.map(StrBytes::from_string))
        }
    }
}
