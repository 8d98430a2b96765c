//! The few calls of Pulsar's admin REST API that the engine needs.
//!
//! Redirects are followed here and not by the HTTP client, which takes the token away when a broker
//! sends us to another one. Answers are read up to a limit.
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use pulsar_client::{Authentication, CredentialsError};
use reqwest::{Method, StatusCode, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::naming::PulsarTopic;

mod configs;
mod facts;
mod policies;

pub(crate) use facts::{COMPACTION, EntryFacts, InternalStats, Position};
#[cfg(test)]
pub(crate) use policies::AutoTopicCreation;
pub(crate) use policies::{InactiveTopics, NamespacePolicies};

/// Longest a call may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Longest answer that is read, in bytes: room for the names of some hundred thousand topics.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// How often a call may be sent on to another broker.
const MAX_REDIRECTS: usize = 5;

/// Pulsar's admin API as one client sees it. Clones share connections.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    http: reqwest::Client,
    base: Arc<str>,
    authentication: Option<Authentication>,
    /// A broker has told a topic's ledgers without its properties, as those of 3.0 do.
    properties_apart: Arc<AtomicBool>,
}

/// Why an admin call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// What the call is about does not exist.
    #[error("not found: {0}")]
    NotFound(String),
    /// What was to be made exists.
    #[error("already exists: {0}")]
    Conflict(String),
    /// We may not do that.
    #[error("not allowed by pulsar ({status}): {reason}")]
    Forbidden {
        /// 401 or 403.
        status: u16,
        /// What Pulsar said.
        reason: String,
    },
    /// Pulsar refuses the call.
    #[error("pulsar answered {status}: {reason}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What Pulsar said.
        reason: String,
    },
    /// The answer is not what this API answers.
    #[error("pulsar's answer to {call} is not understood: {problem}")]
    Malformed {
        /// The path that was called.
        call: String,
        /// What is wrong.
        problem: String,
    },
    /// There is no token to send.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// There is nothing to trust a server by: the machine has no authorities, or the file given holds
    /// none.
    #[error("TLS cannot be used: {}", root(.0))]
    Tls(reqwest::Error),
    /// No answer came. The message says what is at the root of it: the layers in between say no more.
    #[error("no answer: {}", root(.0))]
    Unreachable(reqwest::Error),
}

fn root<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .unwrap_or(error)
}

/// A partitioned topic's own metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionedTopic {
    /// Partitions; 0 for a topic that is not partitioned.
    pub(crate) partitions: u32,
    /// Free properties of the topic.
    #[serde(default, deserialize_with = "null_is_default")]
    pub(crate) properties: BTreeMap<String, String>,
}

/// How long a namespace keeps what every subscription has read (and what has no subscription).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Retention {
    /// Minutes; −1 for ever, 0 not at all.
    pub(crate) retention_time_in_minutes: i64,
    /// Megabytes; −1 without limit, 0 none.
    #[serde(rename = "retentionSizeInMB")]
    pub(crate) retention_size_in_mb: i64,
}

impl Retention {
    /// Whether records without a subscription are removed at the next ledger roll-over.
    pub(crate) fn keeps_nothing(self) -> bool {
        self.retention_time_in_minutes == 0 || self.retention_size_in_mb == 0
    }
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl Admin {
    /// A client of the API at `url`; nothing is sent yet.
    pub(crate) fn new(
        url: &str,
        authentication: Option<Authentication>,
        ca: Option<&[u8]>,
    ) -> Result<Self, AdminError> {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(20));
        let authorities = match ca {
            Some(pem) => Some(reqwest::Certificate::from_pem_bundle(pem).map_err(AdminError::Tls)?),
            // Without TLS nobody is to be trusted, and the machine need not have any authorities.
            None => url.starts_with("http://").then(Vec::new),
        };
        if let Some(authorities) = authorities {
            builder = builder.tls_certs_only(authorities);
        }
        Ok(Self {
            http: builder.build().map_err(AdminError::Tls)?,
            base: url.trim_end_matches('/').into(),
            authentication,
            properties_apart: Arc::default(),
        })
    }

    /// A topic's partitions and properties; `None` where neither it nor a topic without partitions
    /// is known. Older versions answer 0 partitions for any name: see [`Self::exists`].
    pub(crate) async fn partitioned(
        &self,
        topic: &PulsarTopic,
    ) -> Result<Option<PartitionedTopic>, AdminError> {
        let path = format!(
            "persistent/{}/partitions?checkAllowAutoCreation=false",
            topic.path()
        );
        found(self.json(&path).await)
    }

    /// Whether a topic without partitions of that name exists.
    pub(crate) async fn exists(&self, topic: &PulsarTopic) -> Result<bool, AdminError> {
        Ok(self
            .topics(topic.namespace())
            .await?
            .iter()
            .any(|name| name == topic.as_str()))
    }

    /// Full names of all topics of a namespace, each partition by itself.
    pub(crate) async fn topics(&self, namespace: &str) -> Result<Vec<String>, AdminError> {
        Ok(found(self.json(&format!("persistent/{namespace}")).await)?.unwrap_or_default())
    }

    /// Full names of the partitioned topics of a namespace.
    pub(crate) async fn partitioned_topics(
        &self,
        namespace: &str,
    ) -> Result<Vec<String>, AdminError> {
        Ok(found(
            self.json(&format!("persistent/{namespace}/partitioned"))
                .await,
        )?
        .unwrap_or_default())
    }

    /// Makes a partitioned topic.
    pub(crate) async fn create_partitioned(
        &self,
        topic: &PulsarTopic,
        metadata: &PartitionedTopic,
    ) -> Result<(), AdminError> {
        let path = format!("persistent/{}/partitions", topic.path());
        let body = Body::typed("application/vnd.partitioned-topic-metadata+json", metadata)?;
        self.call(Method::PUT, &path, Some(body)).await.map(drop)
    }

    /// Gives a partitioned topic more partitions.
    pub(crate) async fn grow_partitioned(
        &self,
        topic: &PulsarTopic,
        partitions: u32,
    ) -> Result<(), AdminError> {
        let path = format!("persistent/{}/partitions", topic.path());
        let body = Body::typed("application/json", &partitions)?;
        self.call(Method::POST, &path, Some(body)).await.map(drop)
    }

    /// Makes a topic without partitions.
    pub(crate) async fn create_plain(&self, topic: &PulsarTopic) -> Result<(), AdminError> {
        self.call(Method::PUT, &format!("persistent/{}", topic.path()), None)
            .await
            .map(drop)
    }

    /// Removes a partitioned topic, whoever uses it.
    pub(crate) async fn delete_partitioned(&self, topic: &PulsarTopic) -> Result<(), AdminError> {
        let path = format!("persistent/{}/partitions?force=true", topic.path());
        self.call(Method::DELETE, &path, None).await.map(drop)
    }

    /// Removes a topic without partitions, whoever uses it.
    pub(crate) async fn delete_plain(&self, topic: &PulsarTopic) -> Result<(), AdminError> {
        let path = format!("persistent/{}?force=true", topic.path());
        self.call(Method::DELETE, &path, None).await.map(drop)
    }

    /// Names of the clusters; answered without any right, so good to see whether someone is there.
    pub(crate) async fn clusters(&self) -> Result<Vec<String>, AdminError> {
        self.json("clusters").await
    }

    /// Whether a namespace exists.
    pub(crate) async fn namespace_exists(&self, namespace: &str) -> Result<bool, AdminError> {
        let policies = self
            .call(Method::GET, &format!("namespaces/{namespace}"), None)
            .await;
        Ok(found(policies)?.is_some())
    }

    /// Makes a namespace whose records are kept until someone decides otherwise.
    pub(crate) async fn create_namespace(&self, namespace: &str) -> Result<(), AdminError> {
        #[derive(Serialize)]
        struct Policies {
            retention_policies: Retention,
        }
        let for_ever = Retention {
            retention_time_in_minutes: -1,
            retention_size_in_mb: -1,
        };
        let body = Body::typed(
            "application/json",
            &Policies {
                retention_policies: for_ever,
            },
        )?;
        match self
            .call(Method::PUT, &format!("namespaces/{namespace}"), Some(body))
            .await
        {
            Ok(_) | Err(AdminError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes a namespace where there may be none. A role that may not make any goes on: whoever
    /// prepared Pulsar for it has made the namespace, or what is to stand in it will be refused.
    pub(crate) async fn provide_namespace(&self, namespace: &str) -> Result<(), AdminError> {
        match self.create_namespace(namespace).await {
            Err(AdminError::Forbidden { .. }) => Ok(()),
            provided => provided,
        }
    }

    /// A namespace's own retention; `None` where the brokers' default applies.
    pub(crate) async fn retention(&self, namespace: &str) -> Result<Option<Retention>, AdminError> {
        let path = format!("namespaces/{namespace}/retention");
        let body = self.call(Method::GET, &path, None).await?;
        if body.is_empty() {
            return Ok(None);
        }
        parse(&path, &body).map(Some)
    }

    /// A broker's effective settings. Needs superuser rights.
    pub(crate) async fn broker_settings(&self) -> Result<BTreeMap<String, String>, AdminError> {
        self.json("brokers/configuration/runtime").await
    }

    /// The ledgers and properties of a topic (of one partition, where it has partitions).
    pub(crate) async fn internal_stats(
        &self,
        topic: &PulsarTopic,
    ) -> Result<InternalStats, AdminError> {
        let path = format!("persistent/{}/internalStats", topic.path());
        if !self.properties_apart.load(Ordering::Relaxed) {
            let stats: InternalStats = self.json(&path).await?;
            if stats.properties.is_some() {
                return Ok(stats);
            }
            self.properties_apart.store(true, Ordering::Relaxed);
        }
        // First those: what comes and fills a ledger meanwhile is counted by the index already.
        let properties = self.properties(topic).await?;
        let mut stats: InternalStats = self.json(&path).await?;
        if stats.properties.is_some() {
            self.properties_apart.store(false, Ordering::Relaxed);
        } else {
            stats.properties = Some(properties);
        }
        Ok(stats)
    }

    async fn properties(
        &self,
        topic: &PulsarTopic,
    ) -> Result<BTreeMap<String, String>, AdminError> {
        let path = format!("persistent/{}/properties", topic.path());
        let body = self.call(Method::GET, &path, None).await?;
        if body.is_empty() {
            return Ok(BTreeMap::new());
        }
        parse(&path, &body)
    }

    /// What one entry's metadata says; `None` where there is no such entry.
    pub(crate) async fn entry(
        &self,
        topic: &PulsarTopic,
        position: Position,
    ) -> Result<Option<EntryFacts>, AdminError> {
        let Position { ledger, entry } = position;
        let path = format!("persistent/{}/ledger/{ledger}/entry/{entry}", topic.path());
        // HEAD: the headers hold all that is asked for, the body would be the payload.
        let response = self.send(Method::HEAD, &path, None).await?;
        match response.status() {
            status if status.is_success() => EntryFacts::from_headers(response.headers())
                .map(Some)
                .map_err(|problem| AdminError::Malformed {
                    call: path,
                    problem,
                }),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(refused(status, "entry read".to_owned())),
        }
    }

    async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        let body = self.call(Method::GET, path, None).await?;
        parse(path, &body)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> Result<Bytes, AdminError> {
        let response = self.send(method, path, body).await?;
        let status = response.status();
        let bytes = read_bounded(response, path).await?;
        if status.is_success() {
            return Ok(bytes);
        }
        Err(refused(status, reason(&bytes)))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> Result<reqwest::Response, AdminError> {
        let mut url = format!("{}/admin/v2/{path}", self.base);
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.http.request(method.clone(), &url);
            if let Some(authentication) = &self.authentication {
                request = request.bearer_auth(authentication.token().await?);
            }
            if let Some(body) = &body {
                request = request
                    .header(header::CONTENT_TYPE, body.content_type)
                    .body(body.bytes.clone());
            }
            let response = request.send().await.map_err(AdminError::Unreachable)?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let location = response
                .headers()
                .get(header::LOCATION)
                .and_then(|value| value.to_str().ok())
                .and_then(|value| response.url().join(value).ok());
            match location {
                // A token is never sent to a weaker scheme than the one it was given for.
                Some(next) if next.scheme() == response.url().scheme() => url = next.to_string(),
                _ => {
                    return Err(AdminError::Malformed {
                        call: path.to_owned(),
                        problem: "redirect without a usable address".to_owned(),
                    });
                }
            }
        }
        Err(AdminError::Malformed {
            call: path.to_owned(),
            problem: "too many redirects".to_owned(),
        })
    }
}

struct Body {
    content_type: &'static str,
    bytes: Bytes,
}

impl Body {
    fn typed(content_type: &'static str, value: &impl Serialize) -> Result<Self, AdminError> {
        let bytes = serde_json::to_vec(value).map_err(|error| AdminError::Malformed {
            call: "request body".to_owned(),
            problem: error.to_string(),
        })?;
        Ok(Self {
            content_type,
            bytes: bytes.into(),
        })
    }
}

async fn read_bounded(mut response: reqwest::Response, path: &str) -> Result<Bytes, AdminError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(AdminError::Unreachable)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(AdminError::Malformed {
                call: path.to_owned(),
                problem: format!("longer than {MAX_ANSWER} bytes"),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn parse<T: DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, AdminError> {
    serde_json::from_slice(body).map_err(|error| AdminError::Malformed {
        call: path.to_owned(),
        problem: error.to_string(),
    })
}

fn found<T>(answer: Result<T, AdminError>) -> Result<Option<T>, AdminError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(AdminError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What Pulsar says about a refusal: the `reason` of its JSON, or the start of the text.
fn reason(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Reason {
        reason: String,
    }
    let text = serde_json::from_slice::<Reason>(body)
        .map_or_else(|_| String::from_utf8_lossy(body).into_owned(), |r| r.reason);
    let message = text.split("Message:").nth(1).unwrap_or(&text);
    message
        .trim()
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(300)
        .collect()
}

fn refused(status: StatusCode, reason: String) -> AdminError {
    match status {
        StatusCode::NOT_FOUND => AdminError::NotFound(reason),
        StatusCode::CONFLICT => AdminError::Conflict(reason),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => AdminError::Forbidden {
            status: status.as_u16(),
            reason,
        },
        status => AdminError::Refused {
            status: status.as_u16(),
            reason,
        },
    }
}

#[cfg(test)]
mod tests;
