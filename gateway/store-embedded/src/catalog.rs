//! The store as the gateway sees it.
use std::{ops::Range, sync::Arc};

use kop_store::{
    Catalog, CatalogError, ConfigureError, CreateError, DeleteError, GrowError, NewTopic,
    OpenError, PartitionId, Topic, TopicConfig, UnsupportedConfig,
};
use kop_wire::TopicName;
use tokio::sync::oneshot;

use crate::{
    EmbeddedMetrics, EmbeddedOptions, EmbeddedPartition, OpenStoreError, config,
    engine::Engine,
    writer::{Command, ConfigChange, Reply, Stopped},
};

/// An open store. Clones are the same store; when the last one and the last partition are dropped,
/// the directory is free again.
#[derive(Debug, Clone)]
pub struct EmbeddedStore {
    pub(crate) engine: Arc<Engine>,
}

impl EmbeddedStore {
    /// Opens the store in a directory, or makes one there. Blocks: after a crash, the last writes are
    /// read again.
    ///
    /// # Errors
    /// The directory cannot be used, is in use, holds something else, or is damaged.
    pub fn open(options: EmbeddedOptions) -> Result<Self, OpenStoreError> {
        Engine::open(&options).map(|engine| Self {
            engine: Arc::new(engine),
        })
    }

    /// Has every log looked at now rather than when the time has come.
    #[cfg(test)]
    pub(crate) async fn tidy(&self) {
        self.engine
            .ask(Command::Check)
            .await
            .expect("the store is open");
    }

    /// What the store has counted since it was opened.
    #[must_use]
    pub fn metrics(&self) -> EmbeddedMetrics {
        self.engine.counters.read()
    }

    /// Bytes that the files of the store's directory are long. Blocks.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn disk_bytes(&self) -> std::io::Result<u64> {
        self.engine.disk_bytes()
    }

    /// The id of the cluster that the store is: another one for each store that is made, and the same
    /// wherever the directory is moved.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.engine.cluster_id
    }

    /// Brings everything to the disk and takes no more writes.
    ///
    /// # Errors
    /// The disk refused, now or before; or the store was closed before.
    pub async fn close(&self) -> Result<(), CatalogError> {
        self.engine
            .ask(|reply| Command::Close(Some(reply)))
            .await
            .unwrap_or_else(|stopped| Err(CatalogError::Unavailable(stopped.into())))
    }
}

impl Engine {
    /// Asks the writer thread and waits for its answer. The question is in the queue when this future
    /// has been polled once.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .map_err(|_| Stopped::Closed)?;
        answer.await.map_err(|_| Stopped::Closed)
    }
}

impl Catalog for EmbeddedStore {
    type Partition = EmbeddedPartition;

    async fn create(&self, topic: NewTopic) -> Result<Topic, CreateError> {
        self.engine
            .ask(|reply| Command::Create { topic, reply })
            .await
            .unwrap_or_else(|stopped| Err(CreateError::Unavailable(stopped.into())))
    }

    async fn delete(&self, topic: &TopicName) -> Result<(), DeleteError> {
        let topic = topic.clone();
        self.engine
            .ask(|reply| Command::Delete { topic, reply })
            .await
            .unwrap_or_else(|stopped| Err(DeleteError::Unavailable(stopped.into())))
    }

    async fn grow(&self, topic: &TopicName, partitions: u32) -> Result<Topic, GrowError> {
        let topic = topic.clone();
        self.engine
            .ask(|reply| Command::Grow {
                topic,
                partitions,
                reply,
            })
            .await
            .unwrap_or_else(|stopped| Err(GrowError::Unavailable(stopped.into())))
    }

    async fn configure(
        &self,
        topic: &TopicName,
        from: &TopicConfig,
        to: TopicConfig,
    ) -> Result<Topic, ConfigureError> {
        let change = ConfigChange {
            topic: topic.clone(),
            from: from.clone(),
            to,
        };
        self.engine
            .ask(|reply| Command::Configure { change, reply })
            .await
            .unwrap_or_else(|stopped| Err(ConfigureError::Unavailable(stopped.into())))
    }

    fn supports(&self, config: &TopicConfig) -> Result<(), UnsupportedConfig> {
        config::supports(config, self.engine.durability)
    }

    async fn find(&self, topic: &TopicName) -> Result<Option<Topic>, CatalogError> {
        Ok(self.engine.topics.find(topic))
    }

    async fn list(&self) -> Result<Vec<Topic>, CatalogError> {
        Ok(self.engine.topics.list())
    }

    async fn open(&self, id: &PartitionId) -> Result<EmbeddedPartition, OpenError> {
        let log = self.engine.topics.log(id).ok_or(OpenError::Unknown)?;
        Ok(EmbeddedPartition::new(Arc::clone(&self.engine), log))
    }

    async fn allocate_producer_ids(&self, count: u32) -> Result<Range<i64>, CatalogError> {
        self.engine
            .ask(|reply| Command::AllocateProducerIds { count, reply })
            .await
            .unwrap_or_else(|stopped| Err(CatalogError::Unavailable(stopped.into())))
    }
}
