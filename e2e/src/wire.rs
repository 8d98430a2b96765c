//! The stories' own Kafka client: it prepares what a client under test reads, and looks at what one
//! has written as it is stored. It speaks one version of each API and follows no redirects.

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    GroupId, RequestHeader, ResponseHeader, TopicName, consumer_protocol_assignment as assignment,
    create_topics_request as create, describe_configs_request as configs,
    describe_groups_request as groups, fetch_request as fetch, metadata_request as metadata,
    offset_fetch_request as committed, produce_request as produce,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{
    BatchDecodeInfo, Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID,
    NO_SEQUENCE, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

/// Longer than any answer takes.
const DEADLINE: Duration = Duration::from_secs(30);
/// Kafka's resource type for the configuration of a topic.
const TOPIC: i8 = 2;

/// A connection to one server.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    next: i32,
}

/// A member of a group, as the coordinator knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What the client calls itself.
    pub client_id: String,
    /// Partitions that it was given, of all topics.
    pub partitions: BTreeSet<i32>,
}

impl Wire {
    /// Connects to HOST:PORT.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(bootstrap: &str) -> Result<Self> {
        let stream = TcpStream::connect(bootstrap).with_context(|| format!("dial {bootstrap}"))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, next: 1 })
    }

    fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        let number = self.next;
        self.next += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(number)
            .with_client_id(Some(StrBytes::from_static_str("story")));
        let mut frame = BytesMut::new();
        header.encode(&mut frame, R::header_version(version))?;
        request.encode(&mut frame, version)?;
        let size = i32::try_from(frame.len())?;
        self.stream.write_all(&size.to_be_bytes())?;
        self.stream.write_all(&frame)?;

        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size))?];
        self.stream.read_exact(&mut frame)?;
        let mut frame = Bytes::from(frame);
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version))?;
        ensure!(
            header.correlation_id == number,
            "an answer to another request"
        );
        R::Response::decode(&mut frame, version)
    }

    /// Makes a topic, with settings.
    ///
    /// # Errors
    /// The server refuses.
    pub fn create(
        &mut self,
        topic: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<()> {
        let settings = settings.iter().map(|(name, value)| {
            create::CreatableTopicConfig::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
        });
        let wanted = create::CreatableTopic::default()
            .with_name(topic_name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(settings.collect());
        let request = create::CreateTopicsRequest::default()
            .with_topics(vec![wanted])
            .with_timeout_ms(30_000);
        let answer = self.call(4, &request)?;
        let answer = answer.topics.first().context("an answer for the topic")?;
        good(answer.error_code).with_context(|| format!("create {topic}"))
    }

    /// How many partitions the topic has; `None` if there is no such topic. Does not create it.
    ///
    /// # Errors
    /// Another answer.
    pub fn partitions(&mut self, topic: &str) -> Result<Option<i32>> {
        let request = metadata::MetadataRequest::default()
            .with_topics(Some(vec![
                metadata::MetadataRequestTopic::default().with_name(Some(topic_name(topic))),
            ]))
            .with_allow_auto_topic_creation(false);
        let answer = self.call(8, &request)?;
        let answer = answer.topics.first().context("an answer for the topic")?;
        if answer.error_code == ResponseError::UnknownTopicOrPartition.code() {
            return Ok(None);
        }
        good(answer.error_code)?;
        Ok(Some(i32::try_from(answer.partitions.len())?))
    }

    /// The value of a topic's setting as it is in force.
    ///
    /// # Errors
    /// No such topic or setting.
    pub fn setting(&mut self, topic: &str, name: &str) -> Result<String> {
        let request = configs::DescribeConfigsRequest::default().with_resources(vec![
            configs::DescribeConfigsResource::default()
                .with_resource_type(TOPIC)
                .with_resource_name(text(topic))
                .with_configuration_keys(Some(vec![text(name)])),
        ]);
        let answer = self.call(3, &request)?;
        let answer = answer.results.first().context("an answer for the topic")?;
        good(answer.error_code)?;
        let entry = answer
            .configs
            .iter()
            .find(|entry| entry.name.as_str() == name);
        let entry = entry.with_context(|| format!("{topic} has no setting {name}"))?;
        Ok(entry.value.as_ref().context("a value")?.to_string())
    }

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
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let now = i64::try_from(now.as_millis())?;
        // A batch goes on as long as sequences rise with offsets.
        let records: Vec<Record> = (0..)
            .zip(NO_SEQUENCE..)
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
        let partition = produce::PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(batch.freeze()));
        let request = produce::ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![
                produce::TopicProduceData::default()
                    .with_name(topic_name(topic))
                    .with_partition_data(vec![partition]),
            ]);
        let answer = self.call(8, &request)?;
        let answer = answer
            .responses
            .first()
            .context("an answer for the topic")?;
        let answer = answer
            .partition_responses
            .first()
            .context("its partition")?;
        good(answer.error_code)?;
        Ok(answer.base_offset)
    }

    /// All batches of a partition as they are stored.
    ///
    /// # Errors
    /// The server refuses, or answers what is no batch.
    pub fn stored(&mut self, topic: &str, partition: i32) -> Result<Vec<Batch>> {
        let mut stored = Vec::new();
        let mut next = 0;
        loop {
            let wanted = fetch::FetchPartition::default()
                .with_partition(partition)
                .with_fetch_offset(next)
                .with_partition_max_bytes(1 << 20);
            let request = fetch::FetchRequest::default()
                .with_max_bytes(1 << 20)
                .with_topics(vec![
                    fetch::FetchTopic::default()
                        .with_topic(topic_name(topic))
                        .with_partitions(vec![wanted]),
                ]);
            let answer = self.call(11, &request)?;
            good(answer.error_code)?;
            let answer = answer
                .responses
                .first()
                .context("an answer for the topic")?;
            let answer = answer.partitions.first().context("its partition")?;
            good(answer.error_code).with_context(|| format!("fetch {topic}-{partition}"))?;
            if next >= answer.high_watermark {
                return Ok(stored);
            }
            let mut bytes = answer.records.clone().context("records below the end")?;
            ensure!(
                !bytes.is_empty(),
                "nothing at {next} of {topic}-{partition}"
            );
            while !bytes.is_empty() {
                let mut batch = one_batch(&mut bytes)?;
                let mut header = batch.clone();
                let header = RecordBatchDecoder::decode_batch_info(&mut header)?;
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

    /// Members of a group that is stable; `None` while it is not.
    ///
    /// # Errors
    /// The server refuses.
    pub fn members(&mut self, group: &str) -> Result<Option<Vec<Member>>> {
        let request =
            groups::DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
        let answer = self.call(4, &request)?;
        let answer = answer.groups.first().context("an answer for the group")?;
        good(answer.error_code)?;
        if answer.group_state.as_str() != "Stable" {
            return Ok(None);
        }
        let members = answer.members.iter().map(|member| {
            let mut bytes = member.member_assignment.clone();
            Ok(Member {
                client_id: member.client_id.to_string(),
                partitions: assigned(&mut bytes)?,
            })
        });
        members.collect::<Result<_>>().map(Some)
    }

    /// The offsets that a group has committed for a topic's first partitions.
    ///
    /// # Errors
    /// The server refuses.
    pub fn committed(
        &mut self,
        group: &str,
        topic: &str,
        partitions: i32,
    ) -> Result<BTreeMap<i32, i64>> {
        let request = committed::OffsetFetchRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(Some(vec![
                committed::OffsetFetchRequestTopic::default()
                    .with_name(topic_name(topic))
                    .with_partition_indexes((0..partitions).collect()),
            ]));
        let answer = self.call(5, &request)?;
        good(answer.error_code)?;
        let answer = answer.topics.first().context("an answer for the topic")?;
        let mut offsets = BTreeMap::new();
        for partition in &answer.partitions {
            good(partition.error_code)?;
            if partition.committed_offset >= 0 {
                offsets.insert(partition.partition_index, partition.committed_offset);
            }
        }
        Ok(offsets)
    }
}

/// A batch as it is stored.
#[derive(Debug)]
pub struct Batch {
    /// What stands before its records.
    pub header: BatchDecodeInfo,
    /// Its records; empty if they are compressed. Of headers with the same name only the last is here.
    pub records: Vec<Record>,
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

fn assigned(bytes: &mut Bytes) -> Result<BTreeSet<i32>> {
    if bytes.is_empty() {
        return Ok(BTreeSet::new());
    }
    ensure!(bytes.len() > 2, "an assignment without a version");
    let version = i16::from_be_bytes([
        *bytes.first().context("version")?,
        *bytes.get(1).context("version")?,
    ]);
    let mut rest = bytes.slice(2..);
    let read = assignment::ConsumerProtocolAssignment::decode(&mut rest, version.clamp(0, 3))?;
    Ok(read
        .assigned_partitions
        .iter()
        .flat_map(|topic| topic.partitions.iter().copied())
        .collect())
}

fn good(code: i16) -> Result<()> {
    match ResponseError::try_from_code(code) {
        None => Ok(()),
        Some(error) => bail!("the server answers {error:?}"),
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
