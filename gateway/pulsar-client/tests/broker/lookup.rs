use std::time::Duration;

use pulsar_client::{
    Authentication, Cause, Client, ClientOptions, LookupError, ProducerError, ProducerOptions,
    ServerError, TokenSource,
    protocol::{
        Command,
        command::{
            self, AuthChallenge, ErrorResponse, LookupOutcome, LookupTopicResponse,
            MetadataOutcome, PartitionedTopicMetadataResponse,
        },
    },
};

use crate::fake::{FakeBroker, TOPIC, soon};

#[tokio::test]
async fn a_redirect_is_followed_with_the_authority_it_came_with() {
    let first = FakeBroker::start().await;
    let second = FakeBroker::start().await;
    let client = Client::new(first.options());
    let (producer, _wires) =
        tokio::join!(client.producer(TOPIC, ProducerOptions::default()), async {
            let mut wire = first.accept().await;
            let lookup = wire.take_lookup().await;
            assert!(!lookup.authoritative());
            wire.send(Command::LookupTopicResponse(LookupTopicResponse {
                broker_service_url: Some(second.url()),
                response: Some(LookupOutcome::Redirect.into()),
                request_id: lookup.request_id,
                authoritative: Some(true),
                ..LookupTopicResponse::default()
            }))
            .await;
            let mut other = second.accept().await;
            let lookup = other.take_lookup().await;
            assert!(lookup.authoritative());
            other
                .send(Command::LookupTopicResponse(LookupTopicResponse {
                    broker_service_url: Some(second.url()),
                    response: Some(LookupOutcome::Connect.into()),
                    request_id: lookup.request_id,
                    ..LookupTopicResponse::default()
                }))
                .await;
            other.serve_producer().await;
            (wire, other)
        });
    producer.unwrap();
}

#[tokio::test]
async fn through_a_proxy_the_socket_goes_to_the_service_url_and_the_greeting_names_the_broker() {
    let proxy = FakeBroker::start().await;
    let client = Client::new(proxy.options());
    let (producer, _wires) =
        tokio::join!(client.producer(TOPIC, ProducerOptions::default()), async {
            let mut wire = proxy.accept().await;
            let lookup = wire.take_lookup().await;
            wire.send(Command::LookupTopicResponse(LookupTopicResponse {
                broker_service_url: Some("pulsar://broker-3.internal:6650".to_owned()),
                response: Some(LookupOutcome::Connect.into()),
                request_id: lookup.request_id,
                proxy_through_service_url: Some(true),
                ..LookupTopicResponse::default()
            }))
            .await;
            let mut proxied = proxy.accept_raw().await;
            let connect = proxied.greet(1000).await;
            assert_eq!(connect.proxy_to_broker_url(), "broker-3.internal:6650");
            proxied.serve_producer().await;
            (wire, proxied)
        });
    producer.unwrap();
}

/// What opening a producer says when the broker answers with that error.
async fn refused_with(error: ServerError) -> ProducerError {
    let broker = FakeBroker::start().await;
    let client = Client::new(broker.options());
    let options = ProducerOptions {
        name: Some("owner".to_owned()),
        ..ProducerOptions::default()
    };
    let (refused, _wire) = tokio::join!(client.producer(TOPIC, options), async {
        let mut wire = broker.accept().await;
        wire.serve_lookup(&broker.url()).await;
        let request = wire.take_producer().await;
        assert_eq!(request.producer_name(), "owner");
        assert!(request.user_provided_producer_name());
        wire.send(Command::Error(ErrorResponse {
            request_id: request.request_id,
            error: error.into(),
            message: "words".to_owned(),
        }))
        .await;
        wire
    });
    refused.expect_err("the broker has refused")
}

#[tokio::test]
async fn refusals_are_told_apart() {
    use ProducerError as E;
    let refused = refused_with(ServerError::ProducerBusy).await;
    assert!(
        matches!(refused, E::Busy(ref words) if words == "words"),
        "{refused:?}"
    );
    let refused = refused_with(ServerError::ProducerFenced).await;
    assert!(matches!(refused, E::Fenced(_)), "{refused:?}");
    let refused = refused_with(ServerError::TopicNotFound).await;
    assert!(matches!(refused, E::NotFound(_)), "{refused:?}");
    let refused = refused_with(ServerError::Authorization).await;
    assert!(matches!(refused, E::Unauthorized(_)), "{refused:?}");
    let refused = refused_with(ServerError::TopicTerminated).await;
    assert!(
        matches!(
            refused,
            E::Refused {
                error: ServerError::TopicTerminated,
                ..
            }
        ),
        "{refused:?}"
    );
    let refused = refused_with(ServerError::Unknown).await;
    assert!(
        matches!(refused, E::Unavailable(Cause::Broker { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_topic_that_is_moving_is_looked_up_again() {
    let broker = FakeBroker::start().await;
    let client = Client::new(broker.options());
    let (producer, _wire) =
        tokio::join!(client.producer(TOPIC, ProducerOptions::default()), async {
            let mut wire = broker.accept().await;
            wire.serve_lookup(&broker.url()).await;
            let request = wire.take_producer().await;
            wire.send(Command::Error(ErrorResponse {
                request_id: request.request_id,
                error: ServerError::ServiceNotReady.into(),
                message: "not here".to_owned(),
            }))
            .await;
            wire.serve_lookup(&broker.url()).await;
            wire.serve_producer().await;
            wire
        });
    producer.unwrap();
}

#[tokio::test]
async fn partitions_are_counted_without_creating_the_topic() {
    let broker = FakeBroker::start().await;
    let client = Client::new(broker.options());
    let (partitions, mut wire) = tokio::join!(client.partitions("persistent://a/b/c"), async {
        let mut wire = broker.accept().await;
        answer_partitions(&mut wire, Ok(12)).await;
        wire
    });
    assert_eq!(partitions.unwrap(), 12);
    let (missing, ()) = tokio::join!(
        client.partitions("persistent://a/b/c"),
        answer_partitions(&mut wire, Err(ServerError::TopicNotFound))
    );
    assert!(
        matches!(missing, Err(LookupError::NotFound(_))),
        "{missing:?}"
    );
}

async fn answer_partitions(wire: &mut crate::fake::Wire, answer: Result<u32, ServerError>) {
    let Command::PartitionMetadata(asked) = wire.command().await else {
        panic!("not asked")
    };
    assert!(!asked.metadata_auto_creation_enabled());
    let outcome = if answer.is_ok() {
        MetadataOutcome::Success
    } else {
        MetadataOutcome::Failed
    };
    wire.send(Command::PartitionMetadataResponse(
        PartitionedTopicMetadataResponse {
            partitions: answer.ok(),
            request_id: asked.request_id,
            response: Some(outcome.into()),
            error: answer.err().map(i32::from),
            message: None,
        },
    ))
    .await;
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_passed_over() {
    let broker = FakeBroker::start().await;
    let dead = FakeBroker::start().await.url();
    let url = format!("{dead},{}", broker.url().trim_start_matches("pulsar://"));
    let client = Client::new(ClientOptions {
        connections_per_broker: 1,
        ..ClientOptions::new(url)
    });
    let (partitions, _wire) = tokio::join!(client.partitions("persistent://a/b/c"), async {
        let mut wire = broker.accept().await;
        answer_partitions(&mut wire, Ok(1)).await;
        wire
    });
    assert_eq!(partitions.unwrap(), 1);
}

#[tokio::test]
async fn what_cannot_be_reached_or_is_no_url_is_an_error_in_words() {
    let dead = FakeBroker::start().await.url();
    for url in [dead.as_str(), "http://somewhere"] {
        let error = soon(Client::new(ClientOptions::new(url)).partitions("t"))
            .await
            .unwrap_err();
        assert!(
            matches!(error, LookupError::Unavailable(Cause::Connect { .. })),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn the_token_is_read_anew_when_the_broker_asks_again() {
    let broker = FakeBroker::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "first\n").unwrap();
    let options = ClientOptions {
        authentication: Some(Authentication::Token(TokenSource::File(
            file.path().to_owned(),
        ))),
        ..broker.options()
    };
    let client = Client::new(options);
    let (partitions, _wire) = tokio::join!(client.partitions("persistent://a/b/c"), async {
        let mut wire = broker.accept_raw().await;
        let connect = wire.greet(1000).await;
        assert_eq!(connect.auth_method_name(), "token");
        assert_eq!(connect.auth_data(), b"first");
        assert!(
            connect
                .feature_flags
                .unwrap()
                .supports_broker_entry_metadata()
        );
        std::fs::write(file.path(), "second").unwrap();
        let Command::PartitionMetadata(asked) = wire.command().await else {
            panic!("not asked")
        };
        wire.send(Command::AuthChallenge(AuthChallenge::default()))
            .await;
        let Command::AuthResponse(answer) = wire.command().await else {
            panic!("no answer")
        };
        assert_eq!(answer.response.unwrap().auth_data(), b"second");
        wire.send(Command::PartitionMetadataResponse(
            PartitionedTopicMetadataResponse {
                partitions: Some(0),
                request_id: asked.request_id,
                ..PartitionedTopicMetadataResponse::default()
            },
        ))
        .await;
        wire
    });
    assert_eq!(partitions.unwrap(), 0);
}

#[tokio::test]
async fn a_refused_greeting_says_who_is_not_let_in() {
    let broker = FakeBroker::start().await;
    let client = Client::new(broker.options());
    let (refused, ()) = tokio::join!(client.partitions("persistent://a/b/c"), async {
        let mut wire = broker.accept_raw().await;
        wire.command().await;
        wire.send(Command::Error(ErrorResponse {
            request_id: u64::MAX,
            error: ServerError::Authentication.into(),
            message: "who are you".to_owned(),
        }))
        .await;
    });
    assert!(
        matches!(refused, Err(LookupError::Unauthorized(ref words)) if words == "who are you"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_silent_broker_is_probed_and_then_given_up() {
    let broker = FakeBroker::start().await;
    let options = ClientOptions {
        keep_alive: Duration::from_millis(500),
        ..broker.options()
    };
    let (_client, producer, mut wire, _) = broker.with_producer(options).await;
    assert_eq!(wire.command().await, Command::Ping(command::Ping {}));
    // Not answered.
    let cause = soon(producer.closed()).await;
    assert!(matches!(cause, Cause::Disconnected(_)), "{cause:?}");
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_the_connection() {
    for garbage in [
        &[0xff; 64][..],
        &[0, 0, 0, 1, 9],
        &[0, 0, 0, 8, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff],
    ] {
        let broker = FakeBroker::start().await;
        let (_client, producer, mut wire, _) = broker.with_producer(broker.options()).await;
        wire.send_bytes(garbage).await;
        let cause = soon(producer.closed()).await;
        assert!(matches!(cause, Cause::Disconnected(_)), "{cause:?}");
    }
}
