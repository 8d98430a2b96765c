//! Records as they are stored.

use super::{Wire, good, only, topic_name};
use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{fetch_request as fetch, produce_request as produce};
use kafka_protocol::records::{
    BatchDecodeInfo, Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID,
    NO_SEQUENCE, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};
use std::time::SystemTime;

/// A batch as it is stored.
#[derive(Debug)]
pub struct Batch {
    /// What stands before its records.
    pub header: BatchDecodeInfo,
    /// Its records; empty if they are compressed. Of headers with the same name only the last is here.
    pub records: Vec<Record>,
}

impl Wire {
    /// Writes records (key, value) as one uncompressed batch and gives the first one's offset.
    ///
    /// # Errors
    /// They are not acknowledged.
    pub fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        records: &[(Option<String>, Option<String>)],
    ) -> Result<i64> {
        let partition = produce::PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(batch_of(records)?));
        let topic = produce::TopicProduceData::default()
            .with_name(topic_name(topic))
            .with_partition_data(vec![partition]);
        let request = produce::ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![topic]);
        self.ask(8, &request, |answer| {
            let answer = only(&only(&answer.responses)?.partition_responses)?;
            good(answer.error_code)?;
            Ok(answer.base_offset)
        })
    }

    /// All batches of a partition as they are stored.
    ///
    /// # Errors
    /// The server refuses, or answers what is no batch.
    pub fn stored(&mut self, topic: &str, partition: i32) -> Result<Vec<Batch>> {
        let mut stored = Vec::new();
        let mut next = 0;
        loop {
            let (end, mut bytes) = self.fetched(topic, partition, next)?;
            if next >= end {
                return Ok(stored);
            }
            ensure!(
                !bytes.is_empty(),
                "nothing at {next} of {topic}-{partition}"
            );
            while !bytes.is_empty() {
                let mut batch = one_batch(&mut bytes)?;
                let header = RecordBatchDecoder::decode_batch_info(&mut batch.clone())?;
                let header = header.into_iter().next().context("a batch of version 2")?;
                next = header.min_offset + i64::from(last_offset_delta(&batch)?) + 1;
                let records = match header.compression {
                    Compression::None => RecordBatchDecoder::decode(&mut batch)?.records,
                    _ => Vec::new(),
                };
                stored.push(Batch { header, records });
            }
        }
    }

    /// The end of a partition, and batches from an offset on.
    fn fetched(&mut self, topic: &str, partition: i32, offset: i64) -> Result<(i64, Bytes)> {
        const BYTES: i32 = 1 << 20;
        let partition = fetch::FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(BYTES);
        let wanted = fetch::FetchTopic::default()
            .with_topic(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = fetch::FetchRequest::default()
            .with_max_bytes(BYTES)
            .with_topics(vec![wanted]);
        self.ask(11, &request, |answer| {
            good(answer.error_code)?;
            let answer = only(&only(&answer.responses)?.partitions)?;
            good(answer.error_code).with_context(|| format!("fetch {topic}"))?;
            let records = answer.records.clone().unwrap_or_default();
            Ok((answer.high_watermark, records))
        })
    }
}

fn batch_of(records: &[(Option<String>, Option<String>)]) -> Result<Bytes> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = i64::try_from(now.as_millis())?;
    // A batch goes on as long as sequences rise with offsets.
    let places = (0..).zip(NO_SEQUENCE..);
    let records: Vec<Record> = places
        .zip(records)
        .map(|((offset, sequence), (key, value))| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            timestamp_type: TimestampType::Creation,
            offset,
            sequence,
            timestamp: now,
            key: key.clone().map(Bytes::from),
            value: value.clone().map(Bytes::from),
            headers: Default::default(),
        })
        .collect();
    let mut batch = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    RecordBatchEncoder::encode(&mut batch, &records, &options)?;
    Ok(batch.freeze())
}

fn one_batch(bytes: &mut Bytes) -> Result<Bytes> {
    const LENGTH: std::ops::Range<usize> = 8..12;
    let length = bytes.get(LENGTH).context("a batch's length")?;
    let length = usize::try_from(i32::from_be_bytes(length.try_into()?))?;
    let whole = LENGTH.end + length;
    ensure!(bytes.len() >= whole, "a batch that is cut off");
    Ok(bytes.split_to(whole))
}

fn last_offset_delta(batch: &[u8]) -> Result<i32> {
    let delta = batch.get(23..27).context("a batch's last offset")?;
    Ok(i32::from_be_bytes(delta.try_into()?))
}
