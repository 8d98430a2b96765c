//! The one thread that changes the store. It takes what waits, up to a limit, writes it as one batch,
//! syncs once, and answers everyone: the more producers wait, the fewer syncs each costs.
use std::{
    collections::HashMap,
    io,
    ops::Range,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Instant,
};

use fjall::PersistMode;
use kop_store::{
    AppendError, Appended, CatalogError, Cause, ConfigureError, CreateError, DeleteError,
    GrowError, NewTopic, ReadError, Topic, TopicConfig, TruncateError,
    producer_state::ActiveProducer,
};
use kop_wire::{Offset, TopicName};
use tokio::sync::oneshot;

use crate::{
    EmbeddedOptions,
    acknowledged::Acknowledged,
    engine::Opened,
    format::LogId,
    keyspaces::Keyspaces,
    log::Log,
    metrics::Counters,
    producers::Appender,
    segments::appending::Appending,
    topics::Topics,
    upkeep::{self, Removal, Upkeep},
};

mod append;
mod change;
mod commit;
mod revival;

pub(crate) use append::{AbandonedBytes, MAX_BATCH, Offered};
use commit::Group;
use revival::Revived;

/// The most of one group, in bytes of batches; a single batch may be larger.
const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// The most commands of one group.
const GROUP_COMMANDS: usize = 4_096;
/// Newest batches of all logs together that are kept in memory for readers.
const TAIL_BYTES: usize = 32 * 1024 * 1024;

/// Where an answer goes. Whoever waited may be gone.
pub(crate) type Reply<T> = oneshot::Sender<T>;

/// Who waits for the store to be closed, if anyone does.
pub(crate) type Closing = Option<Reply<Result<(), CatalogError>>>;

/// What the writer thread is asked for.
pub(crate) enum Command {
    Append {
        log: Arc<Log>,
        batch: Arc<Offered>,
        reply: Reply<Result<Appended, AppendError>>,
    },
    Create {
        topic: NewTopic,
        reply: Reply<Result<Topic, CreateError>>,
    },
    Delete {
        topic: TopicName,
        reply: Reply<Result<(), DeleteError>>,
    },
    Grow {
        topic: TopicName,
        partitions: u32,
        reply: Reply<Result<Topic, GrowError>>,
    },
    Configure {
        change: ConfigChange,
        reply: Reply<Result<Topic, ConfigureError>>,
    },
    TruncateBefore {
        log: Arc<Log>,
        offset: Offset,
        reply: Reply<Result<(), TruncateError>>,
    },
    /// Saves what is known of a log's producers and answers up to where that reaches.
    Settle {
        log: Arc<Log>,
        reply: Reply<Result<Offset, Cause>>,
    },
    /// Has every log looked at now.
    #[cfg(test)]
    Check(Reply<()>),
    /// Which producers a log remembers.
    Producers {
        log: Arc<Log>,
        reply: Reply<Result<Vec<ActiveProducer>, ReadError>>,
    },
    AllocateProducerIds {
        count: u32,
        reply: Reply<Result<Range<i64>, CatalogError>>,
    },
    /// Saves what is not saved, syncs, answers, and ends the thread.
    Close(Closing),
}

/// What is set for a topic, before and after.
pub(crate) struct ConfigChange {
    pub(crate) topic: TopicName,
    pub(crate) from: TopicConfig,
    pub(crate) to: TopicConfig,
}

/// The store takes no writes any more, or not now.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Stopped {
    #[error("the store is closed")]
    Closed,
    /// What is on the disk after a failed write or sync is not known, so nothing is written after it
    /// until the store has been opened again.
    #[error("the disk takes no writes: {0}")]
    Failed(Arc<str>),
    /// It takes a moment.
    #[error("the store is being opened again after a failed write")]
    Reopening,
}

/// What outlives the key-value store's being closed and opened again.
pub(crate) struct Ground {
    pub(crate) opened: Opened,
    /// Where the key-value store is.
    pub(crate) database: PathBuf,
    pub(crate) topics: Arc<Topics>,
    pub(crate) options: EmbeddedOptions,
    pub(crate) counters: Arc<Counters>,
    /// This thread's own.
    pub(crate) commands: mpsc::Sender<Command>,
}

impl Ground {
    /// Starts the upkeep, with what was still to be removed.
    pub(crate) fn keep_up(
        &self,
        keyspaces: &Keyspaces,
        removals: Vec<Removal>,
    ) -> io::Result<upkeep::Running> {
        let upkeep = Upkeep::new(
            keyspaces.clone(),
            Arc::clone(&self.topics),
            self.options.clone(),
            self.commands.clone(),
        );
        upkeep.start(removals)
    }

    /// Nobody waits for anything to be written any more.
    fn close_logs(&self) {
        for log in self.topics.logs() {
            log.change(|bounds| bounds.closed = true);
        }
    }
}

pub(crate) struct Writer {
    ground: Ground,
    keyspaces: Keyspaces,
    appenders: HashMap<LogId, (Arc<Log>, Appender)>,
    recent: commit::RecentBatches,
    /// Where appends go.
    appending: Appending,
    /// Batches since the last flush of the index began.
    unflushed: usize,
    upkeep: upkeep::Running,
    /// The note of what is durable.
    acknowledged: Acknowledged,
    /// Why a write failed. What the appenders hold may differ from what is stored.
    failed: Option<fjall::Error>,
    /// When that happened last.
    last_failure: Option<Instant>,
}

impl Writer {
    pub(crate) fn new(
        ground: Ground,
        keyspaces: Keyspaces,
        appending: Appending,
        (upkeep, acknowledged): (upkeep::Running, Acknowledged),
    ) -> Self {
        Self {
            ground,
            keyspaces,
            appenders: HashMap::new(),
            recent: commit::RecentBatches::new(TAIL_BYTES),
            appending,
            unflushed: 0,
            upkeep,
            acknowledged,
            failed: None,
            last_failure: None,
        }
    }

    /// Serves until it is told to close, or until no one can ask any more.
    pub(crate) fn run(mut self, commands: mpsc::Receiver<Command>) {
        let (reply, closed, upkeep) = loop {
            let closing = self.serve(&commands);
            let Some(error) = self.failed.take() else {
                let closed = self.close();
                break (closing, closed, self.upkeep);
            };
            match self.revive(error, closing, &commands) {
                Revived::Writer(writer) => self = *writer,
                Revived::Closed {
                    reply,
                    reason,
                    upkeep,
                } => break (reply, Err(Stopped::Failed(reason).into()), upkeep),
            }
        };
        if let Some(reply) = reply {
            let _ = reply.send(closed.map_err(CatalogError::Unavailable));
        }
        // Whoever waits for an answer does not get one any more, the upkeep included.
        drop(commands);
        upkeep.join();
    }

    /// Serves until it is told to close, or a write fails.
    fn serve(&mut self, commands: &mpsc::Receiver<Command>) -> Closing {
        while let Ok(first) = commands.recv() {
            let (group, closing) = self.gather(first, commands);
            self.commit(group);
            if let Some(closing) = closing {
                return closing;
            }
            if self.failed.is_some() {
                return None;
            }
        }
        None
    }

    /// Takes commands into a group until it is full, nothing waits, or one changes the topics: the
    /// next command must see that.
    fn gather(
        &mut self,
        first: Command,
        commands: &mpsc::Receiver<Command>,
    ) -> (Group, Option<Closing>) {
        let mut group = Group::new(&self.keyspaces, self.ground.options.clock.now_ms());
        let mut next = Some(first);
        let mut taken = 0;
        while let Some(command) = next {
            taken += 1;
            let is_last = match command {
                Command::Append { log, batch, reply } => {
                    self.append(&mut group, log, &batch, reply);
                    false
                }
                Command::Create { topic, reply } => {
                    self.create(&mut group, topic, reply);
                    true
                }
                Command::Delete { topic, reply } => {
                    self.delete(&mut group, &topic, reply);
                    true
                }
                Command::Grow {
                    topic,
                    partitions,
                    reply,
                } => {
                    self.grow(&mut group, &topic, partitions, reply);
                    true
                }
                Command::Configure { change, reply } => {
                    self.configure(&mut group, change, reply);
                    true
                }
                Command::TruncateBefore { log, offset, reply } => {
                    self.truncate_before(&mut group, log, offset, reply);
                    true
                }
                Command::Settle { log, reply } => {
                    self.settle(&mut group, log, reply);
                    true
                }
                #[cfg(test)]
                Command::Check(reply) => {
                    self.upkeep.send(upkeep::Task::Check(reply));
                    false
                }
                Command::Producers { log, reply } => {
                    let _ = reply.send(self.producers(&group, &log));
                    false
                }
                Command::AllocateProducerIds { count, reply } => {
                    self.allocate_producer_ids(&mut group, count, reply);
                    true
                }
                Command::Close(reply) => return (group, Some(reply)),
            };
            if is_last || group.bytes >= GROUP_BYTES || taken >= GROUP_COMMANDS {
                break;
            }
            next = commands.try_recv().ok();
        }
        (group, None)
    }

    /// Saves the producer states and brings everything to the disk.
    fn close(&mut self) -> Result<(), Cause> {
        self.upkeep.stop();
        self.ground.close_logs();
        let mut group = Group::new(&self.keyspaces, self.ground.options.clock.now_ms());
        for (log, appender) in self.appenders.values_mut() {
            appender.save(log, &self.keyspaces, &mut group.writes, group.now_ms);
        }
        self.keyspaces.commit(group.writes, None)?;
        self.appending.sync()?;
        self.keyspaces.persist(PersistMode::SyncAll)?;
        Ok(())
    }
}
