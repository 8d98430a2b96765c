//! What holds for a topic, where the writer thread changes it and everyone else reads it.
use std::sync::{PoisonError, RwLock};

use kop_store::{Topic, TopicClass, TopicDefaults, TopicSettings};

/// The settings of one topic, shared by its logs.
#[derive(Debug)]
pub(crate) struct Live(RwLock<TopicSettings>);

impl Live {
    pub(crate) fn of(topic: &Topic, defaults: &TopicDefaults) -> Self {
        Self(RwLock::new(settings(topic, defaults)))
    }

    pub(crate) fn get(&self) -> TopicSettings {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what is set for the topic now.
    pub(crate) fn change(&self, topic: &Topic, defaults: &TopicDefaults) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = settings(topic, defaults);
    }
}

fn settings(topic: &Topic, defaults: &TopicDefaults) -> TopicSettings {
    topic.config.settings(defaults, TopicClass::of(&topic.name))
}
