//! What was seen of a Pulsar.
use std::{collections::BTreeMap, error::Error};

use pulsar_client::{Cause, Greeting, LookupError, ProducerError, ReaderError, ServerError};

use super::token::Token;
use crate::admin::{AdminError, InactiveTopics, NamespacePolicies, Retention};

/// Everything that was seen.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) service_url: String,
    pub(crate) admin_url: String,
    /// Whether authorities were given by `--pulsar-ca-file`.
    pub(crate) authorities: bool,
    /// The token; `None` where none is used.
    pub(crate) token: Option<Token>,
    /// Whether the next token comes by itself.
    pub(crate) renewed: bool,
    pub(crate) greeting: Result<Greeting, Trouble>,
    pub(crate) admin: Result<AdminFacts, Trouble>,
    /// Largest record batch that the gateway is to take, in bytes.
    pub(crate) largest_batch: usize,
    /// When the token was looked at, in seconds since the epoch.
    pub(crate) now: u64,
}

/// What the admin service tells.
#[derive(Debug, Clone)]
pub(crate) struct AdminFacts {
    pub(crate) version: Result<String, Trouble>,
    /// Settings of the broker that answered, as they are in force.
    pub(crate) settings: Result<BTreeMap<String, String>, Trouble>,
    pub(crate) tenant: String,
    /// Namespaces of the tenant; only its administrators may see them.
    pub(crate) namespaces: Result<Vec<String>, Trouble>,
    /// Where topics with bare names are.
    pub(crate) topics: NamespaceFacts,
    /// Where groups, offsets and producer ids are.
    pub(crate) metadata: NamespaceFacts,
}

/// One namespace.
#[derive(Debug, Clone)]
pub(crate) struct NamespaceFacts {
    /// `tenant/namespace`.
    pub(crate) name: String,
    /// `None` where it does not exist.
    pub(crate) policies: Result<Option<NamespacePolicies>, Trouble>,
    /// What was tried in it; `None` where it does not exist.
    pub(crate) probe: Option<Probe>,
}

/// What came of trying. A step that was not come to is `None`.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    /// The topic that was made for it.
    pub(crate) topic: String,
    pub(crate) listed: Result<(), Trouble>,
    pub(crate) created: Result<(), Trouble>,
    pub(crate) written: Option<Result<(), Trouble>>,
    /// Whether the broker numbered the entry, as the admin service shows it.
    pub(crate) numbered: Option<Result<bool, Trouble>>,
    /// Whether a reader was given that number.
    pub(crate) shown: Option<Result<bool, Trouble>>,
    /// What is in force for the topic, wherever it was set.
    pub(crate) applied: Option<Result<Applied, Trouble>>,
    pub(crate) removed: Option<Result<(), Trouble>>,
}

/// What is in force for a topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct Applied {
    pub(crate) retention: Option<Retention>,
    /// Seconds; 0 for none.
    pub(crate) time_to_live: Option<i64>,
    pub(crate) inactive: Option<InactiveTopics>,
    pub(crate) deduplication: Option<bool>,
}

/// Why something was not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nobody answers there.
    Unreachable(String),
    /// It is not there.
    NotFound(String),
    /// It was not asked: there is no token to show.
    NoToken(String),
    /// Who we are is not believed, or may not do that.
    NotAllowed(String),
    /// Refused by the broker's settings or the namespace's.
    Refused(String),
    /// Anything else that came.
    Other(String),
}

impl Trouble {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Unreachable(text)
            | Self::NotFound(text)
            | Self::NoToken(text)
            | Self::NotAllowed(text)
            | Self::Refused(text)
            | Self::Other(text) => text,
        }
    }

    /// That a step took too long.
    pub(crate) fn late() -> Self {
        Self::Other("no answer in time".to_owned())
    }
}

/// An error and its causes in one line, each said once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

impl From<AdminError> for Trouble {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NotFound(reason) => Self::NotFound(reason),
            AdminError::Forbidden { reason, .. } => Self::NotAllowed(reason),
            AdminError::Unreachable(error) => Self::Unreachable(chain(&error)),
            AdminError::Conflict(reason) | AdminError::Refused { reason, .. } => {
                Self::Refused(reason)
            }
            AdminError::Credentials(error) => Self::NoToken(error.to_string()),
            AdminError::Malformed { .. } | AdminError::Tls(_) => Self::Other(chain(&error)),
        }
    }
}

impl From<Cause> for Trouble {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Connect { .. } => Self::Unreachable(cause.to_string()),
            Cause::Broker { error, message } => match error {
                ServerError::Authentication | ServerError::Authorization => {
                    Self::NotAllowed(message)
                }
                _ => Self::Refused(format!("{error:?}: {message}")),
            },
            Cause::Credentials(error) => Self::NoToken(error.to_string()),
            Cause::Disconnected(_) | Cause::Timeout => Self::Unreachable(cause.to_string()),
            Cause::ClosedByBroker | Cause::Closed => Self::Other(cause.to_string()),
        }
    }
}

impl From<LookupError> for Trouble {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::NotFound(message) => Self::NotFound(message),
            LookupError::Unauthorized(message) => Self::NotAllowed(message),
            LookupError::Refused { .. } => Self::Refused(error.to_string()),
            LookupError::Unavailable(cause) => cause.into(),
        }
    }
}

impl From<ProducerError> for Trouble {
    fn from(error: ProducerError) -> Self {
        match error {
            ProducerError::NotFound(message) => Self::NotFound(message),
            ProducerError::Unauthorized(message) => Self::NotAllowed(message),
            ProducerError::Busy(_) | ProducerError::Fenced(_) | ProducerError::Refused { .. } => {
                Self::Refused(error.to_string())
            }
            ProducerError::Unavailable(cause) => cause.into(),
        }
    }
}

impl From<ReaderError> for Trouble {
    fn from(error: ReaderError) -> Self {
        match error {
            ReaderError::NotFound(message) => Self::NotFound(message),
            ReaderError::Unauthorized(message) => Self::NotAllowed(message),
            ReaderError::Refused { .. } => Self::Refused(error.to_string()),
            ReaderError::Unavailable(cause) => cause.into(),
        }
    }
}
