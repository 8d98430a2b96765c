//! Appends: judge, place, put into the group.
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use bytes::{Bytes, BytesMut};
use kop_store::{AppendError, Appended, producer_state::Verdict};
use kop_wire::{Batch, Offset};

use super::{Group, Reply, Stopped, Writer, commit::Effect};
use crate::{engine::locked, format::BatchKey, log::Log, producers::Appender};

/// Largest batch that is taken, in bytes. Kafka's own limit, `max.message.bytes`, is far below.
const MAX_BATCH: usize = 64 * 1024 * 1024;
/// Leader epoch of everything a single node writes.
const LEADER_EPOCH: i32 = 0;

/// The most bytes in the queue that no caller waits for any more.
const MAX_ABANDONED: usize = 64 * 1024 * 1024;

/// A batch that waits for the writer thread.
///
/// A caller that goes leaves it behind, to be written as Kafka writes what it has received from a
/// connection that then broke. So that a disk that hangs does not fill the memory, only so much is
/// left behind; beyond, a caller takes its batch along.
#[derive(Debug)]
pub(crate) struct Offered {
    offer: Mutex<Offer>,
    abandoned: Arc<AbandonedBytes>,
}

/// How much of the queue is abandoned.
#[derive(Debug, Default)]
pub(crate) struct AbandonedBytes(AtomicUsize);

#[derive(Debug)]
struct Offer {
    batch: Option<Batch>,
    is_abandoned: bool,
}

impl Offered {
    pub(crate) fn new(batch: Batch, abandoned: &Arc<AbandonedBytes>) -> Arc<Self> {
        let offer = Offer {
            batch: Some(batch),
            is_abandoned: false,
        };
        Arc::new(Self {
            offer: Mutex::new(offer),
            abandoned: Arc::clone(abandoned),
        })
    }

    /// The batch, unless its caller took it along.
    pub(crate) fn take(&self) -> Option<Batch> {
        let mut offer = locked(&self.offer);
        let batch = offer.batch.take()?;
        if offer.is_abandoned {
            self.abandoned
                .0
                .fetch_sub(batch.bytes().len(), Ordering::Relaxed);
        }
        Some(batch)
    }

    /// The caller goes.
    pub(crate) fn abandon(&self) {
        let mut offer = locked(&self.offer);
        let Some(batch) = &offer.batch else { return };
        let size = batch.bytes().len();
        let before = self.abandoned.0.fetch_add(size, Ordering::Relaxed);
        if before.saturating_add(size) > MAX_ABANDONED {
            self.abandoned.0.fetch_sub(size, Ordering::Relaxed);
            offer.batch = None;
        } else {
            offer.is_abandoned = true;
        }
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

#[cfg(test)]
mod tests {
    use kop_wire::{BatchBuilder, Compression, Record};

    use super::*;

    fn batch(size: usize) -> Batch {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(Record {
            value: Some(vec![0; size].into()),
            ..Record::default()
        });
        builder.build().unwrap()
    }

    #[test]
    fn what_a_caller_leaves_behind_is_written_up_to_a_limit() {
        let abandoned = Arc::default();
        let offer = |size| {
            let offered = Offered::new(batch(size), &abandoned);
            offered.abandon();
            offered
        };
        let (first, second) = (offer(MAX_ABANDONED * 2 / 3), offer(MAX_ABANDONED / 2));
        assert!(second.take().is_none(), "that was too much");
        assert!(first.take().is_some());
        first.abandon();
        assert!(
            offer(MAX_ABANDONED / 2).take().is_some(),
            "there is room again"
        );
        assert_eq!(abandoned.0.load(Ordering::Relaxed), 0);
    }
}
