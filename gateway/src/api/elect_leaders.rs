//! ElectLeaders, versions 0 to 2 (KIP-183, KIP-460): no partition ever needs an election, because its
//! one replica leads it. Asked for all partitions, the answer names none, as Kafka's does.
use kop_store::Catalog as _;
use kop_wire::{
    TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            ElectLeadersRequest, ElectLeadersResponse,
            elect_leaders_request::TopicPartitions,
            elect_leaders_response::{PartitionResult, ReplicaElectionResult},
        },
        protocol::StrBytes,
    },
};

use super::{Call, error::Refusal};

/// Preferred and unclean.
const ELECTIONS: std::ops::RangeInclusive<i8> = 0..=1;

pub(super) async fn handle(call: &Call, request: ElectLeadersRequest) -> ElectLeadersResponse {
    if !ELECTIONS.contains(&request.election_type) {
        let code = call.refuse(ResponseError::InvalidRequest);
        return ElectLeadersResponse::default().with_error_code(code);
    }
    let mut results = Vec::new();
    for TopicPartitions {
        topic, partitions, ..
    } in request.topic_partitions.unwrap_or_default()
    {
        let known = partitions_of(call, &topic).await;
        let result = |partition: i32| {
            let refusal = match &known {
                Ok(known) if (0..*known).contains(&partition) => Refusal::new(
                    ResponseError::ElectionNotNeeded,
                    "the partition's only replica leads it",
                ),
                Ok(_) => ResponseError::UnknownTopicOrPartition.into(),
                Err(refusal) => refusal.clone(),
            };
            PartitionResult::default()
                .with_partition_id(partition)
                .with_error_code(call.refuse(refusal.code))
                .with_error_message(refusal.message.map(StrBytes::from_string))
        };
        let partitions = partitions.into_iter().map(result).collect();
        results.push(
            ReplicaElectionResult::default()
                .with_topic(topic)
                .with_partition_result(partitions),
        );
    }
    ElectLeadersResponse::default().with_replica_election_results(results)
}

async fn partitions_of(call: &Call, topic: &str) -> Result<i32, Refusal> {
    let unknown = || Refusal::from(ResponseError::UnknownTopicOrPartition);
    let name = TopicName::new(topic).map_err(|_| unknown())?;
    let found = call.gateway.store.find(&name).await?;
    let topic = found.ok_or_else(unknown)?;
    Ok(i32::try_from(topic.partitions).unwrap_or(i32::MAX))
}
