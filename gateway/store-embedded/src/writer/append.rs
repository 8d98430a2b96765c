//! Appends: judge, place, put into the group.
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use kop_store::{AppendError, Appended, producer_state::Verdict};
use kop_wire::{Batch, Offset};

use super::{Group, Reply, Stopped, Writer, commit::Effect};
use crate::{engine::locked, format::BatchKey, log::Log, producers::Appender};

/// Largest batch that is taken, in bytes. Kafka's own limit, `max.message.bytes`, is far below.
const MAX_BATCH: usize = 64 * 1024 * 1024;
/// Leader epoch of everything a single node writes.
const LEADER_EPOCH: i32 = 0;

/// A batch that waits for the writer thread. It stays its caller's until then: a caller that goes
/// takes it along, so the queue holds no more memory than the callers that wait.
#[derive(Debug)]
pub(crate) struct Offered(Mutex<Option<Batch>>);

impl Offered {
    pub(crate) fn new(batch: Batch) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(batch))))
    }

    pub(crate) fn take(&self) -> Option<Batch> {
        locked(&self.0).take()
    }
}

impl Writer {
    pub(super) fn append(
        &mut self,
        group: &mut Group,
        log: Arc<Log>,
        batch: &Offered,
        reply: Reply<Result<Appended, AppendError>>,
    ) {
        let Some(batch) = batch.take() else { return };
        match self.place(group, &log, &batch) {
            Ok(placed) => group.effects.push(Effect::Appended { log, placed, reply }),
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    fn place(
        &mut self,
        group: &mut Group,
        log: &Arc<Log>,
        batch: &Batch,
    ) -> Result<Placed, AppendError> {
        if self.failed {
            return Err(AppendError::Unavailable(Stopped::Failed.into()));
        }
        if log.bounds().deleted {
            return Err(AppendError::Deleted);
        }
        let size = batch.bytes().len();
        if size > MAX_BATCH {
            return Err(AppendError::TooLarge {
                size,
                limit: MAX_BATCH,
            });
        }
        let header = batch.header();
        let now_ms = group.now_ms;
        let keyspaces = &self.keyspaces;
        let appender = match self.appenders.entry(log.id) {
            std::collections::hash_map::Entry::Occupied(known) => &mut known.into_mut().1,
            std::collections::hash_map::Entry::Vacant(new) => {
                let loaded = Appender::load(keyspaces, log, now_ms);
                let loaded = loaded.map_err(AppendError::Unavailable)?;
                &mut new.insert((Arc::clone(log), loaded)).1
            }
        };
        match appender.check(header)? {
            Verdict::Duplicate { base_offset } => return Ok(Placed::Duplicate(base_offset)),
            Verdict::Write => {}
        }
        let base = appender.append(header, size, now_ms);
        let bytes = concat(batch.place(base, LEADER_EPOCH));
        let key = BatchKey::new(log.id, base, header);
        group
            .writes
            .insert(&keyspaces.batches, key.encode(), bytes.clone());
        if appender.is_due() {
            appender.save(log, keyspaces, &mut group.writes, now_ms);
        }
        group.bytes = group.bytes.saturating_add(size);
        Ok(Placed::New {
            base,
            end: key.end(),
            bytes,
        })
    }
}

/// Where an offered batch went.
#[derive(Debug)]
pub(super) enum Placed {
    /// To the end of the log, once the group is committed.
    New {
        base: Offset,
        end: Offset,
        bytes: Bytes,
    },
    /// It has been there since an earlier append, which may be in the same group.
    Duplicate(Offset),
}

/// One piece of memory of its own: the store keeps it for long, and the frame it came in is larger.
fn concat([head, rest]: [Bytes; 2]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(head.len() + rest.len());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&rest);
    bytes.freeze()
}
