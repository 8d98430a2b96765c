//! Committing a group: one write, one sync; then readers see it, and everyone is answered.
use std::{
    collections::VecDeque,
    ops::Range,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use fjall::{OwnedWriteBatch, PersistMode};
use kop_store::{
    AppendError, Appended, CatalogError, Cause, ConfigureError, CreateError, DeleteError,
    GrowError, Topic, TruncateError,
};
use kop_wire::Offset;

use super::{Reply, Stopped, Writer, append::Placed, revival::reason};
use crate::{
    acknowledged::Fact,
    engine::locked,
    format::{self, BatchKey, LogId},
    keyspaces::Keyspaces,
    log::Log,
    segments::appending as segments,
    topics::Entry,
    upkeep::Removal,
};

/// Batches whose places are gathered in memory before they are written into a table: some 16 MiB.
const FLUSH_BATCHES: usize = 100_000;
/// So many times as much may be on its way into tables; then writing waits.
const FLUSHING: usize = 3;
/// A flush that takes longer has failed: the thread that does it ends on the first error.
const FLUSH_DEADLINE: Duration = Duration::from_secs(60);

/// What is written together.
pub(super) struct Group {
    pub(super) writes: OwnedWriteBatch,
    /// What is appended, and the keys under which that is found.
    pub(super) batches: Vec<(LogId, segments::Batch)>,
    pub(super) keys: Vec<BatchKey>,
    pub(super) effects: Vec<Effect>,
    /// Bytes of batches in it.
    pub(super) bytes: usize,
    pub(super) now_ms: i64,
}

/// What becomes true, and is told, once the group is durable.
pub(super) enum Effect {
    Appended {
        log: Arc<Log>,
        placed: Placed,
        reply: Reply<Result<Appended, AppendError>>,
    },
    Created {
        entry: Entry,
        reply: Reply<Result<Topic, CreateError>>,
    },
    Deleted {
        entry: Entry,
        reply: Reply<Result<(), DeleteError>>,
    },
    Grown {
        entry: Entry,
        reply: Reply<Result<Topic, GrowError>>,
    },
    Configured {
        entry: Entry,
        reply: Reply<Result<Topic, ConfigureError>>,
    },
    Truncated {
        log: Arc<Log>,
        offset: Offset,
        reply: Reply<Result<(), TruncateError>>,
    },
    Settled {
        log: Arc<Log>,
        reply: Reply<Result<Offset, Cause>>,
    },
    Allocated {
        ids: Range<i64>,
        reply: Reply<Result<Range<i64>, CatalogError>>,
    },
}

impl Group {
    pub(super) fn new(keyspaces: &Keyspaces, now_ms: i64) -> Self {
        Self {
            writes: keyspaces.database.batch(),
            batches: Vec::new(),
            keys: Vec::new(),
            effects: Vec::new(),
            bytes: 0,
            now_ms,
        }
    }
}

impl Writer {
    pub(super) fn commit(&mut self, mut group: Group) {
        let begun = Instant::now();
        let written = self.write(&mut group);
        let Group {
            batches,
            effects,
            bytes,
            ..
        } = group;
        let batches = batches.len();
        if let Err(error) = written {
            let stopped = Stopped::Failed(reason(&error));
            for effect in effects {
                effect.fail(&stopped);
            }
            self.failed = Some(error);
            return;
        }
        self.ground
            .counters
            .committed(begun.elapsed(), batches, bytes);
        for appended in [true, false] {
            let facts = effects.iter().rev().filter_map(Effect::fact);
            let last = facts.into_iter().find(|fact| fact.is_append() == appended);
            if let Some(fact) = last
                && let Err(error) = self.acknowledged.note(fact)
            {
                // What it says is still true, and only says less.
                tracing::warn!(%error, "what was acknowledged last is not noted");
            }
        }
        for effect in effects {
            self.apply(effect);
        }
        self.flush_some(batches);
    }

    /// Writes the batches of a group, and then where they are together with all else. What is only
    /// appended is durable with the segment: where the index forgets it in a power cut, it is read again.
    fn write(&mut self, group: &mut Group) -> fjall::Result<()> {
        let only_appends = group.effects.iter().all(Effect::is_append);
        let mut mode = self.ground.options.durability.persist_mode();
        let new = self.keyspaces.database.batch();
        let mut writes = std::mem::replace(&mut group.writes, new);
        if !group.batches.is_empty() {
            let written = self.appending.write(&group.batches)?;
            let index = &self.keyspaces.batches;
            for (key, pointer) in group.keys.iter().zip(&written.pointers) {
                writes.insert(index, key.encode(), pointer.encode().as_slice());
            }
            let indexed = format::indexed_value(written.indexed);
            writes.insert(index, format::INDEXED, indexed);
            if written.is_new {
                let key = format::segment_key(written.indexed.segment);
                writes.insert(index, key, 0_u64.to_be_bytes().as_slice());
            } else if only_appends {
                // Now and then it is synced all the same, so that not too much is read again.
                mode = PersistMode::Buffer;
            }
        }
        self.keyspaces.commit(writes, Some(mode))?;
        self.appending.keep();
        Ok(())
    }

    /// Keeps the memory of what is not yet in tables bounded, after so many more batches. The key-value store would do it itself,
    /// but a thread that always writes starves those that would flush of the journal's lock.
    #[expect(
        clippy::disallowed_methods,
        reason = "the key-value store has no way to tell when a flush is done"
    )]
    fn flush_some(&mut self, batches: usize) {
        self.unflushed = self.unflushed.saturating_add(batches);
        if self.unflushed < FLUSH_BATCHES {
            return;
        }
        self.unflushed = 0;
        let batches = &self.keyspaces.batches;
        let mut flushing = batches.rotate_memtable().map(|_| ());
        let deadline = Instant::now() + FLUSH_DEADLINE;
        while flushing.is_ok() && batches.sealed_memtable_count() >= FLUSHING {
            if Instant::now() > deadline {
                flushing = Err(fjall::Error::Poisoned);
                break;
            }
            thread::sleep(Duration::from_millis(1));
            // Fails where the thread that flushes has failed.
            flushing = self.keyspaces.database.persist(PersistMode::Buffer);
        }
        self.failed = flushing.err();
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Appended { log, placed, reply } => {
                let (base_offset, duplicate, log_append_time) = match placed {
                    Placed::Duplicate { base, time } => (base, true, time),
                    Placed::New {
                        base,
                        end,
                        batch,
                        time,
                    } => {
                        self.recent.push(&log, base, end, batch);
                        log.change(|bounds| bounds.high = end);
                        (base, false, time)
                    }
                };
                let log_start = log.bounds().start;
                let _ = reply.send(Ok(Appended {
                    base_offset,
                    log_start,
                    duplicate,
                    log_append_time,
                }));
            }
            Effect::Created { entry, reply } => {
                let topic = entry.topic.clone();
                self.ground.topics.insert(entry);
                let _ = reply.send(Ok(topic));
            }
            Effect::Grown { entry, reply } => {
                let topic = entry.topic.clone();
                self.ground.topics.insert(entry);
                let _ = reply.send(Ok(topic));
            }
            Effect::Configured { entry, reply } => {
                let topic = entry.topic.clone();
                entry.live.change(&topic, &self.ground.options.defaults);
                self.ground.topics.insert(entry);
                let _ = reply.send(Ok(topic));
            }
            Effect::Deleted { entry, reply } => {
                self.ground.topics.remove(&entry.topic.name);
                for log in entry.logs.iter() {
                    self.appenders.remove(&log.id);
                    self.recent.forget(log);
                    log.change(|bounds| bounds.deleted = true);
                }
                let Topic {
                    id: topic,
                    partitions,
                    ..
                } = entry.topic;
                self.remove_later(Removal::Topic { topic, partitions });
                let _ = reply.send(Ok(()));
            }
            Effect::Truncated { log, offset, reply } => {
                log.change(|bounds| bounds.start = offset);
                self.remove_later(Removal::Before {
                    log: log.id,
                    offset,
                });
                let _ = reply.send(Ok(()));
            }
            Effect::Settled { log, reply } => {
                let _ = reply.send(Ok(log.bounds().high));
            }
            Effect::Allocated { ids, reply } => {
                let _ = reply.send(Ok(ids));
            }
        }
    }
}

impl Effect {
    fn is_append(&self) -> bool {
        matches!(self, Self::Appended { .. })
    }

    /// What is true of the store once the effect is durable, if that can be told.
    fn fact(&self) -> Option<Fact> {
        match self {
            Self::Appended { log, placed, .. } => match placed {
                Placed::New { end, .. } => Some(Fact::End(log.id, *end)),
                Placed::Duplicate { .. } => None,
            },
            Self::Created { entry, .. } | Self::Grown { entry, .. } => {
                Some(Fact::Topic(entry.topic.id, entry.topic.partitions))
            }
            Self::Deleted { entry, .. } => Some(Fact::NoTopic(entry.topic.id)),
            Self::Truncated { log, offset, .. } => Some(Fact::Start(log.id, *offset)),
            Self::Configured { .. } | Self::Settled { .. } => None,
            Self::Allocated { ids, .. } => Some(Fact::ProducerIds(ids.end)),
        }
    }

    fn fail(self, stopped: &Stopped) {
        let cause = || stopped.clone().into();
        match self {
            Self::Appended { reply, .. } => {
                let _ = reply.send(Err(AppendError::Storage(cause())));
            }
            Self::Created { reply, .. } => {
                let _ = reply.send(Err(CreateError::Unavailable(cause())));
            }
            Self::Deleted { reply, .. } => {
                let _ = reply.send(Err(DeleteError::Unavailable(cause())));
            }
            Self::Grown { reply, .. } => {
                let _ = reply.send(Err(GrowError::Unavailable(cause())));
            }
            Self::Configured { reply, .. } => {
                let _ = reply.send(Err(ConfigureError::Unavailable(cause())));
            }
            Self::Truncated { reply, .. } => {
                let _ = reply.send(Err(TruncateError::Unavailable(cause())));
            }
            Self::Settled { reply, .. } => {
                let _ = reply.send(Err(cause()));
            }
            Self::Allocated { reply, .. } => {
                let _ = reply.send(Err(CatalogError::Unavailable(cause())));
            }
        }
    }
}

/// The tails of all logs under one budget: the batch that was written longest ago goes first,
/// whichever log it is in.
pub(super) struct RecentBatches {
    order: VecDeque<(Arc<Log>, usize)>,
    bytes: usize,
    budget: usize,
}

impl RecentBatches {
    pub(super) fn new(budget: usize) -> Self {
        Self {
            order: VecDeque::new(),
            bytes: 0,
            budget,
        }
    }

    fn push(&mut self, log: &Arc<Log>, base: Offset, end: Offset, batch: segments::Batch) {
        // Small batches cost more than their bytes.
        let bytes: usize = batch.iter().map(bytes::Bytes::len).sum();
        let cost = bytes + size_of::<(Arc<Log>, usize)>() + 4 * size_of::<bytes::Bytes>();
        locked(&log.tail).push(base, end, batch);
        self.order.push_back((Arc::clone(log), cost));
        self.bytes += cost;
        while self.bytes > self.budget {
            let Some((log, cost)) = self.order.pop_front() else {
                break;
            };
            locked(&log.tail).pop();
            self.bytes -= cost;
        }
    }

    /// Drops the tail of a deleted log. Its places in the order go when their turn comes.
    fn forget(&mut self, log: &Log) {
        locked(&log.tail).clear();
    }
}
