//! A handle to one partition.
use std::sync::{Arc, Weak, atomic::Ordering};

use bytes::Bytes;
use kop_store::{
    AppendError, Appended, Fetched, Partition, PartitionId, ReadError, ReadLimit,
    TimestampedOffset, TopicSettings, TruncateError, Watermarks, producer_state::ActiveProducer,
};
use kop_wire::{Batch, Offset, Timestamp};
use pulsar_client::{ReaderError, ReaderOptions, ReaderStart};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    admin::{AdminError, Position},
    append::{Append, Asked, History, Writer},
    bounds::{self, Bounds, BoundsError},
    entry::{Layout, Placed},
    live::Live,
    log::{Life, Log, Lookup},
    log_start,
    metrics::Metrics,
    naming::PulsarTopic,
    offset_time,
    ownership::{self, TakeError},
    read,
    shared::Shared,
    tail,
    topics::Origin,
    usage::Held,
};

/// One partition of a Kafka topic, on its Pulsar topic. The partition stays open while there is a handle,
/// and for a while ([`PulsarOptions::unused_open`](crate::PulsarOptions::unused_open)) longer.
#[derive(Debug, Clone)]
pub struct PulsarPartition {
    log: Held,
}

/// A handle that does not keep the partition open.
#[derive(Debug, Clone)]
pub struct WeakPulsarPartition {
    log: Weak<Log>,
}

impl WeakPulsarPartition {
    /// A handle, unless the partition is closed: then it is to be opened anew.
    #[must_use]
    pub fn upgrade(&self) -> Option<PulsarPartition> {
        let log = self.log.upgrade().filter(|log| !log.is_over())?;
        Held::of(&log).map(|log| PulsarPartition { log })
    }

    /// Whether the partition is closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.log.upgrade().is_none_or(|log| log.is_over())
    }

    /// Where the log ends as far as it is known here, which is not to use it; `None` once it is forgotten.
    #[must_use]
    pub fn end(&self) -> Option<Offset> {
        self.log.upgrade().map(|log| Offset(log.high()))
    }
}

/// What a partition is opened with.
pub(crate) struct Opening {
    /// Nobody can have anything on its way to the topic: we have just made it.
    pub(crate) new: bool,
    pub(crate) id: PartitionId,
    /// This process has owned the partition before.
    pub(crate) owned_before: bool,
    pub(crate) topic: PulsarTopic,
    pub(crate) origin: Arc<Origin>,
    pub(crate) layout: Layout,
    pub(crate) live: Arc<Live>,
    pub(crate) shared: Arc<Shared>,
}

/// Why a partition was not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpeningError {
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    #[error(transparent)]
    Reader(#[from] ReaderError),
    #[error(transparent)]
    Take(#[from] TakeError),
    #[error("barrier not written")]
    Barrier(#[from] pulsar_client::SendError),
}

impl Opening {
    /// Learns the partition's bounds and starts its tasks. User data is owned at the first append;
    /// a coordinator's log before it is read, so that nothing of an earlier owner comes later.
    pub(crate) async fn open(self) -> Result<Arc<Log>, OpeningError> {
        let Self {
            new,
            id,
            owned_before,
            topic,
            origin,
            layout,
            live,
            shared,
        } = self;
        let group_log = layout == Layout::GroupLog;
        let mut owned = None;
        if group_log {
            let mut taken = ownership::take(&shared.client, &topic).await?;
            Metrics::add(&shared.metrics.owners_taken);
            shared.owned_before.note(&topic);
            let asked = Instant::now();
            if !new || owned_before {
                taken.barrier().await?;
                Metrics::add(&shared.metrics.barriers);
            }
            owned = Some((taken, asked));
        }
        let bounds = match bounds::ask(&shared.admin, &topic).await {
            // Brokers take on a topic when a client comes to it, and a client waits for that. They also make a
            // partition of a topic that is there: one that was never made, or that was removed because nobody
            // used it (`brokerDeleteInactiveTopicsEnabled`), while the topic still says that it has it.
            Err(BoundsError::Admin(error)) if !group_log => {
                tracing::debug!(%topic, %error, "ledgers not told yet");
                let create = matches!(error, AdminError::NotFound(_)) && {
                    let exists = origin.exists(&shared.admin).await;
                    exists.map_err(BoundsError::from)?
                };
                let options = ReaderOptions {
                    create,
                    ..ReaderOptions::default()
                };
                let reader = shared
                    .client
                    .reader(topic.as_str(), ReaderStart::Latest, options);
                drop(reader.await?);
                bounds::ask(&shared.admin, &topic).await?
            }
            bounds => bounds?,
        };
        check_beginning(&topic, bounds, layout)?;
        let (appends, inbox) = mpsc::unbounded_channel();
        let log = Arc::new(Log::new(
            (id, topic),
            (origin, live),
            layout,
            shared,
            appends,
            bounds,
        ));
        Metrics::add(&log.shared.metrics.partitions_opened);
        // In an empty topic that others made, appends of an earlier owner may yet arrive.
        let history = if owned_before {
            History::beside_others(false)
        } else {
            History::new(new && bounds.last.is_none())
        };
        let untouched = bounds.is_untouched() && !owned_before;
        let owned = owned.map(|(owned, asked)| {
            log.proved(owned.holder(), asked);
            owned
        });
        let past = (history, untouched);
        let writer = Writer::new(Arc::clone(&log), inbox, owned, bounds, past);
        // Before the tasks begin, so that nobody takes them for ended.
        tokio::spawn(writer.run(log.life()));
        if !group_log {
            let last = bounds.last.map(|last| last.position);
            let from = last.map_or(ReaderStart::Earliest, Position::start_behind);
            tokio::spawn(tail::follow(Arc::clone(&log), log.life(), from));
        }
        Ok(log)
    }
}

/// Says where a log begins behind entries that have no index. Of a coordinator's log those may hold what groups
/// have committed: it is refused.
fn check_beginning(topic: &PulsarTopic, bounds: Bounds, layout: Layout) -> Result<(), BoundsError> {
    let Some(first) = bounds.numbered_from() else {
        return Ok(());
    };
    if layout == Layout::GroupLog {
        return Err(BoundsError::Unnumbered(topic.clone()));
    }
    tracing::warn!(
        %topic, %first, log_start = bounds.start.stored,
        "entries without an index stand before the log's start, and no Kafka client is given them: the brokers had \
         not numbered them"
    );
    Ok(())
}

impl PulsarPartition {
    pub(crate) fn new(log: Held) -> Self {
        Self { log }
    }

    /// A handle that does not keep the partition open.
    #[must_use]
    pub fn downgrade(&self) -> WeakPulsarPartition {
        WeakPulsarPartition {
            log: Arc::downgrade(self.log.log()),
        }
    }

    /// Whether the log has ended, and the partition is to be opened anew.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.log.is_over()
    }

    /// Has the partition owned before the first append comes, which then need not wait for it.
    pub fn prepare(&self) {
        self.log.usage.touch();
        // A log that has ended is not owned any more.
        drop(self.log.appends.send(Asked::Own));
    }

    /// Why a read is refused by a log that has ended.
    fn readable(&self) -> Result<(), ReadError> {
        if self.log.is_deleted() {
            return Err(ReadError::Deleted);
        }
        if self.log.is_over() {
            return Err(ReadError::NotOwner);
        }
        Ok(())
    }

    /// Whether the log reaches so far by now. Whoever read there read from another gateway, which had
    /// the records before this one has heard of them, or from `KoP`, which counts the markers behind the
    /// last record.
    async fn reaches(&self, offset: i64) -> Result<bool, ReadError> {
        if self.log.is_known_to_reach(offset) {
            return Ok(true);
        }
        Ok(offset <= self.end().await?.0)
    }

    fn gone(&self) -> AppendError {
        if self.log.is_deleted() {
            AppendError::Deleted
        } else if self.log.shared.closing.load(Ordering::Acquire) {
            AppendError::Unavailable("the gateway is closing".into())
        } else {
            AppendError::NotOwner
        }
    }
}

impl Partition for PulsarPartition {
    async fn append(&self, batch: Batch) -> Result<Appended, AppendError> {
        self.log.usage.touch();
        let (reply, answer) = oneshot::channel();
        let append = Append {
            batch,
            reply,
            _held: self.log.clone(),
        };
        self.log
            .appends
            .send(Asked::Append(Box::new(append)))
            .map_err(|_| self.gone())?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    async fn read(&self, from: Offset, limit: ReadLimit) -> Result<Fetched, ReadError> {
        self.log.usage.touch();
        self.readable()?;
        let chunks = match self.log.lookup(from.0, limit) {
            Lookup::Held(batches) => {
                Metrics::add(&self.log.shared.metrics.ring_reads);
                batches.iter().flat_map(Placed::chunks).collect()
            }
            Lookup::AtEnd => {
                self.log.look_at_end();
                Vec::<Bytes>::new()
            }
            Lookup::OutOfRange => {
                let Watermarks {
                    log_start, high, ..
                } = self.log.watermarks();
                if from > high && self.reaches(from.0).await? {
                    // Its reader has come to the end, and waits there for what comes behind it.
                    let known = self.log.watermarks();
                    return Ok(Fetched {
                        chunks: Vec::new(),
                        watermarks: Watermarks {
                            last_stable: known.last_stable.max(from),
                            high: known.high.max(from),
                            ..known
                        },
                    });
                }
                return Err(ReadError::OutOfRange { log_start, high });
            }
            Lookup::Stored => read::stored(&self.log, from.0, limit).await?,
        };
        Ok(Fetched {
            chunks,
            watermarks: self.log.watermarks(),
        })
    }

    fn settings(&self) -> TopicSettings {
        self.log.live.get()
    }

    fn watermarks(&self) -> Watermarks {
        self.log.look_at_end();
        self.log.watermarks()
    }

    async fn end(&self) -> Result<Offset, ReadError> {
        self.readable()?;
        let end = self.log.ask_end().await;
        end.map(Offset)
            .map_err(|error| ReadError::Unavailable(error.into()))
    }

    async fn confirm(&self) -> Result<(), AppendError> {
        self.log.confirm().await
    }

    async fn advanced(&self, past: Offset) {
        self.log.look_at_end();
        let mut high = self.log.follow();
        let mut life = self.log.life();
        tokio::select! {
            _ = high.wait_for(|high| *high > past.0) => {}
            _ = life.wait_for(|life| *life != Life::Serving) => {}
        }
    }

    async fn offset_at(&self, time: Timestamp) -> Result<Option<TimestampedOffset>, ReadError> {
        self.log.usage.touch();
        self.readable()?;
        offset_time::first_at(self.log.log(), time).await
    }

    async fn newest(&self) -> Result<Option<TimestampedOffset>, ReadError> {
        self.log.usage.touch();
        if self.log.is_deleted() {
            return Err(ReadError::Deleted);
        }
        offset_time::newest(self.log.log()).await
    }

    /// Those who have written since this gateway owns the partition; nobody where it does not.
    async fn producers(&self) -> Result<Vec<ActiveProducer>, ReadError> {
        self.log.usage.touch();
        let gone = || match self.gone() {
            AppendError::Deleted => ReadError::Deleted,
            error => ReadError::Unavailable(error.into()),
        };
        let (reply, answer) = oneshot::channel();
        let asked = Asked::Producers(reply);
        self.log.appends.send(asked).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    async fn stored_bytes(&self) -> Result<u64, ReadError> {
        if self.log.is_deleted() {
            return Err(ReadError::Deleted);
        }
        let stats = self.log.shared.admin.internal_stats(&self.log.topic).await;
        let stats = stats.map_err(|error| ReadError::Unavailable(error.into()))?;
        stats
            .stored_bytes()
            .ok_or_else(|| ReadError::Unavailable("Pulsar tells no size of the topic".into()))
    }

    async fn truncate_before(&self, offset: Offset) -> Result<(), TruncateError> {
        self.log.usage.touch();
        log_start::delete_before(&self.log, offset.0).await
    }
}
