//! What topics are called in offset records, which is the store's business: KoP wrote full Pulsar
//! names.
use kop_coordinator::{Name, TopicNames};
use kop_wire::TopicName;

use crate::store::Store;

impl Store {
    /// The names of topics in offset records, as the coordinators need them. What can be the name of
    /// no topic stays as it is.
    pub(crate) fn topic_names(&self) -> TopicNames {
        let store = self.clone();
        TopicNames::new(move |said| {
            let stored = TopicName::new(said.as_str())
                .ok()
                .map(|topic| store.stored_topic_name(&topic));
            let stored = stored.and_then(|stored| Name::new(&stored).ok());
            stored.unwrap_or(said)
        })
    }

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
