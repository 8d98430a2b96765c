use std::path::{Path, PathBuf};

use pulsar_client::{Cause, Client, ClientOptions, LookupError, TlsOptions};

use crate::fake::{FakeBroker, outgoing, soon};

fn trusting(broker: &FakeBroker, authority: &str) -> ClientOptions {
    let ca_file: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/broker/tls")
        .join(authority);
    ClientOptions {
        tls: TlsOptions {
            ca_file: Some(ca_file),
        },
        ..broker.options()
    }
}

#[tokio::test]
async fn entries_of_every_size_pass_through_tls() {
    let broker = FakeBroker::start_tls().await;
    let (_client, producer, mut wire, id) = broker.with_producer(trusting(&broker, "ca.pem")).await;
    for (n, size) in (0..).zip([0, 1, 100, 16_384, 16_385, 1_000_000]) {
        let receipt = producer.send(outgoing(n, &vec![7; size]));
        assert_eq!(wire.take_send().await.1.payload.len(), size);
        wire.receipt(id, n, n).await;
        soon(receipt).await.unwrap();
    }
}

#[tokio::test]
async fn a_broker_that_no_trusted_authority_vouches_for_is_refused() {
    let broker = FakeBroker::start_tls().await;
    let client = Client::new(trusting(&broker, "other-ca.pem"));
    let (refused, ()) = tokio::join!(
        client.partitions("persistent://a/b/c"),
        broker.accept_mistrusted()
    );
    assert!(
        matches!(
            refused,
            Err(LookupError::Unavailable(Cause::Connect { .. }))
        ),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_missing_authority_file_is_an_error_in_words() {
    let broker = FakeBroker::start_tls().await;
    let client = Client::new(trusting(&broker, "missing.pem"));
    let refused = soon(client.partitions("persistent://a/b/c")).await;
    assert!(
        matches!(
            refused,
            Err(LookupError::Unavailable(Cause::Connect { .. }))
        ),
        "{refused:?}"
    );
}
