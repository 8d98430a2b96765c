//! The open store: the key-value store, the topics, and the two threads.
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, mpsc},
    thread::{self, JoinHandle},
};

use fjall::PersistMode;
use kop_store::{Cause, Topic, TopicDefaults};
use kop_wire::Offset;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    Clock,
    directory::{Directory, Outdated},
    format::{self, Damaged, LogId},
    journal,
    keyspaces::Keyspaces,
    live::Live,
    log::Log,
    metrics::{self, Counters},
    segments::recovery,
    topics::{Entry, Topics},
    upgrade,
    upkeep::Removal,
    writer::{AbandonedBytes, Command, Ground, Writer},
};

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

/// The key-value store's files are not what it wrote.
#[derive(Debug, thiserror::Error)]
#[error("its files cannot be read ({0:?}); restore the directory from a copy")]
struct Unreadable(fjall::Error);

impl OpenStoreError {
    /// What the key-value store in a directory says when it does not open.
    fn of(directory: &Path, error: fjall::Error) -> Self {
        let path = directory.to_owned();
        match error {
            // The disk or its permissions, not what is on it.
            fjall::Error::Io(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
                Self::Directory { path, source }
            }
            error => Self::Damaged {
                path,
                source: Box::new(Unreadable(error)),
            },
        }
    }
}

/// The key-value store for as long as it is open: after a failed write it is closed and opened again.
/// Whoever takes the handles gives them back soon.
#[derive(Clone)]
pub(crate) struct Opened(Arc<RwLock<Option<Keyspaces>>>);

impl Opened {
    fn new(keyspaces: Keyspaces) -> Self {
        Self(Arc::new(RwLock::new(Some(keyspaces))))
    }

    /// The handles, unless it is being opened again.
    pub(crate) fn get(&self) -> Option<Keyspaces> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set(&self, keyspaces: Option<Keyspaces>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keyspaces;
    }
}

/// Everything that is open. The last one to drop it waits for the threads.
pub(crate) struct Engine {
    pub(crate) cluster_id: String,
    pub(crate) topics: Arc<Topics>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) readers: Arc<Semaphore>,
    pub(crate) abandoned: Arc<AbandonedBytes>,
    pub(crate) opened: Opened,
    pub(crate) durability: Durability,
    pub(crate) counters: Arc<Counters>,
    writer: Option<JoinHandle<()>>,
    // Given back last, when nothing of this store touches the directory any more.
    directory: Directory,
}

impl Engine {
    pub(crate) fn open(options: &EmbeddedOptions) -> Result<Self, OpenStoreError> {
        let mut directory = Directory::take(&options.directory)?;
        journal::prepare(&directory)?;
        let damaged = |source: Cause| OpenStoreError::Damaged {
            path: options.directory.clone(),
            source,
        };
        let keyspaces = Keyspaces::open(directory.path(), options.durability)
            .map_err(|error| OpenStoreError::of(&options.directory, error))?;
        let cluster_id = cluster_id(&keyspaces).map_err(damaged)?;
        directory.made()?;
        if let Some(outdated) = directory.outdated() {
            if outdated == Outdated::First {
                upgrade::from_1(&keyspaces).map_err(damaged)?;
            }
            directory.updated()?;
        }
        let recovered = recovery::recover(&keyspaces, directory.note().as_deref());
        let recovered = recovered.map_err(damaged)?;
        let (topics, removals) = load(&keyspaces, &options.defaults).map_err(damaged)?;
        let topics = Arc::new(topics);
        let (acknowledged, last) = directory.acknowledged()?;
        for last in &last {
            last.check(&keyspaces, &topics, &options.directory)
                .map_err(damaged)?;
        }
        let unusable = |source| OpenStoreError::Directory {
            path: options.directory.clone(),
            source,
        };
        acknowledged.settle(&last, &topics).map_err(unusable)?;
        let appending = recovered.go_on(&keyspaces.segments, options.durability);
        let appending = appending.map_err(unusable)?;

        let (commands, commands_from) = mpsc::channel();
        let opened = Opened::new(keyspaces.clone());
        let counters: Arc<Counters> = Arc::default();
        let ground = Ground {
            opened: opened.clone(),
            database: directory.database(),
            topics: Arc::clone(&topics),
            options: options.clone(),
            counters: Arc::clone(&counters),
            commands: commands.clone(),
        };
        let upkeep = ground
            .keep_up(&keyspaces, removals)
            .map_err(OpenStoreError::Thread)?;
        let writer = Writer::new(ground, keyspaces, appending, (upkeep, acknowledged));
        let writer = thread::Builder::new()
            .name("kop-writer".to_owned())
            .spawn(move || writer.run(commands_from))
            .map_err(OpenStoreError::Thread)?;
        let readers = Arc::new(Semaphore::new(READERS));
        Ok(Self {
            cluster_id,
            topics,
            commands,
            readers,
            abandoned: Arc::default(),
            opened,
            durability: options.durability,
            counters,
            writer: Some(writer),
            directory,
        })
    }
}

impl Engine {
    /// Bytes that the store takes on the disk. Blocks.
    pub(crate) fn disk_bytes(&self) -> std::io::Result<u64> {
        metrics::disk_bytes(self.directory.path())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have ended before, after a close.
        let _ = self.commands.send(Command::Close(None));
        if self
            .writer
            .take()
            .is_some_and(|writer| writer.join().is_err())
        {
            let directory = self.directory.path().display();
            tracing::error!(%directory, "store thread panicked");
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

/// The id of the cluster that the store is, which is given once and moves with the directory.
fn cluster_id(keyspaces: &Keyspaces) -> Result<String, Cause> {
    if let Some(value) = keyspaces.meta.get(format::CLUSTER_ID)? {
        return Ok(format::cluster_id_of(&value)?.to_owned());
    }
    let id = Uuid::new_v4().simple().to_string();
    keyspaces.meta.insert(format::CLUSTER_ID, &id)?;
    keyspaces.database.persist(PersistMode::SyncAll)?;
    Ok(id)
}

/// Reads the topics, the bounds of their logs, and what was still to be removed.
fn load(keyspaces: &Keyspaces, defaults: &TopicDefaults) -> Result<(Topics, Vec<Removal>), Cause> {
    let topics = Topics::default();
    let mut removals = deleted(keyspaces)?;
    for item in keyspaces.meta.prefix(format::TOPICS) {
        let (key, value) = item.into_inner()?;
        let topic = format::topic_of(&key, &value)?;
        let live = Arc::new(Live::of(&topic, defaults));
        let logs = load_logs(keyspaces, &topic, &live, &mut removals)?;
        topics.insert(Entry { topic, live, logs });
    }
    Ok((topics, removals))
}

/// The deleted topics of which something may still be there.
pub(crate) fn deleted(keyspaces: &Keyspaces) -> Result<Vec<Removal>, Cause> {
    let mut removals = Vec::new();
    for item in keyspaces.meta.prefix(format::REMOVED) {
        let (key, value) = item.into_inner()?;
        let (topic, partitions) = format::removed_of(&key, &value)?;
        removals.push(Removal::Topic { topic, partitions });
    }
    Ok(removals)
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
        let start = keyspaces.start(id)?;
        let high = keyspaces.end(id, start)?;
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
