//! What the stories ask of a server in one version of each API, with the answer as it came: for claims
//! that no ordinary client lets one make.

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    CreateTopicsRequest, FetchRequest, OffsetCommitRequest, OffsetFetchRequest, ProduceRequest,
};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchDecoder, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType,
};
use std::io;

use super::{Connection, text};

/// `COORDINATOR_LOAD_IN_PROGRESS` and `NOT_COORDINATOR`: ask again.
pub const COORDINATOR_STARTS: [i16; 2] = [14, 16];

/// A request of version 9 that appends a batch to each of a topic's partitions, durably.
#[must_use]
pub fn produce(topic: &str, batches: impl IntoIterator<Item = (i32, Bytes)>) -> ProduceRequest {
    let partition = |(index, batch)| {
        PartitionProduceData::default()
            .with_index(index)
            .with_records(Some(batch))
    };
    let topic = TopicProduceData::default()
        .with_name(text(topic).into())
        .with_partition_data(batches.into_iter().map(partition).collect());
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic])
}

impl Connection {
    /// Makes a topic.
    ///
    /// # Errors
    /// It is refused.
    pub fn create(&mut self, name: &str, partitions: i32) -> Result<()> {
        let topic = CreatableTopic::default()
            .with_name(text(name).into())
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default().with_topics(vec![topic]);
        let created = self.call(7, &request)?;
        let refused = created.topics.iter().any(|topic| topic.error_code != 0);
        ensure!(!refused, "{created:?}");
        Ok(())
    }

    /// Appends a batch and gives the error code and the offset of its first record.
    ///
    /// # Errors
    /// There is no answer.
    pub fn produce(&mut self, topic: &str, partition: i32, batch: Bytes) -> Result<(i16, i64)> {
        let mut response = self.call(9, &produce(topic, [(partition, batch)]))?;
        let topic = response.responses.pop().context("no topic in the answer")?;
        let partition = topic.partition_responses.first();
        let partition = partition.context("no partition in the answer")?;
        Ok((partition.error_code, partition.base_offset))
    }

    /// Commits an offset for a group without members and gives the error code.
    ///
    /// # Errors
    /// There is no answer.
    pub fn commit(&mut self, group: &str, topic: &str, offset: i64, note: &str) -> Result<i16> {
        let partition = OffsetCommitRequestPartition::default()
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text(note)));
        let topic = OffsetCommitRequestTopic::default()
            .with_name(text(topic).into())
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(text(group).into())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        let mut response = self.call(8, &request)?;
        let topic = response.topics.pop().context("no topic in the answer")?;
        let partition = topic.partitions.first();
        Ok(partition.context("no partition in the answer")?.error_code)
    }

    /// The offset that a group has committed, −1 for none, or the error code.
    ///
    /// # Errors
    /// There is no answer.
    pub fn committed(&mut self, group: &str, topic: &str) -> Result<Result<i64, i16>> {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(text(topic).into())
            .with_partition_indexes(vec![0]);
        let request = OffsetFetchRequest::default()
            .with_group_id(text(group).into())
            .with_topics(Some(vec![topic]));
        let mut response = self.call(7, &request)?;
        if response.error_code != 0 {
            return Ok(Err(response.error_code));
        }
        let topic = response.topics.pop().context("no topic in the answer")?;
        let partition = topic.partitions.first();
        let partition = partition.context("no partition in the answer")?;
        Ok(match partition.error_code {
            0 => Ok(partition.committed_offset),
            code => Err(code),
        })
    }

    /// Reads once from an offset on.
    ///
    /// # Errors
    /// There is no answer, or one that cannot be read.
    pub fn fetch(&mut self, topic: &str, partition: i32, from: i64) -> Result<Fetched> {
        let wanted = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(from)
            .with_partition_max_bytes(4 << 20);
        let wanted = FetchTopic::default()
            .with_topic(text(topic).into())
            .with_partitions(vec![wanted]);
        let request = FetchRequest::default()
            .with_max_bytes(8 << 20)
            .with_session_epoch(-1)
            .with_topics(vec![wanted]);
        let mut response = self.call(12, &request)?;
        ensure!(response.error_code == 0, "fetch: {}", response.error_code);
        let data = response
            .responses
            .pop()
            .and_then(|mut t| t.partitions.pop());
        let data = data.context("no partition in the answer")?;
        let mut bytes = data.records.unwrap_or_default();
        let mut records = Vec::new();
        // Checks each batch's checksum, too.
        for batch in RecordBatchDecoder::decode_all(&mut bytes)? {
            for record in batch.records {
                let value = record.value.context("a record without value")?;
                records.push((record.offset, value));
            }
        }
        records.retain(|(offset, _)| *offset >= from);
        Ok(Fetched {
            error_code: data.error_code,
            high: data.high_watermark,
            records,
        })
    }

    /// Reads all records from an offset on, with their offsets.
    ///
    /// # Errors
    /// Any error on the way, or none and no progress.
    pub fn fetch_all(
        &mut self,
        topic: &str,
        partition: i32,
        from: i64,
    ) -> Result<Vec<(i64, Bytes)>> {
        let mut all = Vec::new();
        let mut position = from;
        loop {
            let read = self.fetch(topic, partition, position)?;
            ensure!(
                read.error_code == 0,
                "fetch at {position}: {}",
                read.error_code
            );
            if position == read.high {
                return Ok(all);
            }
            let last = read.records.last().map(|(offset, _)| *offset);
            position = last.with_context(|| format!("nothing at {position}"))? + 1;
            all.extend(read.records);
        }
    }
}

/// What a fetch of one partition brought.
#[derive(Debug)]
pub struct Fetched {
    /// Kafka's code; 0 is none.
    pub error_code: i16,
    /// The high watermark.
    pub high: i64,
    /// Offsets and values.
    pub records: Vec<(i64, Bytes)>,
}

/// Whether an error says that the other side is gone. Silence is none of these.
#[must_use]
pub fn is_lost(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(
        kind,
        Some(
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::BrokenPipe
        )
    )
}

/// Who wrote a batch, for the broker to recognise a repetition: id, epoch and first sequence number.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// The producer's id.
    pub producer: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Sequence number of the first record.
    pub sequence: i32,
}

/// A producer that the broker need not recognise.
pub const NOBODY: Stamp = Stamp {
    producer: -1,
    epoch: -1,
    sequence: -1,
};

/// A record batch with these values.
///
/// # Errors
/// There are none.
pub fn batch(stamp: Stamp, values: Vec<String>) -> Result<Bytes> {
    let mut records = Vec::with_capacity(values.len());
    for (index, value) in (0..).zip(values) {
        records.push(Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: stamp.producer,
            producer_epoch: stamp.epoch,
            timestamp_type: TimestampType::Creation,
            // The encoder puts into one batch what has the same distance between the two.
            offset: i64::from(index),
            sequence: stamp.sequence + index,
            timestamp: 1_700_000_000_000,
            key: None,
            value: Some(value.into()),
            headers: Default::default(),
        });
    }
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records, &options).context("a batch")?;
    Ok(bytes.freeze())
}
