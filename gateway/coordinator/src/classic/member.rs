//! One member of a group, and where its requests wait.
use bytes::Bytes;

use crate::{InstanceId, Join, MemberMetadata, Name, Protocol, Ticket};

/// The soft state of one member.
#[derive(Debug)]
pub(crate) struct Member {
    pub(super) instance: Option<InstanceId>,
    pub(super) client_id: Name,
    pub(super) client_host: Name,
    pub(super) rebalance_timeout_ms: u64,
    pub(super) session_timeout_ms: u64,
    /// What it supports, the preferred one first.
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    /// Its join that waits for the rebalance.
    pub(super) joining: Option<Ticket>,
    /// Its sync that waits for the leader.
    pub(super) syncing: Option<Ticket>,
    /// It has not been part of a generation yet.
    pub(super) is_new: bool,
}

impl Member {
    pub(super) fn new(join: &Join) -> Self {
        Self {
            instance: join.instance.clone(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            session_timeout_ms: join.session_timeout_ms,
            protocols: join.protocols.clone(),
            assignment: Bytes::new(),
            joining: None,
            syncing: None,
            is_new: true,
        }
    }

    pub(super) fn resume(stored: &MemberMetadata, protocol: Option<&Name>) -> Self {
        let to_u64 = |ms: i32| u64::try_from(ms).unwrap_or(0);
        let protocol = protocol.map(|name| Protocol {
            name: name.clone(),
            metadata: stored.subscription.clone(),
        });
        Self {
            instance: stored.instance.clone(),
            client_id: stored.client_id.clone(),
            client_host: stored.client_host.clone(),
            rebalance_timeout_ms: to_u64(stored.rebalance_timeout_ms),
            session_timeout_ms: to_u64(stored.session_timeout_ms),
            protocols: protocol.into_iter().collect(),
            assignment: stored.assignment.clone(),
            joining: None,
            syncing: None,
            is_new: false,
        }
    }

    /// Takes over what a new join says of the member.
    pub(super) fn update(&mut self, join: &Join) {
        self.protocols.clone_from(&join.protocols);
        self.rebalance_timeout_ms = join.rebalance_timeout_ms;
        self.session_timeout_ms = join.session_timeout_ms;
    }

    pub(super) fn supports(&self, protocol: &Name) -> bool {
        self.protocols.iter().any(|own| own.name == *protocol)
    }

    /// Its subscription under the protocol; empty where it does not support it.
    pub(super) fn metadata(&self, protocol: Option<&Name>) -> Bytes {
        self.protocols
            .iter()
            .find(|own| Some(&own.name) == protocol)
            .map(|own| own.metadata.clone())
            .unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> usize {
        let names = self.client_id.as_str().len() + self.client_host.as_str().len();
        let instance = self.instance.as_ref().map_or(0, |id| id.as_str().len());
        let protocols = self.protocols.iter();
        let subscriptions: usize = protocols
            .map(|p| p.metadata.len() + p.name.as_str().len())
            .sum();
        names + instance + subscriptions + self.assignment.len()
    }
}
