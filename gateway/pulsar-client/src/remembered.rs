//! Where topics were found: the connections on which their brokers answered for them last.
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::connection::Connection;

/// Topics remembered at once, with about 200 bytes each.
const CAPACITY: usize = 20_000;

/// Topics and their brokers' connections. A topic may have moved since: who asks there and is refused
/// forgets it and looks it up.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    topics: Mutex<HashMap<String, Connection>>,
}

impl Remembered {
    /// The connection, unless it has ended.
    pub(crate) fn get(&self, topic: &str) -> Option<Connection> {
        let mut topics = self.lock();
        let connection = topics.get(topic)?;
        if connection.ended().is_some() {
            topics.remove(topic);
            return None;
        }
        Some(connection.clone())
    }

    pub(crate) fn learn(&self, topic: &str, connection: &Connection) {
        let mut topics = self.lock();
        if topics.len() >= CAPACITY && !topics.contains_key(topic) {
            topics.retain(|_, connection| connection.ended().is_none());
            if topics.len() >= CAPACITY {
                topics.clear();
            }
        }
        topics.insert(topic.to_owned(), connection.clone());
    }

    pub(crate) fn forget(&self, topic: &str) {
        self.lock().remove(topic);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Connection>> {
        // A map whose holder panicked is still a map.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
