//! Partitions that have been opened, each once.
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kop_store::{Catalog as _, OpenError, PartitionId};
use kop_wire::{Offset, TopicName};
use tokio::sync::OnceCell;

use crate::store::{Store, StorePartition, WeakStorePartition};

/// A partition that has been asked for.
#[derive(Debug, Clone)]
enum Known {
    /// It is open, or being opened.
    Open(Arc<OnceCell<WeakStorePartition>>),
    /// It was closed, because nobody used it, and ended there then.
    Closed(Offset),
}

impl Known {
    fn is_open(&self) -> bool {
        match self {
            Self::Open(opening) => opening.get().is_none_or(|weak| !weak.is_over()),
            Self::Closed(_) => false,
        }
    }
}

/// Handles to partitions, none of which keeps its partition open. Opening one may take the engine a while,
/// so it happens once, and all who ask meanwhile wait for the same opening.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    known: Mutex<HashMap<PartitionId, Known>>,
}

impl Partitions {
    /// The partition, opened now if it is not open. Failures are not remembered.
    pub(crate) async fn get(
        &self,
        store: &Store,
        id: &PartitionId,
    ) -> Result<StorePartition, OpenError> {
        loop {
            let opening = match self.find(id) {
                Ok(partition) => return Ok(partition),
                Err(opening) => opening,
            };
            let mut opened = None;
            let shared = opening.get_or_try_init(async || {
                let partition = open(store.clone(), id.clone()).await?;
                let weak = partition.downgrade();
                opened = Some(partition);
                Ok(weak)
            });
            match shared.await.map(WeakStorePartition::upgrade) {
                Ok(partition) => {
                    if let Some(partition) = opened.or(partition) {
                        return Ok(partition);
                    }
                    // Whoever opened it has it no more, and it is closed again.
                }
                Err(error) => {
                    self.fail(id, &opening);
                    return Err(error);
                }
            }
        }
    }

    /// The partition if it is open, or its opening, which may be another one's too.
    fn find(&self, id: &PartitionId) -> Result<StorePartition, Arc<OnceCell<WeakStorePartition>>> {
        let mut known = self.lock();
        if let Some(Known::Open(opening)) = known.get(id) {
            let Some(weak) = opening.get() else {
                return Err(Arc::clone(opening));
            };
            if let Some(partition) = weak.upgrade() {
                return Ok(partition);
            }
        }
        let opening = Arc::default();
        known.insert(id.clone(), Known::Open(Arc::clone(&opening)));
        Err(opening)
    }

    /// Forgets an opening that came to nothing.
    fn fail(&self, id: &PartitionId, failed: &Arc<OnceCell<WeakStorePartition>>) {
        let mut known = self.lock();
        if let Some(Known::Open(opening)) = known.get(id)
            && Arc::ptr_eq(opening, failed)
            && !opening.initialized()
        {
            known.remove(id);
        }
    }

    /// Where the partition ends, as far as is known without asking anybody: for one that was closed, where
    /// it ended then. Looking at it is not to use it.
    pub(crate) fn end(&self, id: &PartitionId) -> Option<Offset> {
        match self.lock().get(id)? {
            Known::Open(opening) => opening.get()?.end(),
            Known::Closed(end) => Some(*end),
        }
    }

    /// Lets go of the handles to partitions that are closed.
    pub(crate) fn sweep(&self) {
        let mut known = self.lock();
        known.retain(|_, known| {
            let Known::Open(opening) = known else {
                return true;
            };
            match opening.get() {
                Some(weak) if weak.is_over() => match weak.end() {
                    Some(end) => *known = Known::Closed(end),
                    None => return false,
                },
                Some(_) => {}
                // It is being opened, or nobody who wanted it is left.
                None => return Arc::strong_count(opening) > 1,
            }
            true
        });
    }

    /// The topics of which a partition is open.
    pub(crate) fn topics(&self) -> BTreeSet<TopicName> {
        let known = self.lock();
        let open = known.iter().filter(|(_, known)| known.is_open());
        open.map(|(id, _)| id.topic.clone()).collect()
    }

    /// Whether the partition is open, or being opened.
    pub(crate) fn is_open(&self, id: &PartitionId) -> bool {
        self.lock().get(id).is_some_and(Known::is_open)
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

    fn lock(&self) -> MutexGuard<'_, HashMap<PartitionId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens in a task of its own: whoever asked may go away, the engine is not stopped half-way.
async fn open(store: Store, id: PartitionId) -> Result<StorePartition, OpenError> {
    let opened = tokio::spawn(async move { store.open(&id).await }).await;
    opened.unwrap_or_else(|stopped| Err(OpenError::Unavailable(stopped.into())))
}
