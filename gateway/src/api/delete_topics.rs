//! DeleteTopics, versions 1 to 6; from version 6 on by name or id (KIP-516). Offsets that groups have
//! committed for a topic go with it.
use std::sync::Arc;

use kop_coordinator::Name;
use kop_store::{Catalog as _, TopicClass};
use kop_wire::{
    TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            DeleteTopicsRequest, DeleteTopicsResponse, delete_topics_request::DeleteTopicState,
            delete_topics_response::DeletableTopicResult,
        },
        protocol::StrBytes,
    },
};
use tracing::info;
use uuid::Uuid;

use super::{Call, error::Refusal};

pub(super) async fn handle(call: &Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let mut asked = request.topics;
    let named = |name| DeleteTopicState::default().with_name(Some(name));
    asked.extend(request.topic_names.into_iter().map(named));
    let mut results = Vec::with_capacity(asked.len());
    for topic in asked {
        results.push(result(call, topic).await);
    }
    DeleteTopicsResponse::default().with_responses(results)
}

async fn result(call: &Call, asked: DeleteTopicState) -> DeletableTopicResult {
    let DeleteTopicState { name, topic_id, .. } = asked;
    let answer = DeletableTopicResult::default().with_topic_id(topic_id);
    let deleted = match &name {
        Some(name) => by_name(call, name).await,
        None => by_id(call, topic_id).await,
    };
    match deleted {
        Ok(name) => {
            let name = StrBytes::from_string(name.as_str().to_owned());
            answer.with_name(Some(name.into()))
        }
        Err(Refusal { code, message }) => {
            let answer = answer.with_name(name).with_error_code(call.refuse(code));
            if call.version < 5 {
                return answer;
            }
            answer.with_error_message(message.map(StrBytes::from_string))
        }
    }
}

async fn by_name(call: &Call, name: &str) -> Result<TopicName, Refusal> {
    // A name that no topic can have is the name of no topic.
    let name =
        TopicName::new(name).map_err(|_| Refusal::from(ResponseError::UnknownTopicOrPartition))?;
    delete(call, name).await
}

async fn by_id(call: &Call, id: Uuid) -> Result<TopicName, Refusal> {
    let gateway = &call.gateway;
    let name = gateway.topics.name_of(&gateway.store, id).await?;
    delete(call, name.ok_or(ResponseError::UnknownTopicId)?).await
}

async fn delete(call: &Call, name: TopicName) -> Result<TopicName, Refusal> {
    if TopicClass::of(&name).is_internal() {
        let why = "internal topics belong to the gateway";
        return Err(Refusal::new(ResponseError::InvalidRequest, why));
    }
    let (gateway, peer) = (Arc::clone(&call.gateway), call.peer);
    // What has begun is brought to its end, though the client may be gone by then.
    let deleting = tokio::spawn(async move {
        gateway.store.delete(&name).await?;
        info!(topic = %name, %peer, "topic deleted");
        gateway.partitions.forget_topic(&name);
        gateway.topics.forget(&name);
        gateway.cluster.topic_changed(&name);
        let stored = Name::new(&gateway.store.stored_topic_name(&name))?;
        gateway.coordination.forget_topic(&stored).await;
        Ok(name)
    });
    let broken = |_| Refusal::from(ResponseError::UnknownServerError);
    deleting.await.map_err(broken)?
}
