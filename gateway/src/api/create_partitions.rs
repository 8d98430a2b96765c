//! CreatePartitions, versions 0 to 3 (KIP-195): topics grow, and never shrink.
//!
//! A manual assignment has to name this node for each new partition. What is only validated is not
//! promised: the store may still refuse it.
use std::collections::HashMap;

use kop_store::{Catalog as _, GrowError, TopicClass};
use kop_wire::{
    TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            CreatePartitionsRequest, CreatePartitionsResponse,
            create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic},
            create_partitions_response::CreatePartitionsTopicResult,
        },
        protocol::StrBytes,
    },
};
use tracing::info;

use super::{Call, create_topics::MOST_PARTITIONS, error::Refusal};

pub(super) async fn handle(
    call: &Call,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut times = HashMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.clone()).or_insert(0_usize) += 1;
    }
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        // Of a name that stands there twice, one answer is given.
        let grown = match times.remove(&topic.name) {
            Some(1) => grow(call, &topic, request.validate_only).await,
            Some(_) => Err(Refusal::new(
                ResponseError::InvalidRequest,
                "topic is named twice",
            )),
            None => continue,
        };
        let result = CreatePartitionsTopicResult::default().with_name(topic.name);
        results.push(match grown {
            Ok(()) => result.with_error_message(None),
            Err(Refusal { code, message }) => result
                .with_error_code(call.refuse(code))
                .with_error_message(message.map(StrBytes::from_string)),
        });
    }
    CreatePartitionsResponse::default().with_results(results)
}

async fn grow(
    call: &Call,
    asked: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), Refusal> {
    let unknown = || Refusal::from(ResponseError::UnknownTopicOrPartition);
    // A name that no topic can have is the name of no topic.
    let name = TopicName::new(&asked.name).map_err(|_| unknown())?;
    if TopicClass::of(&name).is_internal() {
        // Which group is kept where hangs on the number of partitions.
        let why = "internal topics keep the partitions they have";
        return Err(Refusal::new(ResponseError::InvalidRequest, why));
    }
    let store = &call.gateway.store;
    let has = store.find(&name).await?.ok_or_else(unknown)?.partitions;
    let partitions = u32::try_from(asked.count).unwrap_or(0);
    if partitions <= has {
        return Err(GrowError::NotMore { partitions: has }.into());
    }
    if partitions > MOST_PARTITIONS {
        let why = format!("{partitions} partitions: not from 1 to {MOST_PARTITIONS}");
        return Err(Refusal::new(ResponseError::InvalidPartitions, why));
    }
    if let Some(assignments) = &asked.assignments {
        check_assignments(call, assignments, partitions - has)?;
    }
    if validate_only {
        return Ok(());
    }
    let topic = store.grow(&name, partitions).await?;
    call.gateway.cluster.topic_changed(&name);
    info!(topic = %name, partitions = topic.partitions, peer = %call.peer, "topic grown");
    Ok(())
}

fn check_assignments(
    call: &Call,
    assignments: &[CreatePartitionsAssignment],
    new: u32,
) -> Result<(), Refusal> {
    let here = [call.gateway.node_id()];
    let why = if u32::try_from(assignments.len()) != Ok(new) {
        format!("{} assignments for {new} new partitions", assignments.len())
    } else if assignments.iter().any(|each| each.broker_ids != here) {
        "there is one node".to_owned()
    } else {
        return Ok(());
    };
    Err(Refusal::new(ResponseError::InvalidReplicaAssignment, why))
}
