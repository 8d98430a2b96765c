//! OffsetDelete, version 0: a group forgets how far it has read some partitions (KIP-496).
//!
//! Offsets of topics that a member reads stay. Topics that are gone can be named too: their offsets
//! are what one most wants to be rid of.
use kop_coordinator::{DeleteOffsets, Name, OffsetToDelete, Reply, Request};
use kop_wire::{
    TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            OffsetDeleteRequest, OffsetDeleteResponse,
            offset_delete_request::OffsetDeleteRequestTopic,
            offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic},
        },
    },
};

use super::{Call, error::Refusal, groups};

/// A topic of the request, and the name its offsets are stored under.
type Named = (OffsetDeleteRequestTopic, Result<Name, Refusal>);

pub(super) async fn handle(call: &Call, mut request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let topics = std::mem::take(&mut request.topics).into_iter();
    let topics: Vec<Named> = topics
        .map(|topic| {
            let name = stored_name(call, &topic.name);
            (topic, name)
        })
        .collect();
    let response = OffsetDeleteResponse::default();
    let mut results = match delete(call, &request, &topics).await {
        Ok(results) => results.into_iter(),
        Err(Refusal { code, .. }) => return response.with_error_code(call.refuse(code)),
    };
    let answered = topics.into_iter().map(|(topic, name)| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            let result = match &name {
                Err(refusal) => Err(refusal.clone()),
                // Each was asked for; one without an answer is not to be taken for deleted.
                Ok(_) => results
                    .next()
                    .unwrap_or_else(|| Err(ResponseError::UnknownServerError.into())),
            };
            let code = result.map_or_else(|refusal| call.refuse(refusal.code), |()| 0);
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code)
        });
        OffsetDeleteResponseTopic::default()
            .with_partitions(partitions.collect())
            .with_name(topic.name)
    });
    response.with_topics(answered.collect())
}

fn stored_name(call: &Call, asked: &str) -> Result<Name, Refusal> {
    let topic = TopicName::new(asked).map_err(|_| ResponseError::UnknownTopicOrPartition)?;
    Ok(Name::new(&call.gateway.store.stored_topic_name(&topic))?)
}

/// One result for each partition of each topic that has a name, in the request's order.
async fn delete(
    call: &Call,
    request: &OffsetDeleteRequest,
    topics: &[Named],
) -> Result<Vec<Result<(), Refusal>>, Refusal> {
    let known = topics
        .iter()
        .filter_map(|(topic, name)| Some((topic, name.as_ref().ok()?)));
    let offsets = known.flat_map(|(topic, name)| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| OffsetToDelete {
            topic: name.clone(),
            partition: partition.partition_index,
        })
    });
    let delete = DeleteOffsets {
        group: groups::group(&request.group_id)?,
        offsets: offsets.collect(),
    };
    match groups::ask(call, Request::DeleteOffsets(delete)).await? {
        Reply::DeleteOffsets(results) => {
            let results = results?.into_iter();
            Ok(results
                .map(|result| result.map_err(Refusal::from))
                .collect())
        }
        other => Err(groups::misdirected(&other)),
    }
}
