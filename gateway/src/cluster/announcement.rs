//! What gateways tell each other, as it stands in the log that all of them read.
//!
//! One JSON object an announcement, so that an operator can read the log with any Pulsar client.
//! Fields that a gateway does not know are passed over.
use kop_config::HostPort;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{changes::Changed, view::View};

/// One announcement. Only whoever holds a node's seat announces its coming and going.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Announcement {
    /// A gateway has come, or has other addresses than before.
    Join(Member),
    /// A run of a gateway has ended.
    Leave {
        /// Its node id.
        node: i32,
        /// Which run.
        incarnation: Uuid,
    },
    /// What all announcements up to here came to, for those who can no longer read them.
    View(View),
    /// Topics were made, deleted, grown or configured: what is remembered of them is old. It changes
    /// nothing about who is in.
    Topics(Changed),
}

/// A gateway that is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Its node id.
    pub(crate) node: i32,
    /// This run of it: another one after each start.
    pub(crate) incarnation: Uuid,
    /// Where clients connect, by listener.
    pub(crate) listeners: Vec<Address>,
}

/// Where clients of one listener connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    /// The listener's name.
    pub(crate) name: String,
    /// A name or address that clients can dial.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
}

/// Bytes that are no announcement.
#[derive(Debug, thiserror::Error)]
#[error("not an announcement of a gateway")]
pub(crate) struct NotAnnounced(#[from] serde_json::Error);

impl Announcement {
    /// As it stands in the log.
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("its maps have numbers or strings as keys")
    }

    /// Reads it back.
    ///
    /// # Errors
    /// For bytes of another kind, or of a kind that a newer version knows.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, NotAnnounced> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl Member {
    /// Where clients that came in by a listener of that name connect to this member; by its first
    /// listener where it has none of the name.
    pub(crate) fn address(&self, listener: &str) -> Option<HostPort> {
        let named = self
            .listeners
            .iter()
            .find(|address| address.name == listener);
        let Address { host, port, .. } = named.or_else(|| self.listeners.first())?;
        Some(HostPort {
            host: host.clone(),
            port: *port,
        })
    }
}
