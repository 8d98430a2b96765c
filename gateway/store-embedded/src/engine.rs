//! The open store: the key-value store, the topics, and the two threads.
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode,
    config::CompressionPolicy,
};
use kop_store::{Cause, Topic, TopicDefaults};
use kop_wire::Offset;
use tokio::sync::Semaphore;

use crate::{
    Clock,
    directory::Directory,
    format::{self, BatchKey, Damaged, LogId},
    live::Live,
    log::Log,
    topics::{Entry, Topics},
    upgrade,
    upkeep::{Removal, Task, Upkeep},
    writer::{AbandonedBytes, Command, Writer},
};

/// Cached blocks and values.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// What is gathered in memory before it is written into a table. The writer thread flushes batches
/// earlier.
const BATCHES_BUFFER: u64 = 32 * 1024 * 1024;
const META_BUFFER: u64 = 2 * 1024 * 1024;
/// Journals on disk, which are read at the start.
const JOURNAL_BYTES: u64 = 128 * 1024 * 1024;
/// Larger values stay out of the sorted tables, so that merging those copies no records.
const SEPARATION: u32 = 512;
/// Reads from disk at a time; each has a thread while it lasts.
const READERS: usize = 8;

/// When an append is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When the record is on the disk: it survives a power cut.
    #[default]
    Sync,
    /// When the operating system has the record: it survives the process, not the machine.
    Os,
}

impl Durability {
    pub(crate) fn persist_mode(self) -> PersistMode {
        match self {
            Self::Sync => PersistMode::SyncData,
            Self::Os => PersistMode::Buffer,
        }
    }
}

/// Where the store is and what it promises.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// The store's directory, which is made where there is none. Nothing else may be in it.
    pub directory: PathBuf,
    /// When an append is answered.
    pub durability: Durability,
    /// What holds for topics that do not say.
    pub defaults: TopicDefaults,
    /// The time by which records are stamped and grow old.
    pub clock: Clock,
}

impl EmbeddedOptions {
    /// A store in that directory that promises that, with Kafka's defaults and the machine's clock.
    #[must_use]
    pub fn new(directory: PathBuf, durability: Durability) -> Self {
        Self {
            directory,
            durability,
            defaults: TopicDefaults::default(),
            clock: Clock::default(),
        }
    }
}

/// Why the store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// The directory cannot be made, read or written.
    #[error("directory {path} cannot be used")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the store open.
    #[error("directory {0} is in use by another process")]
    InUse(PathBuf),
    /// There are files in the directory, but no store.
    #[error("directory {0} holds files but no kop store; give an empty or a new one")]
    Foreign(PathBuf),
    /// Another version wrote the store.
    #[error("directory {path} holds \"{found}\", which this version cannot read")]
    Version {
        /// The directory.
        path: PathBuf,
        /// What its format file says.
        found: String,
    },
    /// The store's files are not what was written into them.
    #[error("store in {path} is damaged")]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What was found.
        #[source]
        source: Cause,
    },
    /// The operating system gives no thread.
    #[error("no thread for the store")]
    Thread(#[source] std::io::Error),
}

/// The key-value store's handles, which the threads and the readers share.
#[derive(Clone)]
pub(crate) struct Keyspaces {
    pub(crate) database: Database,
    pub(crate) batches: Keyspace,
    pub(crate) meta: Keyspace,
}

/// Everything that is open. The last one to drop it waits for the threads.
pub(crate) struct Engine {
    pub(crate) topics: Arc<Topics>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) readers: Arc<Semaphore>,
    pub(crate) abandoned: Arc<AbandonedBytes>,
    pub(crate) keyspaces: Keyspaces,
    pub(crate) durability: Durability,
    threads: Vec<JoinHandle<()>>,
    // Given back last, when nothing of this store touches the directory any more.
    directory: Directory,
}

impl Engine {
    pub(crate) fn open(options: &EmbeddedOptions) -> Result<Self, OpenStoreError> {
        let mut directory = Directory::take(&options.directory)?;
        let damaged = |source: Cause| OpenStoreError::Damaged {
            path: options.directory.clone(),
            source,
        };
        let keyspaces = Keyspaces::open(&directory).map_err(|error| damaged(error.into()))?;
        directory.made()?;
        if directory.is_outdated() {
            upgrade::from_1(&keyspaces).map_err(damaged)?;
            directory.updated()?;
        }
        let (topics, removals) = load(&keyspaces, &options.defaults).map_err(damaged)?;
        let topics = Arc::new(topics);

        let (tasks, tasks_from) = mpsc::channel();
        let (commands, commands_from) = mpsc::channel();
        for removal in removals {
            // The receiver is right here.
            let _ = tasks.send(Task::Remove(removal));
        }
        let upkeep = Upkeep::new(
            keyspaces.clone(),
            Arc::clone(&topics),
            options.clone(),
            commands.clone(),
        );
        let writer = Writer::new(
            keyspaces.clone(),
            Arc::clone(&topics),
            options.clone(),
            (tasks, upkeep.stop_switch()),
        );
        let threads = vec![
            spawn("kop-upkeep", move || upkeep.run(&tasks_from))?,
            spawn("kop-writer", move || writer.run(&commands_from))?,
        ];
        let readers = Arc::new(Semaphore::new(READERS));
        Ok(Self {
            topics,
            commands,
            readers,
            abandoned: Arc::default(),
            keyspaces,
            durability: options.durability,
            threads,
            directory,
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Either thread may have ended before, after a close.
        let _ = self.commands.send(Command::Close(None));
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(directory = %self.directory.path().display(), "store thread panicked");
            }
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

fn spawn(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenStoreError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(OpenStoreError::Thread)
}

impl Keyspaces {
    fn open(directory: &Directory) -> fjall::Result<Self> {
        let database = Database::builder(directory.database())
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(1)
            .journal_compression(CompressionType::None)
            .manual_journal_persist(true)
            .open()?;
        // Producers compress record batches; doing it again costs time and gains nothing.
        let plain = || {
            KeyspaceCreateOptions::default()
                .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
                .manual_journal_persist(true)
        };
        let batches = database.keyspace("batches", || {
            plain()
                .max_memtable_size(BATCHES_BUFFER)
                .with_kv_separation(Some(
                    KvSeparationOptions::default()
                        .compression(CompressionType::None)
                        .separation_threshold(SEPARATION),
                ))
        })?;
        let meta = database.keyspace("meta", || plain().max_memtable_size(META_BUFFER))?;
        Ok(Self {
            database,
            batches,
            meta,
        })
    }
}

/// Reads the topics, the bounds of their logs, and what was still to be removed.
fn load(keyspaces: &Keyspaces, defaults: &TopicDefaults) -> Result<(Topics, Vec<Removal>), Cause> {
    let topics = Topics::default();
    let mut removals = Vec::new();
    for item in keyspaces.meta.prefix(format::REMOVED) {
        let (key, value) = item.into_inner()?;
        let (topic, partitions) = format::removed_of(&key, &value)?;
        removals.push(Removal::Topic { topic, partitions });
    }
    for item in keyspaces.meta.prefix(format::TOPICS) {
        let (key, value) = item.into_inner()?;
        let topic = format::topic_of(&key, &value)?;
        let live = Arc::new(Live::of(&topic, defaults));
        let logs = load_logs(keyspaces, &topic, &live, &mut removals)?;
        topics.insert(Entry { topic, live, logs });
    }
    Ok((topics, removals))
}

fn load_logs(
    keyspaces: &Keyspaces,
    topic: &Topic,
    live: &Arc<Live>,
    removals: &mut Vec<Removal>,
) -> Result<Arc<[Arc<Log>]>, Cause> {
    let mut logs = Vec::new();
    for partition in 0..topic.partitions {
        let id = LogId {
            topic: topic.id,
            partition,
        };
        let start = match keyspaces.meta.get(id.start_key())? {
            Some(value) => Offset(format::number_of(&value, "first offset of a log")?),
            None => Offset(0),
        };
        let end = match keyspaces.batches.prefix(id.prefix()).next_back() {
            Some(last) => BatchKey::decode(&last.key()?)?.end(),
            None => start,
        };
        // Truncation keeps the batch that holds the new start, or leaves nothing behind it.
        let high = end.max(start);
        if start > Offset(0) {
            removals.push(Removal::Before {
                log: id,
                offset: start,
            });
        }
        logs.push(Arc::new(Log::new(id, Arc::clone(live), (start, high))));
    }
    Ok(logs.into())
}

/// A lock's content, whether or not a thread panicked while it held it: every critical section of
/// this crate is one call that leaves the content whole.
pub(crate) fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<Damaged> for kop_store::ReadError {
    fn from(damaged: Damaged) -> Self {
        Self::Unreadable(damaged.to_string())
    }
}
