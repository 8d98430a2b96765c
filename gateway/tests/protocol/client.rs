//! A gateway under test, and a client that sends what it is told to.
use std::{net::SocketAddr, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use kop_config::RawConfig;
use kop_gateway::Running;
use kop_wire::{
    Batch, BatchBuilder, Compression, Record, Timestamp,
    kafka_protocol::{
        messages::{
            CreateTopicsRequest, FetchRequest, ListOffsetsRequest, ProduceRequest, RequestHeader,
            ResponseHeader,
            create_topics_request::CreatableTopic,
            fetch_request::{FetchPartition, FetchTopic},
            fetch_response::PartitionData,
            list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
            list_offsets_response::ListOffsetsPartitionResponse,
            produce_request::{PartitionProduceData, TopicProduceData},
            produce_response::PartitionProduceResponse,
        },
        protocol::{Decodable as _, Encodable as _, HeaderVersion as _, Request, StrBytes},
    },
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

/// Longer than anything here takes; what takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("not in time")
}

/// A gateway on a directory of its own.
pub(crate) struct Gateway {
    pub(crate) running: Running,
    pub(crate) directory: TempDir,
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// Starts with some more lines of configuration.
    pub(crate) async fn with(toml: &str) -> Self {
        Self::on(tempfile::tempdir().unwrap(), toml).await
    }

    pub(crate) async fn on(directory: TempDir, toml: &str) -> Self {
        let given = RawConfig {
            listen: Some(vec!["127.0.0.1:0".to_owned()]),
            admin_listen: Some("127.0.0.1:0".to_owned()),
            data_dir: Some(directory.path().join("data")),
            ..RawConfig::default()
        };
        let config = given
            .or(RawConfig::from_toml(toml).unwrap())
            .validate()
            .unwrap();
        let running = in_time(Running::start(config)).await.unwrap();
        Self { running, directory }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.kafka()[0]
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address()).await
    }

    /// All metrics, as Prometheus reads them.
    pub(crate) async fn metrics(&self) -> String {
        let mut stream = in_time(TcpStream::connect(self.running.admin()))
            .await
            .unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        in_time(stream.write_all(request)).await.unwrap();
        let mut text = String::new();
        in_time(stream.read_to_string(&mut text)).await.unwrap();
        text
    }

    /// The sum of a metric over all that begin like this.
    pub(crate) async fn metric(&self, begins: &str) -> f64 {
        let text = self.metrics().await;
        let lines = text.lines().filter(|line| line.starts_with(begins));
        let values = lines.map(|line| line.rsplit_once(' ').unwrap().1);
        values.map(|value| value.parse::<f64>().unwrap()).sum()
    }

    /// Requests of an API that have been answered.
    pub(crate) async fn answered(&self, api: &str) -> f64 {
        self.metric(&format!("kop_requests_total{{api=\"{api}\""))
            .await
    }

    /// Stops it and gives its directory, to start another one there.
    pub(crate) async fn stop(self) -> TempDir {
        in_time(self.running.stop()).await;
        self.directory
    }
}

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    next: i32,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: in_time(TcpStream::connect(address)).await.unwrap(),
            next: 1,
        }
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        in_time(self.stream.write_all(bytes)).await.unwrap();
    }

    pub(crate) async fn send_frame(&mut self, frame: &[u8]) {
        self.send_bytes(&framed(frame)).await;
    }

    /// Sends a request and gives its number.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let number = self.next;
        self.next += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(number)
            .with_client_id(Some(StrBytes::from_static_str("test")));
        let mut frame = BytesMut::new();
        header
            .encode(&mut frame, R::header_version(version))
            .unwrap();
        request.encode(&mut frame, version).unwrap();
        self.send_frame(&frame).await;
        number
    }

    /// Receives the response to the request of this number, which must be the next one.
    pub(crate) async fn receive<R: Request>(&mut self, version: i16, number: i32) -> R::Response {
        let mut frame = self
            .receive_frame()
            .await
            .expect("the gateway closed the connection");
        let header = R::Response::header_version(version);
        let header = ResponseHeader::decode(&mut frame, header).unwrap();
        assert_eq!(header.correlation_id, number);
        let response = R::Response::decode(&mut frame, version).unwrap();
        assert!(
            frame.is_empty(),
            "{} bytes behind the response",
            frame.len()
        );
        response
    }

    /// The next frame; `None` where the gateway has closed the connection.
    pub(crate) async fn receive_frame(&mut self) -> Option<Bytes> {
        let size = in_time(self.stream.read_i32()).await.ok()?;
        let mut frame = vec![0; usize::try_from(size).unwrap()];
        in_time(self.stream.read_exact(&mut frame)).await.unwrap();
        Some(frame.into())
    }

    /// Reads some bytes; false at the end.
    pub(crate) async fn receive_some(&mut self) -> bool {
        let mut bytes = vec![0; 1 << 20];
        matches!(in_time(self.stream.read(&mut bytes)).await, Ok(1..))
    }

    pub(crate) fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        self.stream.into_split()
    }

    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let number = self.send(version, request).await;
        self.receive::<R>(version, number).await
    }

    /// Waits until the gateway has closed the connection.
    pub(crate) async fn closed(&mut self) {
        let end = self.receive_frame().await;
        assert!(end.is_none(), "answered instead of closing");
    }

    pub(crate) async fn create(&mut self, name: &str, partitions: i32) {
        let topic = CreatableTopic::default()
            .with_name(text(name).into())
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default().with_topics(vec![topic]);
        assert_eq!(self.call(7, &request).await.topics[0].error_code, 0);
    }

    /// Appends a batch and gives the answer for it.
    pub(crate) async fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: &Batch,
    ) -> PartitionProduceResponse {
        let request = produce(topic, partition, batch.bytes().clone());
        let mut response = self.call(9, &request).await;
        response.responses.remove(0).partition_responses.remove(0)
    }

    pub(crate) async fn fetch(&mut self, request: &FetchRequest) -> PartitionData {
        let mut response = self.call(12, request).await;
        assert_eq!(response.error_code, 0);
        response.responses.remove(0).partitions.remove(0)
    }

    pub(crate) async fn list_offsets(
        &mut self,
        version: i16,
        topic: &str,
        timestamp: i64,
    ) -> ListOffsetsPartitionResponse {
        let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
        let topic = ListOffsetsTopic::default()
            .with_name(text(topic).into())
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_topics(vec![topic]);
        let mut response = self.call(version, &request).await;
        response.topics.remove(0).partitions.remove(0)
    }
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A record with a timestamp of its own.
pub(crate) fn record(value: &str, timestamp: i64) -> Record {
    Record {
        offset: kop_wire::Offset(0),
        timestamp: Timestamp(timestamp),
        key: None,
        value: Some(Bytes::from(value.to_owned())),
        headers: Vec::new(),
    }
}

pub(crate) fn batch(values: &[&str]) -> Batch {
    built(BatchBuilder::new(Compression::None), values)
}

pub(crate) fn built(mut builder: BatchBuilder, values: &[&str]) -> Batch {
    for value in values {
        builder.push(record(value, 1000));
    }
    builder.build().unwrap()
}

/// A produce request for one partition by name.
pub(crate) fn produce(topic: &str, partition: i32, records: Bytes) -> ProduceRequest {
    let partition = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(text(topic).into())
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic])
}

/// A fetch of one partition by name that does not wait.
pub(crate) fn fetch(topic: &str, partition: i32, offset: i64) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(text(topic).into())
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_min_bytes(1)
        .with_max_bytes(10 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// Offsets and values of all records in a fetched partition.
pub(crate) fn values(data: &PartitionData) -> Vec<(i64, String)> {
    let records = data.records.clone().unwrap_or_default();
    Batch::split(records)
        .flat_map(|batch| {
            let batch = batch.unwrap();
            // What is fetched has been checked by its producer and is not changed behind its back.
            Batch::parse(batch.bytes().clone()).unwrap();
            batch.records().unwrap()
        })
        .map(|record| {
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            (record.offset.0, value)
        })
        .collect()
}

/// Bytes with their length in front.
pub(crate) fn framed(frame: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    bytes.put_i32(i32::try_from(frame.len()).unwrap());
    bytes.put_slice(frame);
    bytes.to_vec()
}
