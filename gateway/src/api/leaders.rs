//! Who leads which partition, as clients are told and held to.
use kop_config::HostPort;
use kop_store::PartitionId;
use kop_wire::{
    TopicName,
    kafka_protocol::{ResponseError, messages::BrokerId},
};

use super::{Call, error::Refusal};
use crate::cluster::Leader;

/// What stands for "no node" and for "no epoch" in Kafka's messages.
const NONE: i32 = -1;

impl Call {
    /// Who leads a partition; node and epoch −1 while nobody does.
    pub(super) fn leader(&self, topic: &TopicName, index: i32) -> Leader {
        let id = PartitionId {
            topic: topic.clone(),
            index,
        };
        let nobody = Leader {
            node: NONE,
            epoch: NONE,
        };
        self.gateway.cluster.leader(&id).unwrap_or(nobody)
    }

    /// The gateways that are in, and where clients of the call's listener connect to each.
    pub(super) fn brokers(&self) -> Vec<(BrokerId, HostPort)> {
        let listener = self.gateway.config.listeners.get(self.listener);
        let name = listener.map_or("", |listener| &listener.name);
        let brokers = self.gateway.cluster.brokers(name);
        brokers
            .into_iter()
            .map(|(node, address)| (node.into(), address))
            .collect()
    }

    /// The gateway that clients send what changes the cluster to. Any would do; all must name one.
    pub(super) fn controller(&self) -> BrokerId {
        let view = self.gateway.cluster.view();
        view.members()
            .next()
            .map_or(NONE, |member| member.node)
            .into()
    }

    /// Checks that this gateway leads a partition, in the epoch that the client believes in, if it
    /// says one (−1 where not). Answers the epoch.
    pub(super) async fn check_leader(&self, id: &PartitionId, epoch: i32) -> Result<i32, Refusal> {
        let gateway = &self.gateway;
        let Some(current) = gateway.cluster.leads(id) else {
            // Placement has a leader for any name.
            let expected =
                u32::try_from(id.index).map_or(u32::MAX, |index| index.saturating_add(1));
            let topics = &gateway.topics;
            if topics
                .partitions(&gateway.store, &id.topic, expected)
                .await?
                < expected
            {
                return Err(ResponseError::UnknownTopicOrPartition.into());
            }
            return Err(ResponseError::NotLeaderOrFollower.into());
        };
        match epoch {
            ..0 => Ok(current),
            older if older < current => Err(ResponseError::FencedLeaderEpoch.into()),
            newer if newer > current => Err(ResponseError::UnknownLeaderEpoch.into()),
            _ => Ok(current),
        }
    }
}
