//! Fetch, versions 4 to 18: records from many partitions, waiting for them if there are none.
//!
//! Fetch sessions (KIP-227, version 7) are not kept: session id 0 in the answer tells a client so,
//! and it goes on naming all its partitions. Version 12 adds fencing by leader epoch, version 13
//! names topics by id. The records are never copied: the answer's bytes are those of the store.
use std::{collections::HashSet, time::Duration};

use futures::{StreamExt as _, stream};
use kop_wire::{
    Offset, TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            FetchRequest,
            fetch_request::{FetchPartition, FetchTopic},
        },
    },
};
use tokio::time::Instant;

use super::{
    Call,
    error::Refusal,
    target::{Target, TopicRef, check_epoch},
};

mod answer;
mod read;
mod waiting;

use answer::FetchAnswer;
use read::Limits;

/// Partitions opened at a time for one request.
const AT_ONCE: usize = 32;
/// Bytes of records in one answer, whatever the client allows.
const MOST_BYTES: usize = 8 << 20;
/// Longest time that a client may let the gateway wait.
const MOST_WAIT: Duration = Duration::from_secs(300);

/// A partition that the client wants records of.
struct Wanted {
    /// Which of the request's topics it belongs to.
    topic: usize,
    index: i32,
    offset: Offset,
    max_bytes: usize,
    target: Result<Target, Refusal>,
}

pub(super) async fn handle(call: &Call, request: FetchRequest) -> FetchAnswer {
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = Instant::now() + wait.min(MOST_WAIT);
    // An id that was never given out, or a further step of a session that was never begun.
    if request.session_id != 0 || request.session_epoch > 0 {
        let code = ResponseError::FetchSessionIdNotFound;
        return FetchAnswer::refused(call.refuse(code));
    }
    let limits = Limits {
        min_bytes: usize::try_from(request.min_bytes)
            .unwrap_or(0)
            .min(MOST_BYTES),
        max_bytes: usize::try_from(request.max_bytes)
            .unwrap_or(0)
            .min(MOST_BYTES),
    };
    let topics: Vec<TopicRef> = request
        .topics
        .iter()
        .map(|topic| named(call, topic))
        .collect();
    let wanted = opened(call, &topics, request.topics).await;
    let records = waiting::records(call, &wanted, limits, deadline).await;
    let committed = request.isolation_level == 1;
    FetchAnswer::new(call, topics, &wanted, records, committed)
}

fn named(call: &Call, topic: &FetchTopic) -> TopicRef {
    if call.version >= 13 {
        TopicRef::Id(topic.topic_id)
    } else {
        TopicRef::Name(topic.topic.clone())
    }
}

/// Opens every partition of the request, each once.
async fn opened(call: &Call, topics: &[TopicRef], asked: Vec<FetchTopic>) -> Vec<Wanted> {
    let mut names = Vec::with_capacity(topics.len());
    for topic in topics {
        names.push(call.topic_name(topic).await);
    }
    let mut seen = HashSet::new();
    let mut opening = Vec::new();
    for (topic, (asked, name)) in asked.into_iter().zip(&names).enumerate() {
        for partition in asked.partitions {
            if seen.insert((topic, partition.partition)) {
                opening.push(wanted(call, topic, name, partition));
            }
        }
    }
    stream::iter(opening).buffered(AT_ONCE).collect().await
}

async fn wanted(
    call: &Call,
    topic: usize,
    name: &Result<TopicName, Refusal>,
    partition: FetchPartition,
) -> Wanted {
    let target = async {
        let name = name.as_ref().map_err(Refusal::clone)?;
        check_epoch(partition.current_leader_epoch)?;
        call.open(name, partition.partition).await
    };
    Wanted {
        topic,
        index: partition.partition,
        offset: Offset(partition.fetch_offset),
        max_bytes: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
        target: target.await,
    }
}
