use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use pulsar_client::{
    Cause, ClientOptions, OutgoingEntry, ProducerOptions, SendError, ServerError,
    protocol::{
        Command, MessageIdData,
        command::{self, CloseProducer, SendReceipt},
    },
};

use crate::fake::{FakeBroker, TOPIC, outgoing, soon};

#[tokio::test]
async fn entries_are_written_in_the_order_of_the_calls_and_get_their_receipts() {
    let broker = FakeBroker::start().await;
    let (_client, producer, mut wire, id) = broker.with_producer(broker.options()).await;
    assert_eq!(
        (producer.name(), producer.last_sequence_id()),
        ("made-up", 41)
    );

    let mut receipts: Vec<_> = (0..100_u64)
        .map(|n| producer.send(outgoing(n, &n.to_be_bytes())))
        .collect();
    for n in 0..100_u64 {
        let (send, entry) = wire.take_send().await;
        assert_eq!((send.producer_id, send.sequence_id), (id, n));
        assert_eq!(entry.payload, n.to_be_bytes().as_slice());
        wire.receipt(id, n, n).await;
    }
    // Polled last to first: the order of polling does not matter.
    for n in (0..100_u64).rev() {
        let receipt = soon(receipts.pop().unwrap()).await.unwrap();
        assert_eq!(
            (receipt.ledger, receipt.entry, receipt.sequence_id),
            (7, n, n)
        );
    }
}

#[tokio::test]
async fn a_payload_in_parts_arrives_whole_under_one_checksum() {
    let broker = FakeBroker::start().await;
    let (_client, producer, mut wire, id) = broker.with_producer(broker.options()).await;
    let parts = [&b"first "[..], b"", b"second ", &[b'x'; 100_000]].map(Bytes::copy_from_slice);
    for checksum in [true, false] {
        let entry = OutgoingEntry {
            num_messages: 5,
            payload: parts.to_vec(),
            checksum,
            ..outgoing(u64::from(checksum), b"")
        };
        let receipt = producer.send(entry);
        let (send, entry) = wire.take_send().await;
        assert_eq!(send.num_messages(), 5);
        assert_eq!(entry.payload, parts.concat());
        wire.receipt(id, u64::from(checksum), 0).await;
        soon(receipt).await.unwrap();
    }
}

#[tokio::test]
async fn at_most_900_entries_are_without_receipt_and_the_others_follow_in_order() {
    let broker = FakeBroker::start().await;
    let (_client, producer, mut wire, id) = broker.with_producer(broker.options()).await;
    let receipts: Vec<_> = (0..1000_u64)
        .map(|n| producer.send(outgoing(n, b"x")))
        .collect();
    for n in 0..900 {
        assert_eq!(wire.take_send().await.0.sequence_id, n);
    }
    wire.nothing_came().await;
    assert!(producer.ready().now_or_never().is_none());
    for n in 0..1000 {
        wire.receipt(id, n, n).await;
        if n < 100 {
            assert_eq!(wire.take_send().await.0.sequence_id, 900 + n);
        }
    }
    for receipt in receipts {
        soon(receipt).await.unwrap();
    }
    soon(producer.ready()).await;
}

#[tokio::test]
async fn an_entry_larger_than_the_broker_takes_is_refused_before_it_is_written() {
    let mut broker = FakeBroker::start().await;
    broker.max_message_size = 1000;
    let (_client, producer, mut wire, _) = broker.with_producer(broker.options()).await;
    assert_eq!(producer.max_message_size(), 1000);
    let refused = soon(producer.send(outgoing(0, &[0; 1000]))).await;
    assert!(
        matches!(refused, Err(SendError::TooLarge { limit: 1000, .. })),
        "{refused:?}"
    );
    wire.nothing_came().await;
}

#[tokio::test]
async fn a_discarded_duplicate_is_an_error_and_not_a_receipt() {
    let broker = FakeBroker::start().await;
    let (_client, producer, mut wire, id) = broker.with_producer(broker.options()).await;
    let first = producer.send(outgoing(1, b"x"));
    let second = producer.send(outgoing(2, b"x"));
    // Brokers answer what they discard at once, past what is being stored.
    wire.send(Command::SendReceipt(SendReceipt {
        producer_id: id,
        sequence_id: 2,
        message_id: Some(MessageIdData::of(u64::MAX, u64::MAX)),
        highest_sequence_id: None,
    }))
    .await;
    wire.receipt(id, 1, 10).await;
    assert!(matches!(soon(second).await, Err(SendError::Duplicate)));
    assert_eq!(soon(first).await.unwrap().entry, 10);
}

#[tokio::test]
async fn a_refused_entry_fails_alone() {
    let broker = FakeBroker::start().await;
    let (_client, producer, mut wire, id) = broker.with_producer(broker.options()).await;
    let first = producer.send(outgoing(1, b"x"));
    let second = producer.send(outgoing(2, b"x"));
    wire.send(Command::SendError(command::SendError {
        producer_id: id,
        sequence_id: 1,
        error: ServerError::Persistence.into(),
        message: "no bookies".to_owned(),
    }))
    .await;
    wire.receipt(id, 2, 10).await;
    let refused = soon(first).await;
    assert!(
        matches!(
            refused,
            Err(SendError::Refused {
                error: ServerError::Persistence,
                ..
            })
        ),
        "{refused:?}"
    );
    soon(second).await.unwrap();
}

#[tokio::test]
async fn receipts_out_of_order_end_the_producer() {
    let broker = FakeBroker::start().await;
    let (_client, producer, mut wire, id) = broker.with_producer(broker.options()).await;
    let receipts: Vec<_> = (0..3).map(|n| producer.send(outgoing(n, b"x"))).collect();
    for _ in 0..3 {
        wire.take_send().await;
    }
    wire.receipt(id, 1, 1).await;
    for receipt in receipts {
        assert!(matches!(
            soon(receipt).await,
            Err(SendError::Unavailable(_))
        ));
    }
    soon(producer.closed()).await;
    assert_eq!(wire.take_close_producer().await.producer_id, id);
}

#[tokio::test]
async fn a_producer_that_the_broker_closes_says_so_and_is_not_opened_again() {
    let broker = FakeBroker::start().await;
    let (_client, producer, mut wire, id) = broker.with_producer(broker.options()).await;
    let pending = producer.send(outgoing(1, b"x"));
    wire.take_send().await;
    wire.send(Command::CloseProducer(CloseProducer {
        producer_id: id,
        request_id: u64::MAX,
    }))
    .await;
    assert!(matches!(
        soon(pending).await,
        Err(SendError::Unavailable(Cause::ClosedByBroker))
    ));
    assert!(matches!(
        soon(producer.closed()).await,
        Cause::ClosedByBroker
    ));
    let late = soon(producer.send(outgoing(2, b"x"))).await;
    assert!(
        matches!(late, Err(SendError::NotSent(Cause::ClosedByBroker))),
        "{late:?}"
    );
    drop(producer);
    wire.nothing_came().await;
}

#[tokio::test]
async fn a_broken_connection_fails_what_is_pending_and_the_next_producer_connects_anew() {
    let broker = FakeBroker::start().await;
    let (client, producer, mut wire, _) = broker.with_producer(broker.options()).await;
    let pending = producer.send(outgoing(1, b"x"));
    wire.take_send().await;
    drop(wire);
    assert!(matches!(
        soon(pending).await,
        Err(SendError::Unavailable(_))
    ));
    soon(producer.closed()).await;
    let late = soon(producer.send(outgoing(2, b"x"))).await;
    assert!(matches!(late, Err(SendError::NotSent(_))), "{late:?}");

    let (again, ()) = tokio::join!(client.producer(TOPIC, ProducerOptions::default()), async {
        let mut wire = broker.accept().await;
        wire.serve_lookup(&broker.url()).await;
        wire.serve_producer().await;
    });
    again.unwrap();
}

#[tokio::test]
async fn without_a_receipt_in_time_the_producer_ends_and_lets_its_name_go() {
    let broker = FakeBroker::start().await;
    let options = ClientOptions {
        operation_timeout: Duration::from_millis(1500),
        ..broker.options()
    };
    let (_client, producer, mut wire, id) = broker.with_producer(options).await;
    let first = producer.send(outgoing(1, b"x"));
    let second = producer.send(outgoing(2, b"x"));
    // The broker lives, and has only dropped the entries.
    let mut pinging = tokio::time::interval(Duration::from_millis(20));
    let receipts = async { (first.await, second.await) };
    let mut receipts = std::pin::pin!(receipts);
    let (first, second) = loop {
        tokio::select! {
            receipts = &mut receipts => break receipts,
            _ = pinging.tick() => wire.send(Command::Ping(command::Ping {})).await,
        }
    };
    assert!(
        matches!(first, Err(SendError::Unavailable(Cause::Timeout))),
        "{first:?}"
    );
    assert!(
        matches!(second, Err(SendError::Unavailable(Cause::Timeout))),
        "{second:?}"
    );
    assert!(matches!(soon(producer.closed()).await, Cause::Timeout));
    let late = soon(producer.send(outgoing(3, b"x"))).await;
    assert!(
        matches!(late, Err(SendError::NotSent(Cause::Timeout))),
        "{late:?}"
    );
    let close = loop {
        match wire.command().await {
            Command::Pong(_) | Command::Send(_) => {}
            Command::CloseProducer(close) => break close,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(close.producer_id, id);
}

#[tokio::test]
async fn closing_waits_for_receipts_and_for_the_brokers_answer() {
    let broker = FakeBroker::start().await;
    let (_client, producer, mut wire, id) = broker.with_producer(broker.options()).await;
    let pending = producer.send(outgoing(1, b"x"));
    let (receipt, (), ()) = tokio::join!(pending, producer.close(), async {
        wire.take_send().await;
        let close = wire.take_close_producer().await;
        assert_eq!(close.producer_id, id);
        wire.receipt(id, 1, 3).await;
        wire.success(close.request_id).await;
    });
    assert_eq!(receipt.unwrap().entry, 3);
    assert!(matches!(soon(producer.closed()).await, Cause::Closed));
    // Both are nothing now, and say nothing to the broker.
    soon(producer.close()).await;
    drop(producer);
    wire.nothing_came().await;
}

#[tokio::test]
async fn a_dropped_producer_lets_its_name_go() {
    let broker = FakeBroker::start().await;
    let (_client, producer, mut wire, id) = broker.with_producer(broker.options()).await;
    drop(producer);
    assert_eq!(wire.take_close_producer().await.producer_id, id);
}

#[tokio::test]
async fn a_producer_whose_caller_has_gone_is_closed_when_the_broker_has_opened_it() {
    let broker = FakeBroker::start().await;
    let client = pulsar_client::Client::new(broker.options());
    let mut wire = {
        let mut opening = Box::pin(client.producer(TOPIC, ProducerOptions::default()));
        let (wire, request) = tokio::select! {
            _ = &mut opening => panic!("the broker has not answered"),
            asked = async {
                let mut wire = broker.accept().await;
                wire.serve_lookup(&broker.url()).await;
                let request = wire.take_producer().await;
                (wire, request)
            } => asked,
        };
        drop(opening);
        let mut wire = wire;
        wire.send(Command::ProducerSuccess(command::ProducerSuccess {
            request_id: request.request_id,
            producer_name: "n".to_owned(),
            ..command::ProducerSuccess::default()
        }))
        .await;
        wire
    };
    wire.take_close_producer().await;
}

#[tokio::test]
async fn a_broker_that_has_gone_without_a_word_is_connected_to_anew() {
    let broker = FakeBroker::start().await;
    let options = ClientOptions {
        operation_timeout: Duration::from_millis(1500),
        ..broker.options()
    };
    let (client, producer, _silent, _) = broker.with_producer(options).await;
    let pending = soon(producer.send(outgoing(1, b"x"))).await;
    assert!(
        matches!(pending, Err(SendError::Unavailable(_))),
        "{pending:?}"
    );
    let (again, _wire) = tokio::join!(
        async {
            loop {
                // The first try may still meet the old connection.
                if let Ok(producer) = client.producer(TOPIC, ProducerOptions::default()).await {
                    return producer;
                }
            }
        },
        async {
            let mut wire = broker.accept().await;
            wire.serve_lookup(&broker.url()).await;
            wire.serve_producer().await;
            wire
        }
    );
    assert_eq!(again.name(), "made-up");
}
