//! CreateTopics, versions 2 to 7.
//!
//! Partitions of −1 ask for the default (KIP-464, version 4), a replication factor other than 1 is
//! refused, because there is one node as Kafka clients see it: what replicates is the store. A topic
//! configuration that is not honoured is refused by name. Version 5 answers what was made and what
//! holds for it (KIP-525), version 7 with its id.
use std::collections::HashMap;

use kop_store::{Catalog as _, NewTopic, Topic, TopicClass, TopicConfig};
use kop_wire::{
    TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            CreateTopicsRequest, CreateTopicsResponse,
            create_topics_request::{
                CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
            },
            create_topics_response::{CreatableTopicConfigs, CreatableTopicResult},
        },
        protocol::StrBytes,
    },
};
use tracing::info;
use uuid::Uuid;

use super::{
    Call,
    configs::{self, TopicSetting},
    error::Refusal,
};

/// Partitions of one topic.
pub(super) const MOST_PARTITIONS: u32 = 10_000;

pub(super) async fn handle(call: &Call, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut times = HashMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.clone()).or_insert(0_usize) += 1;
    }
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        // Of a name that stands there twice, one answer is given.
        match times.remove(&topic.name) {
            Some(1) => results.push(result(call, topic, request.validate_only).await),
            Some(_) => {
                let twice = Refusal::new(ResponseError::InvalidRequest, "topic is named twice");
                results.push(refused(call, &topic, &twice));
            }
            None => {}
        }
    }
    CreateTopicsResponse::default().with_topics(results)
}

async fn result(call: &Call, topic: CreatableTopic, validate_only: bool) -> CreatableTopicResult {
    let made = match planned(call, &topic) {
        Ok(new) if validate_only => validated(call, new).await,
        Ok(new) => made(call, new).await,
        Err(refusal) => Err(refusal),
    };
    let made = match made {
        Ok(made) => made,
        Err(refusal) => return refused(call, &topic, &refusal),
    };
    let result = CreatableTopicResult::default()
        .with_name(topic.name)
        .with_error_message(None);
    if call.version < 5 {
        return result;
    }
    let configs = configs::of_topic(call, &made.name, &made.config);
    result
        .with_topic_id(if call.version >= 7 {
            made.id
        } else {
            Uuid::nil()
        })
        .with_num_partitions(i32::try_from(made.partitions).unwrap_or(i32::MAX))
        .with_replication_factor(1)
        .with_configs(Some(configs.into_iter().map(told_as).collect()))
}

fn told_as(setting: TopicSetting) -> CreatableTopicConfigs {
    CreatableTopicConfigs::default()
        .with_name(StrBytes::from_static_str(setting.spec.name))
        .with_config_source(setting.source() as i8)
        .with_read_only(setting.read_only)
        .with_value(Some(StrBytes::from_string(setting.value)))
}

fn refused(call: &Call, topic: &CreatableTopic, refusal: &Refusal) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(topic.name.clone())
        .with_error_code(call.refuse(refusal.code))
        .with_error_message(refusal.message.clone().map(StrBytes::from_string))
}

/// Checks one topic of the request; looks at nothing else.
fn planned(call: &Call, topic: &CreatableTopic) -> Result<NewTopic, Refusal> {
    let name = TopicName::new(&topic.name)
        .map_err(|error| Refusal::new(ResponseError::InvalidTopicException, error.to_string()))?;
    if TopicClass::of(&name).is_internal() {
        let why = "internal topics are made by the gateway";
        return Err(Refusal::new(ResponseError::InvalidTopicException, why));
    }
    let config = configured(call, &topic.configs)?;
    if !topic.assignments.is_empty() {
        let partitions = assigned(call, topic)?;
        return Ok(NewTopic {
            name,
            partitions,
            config,
        });
    }
    if !matches!(topic.replication_factor, -1 | 1) {
        let why = format!(
            "replication factor {} with 1 node",
            topic.replication_factor
        );
        return Err(Refusal::new(ResponseError::InvalidReplicationFactor, why));
    }
    let partitions = match topic.num_partitions {
        -1 => call.gateway.config.default_partitions,
        given => u32::try_from(given).unwrap_or(0),
    };
    if !(1..=MOST_PARTITIONS).contains(&partitions) {
        let why = format!(
            "{} partitions: not from 1 to {MOST_PARTITIONS}",
            topic.num_partitions
        );
        return Err(Refusal::new(ResponseError::InvalidPartitions, why));
    }
    Ok(NewTopic {
        name,
        partitions,
        config,
    })
}

/// What is set for the topic. Of an option that is named twice the last value counts, as in Kafka.
fn configured(call: &Call, given: &[CreatableTopicConfig]) -> Result<TopicConfig, Refusal> {
    let mut config = TopicConfig::new();
    for CreatableTopicConfig { name, value, .. } in given {
        let value = value.as_deref().ok_or_else(|| configs::no_value(name))?;
        config.set(name, value)?;
    }
    config.check()?;
    call.gateway.store.supports(&config)?;
    Ok(config)
}

/// How many partitions a manual assignment names: all from 0 on, each on this node.
fn assigned(call: &Call, topic: &CreatableTopic) -> Result<u32, Refusal> {
    let invalid = |why: &str| Err(Refusal::new(ResponseError::InvalidReplicaAssignment, why));
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let why = "partitions and replication factor are -1 with a replica assignment";
        return Err(Refusal::new(ResponseError::InvalidRequest, why));
    }
    let here = [call.gateway.node_id()];
    if topic
        .assignments
        .iter()
        .any(|assignment| assignment.broker_ids != here)
    {
        return invalid("there is one node");
    }
    let index = |assignment: &CreatableReplicaAssignment| assignment.partition_index;
    let mut indexes: Vec<i32> = topic.assignments.iter().map(index).collect();
    indexes.sort_unstable();
    if !indexes.iter().copied().eq((0..).take(indexes.len())) {
        return invalid("partitions are not numbered from 0 on");
    }
    match u32::try_from(indexes.len()) {
        Ok(partitions) if partitions <= MOST_PARTITIONS => Ok(partitions),
        _ => invalid("too many partitions"),
    }
}

/// What making the topic would answer.
async fn validated(call: &Call, new: NewTopic) -> Result<Topic, Refusal> {
    let NewTopic {
        name,
        partitions,
        config,
    } = new;
    match call.gateway.store.find(&name).await? {
        Some(_) => Err(kop_store::CreateError::Exists(name).into()),
        None => Ok(Topic {
            name,
            id: Uuid::nil(),
            partitions,
            config,
        }),
    }
}

async fn made(call: &Call, new: NewTopic) -> Result<Topic, Refusal> {
    let topic = call.gateway.store.create(new).await?;
    info!(topic = %topic.name, partitions = topic.partitions, peer = %call.peer, "topic created");
    call.gateway.topics.learn(&topic);
    call.gateway.cluster.topic_changed(&topic.name);
    Ok(topic)
}
