//! One partition as the gateway sees it.
use std::sync::Arc;

use kop_store::{
    AppendError, Appended, Fetched, Partition, ReadError, ReadLimit, TimestampedOffset,
    TopicSettings, TruncateError, Watermarks, producer_state::ActiveProducer,
};
use kop_wire::{Batch, Offset, Timestamp};

use crate::{
    engine::{Engine, locked},
    keyspaces::Keyspaces,
    log::{Bounds, Log},
    read,
    writer::{Command, Offered, Stopped},
};

/// A partition of the embedded store.
#[derive(Debug, Clone)]
pub struct EmbeddedPartition {
    engine: Arc<Engine>,
    log: Arc<Log>,
}

impl EmbeddedPartition {
    pub(crate) fn new(engine: Arc<Engine>, log: Arc<Log>) -> Self {
        Self { engine, log }
    }

    /// The log's bounds, as long as there is one.
    fn readable(&self) -> Result<Bounds, ReadError> {
        let bounds = self.log.bounds();
        if bounds.deleted {
            return Err(ReadError::Deleted);
        }
        Ok(bounds)
    }

    /// Runs a read that blocks on a thread of its own; so many at a time, the others wait.
    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Keyspaces, &Log) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let closed = |_| ReadError::Unavailable(Stopped::Closed.into());
        let permit = Arc::clone(&self.engine.readers)
            .acquire_owned()
            .await
            .map_err(closed)?;
        let (engine, log) = (Arc::clone(&self.engine), Arc::clone(&self.log));
        let task = tokio::task::spawn_blocking(move || {
            let answer = match engine.opened.get() {
                Some(keyspaces) => read(&keyspaces, &log),
                None => Err(ReadError::Unavailable(Stopped::Reopening.into())),
            };
            drop(permit);
            answer
        });
        task.await
            .unwrap_or_else(|error| Err(ReadError::Unavailable(error.into())))
    }
}

impl Partition for EmbeddedPartition {
    async fn append(&self, batch: Batch) -> Result<Appended, AppendError> {
        let offered = Offered::new(batch, &self.engine.abandoned);
        let _abandoned_on_drop = Caller(&offered);
        let (log, batch) = (Arc::clone(&self.log), Arc::clone(&offered));
        self.engine
            .ask(|reply| Command::Append { log, batch, reply })
            .await
            .unwrap_or_else(|stopped| Err(AppendError::Unavailable(stopped.into())))
    }

    async fn read(&self, from: Offset, limit: ReadLimit) -> Result<Fetched, ReadError> {
        let bounds = self.log.readable(from)?;
        let watermarks = bounds.watermarks();
        if from == bounds.high {
            return Ok(Fetched {
                chunks: Vec::new(),
                watermarks,
            });
        }
        let recent = locked(&self.log.tail).read(from, bounds.high, limit);
        let chunks = match recent {
            Some(chunks) => chunks,
            None => {
                self.blocking(move |keyspaces, log| {
                    let chunks = read::batches(keyspaces, log.id, from, limit, bounds)?;
                    // Batches that vanished while they were read must not look like a gap.
                    log.readable(from)?;
                    Ok(chunks)
                })
                .await?
            }
        };
        Ok(Fetched { chunks, watermarks })
    }

    fn settings(&self) -> TopicSettings {
        self.log.live.get()
    }

    fn watermarks(&self) -> Watermarks {
        self.log.bounds().watermarks()
    }

    async fn advanced(&self, past: Offset) {
        self.log.advanced(past).await;
    }

    async fn offset_at(&self, time: Timestamp) -> Result<Option<TimestampedOffset>, ReadError> {
        let bounds = self.readable()?;
        self.blocking(move |keyspaces, log| read::offset_at(keyspaces, log.id, time, bounds))
            .await
    }

    async fn newest(&self) -> Result<Option<TimestampedOffset>, ReadError> {
        let bounds = self.readable()?;
        self.blocking(move |keyspaces, log| read::newest(keyspaces, log.id, bounds))
            .await
    }

    async fn producers(&self) -> Result<Vec<ActiveProducer>, ReadError> {
        self.readable()?;
        let log = Arc::clone(&self.log);
        self.engine
            .ask(|reply| Command::Producers { log, reply })
            .await
            .unwrap_or_else(|stopped| Err(ReadError::Unavailable(stopped.into())))
    }

    async fn stored_bytes(&self) -> Result<u64, ReadError> {
        let bounds = self.readable()?;
        self.blocking(move |keyspaces, log| read::stored_bytes(keyspaces, log.id, bounds))
            .await
    }

    async fn truncate_before(&self, offset: Offset) -> Result<(), TruncateError> {
        let log = Arc::clone(&self.log);
        self.engine
            .ask(|reply| Command::TruncateBefore { log, offset, reply })
            .await
            .unwrap_or_else(|stopped| Err(TruncateError::Unavailable(stopped.into())))
    }
}

/// Whoever waits for an append. Once the writer thread has the batch, going means nothing.
struct Caller<'a>(&'a Offered);

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
