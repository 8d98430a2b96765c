//! Produce, versions 3 to 13: one record batch for each partition named.
//!
//! Batches of one connection are handed to the store in the order in which they were sent, however
//! many requests are in flight. Transactions and control batches are refused. `acks` 0 gets no
//! answer: its failure closes the connection. Version 7 allows zstd (KIP-110), version 8 explains
//! refusals (KIP-467), version 13 names topics by id.
use std::time::Duration;

use futures::future::join_all;
use kop_store::{AppendError, Appended, Partition as _};
use kop_wire::{
    Batch, RecordFault, TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            ProduceRequest, ProduceResponse,
            produce_request::{PartitionProduceData, TopicProduceData},
            produce_response::{
                BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
            },
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

mod check;
mod keeping;

use check::{Refused, checked};
use keeping::Keeping;

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
    write: Result<(Target, Batch), Refused>,
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
    let keeping = Keeping::of(batches, call.size, &call.gateway.kept_memory);
    let opening = request
        .topic_data
        .into_iter()
        .map(|data| topic(call, data, refusal, (&keeping, deadline)));
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
    (keeping, deadline): (&Keeping, Instant),
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
                let target = timeout_at(deadline, call.open(name, index, -1)).await;
                let target =
                    target.map_err(|_| Refusal::from(ResponseError::RequestTimedOut))??;
                let settings = target.partition.settings();
                let batch = checked(call, data, keeping, &settings).await?;
                Ok((target, batch))
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
            let (records, bytes) = (batch.header().record_count, batch.bytes().len());
            let append = timeout_at(deadline, target.partition.append(batch)).await;
            match append {
                Ok(Ok(appended)) => {
                    if !appended.duplicate {
                        call.gateway.metrics.records.produced(records, bytes);
                    }
                    Ok(appended)
                }
                Ok(Err(error)) => {
                    if matches!(error, AppendError::Deleted | AppendError::NotOwner) {
                        call.gone(&target.id);
                    }
                    Err(Refused::from(error))
                }
                Err(_) => Err(ResponseError::RequestTimedOut.into()),
            }
        }
        Err(refused) => Err(refused),
    };
    let response = PartitionProduceResponse::default().with_index(part.index);
    match appended {
        Ok(Appended {
            base_offset,
            log_start,
            duplicate: _,
            log_append_time,
        }) => response
            .with_base_offset(base_offset.0)
            .with_log_append_time_ms(log_append_time.map_or(-1, |time| time.0))
            .with_log_start_offset(log_start.0),
        Err(Refused { refusal, faults }) => {
            let response = response
                .with_error_code(call.refuse(refusal.code))
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1);
            if call.version < 8 {
                return response;
            }
            let fault = |(index, fault): (i32, RecordFault)| {
                let why = StrBytes::from_string(fault.to_string());
                BatchIndexAndErrorMessage::default()
                    .with_batch_index(index)
                    .with_batch_index_error_message(Some(why))
            };
            response
                .with_record_errors(faults.into_iter().map(fault).collect())
                .with_error_message(refusal.message.map(StrBytes::from_string))
        }
    }
}
