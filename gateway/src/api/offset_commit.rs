//! OffsetCommit, versions 2 to 9: a group records how far it has read.
//!
//! Versions 2 to 4 may name a retention time, which the offsets then have in place of the gateway's
//! (KIP-211); −1 names none. Version 6 adds the leader epoch, which the stored record has no place for: it is answered as
//! unknown. Version 7 adds the group instance id (KIP-345). Version 9 is for KIP-848's groups, whose
//! members this gateway never has: it is served as 8.
use kop_coordinator::{CommitOffsets, Name, OffsetToCommit, Reply, Request};
use kop_wire::{
    TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            OffsetCommitRequest, OffsetCommitResponse,
            offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
            offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
        },
    },
};

use super::{Call, error::Refusal, groups};

/// A topic of the request, and what is known of it.
type Looked = (OffsetCommitRequestTopic, Result<Found, Refusal>);

/// A topic that exists.
struct Found {
    /// The name its offsets are stored under.
    stored: Name,
    partitions: u32,
}

impl Found {
    fn has(&self, partition: i32) -> bool {
        u32::try_from(partition).is_ok_and(|index| index < self.partitions)
    }
}

pub(super) async fn handle(call: &Call, mut request: OffsetCommitRequest) -> OffsetCommitResponse {
    let mut topics: Vec<Looked> = Vec::with_capacity(request.topics.len());
    for topic in std::mem::take(&mut request.topics) {
        let found = find(call, &topic).await;
        topics.push((topic, found));
    }
    let results = commit(call, &request, &topics).await;
    let mut results = results.map(Vec::into_iter);
    let answered = topics.into_iter().map(|(topic, found)| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            let result = match (&found, &mut results) {
                (Err(refusal), _) => Err(refusal.clone()),
                (Ok(found), _) if !found.has(partition.partition_index) => {
                    Err(ResponseError::UnknownTopicOrPartition.into())
                }
                (Ok(_), Err(refusal)) => Err(refusal.clone()),
                (Ok(_), Ok(results)) => results.next().unwrap_or_else(|| Err(unanswered())),
            };
            let code = result.map_or_else(|refusal| call.refuse(refusal.code), |()| 0);
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code)
        });
        OffsetCommitResponseTopic::default()
            .with_partitions(partitions.collect())
            .with_name(topic.name)
    });
    OffsetCommitResponse::default().with_topics(answered.collect())
}

/// The coordinator answers each offset; if it did not, success is not to be claimed.
fn unanswered() -> Refusal {
    ResponseError::UnknownServerError.into()
}

/// Only offsets of partitions that exist are kept.
async fn find(call: &Call, asked: &OffsetCommitRequestTopic) -> Result<Found, Refusal> {
    let gateway = &call.gateway;
    let unknown = || Refusal::from(ResponseError::UnknownTopicOrPartition);
    let topic = TopicName::new(&asked.name).map_err(|_| unknown())?;
    let last = asked.partitions.iter().map(|p| p.partition_index).max();
    let expected = u32::try_from(last.unwrap_or(0)).map_or(1, |last| last + 1);
    let known = &gateway.topics;
    let partitions = known.partitions(&gateway.store, &topic, expected).await?;
    if partitions == 0 {
        return Err(unknown());
    }
    let stored = Name::new(&gateway.store.stored_topic_name(&topic))?;
    Ok(Found { stored, partitions })
}

/// One result for each partition that exists, in the request's order.
async fn commit(
    call: &Call,
    request: &OffsetCommitRequest,
    topics: &[Looked],
) -> Result<Vec<Result<(), Refusal>>, Refusal> {
    let known = topics
        .iter()
        .filter_map(|(topic, found)| Some((topic, found.as_ref().ok()?)));
    let offsets = known.flat_map(|(topic, found)| {
        let partitions = topic.partitions.iter();
        let existing = partitions.filter(|partition| found.has(partition.partition_index));
        existing.map(|partition| offset(found.stored.clone(), partition))
    });
    let commit = CommitOffsets {
        group: groups::group(&request.group_id)?,
        generation: request.generation_id_or_member_epoch,
        member: groups::member(&request.member_id)?,
        instance: groups::instance(request.group_instance_id.as_ref())?,
        retention_ms: retention(request.retention_time_ms),
        offsets: offsets.collect(),
    };
    match groups::ask(call, Request::CommitOffsets(commit)).await? {
        Reply::CommitOffsets(results) => {
            let results = results?.into_iter();
            Ok(results
                .map(|result| result.map_err(Refusal::from))
                .collect())
        }
        other => Err(groups::misdirected(&other)),
    }
}

/// A negative time other than −1 is over at once, as in Kafka.
fn retention(ms: i64) -> Option<u64> {
    (ms != -1).then(|| u64::try_from(ms).unwrap_or(0))
}

fn offset(topic: Name, partition: &OffsetCommitRequestPartition) -> OffsetToCommit {
    let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
    OffsetToCommit {
        topic,
        partition: partition.partition_index,
        offset: partition.committed_offset,
        metadata: metadata.to_owned(),
    }
}
