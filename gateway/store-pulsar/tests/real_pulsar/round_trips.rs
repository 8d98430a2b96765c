//! How often Pulsar is asked: the store stands behind two proxies that count.
use std::sync::{Arc, Mutex};

use bytes::{Buf as _, BytesMut};
use pulsar_client::protocol::{Command, frame};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp},
};

use super::*;

const LIMIT: usize = 16 * 1024 * 1024;

/// Two ways to the Pulsar, for its binary protocol and for its admin API.
struct Ways {
    service_url: String,
    admin_url: String,
    asked: Asked,
}

/// What was asked and has an answer that somebody waits for: commands by kind, calls of the admin API by
/// method.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl Asked {
    fn note(&self, what: &str) {
        self.0.lock().unwrap().push(what.to_owned());
    }

    /// What was asked since the last time.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Ways {
    async fn open() -> Self {
        let asked = Asked::default();
        let (service, service_url) = listener("pulsar").await;
        let (admin, admin_url) = listener("http").await;
        let broker = environment("KOP_TEST_PULSAR");
        tokio::spawn(proxy(service, broker, {
            let (asked, url) = (asked.clone(), service_url.clone());
            move |from, to| pass_commands(from, to, asked.clone(), url.clone())
        }));
        let api = environment("KOP_TEST_PULSAR_ADMIN");
        tokio::spawn(proxy(admin, api, {
            let asked = asked.clone();
            move |from, to| pass_calls(from, to, asked.clone())
        }));
        Self {
            service_url,
            admin_url,
            asked,
        }
    }

    /// Waits until a partition of a store on these ways has its tail reader.
    async fn follow(&self, partition: &impl Partition) {
        partition.watermarks();
        let asked = async {
            while !self.asked.take().iter().any(|what| what == "Subscribe") {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, asked).await.expect("the tail reader");
    }

    async fn store(&self, options: &PulsarOptions) -> PulsarStore {
        store(&PulsarOptions {
            service_url: self.service_url.clone(),
            admin_url: self.admin_url.clone(),
            ..options.clone()
        })
        .await
    }
}

async fn listener(scheme: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{scheme}://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Has `pass` take care of every connection that is made here, and of one to `url`.
async fn proxy<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    url: String,
    pass: impl Fn(TcpStream, TcpStream) -> F,
) {
    let address = url.split("://").nth(1).unwrap().trim_end_matches('/');
    while let Ok((from, _)) = listener.accept().await {
        let to = TcpStream::connect(address).await.unwrap();
        tokio::spawn(pass(from, to));
    }
}

async fn pass_calls(client: TcpStream, server: TcpStream, asked: Asked) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = async { tokio::io::copy(&mut from_server, &mut to_client).await };
    let forth = async {
        let mut piece = BytesMut::new();
        while from_client.read_buf(&mut piece).await? > 0 {
            // One call at a time goes over a connection, so a head begins what is read.
            for method in ["GET ", "PUT ", "POST ", "DELETE "] {
                if piece.starts_with(method.as_bytes()) {
                    asked.note(method.trim_end());
                }
            }
            to_server.write_all_buf(&mut piece).await?;
        }
        to_server.shutdown().await
    };
    let _ = tokio::join!(back, forth);
}

async fn pass_commands(client: TcpStream, broker: TcpStream, asked: Asked, url: String) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    let forth = async {
        let mut inbox = BytesMut::new();
        while let Some((raw, command)) = next(&mut from_client, &mut inbox).await {
            match command {
                // Nobody waits for what these bring about.
                Command::Flow(_) | Command::Ping(_) | Command::Pong(_) => {}
                Command::CloseConsumer(_) => {}
                command => asked.note(format!("{command:?}").split('(').next().unwrap()),
            }
            to_broker.write_all(&raw).await?;
        }
        to_broker.shutdown().await
    };
    let back = async {
        let mut inbox = BytesMut::new();
        while let Some((raw, command)) = next(&mut from_broker, &mut inbox).await {
            if let Command::LookupTopicResponse(mut answer) = command {
                answer.broker_service_url = Some(url.clone());
                let named = frame::encode(Command::LookupTopicResponse(answer));
                to_client.write_all(&named).await?;
            } else {
                to_client.write_all(&raw).await?;
            }
        }
        to_client.shutdown().await
    };
    let _ = tokio::join!(back, forth);
}

/// The next frame as it came, and its command.
async fn next(from: &mut tcp::OwnedReadHalf, inbox: &mut BytesMut) -> Option<(Bytes, Command)> {
    loop {
        let before = inbox.clone();
        if let Some(frame) = frame::decode(inbox, LIMIT).unwrap() {
            let mut raw = before.freeze();
            raw.truncate(raw.remaining() - inbox.len());
            return Some((raw, frame.command.command.unwrap()));
        }
        if from.read_buf(inbox).await.ok()? == 0 {
            return None;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pulsar_is_asked_as_seldom_as_can_be() {
    const RECORDS: i64 = 60;
    for format in [EntryFormat::Pulsar, EntryFormat::Kafka] {
        let options = options(format);
        let owner = Ways::open().await;
        let first = owner.store(&options).await;
        // The connection's first entry is asked for: it shows that the broker numbers them.
        let other = open(&first, &new_topic(&first).await).await;
        owner.follow(&other).await;
        other.append(batch(&["0"])).await.unwrap();
        assert_eq!(first.metrics().unproven_receipts, 1, "{format:?}");
        let name = new_topic(&first).await;
        let partition = open(&first, &name).await;
        owner.follow(&partition).await;
        partition.append(batch(&["0"])).await.unwrap();
        owner.asked.take();

        // Produce: one round trip each.
        for n in 1..RECORDS {
            let appended = partition.append(batch(&[&n.to_string()])).await.unwrap();
            assert_eq!(appended.base_offset, Offset(n));
            assert_eq!(owner.asked.take(), ["Send"], "{format:?}");
        }
        // What was just written, the first offset and the last: none.
        assert_eq!(values(&partition, 40).await.len(), 20);
        let marks = partition.watermarks();
        assert_eq!((marks.log_start, marks.high), (Offset(0), Offset(RECORDS)));
        assert!(owner.asked.take().is_empty());
        // The first record's offset was known as surely as the others'.
        assert_eq!(first.metrics().unproven_receipts, 1, "{format:?}");

        // Another gateway, which has nothing of it in memory.
        let reader = Ways::open().await;
        let second = reader.store(&options).await;
        let partition = open(&second, &name).await;
        reader.follow(&partition).await;
        let one = ReadLimit {
            max_bytes: 1,
            at_least_one: true,
        };
        partition.read(Offset(0), one).await.unwrap();
        assert_eq!(reader.asked.take(), ["Subscribe"], "{format:?}");
        // On from there: entries come by themselves.
        for offset in 1..RECORDS {
            let fetched = partition.read(Offset(offset), one).await.unwrap();
            assert!(!fetched.chunks.is_empty());
        }
        assert!(reader.asked.take().is_empty());
        // Back to any place that is known: a subscription, then permits that bring the entry.
        for offset in [41, 20, 3] {
            let fetched = partition.read(Offset(offset), one).await.unwrap();
            assert!(!fetched.chunks.is_empty());
            assert_eq!(reader.asked.take(), ["Subscribe"], "{format:?}");
        }
        assert_eq!(second.metrics().offset_mismatches, 0);
        first.close().await;
        second.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_found_by_time_with_one_look_and_those_in_memory_with_none() {
    const RECORDS: i64 = 300;
    const BEGIN: i64 = 1_700_000_000_000;
    for format in [EntryFormat::Pulsar, EntryFormat::Kafka] {
        let options = options(format);
        let owner = Ways::open().await;
        let first = owner.store(&options).await;
        let name = new_topic(&first).await;
        let at_owner = open(&first, &name).await;
        owner.follow(&at_owner).await;
        // Times rise on the whole; every seventh is far ahead, every fifth behind.
        let time_of = |n: i64| match n {
            n if n % 7 == 3 => BEGIN + n * 10 + 500,
            n if n % 5 == 2 => BEGIN + n * 10 - 700,
            n => BEGIN + n * 10,
        };
        let appends = (0..RECORDS).map(|n| {
            let mut builder = BatchBuilder::new(Compression::None);
            builder.push(Record {
                timestamp: Timestamp(time_of(n)),
                value: Some(Bytes::from(n.to_string())),
                ..Record::default()
            });
            at_owner.append(builder.build().unwrap())
        });
        for appended in futures::future::join_all(appends).await {
            appended.unwrap();
        }
        let expected = |time: i64| (0..RECORDS).find(|n| time_of(*n) >= time);
        let newest = (0..RECORDS).map(time_of).max().unwrap();
        let reader = Ways::open().await;
        let second = reader.store(&options).await;
        let elsewhere = open(&second, &name).await;
        reader.follow(&elsewhere).await;
        let times = (-800..RECORDS * 10 + 800).step_by(97).map(|t| BEGIN + t);
        for time in times.chain([newest, newest + 1]) {
            owner.asked.take();
            reader.asked.take();
            let found = at_owner.offset_at(Timestamp(time)).await.unwrap();
            assert_eq!(found.map(|found| found.offset.0), expected(time), "{time}");
            assert!(found.is_none_or(|found| found.timestamp.0 >= time));
            assert!(owner.asked.take().is_empty(), "it is in memory");
            let found = elsewhere.offset_at(Timestamp(time)).await.unwrap();
            assert_eq!(found.map(|found| found.offset.0), expected(time), "{time}");
            let asked = reader.asked.take();
            assert!(asked.is_empty() || asked == ["Subscribe"], "{asked:?}");
        }
        // What is later than all that was seen is not looked for.
        let none = elsewhere.offset_at(Timestamp(newest + 1)).await.unwrap();
        assert!(none.is_none() && reader.asked.take().is_empty());
        for (partition, ways, most) in [(&at_owner, &owner, 0), (&elsewhere, &reader, 1)] {
            let found = partition.newest().await.unwrap().unwrap();
            assert_eq!(found.timestamp.0, newest);
            assert_eq!(Some(found.offset.0), expected(newest));
            let asked = ways.asked.take();
            assert!(asked.len() <= most, "{asked:?}");
        }
        first.close().await;
        second.close().await;
    }
}
