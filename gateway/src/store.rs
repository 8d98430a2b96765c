//! The engine that was chosen at start, behind one type.
use std::ops::Range;

use kop_store::{
    AppendError, Appended, Catalog, CatalogError, CreateError, DeleteError, Fetched, NewTopic,
    OpenError, Partition, PartitionId, ReadError, ReadLimit, TimestampedOffset, Topic, Watermarks,
};
use kop_wire::{Batch, Offset, Timestamp, TopicName};

mod memory;

pub(crate) use memory::{MemoryPartition, MemoryStore};

/// What keeps the records. Clones are handles to the same store.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    /// In this process's memory.
    Memory(MemoryStore),
}

/// A partition of whichever engine was chosen.
#[derive(Debug, Clone)]
pub(crate) enum StorePartition {
    /// In this process's memory.
    Memory(MemoryPartition),
}

impl Store {
    /// Name of the engine as the process's `ready` line says it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
        }
    }
}

impl Catalog for Store {
    type Partition = StorePartition;

    async fn create(&self, topic: NewTopic) -> Result<Topic, CreateError> {
        match self {
            Self::Memory(store) => store.create(topic).await,
        }
    }

    async fn delete(&self, topic: &TopicName) -> Result<(), DeleteError> {
        match self {
            Self::Memory(store) => store.delete(topic).await,
        }
    }

    async fn find(&self, topic: &TopicName) -> Result<Option<Topic>, CatalogError> {
        match self {
            Self::Memory(store) => store.find(topic).await,
        }
    }

    async fn list(&self) -> Result<Vec<Topic>, CatalogError> {
        match self {
            Self::Memory(store) => store.list().await,
        }
    }

    async fn open(&self, id: &PartitionId) -> Result<StorePartition, OpenError> {
        match self {
            Self::Memory(store) => store.open(id).await.map(StorePartition::Memory),
        }
    }

    async fn allocate_producer_ids(&self, count: u32) -> Result<Range<i64>, CatalogError> {
        match self {
            Self::Memory(store) => store.allocate_producer_ids(count).await,
        }
    }
}

impl Partition for StorePartition {
    async fn append(&self, batch: Batch) -> Result<Appended, AppendError> {
        match self {
            Self::Memory(partition) => partition.append(batch).await,
        }
    }

    async fn read(&self, from: Offset, limit: ReadLimit) -> Result<Fetched, ReadError> {
        match self {
            Self::Memory(partition) => partition.read(from, limit).await,
        }
    }

    fn watermarks(&self) -> Watermarks {
        match self {
            Self::Memory(partition) => partition.watermarks(),
        }
    }

    async fn advanced(&self, past: Offset) {
        match self {
            Self::Memory(partition) => partition.advanced(past).await,
        }
    }

    async fn offset_at(&self, time: Timestamp) -> Result<Option<TimestampedOffset>, ReadError> {
        match self {
            Self::Memory(partition) => partition.offset_at(time).await,
        }
    }

    async fn truncate_before(&self, offset: Offset) -> Result<(), ReadError> {
        match self {
            Self::Memory(partition) => partition.truncate_before(offset).await,
        }
    }
}
