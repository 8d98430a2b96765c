//! Producer ids from a topic, as `KoP` takes them: its last message is the next id that is free.
use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use kop_store::CatalogError;
use pulsar_client::{
    AccessMode, MessageMetadata, OutgoingEntry, Producer, ProducerError, ProducerOptions,
    ReadError, ReaderError, ReaderOptions, ReaderStart, SendError,
};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    admin::AdminError,
    clock,
    entry::{self, Span},
    naming::PulsarTopic,
    shared::Shared,
};

const TOPIC: &str = "__transaction_producerid_generator";
/// The name of whoever takes ids. A broker looks whether a holder of a name lives when another wants it;
/// exclusive access alone would leave the topic with a gateway that stands still until its connection dies.
const NAME: &str = "kop-producer-ids";
/// Ids taken at once.
const BLOCK: i64 = 1_000;
/// Times noted of when ids were taken.
const BIRTHS: usize = 1_024;
/// How long another gateway may be at it.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Why no ids could be taken.
#[derive(Debug, thiserror::Error)]
enum TakeError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("producer id topic is held by another")]
    Producer(#[from] ProducerError),
    #[error("producer id topic")]
    Open(#[from] ReaderError),
    #[error("producer id topic")]
    Read(#[from] ReadError),
    #[error("producer ids not written")]
    Send(#[from] SendError),
    #[error("the last message of {0} is not a producer id")]
    Damaged(PulsarTopic),
    #[error("no producer ids are left")]
    Exhausted,
}

/// Takes `count` ids.
pub(crate) async fn take(shared: &Shared, count: u32) -> Result<Range<i64>, CatalogError> {
    let count = i64::from(count);
    let mut held = shared.producer_ids.lock().await;
    if held.end - held.start < count {
        renew(shared, &mut held, count).await?;
    }
    let taken = held.start..held.start + count;
    held.start = taken.end;
    Ok(taken)
}

/// Takes a block of ids now, so that older ones are known to be older.
pub(crate) async fn mark(shared: &Shared) -> Result<(), CatalogError> {
    let mut held = shared.producer_ids.lock().await;
    renew(shared, &mut held, 1).await
}

async fn renew(shared: &Shared, held: &mut Range<i64>, count: i64) -> Result<(), CatalogError> {
    let now = i64::try_from(clock::now_millis()).unwrap_or(i64::MAX);
    let block = take_block(shared, count.max(BLOCK))
        .await
        .map_err(|error| CatalogError::Unavailable(error.into()))?;
    shared.producer_births.note(block.start, now);
    *held = block;
    Ok(())
}

/// When producer ids were taken, by this gateway or by another: not before the time noted with the
/// largest id noted that is not above it.
#[derive(Debug, Default)]
pub(crate) struct Births(Mutex<Vec<(i64, i64)>>);

impl Births {
    /// No id from `first` on was taken before `time`, in milliseconds since the epoch.
    pub(crate) fn note(&self, first: i64, time: i64) {
        let mut noted = self.lock();
        if noted.len() >= BIRTHS {
            // The first one stays.
            let mut keep = false;
            noted.retain(|_| {
                keep = !keep;
                keep
            });
        }
        noted.push((first, time));
    }

    /// The first id noted; the largest there is where none has been.
    pub(crate) fn first(&self) -> i64 {
        self.lock().first().map_or(i64::MAX, |(first, _)| *first)
    }

    /// The time before which an id was not taken; the earliest there is where that is not known.
    pub(crate) fn of(&self, id: i64) -> i64 {
        let noted = self.lock();
        let older = noted.partition_point(|(first, _)| *first <= id);
        let noted = older.checked_sub(1).and_then(|at| noted.get(at));
        noted.map_or(i64::MIN, |(_, time)| *time)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(i64, i64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn take_block(shared: &Shared, count: i64) -> Result<Range<i64>, TakeError> {
    let topic = shared.naming.metadata_topic(TOPIC);
    if !shared.admin.exists(&topic).await? {
        shared
            .admin
            .provide_namespace(&shared.naming.metadata_namespace())
            .await?;
        match shared.admin.create_plain(&topic).await {
            Ok(()) | Err(AdminError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let producer = alone(shared, &topic).await?;
    let next = next_id(shared, &topic).await?;
    let end = next.checked_add(count).ok_or(TakeError::Exhausted)?;
    write(&producer, end).await?;
    producer.close().await;
    Ok(next..end)
}

/// The only producer of that name, so that no one else reads the same last id. Gateways of earlier versions
/// have the topic exclusively, which a named producer respects, and is respected by.
async fn alone(shared: &Shared, topic: &PulsarTopic) -> Result<Producer, ProducerError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let options = ProducerOptions {
            name: Some(NAME.to_owned()),
            access: AccessMode::Shared,
        };
        match shared.client.producer(topic.as_str(), options).await {
            Err(ProducerError::Busy(_) | ProducerError::Fenced(_))
                if Instant::now() + PAUSE < deadline =>
            {
                sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

async fn next_id(shared: &Shared, topic: &PulsarTopic) -> Result<i64, TakeError> {
    let name = topic.as_str();
    let reader = shared
        .client
        .reader(name, ReaderStart::Latest, ReaderOptions::default())
        .await?;
    let Some(last) = reader.last_message_id().await? else {
        // A topic whose messages were all removed must not begin again: the clock is far ahead of
        // every id that was ever counted.
        let trimmed = shared.admin.internal_stats(topic).await?.index_on_record();
        let used = trimmed.is_some_and(|index| index >= 0);
        let now = i64::try_from(clock::now_millis()).unwrap_or(i64::MAX / 2);
        return Ok(if used { now } else { 0 });
    };
    let mut reader = shared
        .client
        .reader(name, ReaderStart::At(last), ReaderOptions::default())
        .await?;
    let damaged = || TakeError::Damaged(topic.clone());
    let entry = timeout(PATIENCE, reader.next())
        .await
        .map_err(|_| damaged())??;
    let entry = entry.ok_or_else(damaged)?;
    let span = Span {
        base: 0,
        end: i64::from(entry.metadata.messages()),
    };
    let batches =
        entry::decode(false, &entry.metadata, &entry.payload, span).map_err(|_| damaged())?;
    let record = batches
        .last()
        .and_then(|placed| placed.batch.records().ok()?.pop())
        .and_then(|record| record.value)
        .ok_or_else(damaged)?;
    let id = record.first_chunk().map(|bytes| i64::from_be_bytes(*bytes));
    id.filter(|id| *id >= 0 && record.len() == 8)
        .ok_or_else(damaged)
}

async fn write(producer: &Producer, next: i64) -> Result<(), SendError> {
    // They rise for ever, as brokers that deduplicate ask for.
    let known = u64::try_from(producer.last_sequence_id()).map_or(0, |last| last + 1);
    let sequence = known.max(clock::now_micros());
    let metadata = MessageMetadata {
        producer_name: producer.name().to_owned(),
        sequence_id: sequence,
        publish_time: clock::now_millis(),
        partition_key: Some(Bytes::new()),
        ..MessageMetadata::default()
    };
    let entry = OutgoingEntry {
        sequence_id: sequence,
        num_messages: 1,
        metadata,
        payload: vec![Bytes::copy_from_slice(&next.to_be_bytes())],
        checksum: true,
    };
    producer.send(entry).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_was_not_taken_before_the_block_that_begins_below_it() {
        let births = Births::default();
        assert_eq!((births.first(), births.of(7)), (i64::MAX, i64::MIN));
        births.note(1_000, 50);
        births.note(3_000, 90);
        let times = [999, 1_000, 2_999, 3_000, i64::MAX].map(|id| births.of(id));
        assert_eq!(times, [i64::MIN, 50, 50, 90, 90]);
        assert_eq!(births.first(), 1_000);
    }

    #[test]
    fn when_many_blocks_were_taken_some_times_are_forgotten_and_none_is_too_late() {
        let births = Births::default();
        for block in 0..10_000 {
            births.note(block * 10, block);
        }
        assert!(births.lock().len() <= BIRTHS);
        for id in 0..100_000 {
            assert!(births.of(id) <= id / 10 && births.of(id) >= 0);
        }
    }
}
