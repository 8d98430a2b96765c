//! Partitions that have been opened, each once.
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kop_store::{Catalog as _, OpenError, PartitionId};
use kop_wire::TopicName;
use tokio::sync::OnceCell;

use crate::store::{Store, StorePartition};

type Opening = Arc<OnceCell<StorePartition>>;

/// Handles to partitions. Opening one may take the engine a while, so it happens once, and all who
/// ask meanwhile wait for the same opening.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    open: Mutex<HashMap<PartitionId, Opening>>,
}

impl Partitions {
    /// The partition, opened now if it has not been before. Failures are not remembered.
    pub(crate) async fn get(
        &self,
        store: &Store,
        id: &PartitionId,
    ) -> Result<StorePartition, OpenError> {
        let opening = {
            let mut open = self.lock();
            let opening = open.entry(id.clone()).or_default();
            if opening.get().is_some_and(StorePartition::is_over) {
                *opening = Opening::default();
            }
            Arc::clone(opening)
        };
        let opened = opening
            .get_or_try_init(|| open(store.clone(), id.clone()))
            .await
            .cloned();
        if opened.is_err() {
            let mut open = self.lock();
            if open
                .get(id)
                .is_some_and(|now| Arc::ptr_eq(now, &opening) && !now.initialized())
            {
                open.remove(id);
            }
        }
        opened
    }

    /// The partition, if it has been opened.
    pub(crate) fn opened(&self, id: &PartitionId) -> Option<StorePartition> {
        self.lock().get(id)?.get().cloned()
    }

    /// The topics of which a partition is open.
    pub(crate) fn topics(&self) -> BTreeSet<TopicName> {
        self.lock().keys().map(|id| id.topic.clone()).collect()
    }

    /// Lets go of one partition: the next who asks opens it anew.
    pub(crate) fn forget(&self, id: &PartitionId) {
        self.lock().remove(id);
    }

    /// Lets go of all partitions of a topic.
    pub(crate) fn forget_topic(&self, topic: &TopicName) {
        self.lock().retain(|id, _| id.topic != *topic);
    }

    /// Lets go of all partitions but those that `keep` names.
    pub(crate) fn retain(&self, keep: impl Fn(&PartitionId) -> bool) {
        self.lock().retain(|id, _| keep(id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PartitionId, Opening>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens in a task of its own: whoever asked may go away, the engine is not stopped half-way.
async fn open(store: Store, id: PartitionId) -> Result<StorePartition, OpenError> {
    let opened = tokio::spawn(async move { store.open(&id).await }).await;
    opened.unwrap_or_else(|stopped| Err(OpenError::Unavailable(stopped.into())))
}
