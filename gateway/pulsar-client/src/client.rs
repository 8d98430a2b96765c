//! The door: options, lookups, producers, readers.
use std::{
    collections::hash_map::{DefaultHasher, RandomState},
    future::Future,
    hash::{BuildHasher as _, Hash as _, Hasher as _},
    num::NonZero,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    Authentication, Cause, Greeting, LookupError, Producer, ProducerError, ProducerOptions, Reader,
    ReaderError, ReaderOptions, ReaderStart,
    connection::{Connection, ConnectionOptions},
    lookup::Lookup,
    pool::Pool,
    remembered::Remembered,
    service_url::ServiceUrl,
    transport::Transport,
};

/// Connections per broker, at the most, where nothing else is said.
const MOST_CONNECTIONS: usize = 4;
/// Tries of one operation while a topic moves between brokers.
const TRIES: u32 = 5;
/// Pause before the second try; doubles from try to try.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What a client is told.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// `pulsar://HOST:PORT[,HOST:PORT…]`, or `pulsar+ssl://…` for TLS. Default ports 6650 and 6651.
    pub service_url: String,
    /// Credentials.
    pub authentication: Option<Authentication>,
    /// How TLS is done, where the URL asks for it.
    pub tls: TlsOptions,
    /// How long a request or an entry's receipt may take. A connect may take a third of it.
    pub operation_timeout: Duration,
    /// Connections per broker, at least 1; topics are spread over them. As it comes, one for two processors
    /// and four at the most: what is written on one connection is written together, which costs both sides
    /// less, and a connection's task keeps one processor busy at the most.
    pub connections_per_broker: usize,
    /// How often a silent connection is probed; after two intervals without a sign it is given up.
    pub keep_alive: Duration,
}

impl ClientOptions {
    /// The defaults, for that service URL.
    pub fn new(service_url: impl Into<String>) -> Self {
        Self {
            service_url: service_url.into(),
            authentication: None,
            tls: TlsOptions::default(),
            operation_timeout: Duration::from_secs(30),
            connections_per_broker: connections_per_broker(),
            keep_alive: Duration::from_secs(30),
        }
    }
}

fn connections_per_broker() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    processors.div_ceil(2).min(MOST_CONNECTIONS)
}

/// How brokers' certificates are verified.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// PEM file of the authorities to trust; the system's where there is none.
    pub ca_file: Option<PathBuf>,
}

/// A client of one Pulsar cluster. Clones share its connections, which are made when needed.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pool: Pool,
    /// `Err` says what is wrong with the service URL.
    lookup: Result<Lookup, Cause>,
    remembered: Remembered,
    connections_per_broker: usize,
    operation_timeout: Duration,
    next_id: AtomicU64,
    /// Tells this client's subscriptions from those of any other.
    nonce: u64,
}

impl Client {
    /// A client; nothing is connected yet. What is wrong with the options is told by the first
    /// operation.
    #[must_use]
    pub fn new(options: ClientOptions) -> Self {
        let ClientOptions {
            service_url,
            authentication,
            tls,
            operation_timeout,
            connections_per_broker,
            keep_alive,
        } = options;
        let url = ServiceUrl::parse(&service_url);
        let transport = match &url {
            Ok(url) if url.tls => Transport::Tls(tls.ca_file),
            _ => Transport::Plain,
        };
        let pool = Pool::new(ConnectionOptions {
            transport,
            authentication,
            operation_timeout,
            keep_alive,
        });
        let lookup = url.map(Lookup::new).map_err(|reason| Cause::Connect {
            address: service_url,
            reason,
        });
        let nonce = RandomState::new().build_hasher().finish();
        Self {
            shared: Arc::new(Shared {
                pool,
                lookup,
                remembered: Remembered::default(),
                connections_per_broker: connections_per_broker.max(1),
                operation_timeout,
                next_id: AtomicU64::new(1),
                nonce,
            }),
        }
    }

    /// What the broker (or proxy) at the service URL says of itself.
    ///
    /// # Errors
    /// Where nobody answers there, or the credentials are refused.
    pub async fn greeting(&self) -> Result<Greeting, LookupError> {
        let shared = &self.shared;
        shared
            .retry(|| async { shared.lookup()?.greeting(&shared.pool).await })
            .await
            .map_err(LookupError::from)
    }

    /// How many partitions the topic has; 0 where it is not partitioned. Does not create the topic,
    /// except on brokers that know no other way (older than 3.0.7) and are set to.
    ///
    /// # Errors
    /// Where there is no such topic or no answer.
    pub async fn partitions(&self, topic: &str) -> Result<u32, LookupError> {
        let shared = &self.shared;
        shared
            .retry(|| async { shared.lookup()?.partitions(&shared.pool, topic).await })
            .await
            .map_err(LookupError::from)
    }

    /// Full names of the namespace's persistent topics, each partition on its own. Partitions that
    /// nobody has used yet are missing; a missing namespace has no topics.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn topics_of_namespace(&self, namespace: &str) -> Result<Vec<String>, LookupError> {
        let shared = &self.shared;
        shared
            .retry(|| async { shared.lookup()?.topics(&shared.pool, namespace).await })
            .await
            .map_err(LookupError::from)
    }

    /// Opens a producer on a topic or partition (`…-partition-N`). A broker that creates topics by
    /// itself creates a missing one: ask for its [`partitions`](Self::partitions) first.
    ///
    /// # Errors
    /// Where the name is taken, the topic is missing, or the broker refuses or does not answer.
    pub async fn producer(
        &self,
        topic: &str,
        options: ProducerOptions,
    ) -> Result<Producer, ProducerError> {
        let shared = &self.shared;
        let options = &options;
        shared
            .retry(|| async move {
                let connection = shared.connection(topic).await?;
                Producer::open(connection, shared.next_id(), topic, options).await
            })
            .await
            .map_err(ProducerError::from)
    }

    /// Opens a reader on a topic or partition (`…-partition-N`). Does not create the topic. Where the
    /// topic was found before, that broker is asked first, which saves the round trip of a lookup.
    ///
    /// # Errors
    /// Where the topic is missing, or the broker refuses or does not answer.
    pub async fn reader(
        &self,
        topic: &str,
        start: ReaderStart,
        options: ReaderOptions,
    ) -> Result<Reader, ReaderError> {
        let shared = &self.shared;
        let options = &options;
        shared
            .retry(|| async move {
                let open = async |connection| {
                    let id = shared.next_id();
                    let subscription = format!("kop-reader-{:016x}-{id}", shared.nonce);
                    Reader::open(connection, id, subscription, topic, start, options).await
                };
                if let Some(connection) = shared.remembered.get(topic) {
                    match open(connection).await {
                        Err(cause) if is_passing(&cause) => shared.remembered.forget(topic),
                        outcome => return outcome,
                    }
                }
                open(shared.connection(topic).await?).await
            })
            .await
            .map_err(ReaderError::from)
    }
}

impl Shared {
    fn lookup(&self) -> Result<&Lookup, Cause> {
        self.lookup.as_ref().map_err(Clone::clone)
    }

    /// A connection to the broker that serves the topic, looked up anew: brokers answer for a topic
    /// only when they have been asked for it.
    async fn connection(&self, topic: &str) -> Result<Connection, Cause> {
        let target = self.lookup()?.topic(&self.pool, topic).await?;
        let mut hasher = DefaultHasher::new();
        topic.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % self.connections_per_broker as u64)
            .expect("less than a usize");
        let connection = self.pool.connection(&target, index).await?;
        self.remembered.learn(topic, &connection);
        Ok(connection)
    }

    /// Unique among the client's producers and readers.
    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Tries a few times while topics move and connections are lost, within the operation timeout.
    async fn retry<T, F: Future<Output = Result<T, Cause>>>(
        &self,
        operation: impl Fn() -> F,
    ) -> Result<T, Cause> {
        let tries = async {
            let mut pause = FIRST_PAUSE;
            for _ in 1..TRIES {
                match operation().await {
                    Err(cause) if is_passing(&cause) => {
                        tracing::debug!(%cause, "trying again");
                        tokio::time::sleep(pause).await;
                        pause *= 2;
                    }
                    outcome => return outcome,
                }
            }
            operation().await
        };
        tokio::time::timeout(self.operation_timeout, tries)
            .await
            .unwrap_or(Err(Cause::Timeout))
    }
}

fn is_passing(cause: &Cause) -> bool {
    match cause {
        Cause::Broker { error, .. } => error.is_transient(),
        Cause::Disconnected(_) | Cause::ClosedByBroker => true,
        Cause::Connect { .. } | Cause::Credentials(_) | Cause::Timeout | Cause::Closed => false,
    }
}
