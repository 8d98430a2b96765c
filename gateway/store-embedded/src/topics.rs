//! The topics and their logs, in memory.
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use kop_store::{PartitionId, Topic};
use kop_wire::TopicName;

use crate::{live::Live, log::Log};

/// All topics by name. The writer thread changes them, everyone reads.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_name: RwLock<BTreeMap<TopicName, Entry>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) topic: Topic,
    /// What holds for it.
    pub(crate) live: Arc<Live>,
    /// One log for each partition, in their order.
    pub(crate) logs: Arc<[Arc<Log>]>,
}

impl Topics {
    pub(crate) fn find(&self, name: &TopicName) -> Option<Topic> {
        self.read(|topics| topics.get(name).map(|entry| entry.topic.clone()))
    }

    pub(crate) fn list(&self) -> Vec<Topic> {
        self.read(|topics| topics.values().map(|entry| entry.topic.clone()).collect())
    }

    pub(crate) fn log(&self, id: &PartitionId) -> Option<Arc<Log>> {
        let index = usize::try_from(id.index).ok()?;
        self.read(|topics| topics.get(&id.topic)?.logs.get(index).cloned())
    }

    pub(crate) fn logs(&self) -> Vec<Arc<Log>> {
        self.read(|topics| {
            topics
                .values()
                .flat_map(|entry| entry.logs.iter().cloned())
                .collect()
        })
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.read(|topics| topics.values().cloned().collect())
    }

    pub(crate) fn get(&self, name: &TopicName) -> Option<Entry> {
        self.read(|topics| topics.get(name).cloned())
    }

    pub(crate) fn insert(&self, entry: Entry) {
        self.write(|topics| topics.insert(entry.topic.name.clone(), entry));
    }

    pub(crate) fn remove(&self, name: &TopicName) {
        self.write(|topics| topics.remove(name));
    }

    fn read<T>(&self, read: impl FnOnce(&BTreeMap<TopicName, Entry>) -> T) -> T {
        // Each change is one insert or remove: a panic elsewhere leaves nothing half done.
        read(&self.by_name.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, write: impl FnOnce(&mut BTreeMap<TopicName, Entry>) -> T) -> T {
        write(&mut self.by_name.write().unwrap_or_else(PoisonError::into_inner))
    }
}
