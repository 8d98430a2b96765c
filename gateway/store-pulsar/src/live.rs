//! What holds for topics, shared by their open partitions.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use kop_store::{TopicClass, TopicDefaults, TopicSettings};

use crate::{naming::PulsarTopic, topics::Known};

/// The settings of one topic as they were learnt last.
#[derive(Debug)]
pub(crate) struct Live {
    settings: RwLock<TopicSettings>,
    /// Whether its policies are what clients set, and not the gateway's own.
    configurable: bool,
}

impl Live {
    fn of(known: &Known, defaults: &TopicDefaults) -> Self {
        Self {
            settings: RwLock::new(known.settings(defaults)),
            configurable: known.partitioned && known.class == TopicClass::UserData,
        }
    }

    pub(crate) fn get(&self) -> TopicSettings {
        *self.settings.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was set that the topic is compacted.
    pub(crate) fn compacts(&self) -> bool {
        self.configurable && self.get().compacts
    }
}

/// The settings of all topics that have open partitions.
#[derive(Debug, Default)]
pub(crate) struct AllLive(Mutex<HashMap<PulsarTopic, Arc<Live>>>);

impl AllLive {
    /// The settings of a topic, for one of its partitions to act on.
    pub(crate) fn of(&self, known: &Known, defaults: &TopicDefaults) -> Arc<Live> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == all.capacity() {
            // Before it takes more memory, those go that no partition looks at any more.
            all.retain(|_, live| Arc::strong_count(live) > 1);
        }
        let new = || Arc::new(Live::of(known, defaults));
        Arc::clone(all.entry(known.pulsar.clone()).or_insert_with(new))
    }

    /// Takes in what was learnt of a topic.
    pub(crate) fn learn(&self, known: &Known, defaults: &TopicDefaults) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(live) = all.get(&known.pulsar) {
            let mut settings = live
                .settings
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            *settings = known.settings(defaults);
        }
    }
}
