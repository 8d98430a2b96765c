//! Topics by name and by id: finding them, making them when a client asks for them.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use kop_store::{Catalog as _, CatalogError, Topic};
use kop_wire::TopicName;
use tokio::time::Instant;
use uuid::Uuid;

use crate::store::{Store, error_chain};

/// How often an id that is not known may make the gateway read the whole catalog.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// Names of topics whose ids have been seen. Never more than the catalog has topics.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    names: HashMap<Uuid, TopicName>,
    /// Id and number of partitions.
    facts: HashMap<TopicName, (Uuid, u32)>,
    refreshed: Option<Instant>,
    /// The catalog is being read, for all whose topics are not known.
    reading: Option<Shared<BoxFuture<'static, Result<(), String>>>>,
}

impl Known {
    fn learn(&mut self, topic: &Topic) {
        let facts = (topic.id, topic.partitions);
        if let Some((before, _)) = self.facts.insert(topic.name.clone(), facts)
            && before != topic.id
        {
            self.names.remove(&before);
        }
        self.names.insert(topic.id, topic.name.clone());
    }
}

impl Topics {
    /// Remembers a topic; an older one of the same name is forgotten.
    pub(crate) fn learn(&self, topic: &Topic) {
        self.lock().learn(topic);
    }

    /// How many partitions a topic has, 0 where there is no topic of that name. A topic may have grown
    /// since it was last looked at, so one with fewer than `expected` is looked at again.
    pub(crate) async fn partitions(
        &self,
        store: &Store,
        name: &TopicName,
        expected: u32,
    ) -> Result<u32, CatalogError> {
        let known = self.lock().facts.get(name).copied();
        if let Some((_, partitions)) = known.filter(|(_, partitions)| *partitions >= expected) {
            return Ok(partitions);
        }
        let found = store.find(name).await?;
        if let Some(topic) = &found {
            self.learn(topic);
        }
        Ok(found.map_or(0, |topic| topic.partitions))
    }

    /// Forgets a topic, because it is gone.
    pub(crate) fn forget(&self, name: &TopicName) {
        let mut known = self.lock();
        if let Some((id, _)) = known.facts.remove(name) {
            known.names.remove(&id);
        }
    }

    /// All topics of the catalog, whose ids are then known.
    pub(crate) async fn list(&self, store: &Store) -> Result<Vec<Topic>, CatalogError> {
        let topics = store.list().await?;
        let mut known = self.lock();
        known.names.clear();
        known.facts.clear();
        known.refreshed = Some(Instant::now());
        for topic in &topics {
            known.learn(topic);
        }
        Ok(topics)
    }

    /// The name of the topic with this id; `None` where there is none.
    pub(crate) async fn name_of(
        self: &Arc<Self>,
        store: &Store,
        id: Uuid,
    ) -> Result<Option<TopicName>, CatalogError> {
        let reading = {
            let mut known = self.lock();
            if let Some(name) = known.names.get(&id) {
                return Ok(Some(name.clone()));
            }
            if known
                .refreshed
                .is_some_and(|at| at.elapsed() < REFRESH_EVERY)
            {
                return Ok(None);
            }
            let begin = || Self::read(Arc::clone(self), store.clone()).boxed().shared();
            known.reading.get_or_insert_with(begin).clone()
        };
        match reading.await {
            Ok(()) => Ok(self.lock().names.get(&id).cloned()),
            Err(cause) => Err(CatalogError::Unavailable(cause.into())),
        }
    }

    /// Reads the catalog for all who wait for it.
    async fn read(self: Arc<Self>, store: Store) -> Result<(), String> {
        let listed = self.list(&store).await;
        self.lock().reading = None;
        listed.map(drop).map_err(|error| error_chain(&error))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
