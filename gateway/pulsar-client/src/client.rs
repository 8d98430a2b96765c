//! The door: options, lookups, producers, readers.
use std::{path::PathBuf, time::Duration};

use crate::{
    Authentication, Cause, LookupError, Producer, ProducerError, ProducerOptions, Reader,
    ReaderError, ReaderOptions, ReaderStart,
};

/// What a client is told.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// `pulsar://HOST:PORT[,HOST:PORT…]`, or `pulsar+ssl://…` for TLS. Default ports 6650 and 6651.
    pub service_url: String,
    /// Credentials.
    pub authentication: Option<Authentication>,
    /// How TLS is done, where the URL asks for it.
    pub tls: TlsOptions,
    /// How long a request, a connect, or an entry's receipt may take.
    pub operation_timeout: Duration,
    /// Connections per broker, at least 1; topics are spread over them.
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
            connections_per_broker: 2,
            keep_alive: Duration::from_secs(30),
        }
    }
}

/// How brokers' certificates are verified.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// PEM file of the authorities to trust; the system's where there is none.
    pub ca_file: Option<PathBuf>,
}

/// A client of one Pulsar cluster. Clones share its connections, which are made when needed.
#[derive(Debug, Clone)]
pub struct Client {}

impl Client {
    /// A client; nothing is connected yet.
    #[must_use]
    pub fn new(_options: ClientOptions) -> Self {
        Self {}
    }

    /// How many partitions the topic has; 0 where it is not partitioned. Does not create the topic,
    /// except on brokers before 3.3 that are set to.
    ///
    /// # Errors
    /// Where there is no such topic or no answer.
    pub async fn partitions(&self, _topic: &str) -> Result<u32, LookupError> {
        Err(LookupError::Unavailable(Cause::Closed))
    }

    /// Full names of the namespace's persistent topics, each partition on its own.
    ///
    /// # Errors
    /// Where there is no such namespace or no answer.
    pub async fn topics_of_namespace(&self, _namespace: &str) -> Result<Vec<String>, LookupError> {
        Err(LookupError::Unavailable(Cause::Closed))
    }

    /// Opens a producer on a topic or partition (`…-partition-N`).
    ///
    /// # Errors
    /// Where the name is taken, the topic is missing, or the broker refuses or does not answer.
    pub async fn producer(
        &self,
        _topic: &str,
        _options: ProducerOptions,
    ) -> Result<Producer, ProducerError> {
        Err(ProducerError::Unavailable(Cause::Closed))
    }

    /// Opens a reader on a topic or partition (`…-partition-N`).
    ///
    /// # Errors
    /// Where the topic is missing, or the broker refuses or does not answer.
    pub async fn reader(
        &self,
        _topic: &str,
        _start: ReaderStart,
        _options: ReaderOptions,
    ) -> Result<Reader, ReaderError> {
        Err(ReaderError::Unavailable(Cause::Closed))
    }
}
