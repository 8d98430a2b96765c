//! What an engine must keep, whatever it is made of.
//!
//! Each function is one promise of the port; it makes topics of its own and panics where the promise
//! is broken. Batches are compared by their records: an engine may store them in another form.
use std::{future::Future, time::Duration};

use bytes::Bytes;
use kop_wire::{Batch, BatchBuilder, Compression, Offset, Record, Timestamp, TopicName};
use uuid::Uuid;

use crate::{Catalog, NewTopic, Partition, PartitionId, ReadLimit, Topic, TopicConfig};

mod appends;
mod configs;
mod reads;
mod topics;

/// What an engine may leave out, for now.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    /// [`Partition::truncate_before`] works, rather than answering an error.
    pub truncates: bool,
    /// Topics can be configured: `max.message.bytes`, `message.timestamp.after.max.ms`.
    pub configures: bool,
    /// Logs give their own time (`message.timestamp.type`).
    pub log_append_time: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            truncates: true,
            configures: true,
            log_append_time: true,
        }
    }
}

/// The longest that any one call may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs the whole suite, one promise after the other. The store may hold other topics; no one else may
/// write to those that the suite makes.
///
/// # Panics
/// A promise is broken.
pub async fn run_all<C: Catalog>(catalog: &C, capabilities: Capabilities) {
    topics::topics_come_and_go(catalog).await;
    topics::what_does_not_exist_does_not_open(catalog).await;
    topics::a_deleted_topic_is_gone_for_those_who_opened_it(catalog).await;
    topics::deletion_wakes_those_who_wait(catalog).await;
    topics::a_topic_grows_and_keeps_what_it_has(catalog).await;
    topics::producer_ids_are_given_once(catalog).await;
    configs::what_is_not_honoured_is_refused(catalog).await;
    if capabilities.configures {
        configs::what_is_set_holds_and_is_told(catalog).await;
        configs::a_change_is_made_from_what_is_set(catalog).await;
    }
    if capabilities.log_append_time {
        configs::the_log_gives_its_own_time(catalog).await;
    }
    appends::offsets_begin_at_zero_and_have_no_gaps(catalog).await;
    appends::appends_keep_the_order_they_were_polled_in(catalog).await;
    appends::an_append_that_began_is_finished(catalog).await;
    appends::partitions_are_logs_of_their_own(catalog).await;
    appends::a_repeated_batch_is_written_once(catalog).await;
    appends::batches_repeated_in_flight_are_written_once(catalog).await;
    appends::sequences_and_epochs_are_checked(catalog).await;
    appends::producers_are_remembered(catalog).await;
    reads::records_come_back_as_they_were(catalog).await;
    reads::keyed_records_of_the_group_log_come_back(catalog).await;
    reads::a_large_batch_comes_back(catalog).await;
    reads::a_read_begins_with_the_batch_that_holds_its_offset(catalog).await;
    reads::a_read_keeps_its_limit(catalog).await;
    reads::reads_outside_of_the_log_are_refused(catalog).await;
    reads::whoever_waits_for_records_is_woken(catalog).await;
    reads::times_are_found_exactly(catalog).await;
    reads::the_newest_record_is_found(catalog).await;
    reads::sizes_are_those_of_the_batches(catalog).await;
    if capabilities.truncates {
        reads::what_is_truncated_is_no_longer_read(catalog).await;
    }
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} took longer than {DEADLINE:?}"),
    }
}

fn fresh_name() -> TopicName {
    TopicName::new(&format!("conformance-{}", Uuid::new_v4())).expect("letters, digits, dashes")
}

async fn create<C: Catalog>(catalog: &C, name: &TopicName, partitions: u32) -> Topic {
    let new = NewTopic {
        name: name.clone(),
        partitions,
        config: TopicConfig::new(),
    };
    soon("create", catalog.create(new))
        .await
        .expect("the topic is new")
}

async fn open<C: Catalog>(catalog: &C, topic: &TopicName, index: i32) -> C::Partition {
    let id = PartitionId {
        topic: topic.clone(),
        index,
    };
    soon("open", catalog.open(&id))
        .await
        .expect("the partition exists")
}

/// The only partition of a new topic.
async fn fresh_partition<C: Catalog>(catalog: &C) -> C::Partition {
    let name = fresh_name();
    create(catalog, &name, 1).await;
    open(catalog, &name, 0).await
}

/// A batch of small records with the given timestamps.
fn batch_at(times: &[i64]) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    for (n, time) in times.iter().enumerate() {
        builder.push(Record {
            timestamp: Timestamp(*time),
            key: Some(Bytes::from(format!("key {n}"))),
            value: Some(Bytes::from(format!("value {n} at {time}"))),
            ..Record::default()
        });
    }
    builder.build().expect("small records fit")
}

/// A batch of one record with that value.
fn batch_of(value: &str) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(Record {
        timestamp: Timestamp(1_700_000_000_000),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        ..Record::default()
    });
    builder.build().expect("a small record fits")
}

/// A batch of an idempotent producer.
fn sequenced(producer_id: i64, epoch: i16, sequence: i32, records: i32) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None).producer(producer_id, epoch, sequence);
    for n in 0..records {
        builder.push(Record {
            timestamp: Timestamp(1_700_000_000_000),
            value: Some(Bytes::from(format!(
                "{producer_id}/{epoch}/{}",
                sequence + n
            ))),
            ..Record::default()
        });
    }
    builder.build().expect("small records fit")
}

async fn append<P: Partition>(partition: &P, batch: Batch) -> Offset {
    let appended = soon("append", partition.append(batch))
        .await
        .expect("the batch is fine");
    assert!(!appended.duplicate, "a new batch is no duplicate");
    appended.base_offset
}

const PLENTY: ReadLimit = ReadLimit {
    max_bytes: 1 << 20,
    at_least_one: true,
};

/// Reads as a consumer does, to the end.
async fn read_from<P: Partition>(partition: &P, from: Offset) -> Vec<Record> {
    let mut position = from;
    let mut records = Vec::new();
    loop {
        let fetched = soon("read", partition.read(position, PLENTY))
            .await
            .expect("in range");
        if position >= fetched.watermarks.high {
            return records;
        }
        let mut next = position;
        for batch in Batch::split(Bytes::from(fetched.chunks.concat())) {
            let batch = batch.expect("whole batches");
            let wanted = |record: &Record| record.offset >= position;
            let found = batch.records().expect("records as they were sent");
            records.extend(found.into_iter().filter(wanted));
            next = batch.header().last_offset() + 1;
        }
        assert!(next > position, "a read before the end makes progress");
        position = next;
    }
}

fn values(records: &[Record]) -> Vec<String> {
    let value = |record: &Record| {
        String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
    };
    records.iter().map(value).collect()
}
