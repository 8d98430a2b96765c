//! Where a Kafka topic stands in Pulsar: the names that KoP gave, so that its topics are found.
//!
//! | Kafka's name | Pulsar's topic |
//! | --- | --- |
//! | `orders` | `persistent://<tenant>/<namespace>/orders` |
//! | `__consumer_offsets`, `__transaction_state` | `persistent://<tenant>/<metadata namespace>/…` |
//! | `t/n/orders`, `persistent://t/n/orders` | `persistent://t/n/orders` |
//!
//! Partition 3 of a partitioned topic is the topic `…/orders-partition-3`.
use std::fmt;

use kop_store::TopicClass;
use kop_wire::{InvalidTopicName, TopicName};

const SCHEME: &str = "persistent://";
const PARTITION: &str = "-partition-";

/// The tenant and namespaces that bare names stand for.
#[derive(Debug, Clone)]
pub struct Naming {
    tenant: String,
    namespace: String,
    metadata_namespace: String,
}

/// The full name of a Pulsar topic, `persistent://tenant/namespace/topic`, without partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PulsarTopic {
    full: String,
}

impl PulsarTopic {
    /// A topic of a namespace `tenant/namespace`.
    pub(crate) fn in_namespace(namespace: &str, local: &str) -> Self {
        Self {
            full: format!("{SCHEME}{namespace}/{local}"),
        }
    }

    /// `tenant/namespace/topic`: what REST paths are made of.
    pub(crate) fn path(&self) -> &str {
        self.full.strip_prefix(SCHEME).unwrap_or(&self.full)
    }

    /// `tenant/namespace`.
    pub(crate) fn namespace(&self) -> &str {
        self.path()
            .rsplit_once('/')
            .map_or("", |(namespace, _)| namespace)
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// The Pulsar topic of one partition; `None` is a topic that has no partitions.
    pub(crate) fn partition(&self, index: Option<i32>) -> Self {
        match index {
            Some(index) => Self {
                full: format!("{}{PARTITION}{index}", self.full),
            },
            None => self.clone(),
        }
    }
}

impl fmt::Display for PulsarTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl Naming {
    /// The naming of a gateway with these defaults.
    #[must_use]
    pub fn new(tenant: &str, namespace: &str, metadata_namespace: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            namespace: namespace.to_owned(),
            metadata_namespace: metadata_namespace.to_owned(),
        }
    }

    /// `tenant/namespace` of topics with bare names.
    pub(crate) fn user_namespace(&self) -> String {
        format!("{}/{}", self.tenant, self.namespace)
    }

    /// `tenant/namespace` of the topics that Kafka keeps for itself.
    pub(crate) fn metadata_namespace(&self) -> String {
        format!("{}/{}", self.tenant, self.metadata_namespace)
    }

    /// A topic of the metadata namespace that no Kafka client names.
    pub(crate) fn metadata_topic(&self, name: &str) -> PulsarTopic {
        PulsarTopic {
            full: format!("{SCHEME}{}/{name}", self.metadata_namespace()),
        }
    }

    /// The Pulsar topic behind a Kafka name.
    #[must_use]
    pub fn topic(&self, name: &TopicName) -> PulsarTopic {
        let text = name.as_str();
        if text.starts_with(SCHEME) {
            return PulsarTopic {
                full: text.to_owned(),
            };
        }
        if text.contains('/') {
            return PulsarTopic {
                full: format!("{SCHEME}{text}"),
            };
        }
        let namespace = if TopicClass::of(name).is_internal() {
            self.metadata_namespace()
        } else {
            self.user_namespace()
        };
        PulsarTopic {
            full: format!("{SCHEME}{namespace}/{text}"),
        }
    }

    /// The name under which Kafka clients see a Pulsar topic: bare within the default namespaces.
    ///
    /// # Errors
    /// The topic's name is not one that Kafka allows.
    pub fn kafka_name(&self, full: &str) -> Result<TopicName, InvalidTopicName> {
        let path = full.strip_prefix(SCHEME).unwrap_or(full);
        let Some((namespace, local)) = path.rsplit_once('/') else {
            return TopicName::new(full);
        };
        let internal = TopicName::new(local).is_ok_and(|n| TopicClass::of(&n).is_internal());
        let home = if internal {
            self.metadata_namespace()
        } else {
            self.user_namespace()
        };
        if namespace == home {
            // Pulsar allows characters that a bare name may not have.
            TopicName::new(local).or_else(|_| TopicName::new(full))
        } else {
            TopicName::new(full)
        }
    }

    /// The name that stands in the offset keys of `__consumer_offsets`: Pulsar's full one, as KoP.
    #[must_use]
    pub fn stored_name(&self, name: &TopicName) -> String {
        self.topic(name).full
    }
}

/// Splits `…/orders-partition-3` into the topic and 3. `None` where the name has no such ending.
pub(crate) fn split_partition(full: &str) -> Option<(&str, u32)> {
    let (topic, number) = full.rsplit_once(PARTITION)?;
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let canonical = number == "0" || !number.starts_with('0');
    (plain && canonical).then(|| number.parse().ok().map(|n| (topic, n)))?
}

/// Whether a topic belongs to Pulsar itself (or to KoP's own book-keeping) and is not shown.
pub(crate) fn is_hidden(local: &str) -> bool {
    const NAMES: &[&str] = &[
        "__change_events",
        "__transaction_buffer_snapshot",
        "__transaction_buffer_snapshot_segments",
        "__transaction_buffer_snapshot_indexes",
        "__transaction_pending_ack",
        "transaction_coordinator_assign",
        "__transaction_producer_state",
        "__transaction_producerid_generator",
    ];
    NAMES.contains(&local)
        || local.starts_with("__transaction_log_")
        || local.ends_with("__transaction_pending_ack")
        || local.ends_with("-multiTopicsReader")
}

#[cfg(test)]
mod tests;
