//! Metadata, versions 0 to 13: the gateways that are in, and the topics asked for.
//!
//! Version 0 asks for all topics with an empty list, later ones with none at all; version 4 lets the
//! client forbid that a missing topic is made; version 10 brings topic ids, version 12 asking by them.
use std::collections::HashSet;

use futures::{StreamExt as _, stream};
use kop_config::HostPort;
use kop_store::{Catalog as _, NewTopic, Topic, TopicClass, TopicConfig};
use kop_wire::{
    TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            MetadataRequest, MetadataResponse,
            metadata_request::MetadataRequestTopic,
            metadata_response::{
                MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
            },
        },
        protocol::StrBytes,
    },
};
use tracing::info;
use uuid::Uuid;

use super::{Call, error::Refusal};
use crate::cluster::Leader;

/// Topics looked up at a time for one request.
const AT_ONCE: usize = 16;
/// "Not asked for", in the fields that list what a client may do.
pub(super) const NO_OPERATIONS: i32 = i32::MIN;

pub(super) async fn handle(call: &Call, request: MetadataRequest) -> MetadataResponse {
    let may_create = call.gateway.config.auto_create_topics
        && (call.version < 4 || request.allow_auto_topic_creation);
    let topics = match request.topics {
        None => all(call).await,
        Some(none) if none.is_empty() && call.version == 0 => all(call).await,
        Some(topics) => {
            let mut asked = HashSet::new();
            let each = topics
                .into_iter()
                .filter(|t| asked.insert((t.name.clone(), t.topic_id)));
            stream::iter(each)
                .map(|t| one(call, t, may_create))
                .buffered(AT_ONCE)
                .collect()
                .await
        }
    };
    let broker = |(node, HostPort { host, port })| {
        MetadataResponseBroker::default()
            .with_node_id(node)
            .with_host(StrBytes::from_string(host))
            .with_port(i32::from(port))
    };
    let brokers = call.brokers().into_iter().map(broker).collect();
    let cluster_id = StrBytes::from_string(call.gateway.cluster_id.clone());
    MetadataResponse::default()
        .with_brokers(brokers)
        .with_cluster_id(Some(cluster_id))
        .with_controller_id(call.controller())
        .with_topics(topics)
}

async fn all(call: &Call) -> Vec<MetadataResponseTopic> {
    match call.gateway.topics.list(&call.gateway.store).await {
        Ok(topics) => topics.iter().map(|topic| described(call, topic)).collect(),
        Err(error) => {
            // There is no field that could say so for all topics at once before version 13.
            call.refuse(Refusal::from(error).code);
            Vec::new()
        }
    }
}

async fn one(call: &Call, asked: MetadataRequestTopic, may_create: bool) -> MetadataResponseTopic {
    let MetadataRequestTopic { name, topic_id, .. } = asked;
    let refused = |refusal: Refusal, name: Option<StrBytes>| {
        MetadataResponseTopic::default()
            .with_error_code(call.refuse(refusal.code))
            // Only version 12 can leave the name out.
            .with_name(
                name.or_else(|| (call.version < 12).then(StrBytes::new))
                    .map(Into::into),
            )
            .with_topic_id(if call.version >= 10 {
                topic_id
            } else {
                Uuid::nil()
            })
            .with_topic_authorized_operations(NO_OPERATIONS)
    };
    let found = match &name {
        Some(name) => by_name(call, name, may_create).await,
        None => by_id(call, topic_id).await,
    };
    match found {
        Ok(topic) => described(call, &topic),
        Err(refusal) => refused(refusal, name.map(Into::into)),
    }
}

async fn by_id(call: &Call, id: Uuid) -> Result<Topic, Refusal> {
    let gateway = &call.gateway;
    let unknown = || Refusal::from(ResponseError::UnknownTopicId);
    let name = gateway
        .topics
        .name_of(&gateway.store, id)
        .await?
        .ok_or_else(unknown)?;
    let topic = gateway.store.find(&name).await?;
    topic.filter(|topic| topic.id == id).ok_or_else(unknown)
}

async fn by_name(call: &Call, name: &str, may_create: bool) -> Result<Topic, Refusal> {
    let name = TopicName::new(name)
        .map_err(|error| Refusal::new(ResponseError::InvalidTopicException, error.to_string()))?;
    let gateway = &call.gateway;
    if let Some(topic) = gateway.store.find(&name).await? {
        gateway.topics.learn(&topic);
        return Ok(topic);
    }
    if !may_create || TopicClass::of(&name).is_internal() {
        return Err(ResponseError::UnknownTopicOrPartition.into());
    }
    let new = NewTopic {
        name: name.clone(),
        partitions: gateway.config.default_partitions,
        config: TopicConfig::new(),
    };
    match gateway.store.create(new).await {
        Ok(topic) => {
            info!(topic = %name, partitions = topic.partitions, peer = %call.peer, "topic created");
            gateway.topics.learn(&topic);
            gateway.cluster.topic_changed(&name);
            Ok(topic)
        }
        // Somebody was faster.
        Err(kop_store::CreateError::Exists(_)) => {
            let topic = gateway.store.find(&name).await?;
            topic.ok_or_else(|| ResponseError::UnknownTopicOrPartition.into())
        }
        Err(kop_store::CreateError::Refused(why)) => {
            Err(Refusal::new(ResponseError::InvalidTopicException, why))
        }
        Err(error) => Err(Refusal {
            code: ResponseError::LeaderNotAvailable,
            ..Refusal::from(error)
        }),
    }
}

fn described(call: &Call, topic: &Topic) -> MetadataResponseTopic {
    let partition = |index: u32| {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        let Leader { node, epoch } = call.leader(&topic.name, index);
        let leader = MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(node.into())
            .with_leader_epoch(if call.version >= 7 { epoch } else { -1 });
        if node < 0 {
            return leader.with_error_code(ResponseError::LeaderNotAvailable.code());
        }
        leader
            .with_replica_nodes(vec![node.into()])
            .with_isr_nodes(vec![node.into()])
    };
    MetadataResponseTopic::default()
        .with_name(Some(
            StrBytes::from_string(topic.name.as_str().to_owned()).into(),
        ))
        .with_topic_id(if call.version >= 10 {
            topic.id
        } else {
            Uuid::nil()
        })
        .with_is_internal(call.version >= 1 && TopicClass::of(&topic.name).is_internal())
        .with_partitions((0..topic.partitions).map(partition).collect())
        .with_topic_authorized_operations(NO_OPERATIONS)
}
