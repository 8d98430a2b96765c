//! How often the broker is asked: what each operation sends, counted command by command.
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use pulsar_client::{
    Client, EntryId, ProducerOptions, Reader, ReaderOptions, ReaderStart, ServerError,
    protocol::{
        Command,
        command::{ErrorResponse, MetadataOutcome, PartitionedTopicMetadataResponse, Subscribe},
    },
};

use crate::fake::{FakeBroker, Seen, TOPIC, Wire, outgoing, soon};

/// A reader as the broker knows it: where it stands, and what it may still be sent.
struct Reading {
    next: u64,
    permits: u64,
}

/// Plays a broker of a topic with 1,000 entries until the client hangs up. As many subscriptions as
/// `refused` says are answered as by one that serves the topic no longer.
async fn play(mut wire: Wire, url: String, refused: Arc<AtomicUsize>) {
    let mut readers = HashMap::new();
    while let Some((command, _)) = wire.next().await {
        match command {
            Command::LookupTopic(lookup) => wire.answer_lookup(&lookup, &url).await,
            Command::PartitionMetadata(asked) => {
                let answer = PartitionedTopicMetadataResponse {
                    partitions: Some(0),
                    request_id: asked.request_id,
                    response: Some(MetadataOutcome::Success.into()),
                    ..PartitionedTopicMetadataResponse::default()
                };
                wire.send(Command::PartitionMetadataResponse(answer)).await;
            }
            Command::Producer(producer) => {
                wire.answer_producer(producer).await;
            }
            Command::Send(send) => {
                wire.receipt(send.producer_id, send.sequence_id, send.sequence_id)
                    .await;
            }
            Command::Subscribe(subscribe) if refused.load(Ordering::Relaxed) > 0 => {
                refused.fetch_sub(1, Ordering::Relaxed);
                wire.send(Command::Error(ErrorResponse {
                    request_id: subscribe.request_id,
                    error: ServerError::ServiceNotReady.into(),
                    message: "please redo the lookup".to_owned(),
                }))
                .await;
            }
            Command::Subscribe(Subscribe {
                request_id,
                consumer_id,
                start_message_id,
                ..
            }) => {
                let next = start_message_id.expect("a start").entry_id;
                readers.insert(consumer_id, Reading { next, permits: 0 });
                wire.success(request_id).await;
            }
            Command::Flow(flow) => {
                let reading = readers.get_mut(&flow.consumer_id).expect("it is open");
                reading.permits += u64::from(flow.message_permits);
                while reading.permits > 0 && reading.next < 1_000 {
                    wire.message(flow.consumer_id, reading.next, Some(reading.next), 1, b"x")
                        .await;
                    reading.next += 1;
                    reading.permits -= 1;
                }
            }
            Command::CloseConsumer(close) => wire.success(close.request_id).await,
            other => panic!("{other:?}"),
        }
    }
}

/// A broker that plays by itself, its client, and what they say to each other.
struct Stage {
    client: Client,
    seen: Seen,
    /// How many subscriptions will be refused.
    refused: Arc<AtomicUsize>,
    _broker: FakeBroker,
}

impl Stage {
    /// With the topic known to the client: it has read there once.
    async fn set() -> Self {
        let broker = FakeBroker::start().await;
        let client = Client::new(broker.options());
        let refused = Arc::<AtomicUsize>::default();
        let (mut reader, seen) = tokio::join!(at(&client, 0), async {
            let wire = broker.accept().await;
            let seen = wire.seen.clone();
            tokio::spawn(play(wire, broker.url(), Arc::clone(&refused)));
            seen
        });
        let entry = soon(reader.next()).await.expect("the broker delivers");
        assert!(entry.is_some());
        drop(reader);
        let stage = Self {
            client,
            seen,
            refused,
            _broker: broker,
        };
        // The reader's end is the last that is heard of it.
        while !stage.take().await.contains(&"CloseConsumer".to_owned()) {}
        stage
    }

    /// What was said since this was asked last; all that the client has sent before is in it.
    async fn take(&self) -> Vec<String> {
        let answered = soon(self.client.partitions(TOPIC)).await;
        answered.expect("the broker answers");
        let mut seen = self.seen.take();
        seen.retain(|kind| kind != "PartitionMetadata");
        seen
    }
}

/// A reader from entry 7:`entry` on.
async fn at(client: &Client, entry: u64) -> Reader {
    let start = ReaderStart::At(EntryId { ledger: 7, entry });
    let reader = client.reader(TOPIC, start, ReaderOptions::default());
    soon(reader).await.expect("the broker opens it")
}

/// The kinds of what the client said, one after the other, up to the first entry that came.
fn until_first_entry(seen: Vec<String>) -> Vec<String> {
    seen.into_iter()
        .take_while(|kind| kind != "Message")
        .collect()
}

#[tokio::test]
async fn an_entry_is_written_in_one_round_trip() {
    let stage = Stage::set().await;
    let producer = stage.client.producer(TOPIC, ProducerOptions::default());
    let producer = soon(producer).await.unwrap();
    // Where it is opened, the topic is looked up anew: ownership depends on it.
    assert_eq!(stage.take().await, ["LookupTopic", "Producer"]);
    for n in 0..100 {
        soon(producer.send(outgoing(n, b"x"))).await.unwrap();
    }
    assert_eq!(stage.take().await, ["Send"; 100]);
}

#[tokio::test]
async fn reading_on_waits_for_no_answer() {
    let stage = Stage::set().await;
    let mut reader = at(&stage.client, 100).await;
    soon(reader.next()).await.unwrap().unwrap();
    stage.take().await;
    for n in 101..900 {
        let entry = soon(reader.next()).await.unwrap().unwrap();
        assert_eq!(entry.id.entry, n);
    }
    let mut asked = stage.take().await;
    asked.retain(|kind| kind != "Message");
    // Permits are granted ahead of need, in large steps, and nothing answers them.
    assert!(asked.iter().all(|kind| kind == "Flow"), "{asked:?}");
    assert!(asked.len() < 20, "{} times", asked.len());
}

#[tokio::test]
async fn a_read_at_any_place_takes_two_round_trips() {
    let stage = Stage::set().await;
    for place in [500, 20, 700] {
        let mut reader = at(&stage.client, place).await;
        let entry = soon(reader.next()).await.unwrap().unwrap();
        assert_eq!(entry.id.entry, place);
        let seen = stage.take().await;
        assert_eq!(until_first_entry(seen), ["Subscribe", "Flow"]);
        drop(reader);
        assert_eq!(stage.take().await, ["CloseConsumer"]);
    }
}

#[tokio::test]
async fn a_topic_that_has_moved_is_looked_up_again() {
    let stage = Stage::set().await;
    stage.refused.store(1, Ordering::Relaxed);
    let mut reader = at(&stage.client, 300).await;
    soon(reader.next()).await.unwrap().unwrap();
    let seen = until_first_entry(stage.take().await);
    assert_eq!(seen, ["Subscribe", "LookupTopic", "Subscribe", "Flow"]);
    let mut again = at(&stage.client, 400).await;
    soon(again.next()).await.unwrap().unwrap();
    let seen = until_first_entry(stage.take().await);
    assert_eq!(seen, ["Subscribe", "Flow"]);
}

#[tokio::test]
async fn what_was_learnt_over_a_lost_connection_is_forgotten() {
    let broker = FakeBroker::start().await;
    let client = Client::new(broker.options());
    let none = Arc::<AtomicUsize>::default();
    for _ in 0..2 {
        let (mut reader, played) = tokio::join!(at(&client, 0), async {
            let wire = broker.accept().await;
            let seen = wire.seen.clone();
            let played = tokio::spawn(play(wire, broker.url(), Arc::clone(&none)));
            (seen, played)
        });
        let (seen, played) = played;
        soon(reader.next()).await.unwrap().unwrap();
        let expected = ["Connect", "LookupTopic", "Subscribe", "Flow"];
        assert_eq!(until_first_entry(seen.take()), expected);
        played.abort();
        // The client has noticed.
        while let Ok(Some(_)) = soon(reader.next()).await {}
    }
}
