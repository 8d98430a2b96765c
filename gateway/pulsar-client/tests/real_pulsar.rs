//! The client against a running Pulsar (3.0 or newer) that has the index interceptor and shows entry
//! metadata to clients:
//!
//! ```text
//! KOP_TEST_PULSAR=pulsar://127.0.0.1:6650 KOP_TEST_PULSAR_ADMIN=http://127.0.0.1:8080 \
//!     cargo test -p pulsar-client --features real-pulsar --test real_pulsar
//! ```
use std::{
    future::Future,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use pulsar_client::{
    Cause, Client, ClientOptions, CompressionType, Entry, EntryId, KeyValue, LookupError,
    MessageMetadata, OutgoingEntry, Producer, ProducerError, ProducerOptions, ReadError, Reader,
    ReaderError, ReaderOptions, ReaderStart, SendError, SingleMessageMetadata,
    protocol::{batch, batch::BatchBuilder, compression},
};

fn client() -> Client {
    let url = std::env::var("KOP_TEST_PULSAR").expect("KOP_TEST_PULSAR=pulsar://HOST:PORT");
    Client::new(ClientOptions::new(url))
}

/// Asks the admin API; the status code and the answer.
fn admin(method: &str, path: &str, body: &str) -> (u16, String) {
    let url =
        std::env::var("KOP_TEST_PULSAR_ADMIN").expect("KOP_TEST_PULSAR_ADMIN=http://HOST:PORT");
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).expect("the admin API listens");
    let length = body.len();
    write!(
        stream,
        "{method} /admin/v2/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("the admin API reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the admin API answers");
    let status = answer
        .get(9..12)
        .and_then(|code| code.parse().ok())
        .expect("an HTTP status");
    (status, answer)
}

/// The name of a topic that no other test uses.
fn unused(name: &str) -> String {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos();
    format!("{name}-{nanos}")
}

/// A new topic of one partition; the partition's full name.
fn new_topic(name: &str) -> String {
    new_topic_in("public/default", name)
}

fn new_topic_in(namespace: &str, name: &str) -> String {
    let name = unused(name);
    let (status, answer) = admin(
        "PUT",
        &format!("persistent/{namespace}/{name}/partitions"),
        "1",
    );
    assert!((200..300).contains(&status), "{answer}");
    format!("persistent://{namespace}/{name}-partition-0")
}

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("this should come soon")
}

fn outgoing(sequence_id: u64, num_messages: u32, payload: &[u8]) -> OutgoingEntry {
    OutgoingEntry {
        sequence_id,
        num_messages,
        metadata: MessageMetadata {
            sequence_id,
            publish_time: 1,
            num_messages_in_batch: Some(num_messages.try_into().expect("a few")),
            properties: vec![KeyValue::new("entry.format", "kafka")],
            ..MessageMetadata::default()
        },
        payload: payload.chunks(1000).map(Bytes::copy_from_slice).collect(),
        checksum: sequence_id.is_multiple_of(2),
    }
}

async fn named(client: &Client, topic: &str, name: &str) -> Result<Producer, ProducerError> {
    let options = ProducerOptions {
        name: Some(name.to_owned()),
        ..ProducerOptions::default()
    };
    soon(client.producer(topic, options)).await
}

async fn reader(client: &Client, topic: &str, start: ReaderStart) -> Reader {
    soon(client.reader(topic, start, ReaderOptions::default()))
        .await
        .expect("a reader")
}

async fn next(reader: &mut Reader) -> Entry {
    soon(reader.next())
        .await
        .expect("an entry")
        .expect("no end")
}

#[tokio::test]
async fn pipelined_sends_take_entries_in_order_and_come_back_with_their_indexes() {
    let client = client();
    let topic = new_topic("pipelined");
    assert_eq!(
        soon(client.partitions(&topic.replace("-partition-0", "")))
            .await
            .unwrap(),
        1
    );
    let producer = named(&client, &topic, "owner").await.unwrap();
    assert_eq!(producer.name(), "owner");
    assert_eq!(producer.last_sequence_id(), -1);
    let payloads: Vec<Vec<u8>> = (0..10_u8).map(|n| vec![n; 5000]).collect();
    let receipts: Vec<_> = (0..)
        .zip(&payloads)
        .map(|(n, payload)| producer.send(outgoing(n, 5, payload)))
        .collect();
    let mut stored = Vec::new();
    for receipt in receipts {
        stored.push(soon(receipt).await.unwrap());
    }
    for (n, pair) in stored.windows(2).enumerate() {
        assert_eq!(pair[0].ledger, pair[1].ledger);
        assert_eq!(pair[0].entry + 1, pair[1].entry, "{n}");
    }
    let mut reader = reader(&client, &topic, ReaderStart::Earliest).await;
    for (n, payload) in (0_u64..).zip(&payloads) {
        let entry = next(&mut reader).await;
        assert_eq!(entry.index, Some(n * 5 + 4));
        assert_eq!(entry.metadata.messages(), 5);
        assert_eq!(entry.metadata.property("entry.format").unwrap(), "kafka");
        assert_eq!(&entry.payload, payload);
        assert_eq!(entry.id.entry, stored[n as usize].entry);
    }
    let last = soon(reader.last_message_id()).await.unwrap().unwrap();
    assert_eq!(
        (last.ledger, last.entry),
        (stored[9].ledger, stored[9].entry)
    );
}

#[tokio::test]
async fn a_name_belongs_to_one_producer_until_it_is_closed_dropped_or_its_connection_is_lost() {
    let topic = new_topic("named");
    let (first, second) = (client(), client());
    let owner = named(&first, &topic, "owner").await.unwrap();
    let busy = named(&second, &topic, "owner").await;
    assert!(matches!(busy, Err(ProducerError::Busy(_))), "{busy:?}");
    let busy = named(&first, &topic, "owner").await;
    assert!(matches!(busy, Err(ProducerError::Busy(_))), "{busy:?}");
    named(&second, &topic, "another").await.unwrap();
    owner.close().await;
    let owner = named(&second, &topic, "owner").await.unwrap();
    drop(owner);
    let owner = until_not_busy(&first, &topic).await;
    let closed = owner.closed();
    // Ends the connections: nobody else holds them.
    drop((owner, first));
    soon(closed).await;
    until_not_busy(&second, &topic).await;
}

async fn until_not_busy(client: &Client, topic: &str) -> Producer {
    soon(async {
        loop {
            match named(client, topic, "owner").await {
                Ok(producer) => return producer,
                Err(ProducerError::Busy(_)) => tokio::task::yield_now().await,
                Err(other) => panic!("{other:?}"),
            }
        }
    })
    .await
}

#[tokio::test]
async fn readers_begin_where_they_are_told() {
    let client = client();
    let topic = new_topic("starts");
    let mut fresh = reader(&client, &topic, ReaderStart::Earliest).await;
    assert_eq!(soon(fresh.last_message_id()).await.unwrap(), None);
    let producer = named(&client, &topic, "owner").await.unwrap();
    let mut ids = Vec::new();
    for n in 0..20 {
        let receipt = soon(producer.send(outgoing(n, 1, &n.to_be_bytes())))
            .await
            .unwrap();
        ids.push(EntryId {
            ledger: receipt.ledger,
            entry: receipt.entry,
        });
    }
    assert_eq!(next(&mut fresh).await.id, ids[0]);
    let mut at = reader(&client, &topic, ReaderStart::At(ids[7])).await;
    for (n, id) in ids.iter().enumerate().skip(7) {
        let entry = next(&mut at).await;
        assert_eq!((entry.id, entry.index), (*id, Some(n as u64)));
    }
    let mut latest = reader(&client, &topic, ReaderStart::Latest).await;
    soon(producer.send(outgoing(20, 1, b"new"))).await.unwrap();
    let entry = next(&mut latest).await;
    assert_eq!(
        (entry.index, entry.payload),
        (Some(20), Bytes::from_static(b"new"))
    );
    assert_eq!(next(&mut at).await.index, Some(20));
}

#[tokio::test]
async fn many_producers_and_readers_share_connections_and_lose_nothing() {
    const TOPICS: usize = 6;
    const ENTRIES: u64 = 3000;
    let client = client();
    let tasks: Vec<_> = (0..TOPICS)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let topic = new_topic(&format!("many-{number}"));
                let producer = named(&client, &topic, "owner").await.unwrap();
                // Entries of very different sizes and message counts, under a small budget.
                let size = |n: u64| {
                    if n.is_multiple_of(97) {
                        200_000
                    } else {
                        (n % 50) as usize * 20
                    }
                };
                let messages = |n: u64| 1 + (n % 7) as u32;
                let write = async {
                    let mut receipts = Vec::new();
                    for n in 0..ENTRIES {
                        producer.ready().await;
                        let payload = vec![n as u8; size(n)];
                        receipts.push(producer.send(outgoing(n, messages(n), &payload)));
                    }
                    for receipt in receipts {
                        soon(receipt).await.unwrap();
                    }
                };
                let read = async {
                    let options = ReaderOptions {
                        receive_bytes_budget: 100_000,
                        ..ReaderOptions::default()
                    };
                    let mut reader = soon(client.reader(&topic, ReaderStart::Earliest, options))
                        .await
                        .unwrap();
                    let mut index = 0;
                    for n in 0..ENTRIES {
                        let entry = next(&mut reader).await;
                        index += u64::from(messages(n));
                        assert_eq!(entry.index, Some(index - 1));
                        assert_eq!(entry.payload.len(), size(n));
                        assert!(entry.payload.iter().all(|byte| *byte == n as u8));
                    }
                };
                tokio::join!(write, read);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn the_largest_entry_passes_and_a_larger_one_is_refused() {
    let client = client();
    let topic = new_topic("large");
    let producer = named(&client, &topic, "owner").await.unwrap();
    let limit = producer.max_message_size();
    let refused = soon(producer.send(outgoing(0, 1, &vec![1; limit]))).await;
    assert!(
        matches!(refused, Err(SendError::TooLarge { .. })),
        "{refused:?}"
    );
    let payload = vec![1; limit - 1000];
    soon(producer.send(outgoing(1, 1, &payload))).await.unwrap();
    let mut reader = reader(&client, &topic, ReaderStart::Earliest).await;
    assert_eq!(next(&mut reader).await.payload, payload);
}

#[tokio::test]
async fn markers_take_an_index_and_are_not_read() {
    let client = client();
    let topic = new_topic("markers");
    let producer = named(&client, &topic, "owner").await.unwrap();
    soon(producer.send(outgoing(0, 1, b"before")))
        .await
        .unwrap();
    let mut marker = outgoing(1, 1, b"");
    marker.metadata.marker_type = Some(99);
    soon(producer.send(marker)).await.unwrap();
    soon(producer.send(outgoing(2, 1, b"behind")))
        .await
        .unwrap();
    let mut reader = reader(&client, &topic, ReaderStart::Earliest).await;
    assert_eq!(next(&mut reader).await.index, Some(0));
    assert_eq!(next(&mut reader).await.index, Some(2));
}

#[tokio::test]
async fn an_unloaded_topic_ends_producers_and_readers_and_both_come_back() {
    let client = client();
    let topic = new_topic("unloaded");
    let producer = named(&client, &topic, "owner").await.unwrap();
    let receipt = soon(producer.send(outgoing(0, 1, b"x"))).await.unwrap();
    let mut first = reader(&client, &topic, ReaderStart::Earliest).await;
    next(&mut first).await;
    let path = topic.replace("://", "/");
    let (status, answer) = admin("PUT", &format!("{path}/unload"), "");
    assert!((200..300).contains(&status), "{answer}");
    let cause = soon(producer.closed()).await;
    assert!(matches!(cause, Cause::ClosedByBroker), "{cause:?}");
    let end = soon(first.next()).await;
    assert!(
        matches!(end, Err(ReadError::Unavailable(Cause::ClosedByBroker))),
        "{end:?}"
    );

    let producer = until_not_busy(&client, &topic).await;
    let later = soon(producer.send(outgoing(1, 1, b"y"))).await.unwrap();
    assert!(later.ledger > receipt.ledger);
    let start = EntryId {
        ledger: receipt.ledger,
        entry: receipt.entry,
    };
    let mut second = reader(&client, &topic, ReaderStart::At(start)).await;
    assert_eq!(next(&mut second).await.index, Some(0));
    assert_eq!(next(&mut second).await.index, Some(1));
}

#[tokio::test]
async fn a_deleted_topic_ends_producers_and_readers() {
    let client = client();
    let topic = new_topic("deleted");
    let producer = named(&client, &topic, "owner").await.unwrap();
    let mut reader = reader(&client, &topic, ReaderStart::Earliest).await;
    let path = topic.replace("://", "/").replace("-partition-0", "");
    let (status, answer) = admin("DELETE", &format!("{path}/partitions?force=true"), "");
    assert!((200..300).contains(&status), "{answer}");
    soon(producer.closed()).await;
    assert!(soon(reader.next()).await.is_err());
}

#[tokio::test]
async fn what_is_missing_is_not_found() {
    let client = client();
    for missing in [
        "persistent://public/default/missing",
        "persistent://public/nowhere/t",
    ] {
        let partitions = soon(client.partitions(missing)).await;
        assert!(
            matches!(partitions, Err(LookupError::NotFound(_))),
            "{partitions:?}"
        );
        let start = ReaderStart::Earliest;
        let reader = soon(client.reader(missing, start, ReaderOptions::default())).await;
        assert!(
            matches!(reader, Err(ReaderError::NotFound(_))),
            "{reader:?}"
        );
    }
    let producer = named(&client, "persistent://public/nowhere/t", "owner").await;
    assert!(
        matches!(producer, Err(ProducerError::NotFound(_))),
        "{producer:?}"
    );

    let topic = new_topic("listed");
    let topics = soon(client.topics_of_namespace("public/default"))
        .await
        .unwrap();
    assert!(topics.contains(&topic), "{topics:?}");
    assert!(
        soon(client.topics_of_namespace("public/nowhere"))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn with_deduplication_a_name_goes_on_behind_its_last_sequence_id() {
    let namespace = format!("public/{}", unused("dedup"));
    for (method, path, body) in [
        ("PUT", format!("namespaces/{namespace}"), "{}"),
        (
            "POST",
            format!("namespaces/{namespace}/deduplication"),
            "true",
        ),
    ] {
        let (status, answer) = admin(method, &path, body);
        assert!((200..300).contains(&status), "{answer}");
    }
    let client = client();
    let topic = new_topic_in(&namespace, "t");
    let first = named(&client, &topic, "owner").await.unwrap();
    assert_eq!(first.last_sequence_id(), -1);
    let receipts: Vec<_> = (0..50).map(|n| first.send(outgoing(n, 1, b"x"))).collect();
    for receipt in receipts {
        soon(receipt).await.unwrap();
    }
    first.close().await;

    let second = named(&client, &topic, "owner").await.unwrap();
    assert_eq!(second.last_sequence_id(), 49);
    let discarded = soon(second.send(outgoing(49, 1, b"again"))).await;
    assert!(
        matches!(discarded, Err(SendError::Duplicate)),
        "{discarded:?}"
    );
    // Discarded and stored ones in one pipeline.
    let pipeline: Vec<_> = [50, 3, 51, 4, 52]
        .into_iter()
        .map(|n| (n, second.send(outgoing(n, 1, b"y"))))
        .collect();
    for (n, receipt) in pipeline {
        match soon(receipt).await {
            Ok(receipt) => assert!(n >= 50 && receipt.sequence_id == n, "{n}"),
            Err(SendError::Duplicate) => assert!(n < 50, "{n}"),
            Err(other) => panic!("{n}: {other:?}"),
        }
    }
    let mut reader = reader(&client, &topic, ReaderStart::Earliest).await;
    for n in 0..53 {
        assert_eq!(next(&mut reader).await.index, Some(n));
    }
}

#[tokio::test]
async fn batches_of_every_codec_are_stored_and_read_back() {
    let client = client();
    let topic = new_topic("codecs");
    let producer = named(&client, &topic, "owner").await.unwrap();
    let mut reader = reader(&client, &topic, ReaderStart::Earliest).await;
    let codecs = [
        CompressionType::None,
        CompressionType::Lz4,
        CompressionType::Zlib,
        CompressionType::Zstd,
        CompressionType::Snappy,
    ];
    for (n, codec) in (0..).zip(codecs) {
        let mut builder = BatchBuilder::new();
        for value in 0..3_u8 {
            let metadata = SingleMessageMetadata {
                partition_key: Some(Bytes::from(format!("key-{value}"))),
                ..SingleMessageMetadata::default()
            };
            builder.push(metadata, &[value; 500]);
        }
        let count = builder.count();
        let payload = builder.build();
        let mut entry = outgoing(n, count, b"");
        entry.metadata.compression = Some(codec.into());
        entry.metadata.uncompressed_size = Some(payload.len().try_into().unwrap());
        entry.payload = vec![compression::compress(codec, &payload)];
        soon(producer.send(entry)).await.unwrap();

        let entry = next(&mut reader).await;
        let size = entry.metadata.uncompressed_size() as usize;
        let payload =
            compression::decompress(entry.metadata.compression(), &entry.payload, size, 1 << 20)
                .unwrap();
        let messages: Vec<_> = batch::messages(payload, entry.metadata.messages())
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(messages.len(), 3);
        assert_eq!(
            messages[2].metadata.partition_key.as_deref(),
            Some(&b"key-2"[..])
        );
        assert_eq!(messages[2].payload, [2; 500].as_slice());
    }
}
