//! Fetch, versions 4 to 18: records from many partitions, waiting for them if there are none.
//!
//! Version 7 lets a client name its partitions once and then only what changes ([`session`], KIP-227).
//! Version 12 adds fencing by leader epoch, version 13 names topics by id. There is one replica, so the
//! client's rack (version 11) means nothing. The records are never copied: the answer's bytes are those
//! of the store.
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use kop_wire::{
    Offset, TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{FetchRequest, fetch_request::FetchTopic},
    },
};
use tokio::time::{Instant, timeout_at};

use super::{
    Call,
    error::Refusal,
    target::{Target, TopicRef},
};

mod answer;
mod contents;
mod conversation;
pub(crate) mod late;
mod read;
mod session;
pub(crate) mod sessions;
mod waiting;

use answer::FetchAnswer;
use conversation::Conversation;
use read::Limits;
use session::Asked;

/// Partitions opened at a time for one request.
const AT_ONCE: usize = 32;
/// Bytes of records in one answer, whatever the client allows.
const MOST_BYTES: usize = 8 << 20;
/// How long opening the partitions of a fetch may take, if that is longer than its client waits. One that is
/// not open by then goes on being opened, and is there for a later fetch.
const OPENING: Duration = Duration::from_secs(5);
/// How much longer than its client waits a fetch may read.
const READING: Duration = Duration::from_secs(1);
/// Longest time that a client may let the gateway wait.
const MOST_WAIT: Duration = Duration::from_secs(300);

/// A partition that the client wants records of.
struct Wanted {
    asked: Asked,
    target: Result<Target, Refusal>,
}

pub(super) async fn handle(call: &Call, request: FetchRequest) -> FetchAnswer {
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let began = Instant::now();
    let limits = Limits {
        min_bytes: usize::try_from(request.min_bytes)
            .unwrap_or(0)
            .min(MOST_BYTES),
        max_bytes: usize::try_from(request.max_bytes)
            .unwrap_or(0)
            .min(MOST_BYTES),
    };
    let committed = request.isolation_level == 1;
    let begun = Conversation::begin(call, asked(call, &request), &request);
    let (conversation, asked) = match begun {
        Ok(begun) => begun,
        Err(code) => return FetchAnswer::refused(call.refuse(code)),
    };
    let deadline = began + conversation.wait(wait.min(MOST_WAIT));
    let wanted = opened(call, asked, deadline.max(began + OPENING)).await;
    let records = waiting::records(call, &wanted, limits, deadline).await;
    conversation.answer(call, wanted, records, committed)
}

fn named(call: &Call, topic: &FetchTopic) -> TopicRef {
    if call.version >= 13 {
        TopicRef::Id(topic.topic_id)
    } else {
        TopicRef::Name(topic.topic.clone())
    }
}

/// The partitions that a request names, each once.
fn asked(call: &Call, request: &FetchRequest) -> Vec<Asked> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for topic in &request.topics {
        let name = named(call, topic);
        for partition in &topic.partitions {
            if seen.insert((name.clone(), partition.partition)) {
                all.push(Asked {
                    topic: name.clone(),
                    index: partition.partition,
                    offset: Offset(partition.fetch_offset),
                    max_bytes: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
                    leader_epoch: partition.current_leader_epoch,
                    last_fetched_epoch: partition.last_fetched_epoch,
                });
            }
        }
    }
    all
}

/// Opens all partitions; those that are not open in time are led by nobody yet.
async fn opened(call: &Call, asked: Vec<Asked>, until: Instant) -> Vec<Wanted> {
    let mut names = HashMap::new();
    for Asked { topic, .. } in &asked {
        if !names.contains_key(topic) {
            names.insert(topic.clone(), call.topic_name(topic).await);
        }
    }
    let wanted = asked
        .into_iter()
        .map(|asked| wanted(call, &names, asked, until));
    stream::iter(wanted).buffered(AT_ONCE).collect().await
}

async fn wanted(
    call: &Call,
    names: &HashMap<TopicRef, Result<TopicName, Refusal>>,
    asked: Asked,
    until: Instant,
) -> Wanted {
    let target = async {
        let name = names.get(&asked.topic).expect("all names have been found");
        let name = name.as_ref().map_err(Refusal::clone)?;
        let opened = call.open(name, asked.index, asked.leader_epoch);
        let late = |_| Refusal::from(ResponseError::NotLeaderOrFollower);
        timeout_at(until, opened).await.map_err(late)?
    };
    Wanted {
        target: target.await,
        asked,
    }
}
