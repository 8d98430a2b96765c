//! A store in memory, for tests of what stands above the port.
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kop_store::{
    AppendError, Appended, Catalog, CatalogError, CreateError, DeleteError, Fetched, NewTopic,
    OpenError, Partition, PartitionId, ReadError, ReadLimit, TimestampedOffset, Topic, Watermarks,
};
use kop_wire::{Batch, Offset, Timestamp, TopicName};
use tokio::sync::watch;
use uuid::Uuid;

#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryStore(Arc<Mutex<Topics>>);

#[derive(Debug, Default)]
struct Topics {
    by_name: BTreeMap<TopicName, (Topic, Vec<MemoryPartition>)>,
    next_producer_id: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct MemoryPartition {
    log: Arc<Mutex<Log>>,
    high: watch::Sender<Option<Offset>>,
}

#[derive(Debug, Default)]
struct Log {
    batches: Vec<Batch>,
    start: Offset,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Catalog for MemoryStore {
    type Partition = MemoryPartition;

    async fn create(&self, topic: NewTopic) -> Result<Topic, CreateError> {
        let NewTopic { name, partitions } = topic;
        let mut topics = lock(&self.0);
        if topics.by_name.contains_key(&name) {
            return Err(CreateError::Exists(name));
        }
        let made = Topic { name: name.clone(), id: Uuid::new_v4(), partitions };
        let logs = (0..partitions).map(|_| MemoryPartition::new()).collect();
        topics.by_name.insert(name, (made.clone(), logs));
        Ok(made)
    }

    async fn delete(&self, topic: &TopicName) -> Result<(), DeleteError> {
        let removed = lock(&self.0).by_name.remove(topic);
        let (_, partitions) = removed.ok_or_else(|| DeleteError::Unknown(topic.clone()))?;
        for partition in partitions {
            partition.high.send_replace(None);
        }
        Ok(())
    }

    async fn find(&self, topic: &TopicName) -> Result<Option<Topic>, CatalogError> {
        Ok(lock(&self.0).by_name.get(topic).map(|(topic, _)| topic.clone()))
    }

    async fn list(&self) -> Result<Vec<Topic>, CatalogError> {
        Ok(lock(&self.0).by_name.values().map(|(topic, _)| topic.clone()).collect())
    }

    async fn open(&self, id: &PartitionId) -> Result<MemoryPartition, OpenError> {
        let topics = lock(&self.0);
        let (_, partitions) = topics.by_name.get(&id.topic).ok_or(OpenError::Unknown)?;
        let index = usize::try_from(id.index).map_err(|_| OpenError::Unknown)?;
        partitions.get(index).cloned().ok_or(OpenError::Unknown)
    }

    async fn allocate_producer_ids(&self, count: u32) -> Result<Range<i64>, CatalogError> {
        let mut topics = lock(&self.0);
        let first = topics.next_producer_id;
        topics.next_producer_id += i64::from(count);
        Ok(first..topics.next_producer_id)
    }
}

impl MemoryPartition {
    fn new() -> Self {
        Self { log: Arc::default(), high: watch::Sender::new(Some(Offset(0))) }
    }
}

impl Partition for MemoryPartition {
    async fn append(&self, batch: Batch) -> Result<Appended, AppendError> {
        let mut log = lock(&self.log);
        let base = self.high.borrow().ok_or(AppendError::Deleted)?;
        let placed = batch.place(base, 0).concat();
        let placed = Batch::parse_stored(placed.into())
            .map_err(|error| AppendError::Refused(error.to_string()))?;
        let high = base + placed.header().offsets();
        log.batches.push(placed);
        self.high.send_replace(Some(high));
        Ok(Appended { base_offset: base, log_start: log.start, duplicate: false })
    }

    async fn read(&self, from: Offset, limit: ReadLimit) -> Result<Fetched, ReadError> {
        let high = self.high.borrow().ok_or(ReadError::Deleted)?;
        let log = lock(&self.log);
        if from < log.start || from > high {
            return Err(ReadError::OutOfRange { log_start: log.start, high });
        }
        let mut chunks = Vec::new();
        let mut size = 0;
        let ends_after =
            |b: &Batch| b.header().base_offset + b.header().offsets() > from;
        for batch in log.batches.iter().filter(|b| ends_after(b)) {
            size += batch.bytes().len();
            if size > limit.max_bytes && !(limit.at_least_one && chunks.is_empty()) {
                break;
            }
            chunks.push(batch.bytes().clone());
        }
        Ok(Fetched { chunks, watermarks: Watermarks { log_start: log.start, last_stable: high, high } })
    }

    fn watermarks(&self) -> Watermarks {
        let high = self.high.borrow().unwrap_or_default();
        Watermarks { log_start: lock(&self.log).start, last_stable: high, high }
    }

    async fn advanced(&self, past: Offset) {
        let mut high = self.high.subscribe();
        // Fails only once the sender is gone, and `self` holds it.
        let _ = high.wait_for(|high| high.is_none_or(|high| high > past)).await;
    }

    async fn offset_at(&self, time: Timestamp) -> Result<Option<TimestampedOffset>, ReadError> {
        let log = lock(&self.log);
        for batch in &log.batches {
            let records =
                batch.records().map_err(|error| ReadError::Unreadable(error.to_string()))?;
            if let Some(found) = records.iter().find(|r| r.timestamp >= time) {
                return Ok(Some(TimestampedOffset {
                    offset: found.offset,
                    timestamp: found.timestamp,
                }));
            }
        }
        Ok(None)
    }

    async fn truncate_before(&self, offset: Offset) -> Result<(), ReadError> {
        let mut log = lock(&self.log);
        log.start = offset;
        log.batches.retain(|b| b.header().base_offset + b.header().offsets() > offset);
        Ok(())
    }
}
