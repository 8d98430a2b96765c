use futures::FutureExt as _;
use pulsar_client::{
    Cause, Client, EntryId, ReadError, Reader, ReaderError, ReaderOptions, ReaderStart,
    ServerError,
    protocol::{
        Command, MessageIdData,
        command::{
            CloseConsumer, ErrorResponse, GetLastMessageIdResponse, InitialPosition,
            ReachedEndOfTopic,
        },
    },
};

use crate::fake::{FakeBroker, TOPIC, Wire, soon};

/// A reader at entry 7:3, and the broker's side of it.
async fn open(broker: &FakeBroker, options: ReaderOptions) -> (Client, Reader, Wire, u64) {
    let client = Client::new(broker.options());
    let start = ReaderStart::At(EntryId {
        ledger: 7,
        entry: 3,
    });
    let (reader, (wire, id)) = tokio::join!(client.reader(TOPIC, start, options), async {
        let mut wire = broker.accept().await;
        wire.serve_lookup(&broker.url()).await;
        let subscribe = wire.take_subscribe().await;
        assert_eq!(subscribe.topic, TOPIC);
        assert!(!subscribe.durable());
        assert!(!subscribe.force_topic_creation());
        assert_eq!(subscribe.start_message_id, Some(MessageIdData::of(7, 3)));
        wire.success(subscribe.request_id).await;
        (wire, subscribe.consumer_id)
    });
    (client, reader.expect("the broker has opened it"), wire, id)
}

#[tokio::test]
async fn entries_come_whole_with_the_index_of_their_last_message() {
    let broker = FakeBroker::start().await;
    let (_client, mut reader, mut wire, id) = open(&broker, ReaderOptions::default()).await;
    assert_eq!(wire.take_flow().await, 2);
    assert!(reader.try_next().unwrap().is_none());
    wire.message(id, 3, Some(14), 5, b"five").await;
    let entry = soon(reader.next()).await.unwrap().unwrap();
    assert_eq!(
        entry.id,
        EntryId {
            ledger: 7,
            entry: 3
        }
    );
    assert_eq!((entry.index, entry.broker_timestamp), (Some(14), Some(99)));
    assert_eq!(entry.metadata.messages(), 5);
    assert_eq!(entry.payload, b"five".as_slice());
    // Three messages more than were granted have come: the account is even again, and the window has
    // grown to four.
    assert_eq!(wire.take_flow().await, 4 + 3);
    wire.message(id, 4, None, 1, b"one").await;
    let entry = soon(reader.next()).await.unwrap().unwrap();
    assert_eq!((entry.id.entry, entry.index), (4, None));
    assert!(reader.next().now_or_never().is_none());
    drop(reader);
    loop {
        match wire.command().await {
            Command::Flow(_) => {}
            Command::CloseConsumer(close) => break assert_eq!(close.consumer_id, id),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn earliest_and_latest_are_where_pulsar_says() {
    let broker = FakeBroker::start().await;
    for (start, position, initial) in [
        (
            ReaderStart::Earliest,
            MessageIdData::earliest(),
            InitialPosition::Earliest,
        ),
        (
            ReaderStart::Latest,
            MessageIdData::latest(),
            InitialPosition::Latest,
        ),
    ] {
        let client = Client::new(broker.options());
        let options = ReaderOptions {
            read_compacted: true,
            ..ReaderOptions::default()
        };
        let (reader, _wire) = tokio::join!(client.reader(TOPIC, start, options), async {
            let mut wire = broker.accept().await;
            wire.serve_lookup(&broker.url()).await;
            let subscribe = wire.take_subscribe().await;
            assert_eq!(subscribe.start_message_id, Some(position));
            assert_eq!(subscribe.initial_position(), initial);
            assert!(subscribe.read_compacted());
            wire.success(subscribe.request_id).await;
            wire
        });
        reader.unwrap();
    }
}

#[tokio::test]
async fn the_last_message_is_known_and_an_empty_topic_has_none() {
    let broker = FakeBroker::start().await;
    let (_client, reader, mut wire, id) = open(&broker, ReaderOptions::default()).await;
    wire.take_flow().await;
    for (position, expected) in [
        (
            MessageIdData::of(9, 5),
            Some(EntryId {
                ledger: 9,
                entry: 5,
            }),
        ),
        (MessageIdData::of(9, u64::MAX), None),
        (MessageIdData::earliest(), None),
    ] {
        let (last, ()) = tokio::join!(reader.last_message_id(), async {
            let Command::GetLastMessageId(asked) = wire.command().await else {
                panic!("not asked")
            };
            assert_eq!(asked.consumer_id, id);
            wire.send(Command::GetLastMessageIdResponse(
                GetLastMessageIdResponse {
                    last_message_id: position,
                    request_id: asked.request_id,
                },
            ))
            .await;
        });
        assert_eq!(last.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_damaged_entry_ends_the_reader_after_those_before_it() {
    let broker = FakeBroker::start().await;
    let (_client, mut reader, mut wire, id) = open(&broker, ReaderOptions::default()).await;
    wire.message(id, 3, Some(0), 1, b"good").await;
    wire.raw_message(id, 4, &[0x0e, 0x01, 0, 0, 0, 0, 0, 0, 0, 1, 7])
        .await;
    soon(reader.next()).await.unwrap().unwrap();
    for _ in 0..2 {
        let damaged = soon(reader.next()).await;
        assert!(
            matches!(
                damaged,
                Err(ReadError::Damaged {
                    ledger: 7,
                    entry: 4,
                    ..
                })
            ),
            "{damaged:?}"
        );
    }
}

#[tokio::test]
async fn a_reader_that_is_given_more_than_it_may_hold_ends() {
    let mut broker = FakeBroker::start().await;
    broker.max_message_size = 1000;
    let options = ReaderOptions {
        receive_bytes_budget: 1000,
        ..ReaderOptions::default()
    };
    let (_client, mut reader, mut wire, id) = open(&broker, options).await;
    for entry in 3..20 {
        wire.message(id, entry, Some(entry), 1, &[0; 900]).await;
    }
    wire.take_flow().await;
    let Command::CloseConsumer(close) = wire.command().await else {
        panic!("not closed")
    };
    assert_eq!(close.consumer_id, id);
    let mut read = 0;
    let end = loop {
        match soon(reader.next()).await {
            Ok(entry) => read += usize::from(entry.is_some()),
            Err(error) => break error,
        }
    };
    assert!(matches!(end, ReadError::Overrun), "{end:?}");
    assert!((5..8).contains(&read), "{read}");
}

#[tokio::test]
async fn what_came_before_the_broker_closed_the_reader_is_read_first() {
    let broker = FakeBroker::start().await;
    let (_client, mut reader, mut wire, id) = open(&broker, ReaderOptions::default()).await;
    wire.message(id, 3, Some(0), 1, b"x").await;
    wire.send(Command::CloseConsumer(CloseConsumer {
        consumer_id: id,
        request_id: 0,
    }))
    .await;
    soon(reader.next()).await.unwrap().unwrap();
    for _ in 0..2 {
        let end = soon(reader.next()).await;
        assert!(
            matches!(end, Err(ReadError::Unavailable(Cause::ClosedByBroker))),
            "{end:?}"
        );
    }
}

#[tokio::test]
async fn a_lost_connection_ends_the_reader() {
    let broker = FakeBroker::start().await;
    let (_client, mut reader, wire, _) = open(&broker, ReaderOptions::default()).await;
    drop(wire);
    let end = soon(reader.next()).await;
    assert!(
        matches!(end, Err(ReadError::Unavailable(Cause::Disconnected(_)))),
        "{end:?}"
    );
    let last = soon(reader.last_message_id()).await;
    assert!(matches!(last, Err(ReadError::Unavailable(_))), "{last:?}");
}

#[tokio::test]
async fn a_terminated_topic_has_an_end() {
    let broker = FakeBroker::start().await;
    let (_client, mut reader, mut wire, id) = open(&broker, ReaderOptions::default()).await;
    wire.message(id, 3, Some(0), 1, b"x").await;
    wire.send(Command::ReachedEndOfTopic(ReachedEndOfTopic {
        consumer_id: id,
    }))
    .await;
    assert!(soon(reader.next()).await.unwrap().is_some());
    assert!(soon(reader.next()).await.unwrap().is_none());
    assert!(soon(reader.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_reader_on_a_missing_topic_is_refused() {
    let broker = FakeBroker::start().await;
    let client = Client::new(broker.options());
    let reader = client.reader(TOPIC, ReaderStart::Earliest, ReaderOptions::default());
    let (refused, _wire) = tokio::join!(reader, async {
        let mut wire = broker.accept().await;
        wire.serve_lookup(&broker.url()).await;
        let subscribe = wire.take_subscribe().await;
        wire.send(Command::Error(ErrorResponse {
            request_id: subscribe.request_id,
            error: ServerError::TopicNotFound.into(),
            message: "none".to_owned(),
        }))
        .await;
        wire
    });
    assert!(
        matches!(refused, Err(ReaderError::NotFound(_))),
        "{refused:?}"
    );
}
