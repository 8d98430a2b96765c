//! Which broker serves a topic.
use std::sync::atomic::{AtomicUsize, Ordering};

use pulsar_protocol::{
    Command, ServerError,
    command::{
        GetTopicsOfNamespace, LookupOutcome, LookupTopic, LookupTopicResponse, MetadataOutcome,
        PartitionedTopicMetadata,
    },
};

use crate::{
    Cause, Greeting,
    connection::{Connection, Opens, Target},
    pool::Pool,
    service_url::{HostPort, ServiceUrl},
};

/// Brokers redirect a few times while a topic moves; not for ever.
const MAX_REDIRECTS: usize = 20;
/// The pool's connection that lookups go over.
const LOOKUP_CONNECTION: usize = 0;

/// Asks the service URL.
#[derive(Debug)]
pub(crate) struct Lookup {
    url: ServiceUrl,
    /// Which of the URL's hosts answered last.
    preferred: AtomicUsize,
}

impl Lookup {
    pub(crate) fn new(url: ServiceUrl) -> Self {
        Self {
            url,
            preferred: AtomicUsize::new(0),
        }
    }

    /// The broker that serves the topic.
    pub(crate) async fn topic(&self, pool: &Pool, topic: &str) -> Result<Target, Cause> {
        let (service, mut connection) = self.service(pool).await?;
        let mut authoritative = false;
        for _ in 0..MAX_REDIRECTS {
            let answer = ask(&connection, topic, authoritative).await?;
            let outcome = answer.response();
            if outcome == LookupOutcome::Failed {
                return Err(Cause::Broker {
                    error: ServerError::from_code(answer.error.unwrap_or_default()),
                    message: answer.message.unwrap_or_default(),
                });
            }
            let target = self.target(&service, &answer)?;
            if outcome == LookupOutcome::Connect {
                return Ok(target);
            }
            authoritative = answer.authoritative();
            connection = pool.connection(&target, LOOKUP_CONNECTION).await?;
        }
        Err(Cause::Disconnected(format!(
            "redirected more than {MAX_REDIRECTS} times"
        )))
    }

    /// What the broker or proxy that answers at the service URL says of itself.
    pub(crate) async fn greeting(&self, pool: &Pool) -> Result<Greeting, Cause> {
        let (_, connection) = self.service(pool).await?;
        Ok(connection.greeting().clone())
    }

    /// The topic's number of partitions, 0 where it is not partitioned.
    pub(crate) async fn partitions(&self, pool: &Pool, topic: &str) -> Result<u32, Cause> {
        let (_, connection) = self.service(pool).await?;
        let request_id = connection.next_request();
        let command = Command::PartitionMetadata(PartitionedTopicMetadata {
            topic: topic.to_owned(),
            request_id,
            metadata_auto_creation_enabled: Some(false),
        });
        match connection
            .request(request_id, command, Opens::Nothing)
            .await?
        {
            Command::PartitionMetadataResponse(answer)
                if answer.response() == MetadataOutcome::Success =>
            {
                Ok(answer.partitions.unwrap_or(0))
            }
            Command::PartitionMetadataResponse(answer) => Err(Cause::Broker {
                error: ServerError::from_code(answer.error.unwrap_or_default()),
                message: answer.message.unwrap_or_default(),
            }),
            other => Err(unexpected(&other)),
        }
    }

    /// The namespace's persistent topics.
    pub(crate) async fn topics(&self, pool: &Pool, namespace: &str) -> Result<Vec<String>, Cause> {
        let (_, connection) = self.service(pool).await?;
        let request_id = connection.next_request();
        let command = Command::GetTopicsOfNamespace(GetTopicsOfNamespace {
            request_id,
            namespace: namespace.to_owned(),
            mode: None,
        });
        match connection
            .request(request_id, command, Opens::Nothing)
            .await?
        {
            Command::GetTopicsOfNamespaceResponse(answer) => Ok(answer.topics),
            other => Err(unexpected(&other)),
        }
    }

    /// A connection to the first host that takes one, beginning with the one that did last.
    async fn service(&self, pool: &Pool) -> Result<(HostPort, Connection), Cause> {
        let first = self.preferred.load(Ordering::Relaxed);
        let hosts = self.url.hosts.iter().enumerate();
        let mut last = Cause::Closed;
        for (index, host) in hosts
            .clone()
            .chain(hosts)
            .skip(first)
            .take(self.url.hosts.len())
        {
            let target = Target {
                address: host.clone(),
                broker: None,
            };
            match pool.connection(&target, LOOKUP_CONNECTION).await {
                Ok(connection) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok((host.clone(), connection));
                }
                Err(cause) => last = cause,
            }
        }
        Err(last)
    }

    /// Whom a lookup's answer names.
    fn target(&self, service: &HostPort, answer: &LookupTopicResponse) -> Result<Target, Cause> {
        let url = if self.url.tls {
            answer.broker_service_url_tls.as_deref()
        } else {
            answer.broker_service_url.as_deref()
        };
        let url = url.filter(|url| !url.is_empty()).ok_or_else(|| {
            let kind = if self.url.tls { "TLS" } else { "plain" };
            Cause::Disconnected(format!("lookup answered without a {kind} address"))
        })?;
        let broker = ServiceUrl::parse(url).map_err(Cause::Disconnected)?;
        let broker =
            broker.hosts.into_iter().next().ok_or_else(|| {
                Cause::Disconnected("lookup answered without an address".to_owned())
            })?;
        Ok(if answer.proxy_through_service_url() {
            Target {
                address: service.clone(),
                broker: Some(broker),
            }
        } else {
            Target {
                address: broker,
                broker: None,
            }
        })
    }
}

async fn ask(
    connection: &Connection,
    topic: &str,
    authoritative: bool,
) -> Result<LookupTopicResponse, Cause> {
    let request_id = connection.next_request();
    let command = Command::LookupTopic(LookupTopic {
        topic: topic.to_owned(),
        request_id,
        authoritative: Some(authoritative),
        advertised_listener_name: None,
        properties: Vec::new(),
    });
    match connection
        .request(request_id, command, Opens::Nothing)
        .await?
    {
        Command::LookupTopicResponse(answer) => Ok(answer),
        other => Err(unexpected(&other)),
    }
}

/// An answer that does not belong to its request.
pub(crate) fn unexpected(answer: &Command) -> Cause {
    Cause::Disconnected(format!("broker answered with command {}", answer.kind()))
}
