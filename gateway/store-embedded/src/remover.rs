//! The thread that removes what was deleted, truncated or superseded, a little at a time.
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use kop_store::Cause;
use kop_wire::Offset;
use uuid::Uuid;

use crate::{
    cleaner::Latest,
    engine::Keyspaces,
    format::{self, BatchKey, LogId},
};

/// Batches of one write.
const AT_ONCE: usize = 500;

/// What is to be removed. What was deleted or truncated is noted in the store before, so that a restart
/// does it again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Removal {
    /// All of a deleted topic.
    Topic { topic: Uuid, partitions: u32 },
    /// The batches of a log that end at or before an offset.
    Before { log: LogId, offset: Offset },
    /// The batches of a coordinator's log, below an offset, that later ones supersede.
    Superseded { log: LogId, below: Offset },
}

pub(crate) struct Remover {
    keyspaces: Keyspaces,
    removals: mpsc::Receiver<Removal>,
    stop: Arc<AtomicBool>,
}

impl Remover {
    pub(crate) fn new(keyspaces: Keyspaces, removals: mpsc::Receiver<Removal>) -> Self {
        Self {
            keyspaces,
            removals,
            stop: Arc::default(),
        }
    }

    /// Set it, and the thread leaves the rest to the next start.
    pub(crate) fn stop_switch(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Serves until the writer thread, which holds the other end, has ended.
    pub(crate) fn run(self) {
        while let Ok(removal) = self.removals.recv() {
            if let Err(error) = self.remove(removal) {
                tracing::warn!(%error, ?removal, "not removed; the next start tries again");
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn remove(&self, removal: Removal) -> Result<(), Cause> {
        match removal {
            Removal::Before { log, offset } => self.remove_batches(log, offset),
            Removal::Superseded { log, below } => self.clean(log, below),
            Removal::Topic { topic, partitions } => {
                for partition in 0..partitions {
                    self.remove_batches(LogId { topic, partition }, Offset(i64::MAX))?;
                }
                if self.stopped() {
                    return Ok(());
                }
                let mut writes = self.keyspaces.database.batch();
                for partition in 0..partitions {
                    let log = LogId { topic, partition };
                    writes.remove(&self.keyspaces.meta, log.start_key());
                    writes.remove(&self.keyspaces.meta, log.producers_key());
                }
                writes.remove(&self.keyspaces.meta, format::removed_key(topic));
                Ok(writes.commit()?)
            }
        }
    }

    fn clean(&self, log: LogId, below: Offset) -> Result<(), Cause> {
        let batches = &self.keyspaces.batches;
        let Some(latest) = Latest::of(&self.keyspaces, log, below)? else {
            tracing::warn!(?log, "log has too many keys to be cleaned");
            return Ok(());
        };
        let mut writes = self.keyspaces.database.batch();
        for item in batches.range(log.key_at(Offset(0))..log.key_at(below)) {
            let (key, value) = item.into_inner()?;
            if latest.supersedes(value.into()) {
                writes.remove(batches, key);
            }
            if writes.len() >= AT_ONCE {
                let full = std::mem::replace(&mut writes, self.keyspaces.database.batch());
                full.commit()?;
                if self.stopped() {
                    return Ok(());
                }
            }
        }
        Ok(writes.commit()?)
    }

    fn remove_batches(&self, log: LogId, before: Offset) -> Result<(), Cause> {
        let end = log.key_at(before);
        let mut from = log.key_at(Offset(0));
        while !self.stopped() {
            let mut writes = self.keyspaces.database.batch();
            let mut is_more = false;
            for item in self.keyspaces.batches.range(from.clone()..end.clone()) {
                let key = item.key()?;
                let found = BatchKey::decode(&key)?;
                if found.end() > before {
                    break;
                }
                from = log.key_at(found.end());
                writes.remove(&self.keyspaces.batches, key);
                is_more = writes.len() >= AT_ONCE;
                if is_more {
                    break;
                }
            }
            writes.commit()?;
            if !is_more {
                break;
            }
        }
        Ok(())
    }
}
