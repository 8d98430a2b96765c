//! Appends: judge, place, put into the group.
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use kop_store::{
    AppendError, Appended, Cause, ReadError,
    producer_state::{ActiveProducer, Verdict},
};
use kop_wire::{Batch, Offset, Timestamp, TimestampType};

use super::{Group, Reply, Writer, commit::Effect};
use crate::{
    engine::locked,
    format::{BatchKey, LogId},
    keyspaces::Keyspaces,
    log::Log,
    producers::Appender,
    segments::appending as segments,
};

/// Largest batch that is taken, in bytes. Kafka's own limit, `max.message.bytes`, is far below.
pub(crate) const MAX_BATCH: usize = 64 * 1024 * 1024;
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

    /// The producers that are remembered, those of appends included that are being written.
    pub(super) fn producers(
        &mut self,
        group: &Group,
        log: &Arc<Log>,
    ) -> Result<Vec<ActiveProducer>, ReadError> {
        if log.bounds().deleted {
            return Err(ReadError::Deleted);
        }
        let appender = appender(&mut self.appenders, &self.keyspaces, log, group.now_ms);
        let appender = appender.map_err(ReadError::Unavailable)?;
        Ok(appender.producers(group.now_ms))
    }

    fn place(
        &mut self,
        group: &mut Group,
        log: &Arc<Log>,
        batch: &Batch,
    ) -> Result<Placed, AppendError> {
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
        let now_ms = group.now_ms;
        let time = log.live.get().log_append_time.then_some(Timestamp(now_ms));
        let stamped = time.map(|time| batch.appended_at(time));
        let batch = stamped.as_ref().unwrap_or(batch);
        let header = batch.header();
        let keyspaces = &self.keyspaces;
        let appender = appender(&mut self.appenders, keyspaces, log, now_ms);
        let appender = appender.map_err(AppendError::Unavailable)?;
        match appender.check(header)? {
            Verdict::Duplicate { base_offset } => {
                return Ok(Placed::Duplicate {
                    base: base_offset,
                    time: stamped_at(keyspaces, log, base_offset)?,
                });
            }
            Verdict::Write => {}
        }
        let base = appender.append(header, size, now_ms);
        let placed = batch.place(base, LEADER_EPOCH);
        let key = BatchKey::new(log.id, base, header);
        group.keys.push(key);
        group.batches.push((log.id, placed.clone()));
        if appender.is_due() {
            appender.save(log, keyspaces, &mut group.writes, now_ms);
        }
        group.bytes = group.bytes.saturating_add(size);
        Ok(Placed::New {
            base,
            end: key.end(),
            batch: placed,
            time,
        })
    }
}

/// What is known of the end of a log, read when it is needed first.
pub(super) fn appender<'a>(
    appenders: &'a mut HashMap<LogId, (Arc<Log>, Appender)>,
    keyspaces: &Keyspaces,
    log: &Arc<Log>,
    now_ms: i64,
) -> Result<&'a mut Appender, Cause> {
    match appenders.entry(log.id) {
        Entry::Occupied(known) => Ok(&mut known.into_mut().1),
        Entry::Vacant(new) => {
            let loaded = Appender::load(keyspaces, log, now_ms)?;
            Ok(&mut new.insert((Arc::clone(log), loaded)).1)
        }
    }
}

/// The time that a log gave to the batch at an offset; `None` where its producer's holds, and where the
/// batch is gone or stands in the group that is being written.
fn stamped_at(
    keyspaces: &Keyspaces,
    log: &Log,
    base: Offset,
) -> Result<Option<Timestamp>, AppendError> {
    let range = log.id.key_at(base)..log.id.key_at(base + 1);
    let Some(found) = keyspaces.batches.range(range).next() else {
        return Ok(None);
    };
    let unavailable = |error: Cause| AppendError::Unavailable(error);
    let (key, value) = found
        .into_inner()
        .map_err(|error| unavailable(error.into()))?;
    let bytes = keyspaces.batch(log.id, &key, value);
    let Some(bytes) = bytes.map_err(|error| unavailable(error.into()))? else {
        return Ok(None);
    };
    let batch = Batch::parse_stored(bytes).map_err(|error| unavailable(error.into()))?;
    let header = batch.header();
    let stamped = header.timestamp_type() == TimestampType::LogAppend;
    Ok(stamped.then_some(header.max_timestamp))
}

/// Where an offered batch went.
#[derive(Debug)]
pub(super) enum Placed {
    /// To the end of the log, once the group is committed.
    New {
        base: Offset,
        end: Offset,
        batch: segments::Batch,
        /// The time that the log gave it, if it did.
        time: Option<Timestamp>,
    },
    /// It has been there since an earlier append, which may be in the same group.
    Duplicate {
        base: Offset,
        /// The time that the log gave it, if it did and still knows.
        time: Option<Timestamp>,
    },
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
