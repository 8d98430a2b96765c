//! A broker in the test's hands: it takes a connection, says what came and sends what it is told.
use std::{
    future::Future,
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use pulsar_client::{
    Client, ClientOptions, MessageMetadata, OutgoingEntry, Producer, ProducerOptions,
    protocol::{
        BrokerEntryMetadata, Command, MessageIdData,
        command::{
            self, CloseProducer, Connect, Connected, LookupOutcome, LookupTopic,
            LookupTopicResponse, ProducerSuccess, SendReceipt, Subscribe, Success,
        },
        entry, frame,
    },
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

pub(crate) const TOPIC: &str = "persistent://public/default/t-partition-0";
const LIMIT: usize = 16 * 1024 * 1024;

/// Fails a test that would wait for ever.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("this should come soon")
}

/// For a server with a certificate for 127.0.0.1 and localhost.
pub(crate) fn acceptor() -> TlsAcceptor {
    let certificate =
        CertificateDer::from_pem_slice(include_bytes!("tls/broker.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/broker.key")).expect("its key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("both belong together");
    Arc::new(config).into()
}

pub(crate) struct FakeBroker {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    pub(crate) max_message_size: i32,
}

impl FakeBroker {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self {
            listener,
            tls: None,
            max_message_size: 5 * 1024 * 1024,
        }
    }

    /// Speaks TLS, with a certificate for 127.0.0.1 and localhost.
    pub(crate) async fn start_tls() -> Self {
        Self {
            tls: Some(acceptor()),
            ..Self::start().await
        }
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() {
            "pulsar+ssl"
        } else {
            "pulsar"
        };
        format!(
            "{scheme}://{}",
            self.listener.local_addr().expect("it is bound")
        )
    }

    /// Options for a client of this broker, with one connection.
    pub(crate) fn options(&self) -> ClientOptions {
        ClientOptions {
            connections_per_broker: 1,
            ..ClientOptions::new(self.url())
        }
    }

    /// Takes the next connection, greeting not yet read.
    pub(crate) async fn accept_raw(&self) -> Wire {
        let (stream, _) = soon(self.listener.accept()).await.expect("a connection");
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(soon(tls.accept(stream)).await.expect("a handshake")),
        };
        Wire {
            stream,
            inbox: BytesMut::new(),
            seen: Seen::default(),
        }
    }

    /// Takes the next connection, whose TLS handshake fails.
    pub(crate) async fn accept_mistrusted(&self) {
        let (stream, _) = soon(self.listener.accept()).await.expect("a connection");
        let tls = self.tls.as_ref().expect("started with TLS");
        assert!(soon(tls.accept(stream)).await.is_err());
    }

    /// Takes the next connection and greets back.
    pub(crate) async fn accept(&self) -> Wire {
        let mut wire = self.accept_raw().await;
        wire.greet(self.max_message_size).await;
        wire
    }

    /// A client with a producer on [`TOPIC`], and the broker's side of it.
    pub(crate) async fn with_producer(
        &self,
        options: ClientOptions,
    ) -> (Client, Producer, Wire, u64) {
        let client = Client::new(options);
        let (producer, (wire, id)) =
            tokio::join!(client.producer(TOPIC, ProducerOptions::default()), async {
                let mut wire = self.accept().await;
                wire.serve_lookup(&self.url()).await;
                let id = wire.serve_producer().await;
                (wire, id)
            });
        (
            client,
            producer.expect("the broker has opened it"),
            wire,
            id,
        )
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The kinds of the commands that came over a connection, and of the entries that went, in order.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, command: &Command) {
        let text = format!("{command:?}");
        let kind = text.split('(').next().unwrap_or_default().to_owned();
        self.0.lock().expect("nobody panicked").push(kind);
    }

    /// What was seen since this was asked last.
    pub(crate) fn take(&self) -> Vec<String> {
        mem::take(&mut *self.0.lock().expect("nobody panicked"))
    }
}

/// The broker's end of a connection.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    inbox: BytesMut,
    pub(crate) seen: Seen,
}

impl Wire {
    pub(crate) async fn greet(&mut self, max_message_size: i32) -> Connect {
        let Command::Connect(connect) = self.command().await else {
            panic!("no greeting")
        };
        self.send(Command::Connected(Connected {
            server_version: "fake".to_owned(),
            protocol_version: Some(20),
            max_message_size: Some(max_message_size),
            feature_flags: None,
        }))
        .await;
        connect
    }

    /// What the client sends next: a command, and what follows it.
    pub(crate) async fn next(&mut self) -> Option<(Command, Bytes)> {
        soon(async {
            loop {
                if let Some(frame) = frame::decode(&mut self.inbox, LIMIT).expect("a frame") {
                    let command = frame.command.command.expect("a known command");
                    self.seen.note(&command);
                    return Some((command, frame.trailer));
                }
                match self.stream.read_buf(&mut self.inbox).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
    }

    pub(crate) async fn command(&mut self) -> Command {
        self.next().await.expect("a command").0
    }

    pub(crate) async fn send(&mut self, command: Command) {
        self.send_bytes(&frame::encode(command)).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes))
            .await
            .expect("the client reads");
    }

    pub(crate) async fn take_lookup(&mut self) -> LookupTopic {
        match self.command().await {
            Command::LookupTopic(lookup) => lookup,
            other => panic!("no lookup: {other:?}"),
        }
    }

    /// Answers a lookup with that broker.
    pub(crate) async fn serve_lookup(&mut self, url: &str) {
        let lookup = self.take_lookup().await;
        assert_eq!(lookup.topic, TOPIC);
        self.answer_lookup(&lookup, url).await;
    }

    pub(crate) async fn answer_lookup(&mut self, lookup: &LookupTopic, url: &str) {
        self.send(Command::LookupTopicResponse(LookupTopicResponse {
            broker_service_url: url.starts_with("pulsar://").then(|| url.to_owned()),
            broker_service_url_tls: url.starts_with("pulsar+ssl://").then(|| url.to_owned()),
            response: Some(LookupOutcome::Connect.into()),
            request_id: lookup.request_id,
            ..LookupTopicResponse::default()
        }))
        .await;
    }

    pub(crate) async fn take_producer(&mut self) -> command::Producer {
        match self.command().await {
            Command::Producer(producer) => producer,
            other => panic!("no producer: {other:?}"),
        }
    }

    /// Opens a producer; its id.
    pub(crate) async fn serve_producer(&mut self) -> u64 {
        let producer = self.take_producer().await;
        self.answer_producer(producer).await
    }

    pub(crate) async fn answer_producer(&mut self, producer: command::Producer) -> u64 {
        self.send(Command::ProducerSuccess(ProducerSuccess {
            request_id: producer.request_id,
            producer_name: producer
                .producer_name
                .unwrap_or_else(|| "made-up".to_owned()),
            last_sequence_id: Some(41),
            ..ProducerSuccess::default()
        }))
        .await;
        producer.producer_id
    }

    pub(crate) async fn take_subscribe(&mut self) -> Subscribe {
        match self.command().await {
            Command::Subscribe(subscribe) => subscribe,
            other => panic!("no subscribe: {other:?}"),
        }
    }

    pub(crate) async fn success(&mut self, request_id: u64) {
        self.send(Command::Success(Success { request_id })).await;
    }

    /// Grants that the client gives.
    pub(crate) async fn take_flow(&mut self) -> u32 {
        match self.command().await {
            Command::Flow(flow) => flow.message_permits,
            other => panic!("no flow: {other:?}"),
        }
    }

    /// An entry the client sends.
    pub(crate) async fn take_send(&mut self) -> (command::Send, entry::Entry) {
        match self.next().await.expect("a send") {
            (Command::Send(send), trailer) => (send, entry::parse(trailer).expect("an entry")),
            (other, _) => panic!("no send: {other:?}"),
        }
    }

    pub(crate) async fn take_close_producer(&mut self) -> CloseProducer {
        match self.command().await {
            Command::CloseProducer(close) => close,
            other => panic!("no close: {other:?}"),
        }
    }

    pub(crate) async fn receipt(&mut self, producer_id: u64, sequence_id: u64, entry: u64) {
        self.send(Command::SendReceipt(SendReceipt {
            producer_id,
            sequence_id,
            message_id: Some(MessageIdData::of(7, entry)),
            highest_sequence_id: None,
        }))
        .await;
    }

    /// Sends an entry to a reader: `messages` in it, the last of them with that index.
    pub(crate) async fn message(
        &mut self,
        consumer_id: u64,
        entry: u64,
        index: Option<u64>,
        messages: i32,
        payload: &[u8],
    ) {
        let broker = BrokerEntryMetadata {
            broker_timestamp: Some(99),
            index,
        };
        let metadata = MessageMetadata {
            num_messages_in_batch: Some(messages),
            ..MessageMetadata::default()
        };
        let payload = [Bytes::copy_from_slice(payload)];
        let trailer = entry::encode(index.map(|_| &broker), &metadata, &payload, true);
        self.raw_message(consumer_id, entry, &trailer).await;
    }

    pub(crate) async fn raw_message(&mut self, consumer_id: u64, entry: u64, trailer: &[u8]) {
        let message = Command::Message(command::Message {
            consumer_id,
            message_id: MessageIdData::of(7, entry),
            ..command::Message::default()
        });
        self.seen.note(&message);
        self.send_bytes(&frame::encode_with_trailer(message, trailer))
            .await;
    }

    /// Proves that the client has sent nothing: its next command answers this ping.
    pub(crate) async fn nothing_came(&mut self) {
        self.send(Command::Ping(command::Ping {})).await;
        assert_eq!(self.command().await, Command::Pong(command::Pong {}));
    }
}

/// An entry of one message.
pub(crate) fn outgoing(sequence_id: u64, payload: &[u8]) -> OutgoingEntry {
    OutgoingEntry {
        sequence_id,
        num_messages: 1,
        metadata: MessageMetadata {
            sequence_id,
            ..MessageMetadata::default()
        },
        payload: vec![Bytes::copy_from_slice(payload)],
        checksum: true,
    }
}
