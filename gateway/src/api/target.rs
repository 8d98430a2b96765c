//! Finding the log that a request names.
use kop_store::{PartitionId, ReadError, TopicClass};
use kop_wire::{
    TopicName,
    kafka_protocol::{ResponseError, protocol::StrBytes},
};
use uuid::Uuid;

use super::{Call, error::Refusal};
use crate::store::StorePartition;

/// How a request names a topic: older versions by name, newer ones by id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum TopicRef {
    Name(kop_wire::kafka_protocol::messages::TopicName),
    Id(Uuid),
}

impl TopicRef {
    /// The same in memory of its own. A name else keeps the whole request that it came in.
    pub(super) fn copied(&self) -> Self {
        match self {
            Self::Name(name) => Self::Name(StrBytes::from_string(name.to_string()).into()),
            Self::Id(id) => Self::Id(*id),
        }
    }
}

/// An open partition and its name.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) id: PartitionId,
    pub(super) partition: StorePartition,
    /// Its leader epoch.
    pub(super) epoch: i32,
}

impl Call {
    /// The topic's name, which need not be that of a topic that exists.
    pub(super) async fn topic_name(&self, topic: &TopicRef) -> Result<TopicName, Refusal> {
        match topic {
            TopicRef::Name(name) => {
                // A name that no topic can have is the name of no topic.
                TopicName::new(name).map_err(|_| ResponseError::UnknownTopicOrPartition.into())
            }
            TopicRef::Id(id) => {
                let name = self
                    .gateway
                    .topics
                    .name_of(&self.gateway.store, *id)
                    .await?;
                name.ok_or_else(|| ResponseError::UnknownTopicId.into())
            }
        }
    }

    /// Opens a partition that this gateway leads, in the epoch that the client believes in; −1 where
    /// it does not say.
    pub(super) async fn open(
        &self,
        topic: &TopicName,
        index: i32,
        epoch: i32,
    ) -> Result<Target, Refusal> {
        let id = PartitionId {
            topic: topic.clone(),
            index,
        };
        let epoch = self.check_leader(&id, epoch).await?;
        let partition = self
            .gateway
            .partitions
            .get(&self.gateway.store, &id)
            .await?;
        // It may have gone to another gateway while it was opened.
        if self.gateway.cluster.leads(&id).is_none() {
            return Err(ResponseError::NotLeaderOrFollower.into());
        }
        Ok(Target {
            id,
            partition,
            epoch,
        })
    }

    /// What is answered for a partition that could not be read.
    pub(super) fn unread(&self, id: &PartitionId, error: ReadError) -> Refusal {
        if matches!(error, ReadError::Deleted | ReadError::NotOwner) {
            self.gone(id);
        }
        error.into()
    }

    /// Lets go of what has been remembered of a partition that turned out to be gone.
    pub(super) fn gone(&self, id: &PartitionId) {
        self.gateway.partitions.forget(id);
        self.gateway.topics.forget(&id.topic);
    }
}

/// Clients write to no topic of the gateway's own.
pub(super) fn check_writable(topic: &TopicName) -> Result<(), Refusal> {
    if TopicClass::of(topic).is_internal() {
        return Err(Refusal::new(
            ResponseError::InvalidTopicException,
            format!("{topic} is written by the gateway only"),
        ));
    }
    Ok(())
}
