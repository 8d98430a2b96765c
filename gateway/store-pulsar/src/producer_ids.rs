//! Producer ids from a topic, as `KoP` takes them: its last message is the next id that is free.
use std::{ops::Range, sync::atomic::Ordering, time::Duration};

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
/// Ids taken at once.
const BLOCK: i64 = 1_000;
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
        let block = take_block(shared, count.max(BLOCK))
            .await
            .map_err(|error| CatalogError::Unavailable(error.into()))?;
        shared
            .fresh_producer_ids
            .fetch_min(block.start, Ordering::AcqRel);
        *held = block;
    }
    let taken = held.start..held.start + count;
    held.start = taken.end;
    Ok(taken)
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

/// The topic's only producer, so that no one else reads the same last id.
async fn alone(shared: &Shared, topic: &PulsarTopic) -> Result<Producer, ProducerError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let options = ProducerOptions {
            name: None,
            access: AccessMode::Exclusive,
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
    let sequence = u64::try_from(producer.last_sequence_id()).map_or(0, |last| last + 1);
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
