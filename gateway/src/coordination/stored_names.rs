//! What topics are called in offset records, which is the store's business: KoP wrote full Pulsar
//! names.
use kop_wire::TopicName;

use crate::store::Store;

impl Store {
    /// The name of a topic in offset records.
    pub(crate) fn stored_topic_name(&self, topic: &TopicName) -> String {
        match self {
            Self::Embedded(_) => topic.to_string(),
            Self::Pulsar(store) => store.stored_topic_name(topic),
        }
    }

    /// The topic that an offset record names, as clients call it; `None` where it names none.
    pub(crate) fn topic_from_stored(&self, stored: &str) -> Option<TopicName> {
        match self {
            Self::Embedded(_) => TopicName::new(stored).ok(),
            Self::Pulsar(store) => store.topic_from_stored(stored),
        }
    }
}
