//! A store in memory whose log can be made to hang and to fail.
use std::{
    ops::Range,
    sync::{Arc, Mutex},
};

use kop_store::{
    AppendError, Appended, Catalog, CatalogError, ConfigureError, CreateError, DeleteError,
    Fetched, GrowError, NewTopic, OpenError, Partition, PartitionId, ReadError, ReadLimit,
    TimestampedOffset, Topic, TopicConfig, TopicSettings, TruncateError, UnsupportedConfig,
    Watermarks, producer_state::ActiveProducer,
};
use kop_wire::{Batch, Offset, Timestamp, TopicName};
use tokio::sync::watch;
use uuid::Uuid;

/// What the store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Opening takes for ever.
    HangingOpen,
    /// Someone else has the partition.
    NotOwner,
    /// Appends fail and are not written.
    FailingAppend,
    /// Appends fail and are written all the same.
    LostReceipt,
    /// Appends take for ever.
    HangingAppend,
}

/// All partitions are one log: tests use one group at a time.
#[derive(Debug, Clone)]
pub(super) struct FakeStore {
    topic: Arc<Mutex<Option<Topic>>>,
    batches: Arc<Mutex<Vec<Batch>>>,
    fault: watch::Sender<Fault>,
}

impl FakeStore {
    pub(super) fn new() -> Self {
        Self {
            topic: Arc::default(),
            batches: Arc::default(),
            fault: watch::Sender::new(Fault::None),
        }
    }

    pub(super) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    pub(super) fn batches(&self) -> usize {
        self.batches.lock().unwrap().len()
    }

    async fn while_at(&self, fault: Fault) {
        let mut changes = self.fault.subscribe();
        changes.wait_for(|now| *now != fault).await.unwrap();
    }

    fn high(&self) -> Offset {
        let batches = self.batches.lock().unwrap();
        batches
            .last()
            .map_or(Offset(0), |b| b.header().base_offset + b.header().offsets())
    }

    fn write(&self, batch: &Batch) -> Offset {
        let base = self.high();
        let placed = batch.place(base, 0).concat();
        self.batches
            .lock()
            .unwrap()
            .push(Batch::parse(placed.into()).unwrap());
        base
    }
}

impl Catalog for FakeStore {
    type Partition = Self;

    async fn create(&self, topic: NewTopic) -> Result<Topic, CreateError> {
        let NewTopic {
            name,
            partitions,
            config,
        } = topic;
        let made = Topic {
            name,
            id: Uuid::new_v4(),
            partitions,
            config,
        };
        *self.topic.lock().unwrap() = Some(made.clone());
        Ok(made)
    }

    async fn delete(&self, topic: &TopicName) -> Result<(), DeleteError> {
        Err(DeleteError::Unknown(topic.clone()))
    }

    async fn grow(&self, topic: &TopicName, _: u32) -> Result<Topic, GrowError> {
        Err(GrowError::Unknown(topic.clone()))
    }

    async fn configure(
        &self,
        topic: &TopicName,
        _: &TopicConfig,
        _: TopicConfig,
    ) -> Result<Topic, ConfigureError> {
        Err(ConfigureError::Unknown(topic.clone()))
    }

    fn supports(&self, _: &TopicConfig) -> Result<(), UnsupportedConfig> {
        Ok(())
    }

    async fn find(&self, _: &TopicName) -> Result<Option<Topic>, CatalogError> {
        Ok(self.topic.lock().unwrap().clone())
    }

    async fn list(&self) -> Result<Vec<Topic>, CatalogError> {
        Ok(self.topic.lock().unwrap().clone().into_iter().collect())
    }

    async fn open(&self, _: &PartitionId) -> Result<Self, OpenError> {
        let fault = *self.fault.borrow();
        match fault {
            Fault::HangingOpen => self.while_at(fault).await,
            Fault::NotOwner => return Err(OpenError::NotOwner),
            _ => {}
        }
        Ok(self.clone())
    }

    async fn allocate_producer_ids(&self, _: u32) -> Result<Range<i64>, CatalogError> {
        Err(CatalogError::Unavailable("no producers here".into()))
    }
}

impl Partition for FakeStore {
    async fn append(&self, batch: Batch) -> Result<Appended, AppendError> {
        let fault = *self.fault.borrow();
        let failed = || AppendError::Unavailable("the store is ill".into());
        match fault {
            Fault::FailingAppend => return Err(failed()),
            Fault::LostReceipt => {
                self.write(&batch);
                return Err(failed());
            }
            Fault::HangingAppend => self.while_at(fault).await,
            _ => {}
        }
        let base_offset = self.write(&batch);
        Ok(Appended {
            base_offset,
            log_start: Offset(0),
            duplicate: false,
            log_append_time: None,
        })
    }

    async fn read(&self, from: Offset, _: ReadLimit) -> Result<Fetched, ReadError> {
        let batches = self.batches.lock().unwrap();
        let next = batches
            .iter()
            .find(|b| b.header().base_offset + b.header().offsets() > from);
        // One batch in two pieces, as engines do.
        let chunks = next.map(|batch| {
            let bytes = batch.bytes();
            vec![bytes.slice(..16), bytes.slice(16..)]
        });
        drop(batches);
        Ok(Fetched {
            chunks: chunks.unwrap_or_default(),
            watermarks: self.watermarks(),
        })
    }

    fn settings(&self) -> TopicSettings {
        TopicSettings::default()
    }

    fn watermarks(&self) -> Watermarks {
        let high = self.high();
        Watermarks {
            log_start: Offset(0),
            last_stable: high,
            high,
        }
    }

    async fn advanced(&self, _: Offset) {
        std::future::pending().await
    }

    async fn newest(&self) -> Result<Option<TimestampedOffset>, ReadError> {
        Err(ReadError::Unavailable("no times here".into()))
    }

    async fn producers(&self) -> Result<Vec<ActiveProducer>, ReadError> {
        Err(ReadError::Unavailable("no producers here".into()))
    }

    async fn stored_bytes(&self) -> Result<u64, ReadError> {
        Err(ReadError::Unavailable("no sizes here".into()))
    }

    async fn offset_at(&self, _: Timestamp) -> Result<Option<TimestampedOffset>, ReadError> {
        Ok(None)
    }

    async fn truncate_before(&self, _: Offset) -> Result<(), TruncateError> {
        Err(TruncateError::Deleted)
    }
}
