//! What may go wrong, an enum an operation.
use pulsar_protocol::ServerError;

use crate::CredentialsError;

/// Why a broker could not be asked or did not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Cause {
    /// No connection could be made.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// The broker, `HOST:PORT`.
        address: String,
        /// Why not.
        reason: String,
    },
    /// There is nothing to show a broker that says who we are.
    #[error("no credentials: {0}")]
    Credentials(CredentialsError),
    /// The connection ended.
    #[error("connection lost: {0}")]
    Disconnected(String),
    /// The broker did not answer in time.
    #[error("no answer from the broker in time")]
    Timeout,
    /// The broker cannot serve the request now.
    #[error("broker answered {error:?}: {message}")]
    Broker {
        /// Its code.
        error: ServerError,
        /// Its words.
        message: String,
    },
    /// The broker took the producer or reader away: the topic moves to another broker, or was
    /// deleted.
    #[error("closed by the broker")]
    ClosedByBroker,
    /// The caller closed it.
    #[error("closed")]
    Closed,
}

/// Why a topic was not looked up.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LookupError {
    /// There is no such topic, or no such namespace.
    #[error("not found: {0}")]
    NotFound(String),
    /// The credentials are not valid, or do not allow it.
    #[error("not authorized: {0}")]
    Unauthorized(String),
    /// The broker will not answer that; asking again does not help.
    #[error("refused with {error:?}: {message}")]
    Refused {
        /// Its code.
        error: ServerError,
        /// Its words.
        message: String,
    },
    /// No answer now; asking again later may help.
    #[error("brokers unavailable")]
    Unavailable(#[source] Cause),
}

/// Why a producer was not opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProducerError {
    /// A producer of that name lives, or (for exclusive access) any producer.
    #[error("busy: {0}")]
    Busy(String),
    /// Another producer has exclusive access.
    #[error("fenced: {0}")]
    Fenced(String),
    /// There is no such topic.
    #[error("not found: {0}")]
    NotFound(String),
    /// The credentials are not valid, or do not allow it.
    #[error("not authorized: {0}")]
    Unauthorized(String),
    /// The broker will not do that; asking again does not help.
    #[error("refused with {error:?}: {message}")]
    Refused {
        /// Its code.
        error: ServerError,
        /// Its words.
        message: String,
    },
    /// Not now; trying again later may help.
    #[error("brokers unavailable")]
    Unavailable(#[source] Cause),
}

/// Why an entry has no receipt.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// The producer was gone before the entry was written: it is not stored.
    #[error("not sent")]
    NotSent(#[source] Cause),
    /// Too much waits for the connection already. The entry was not written.
    #[error("too much is waiting to be sent")]
    Overloaded,
    /// The entry is larger than the broker takes. It was not written.
    #[error("entry of {size} bytes is larger than {limit}")]
    TooLarge {
        /// Its size in bytes, metadata included.
        size: usize,
        /// What the broker takes.
        limit: usize,
    },
    /// The broker says that it did not store the entry. Entries sent after it may be stored.
    #[error("refused with {error:?}: {message}")]
    Refused {
        /// Its code.
        error: ServerError,
        /// Its words.
        message: String,
    },
    /// The broker's deduplication discarded the entry: its sequence id does not rise. It is not
    /// stored (again).
    #[error("discarded as a duplicate")]
    Duplicate,
    /// The entry was written and no receipt came: it may be stored or not.
    #[error("no receipt")]
    Unavailable(#[source] Cause),
}

/// Why a reader was not opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReaderError {
    /// There is no such topic.
    #[error("not found: {0}")]
    NotFound(String),
    /// The credentials are not valid, or do not allow it.
    #[error("not authorized: {0}")]
    Unauthorized(String),
    /// The broker will not do that; asking again does not help.
    #[error("refused with {error:?}: {message}")]
    Refused {
        /// Its code.
        error: ServerError,
        /// Its words.
        message: String,
    },
    /// Not now; trying again later may help.
    #[error("brokers unavailable")]
    Unavailable(#[source] Cause),
}

/// Why a reader has no next entry. The reader is of no more use; a new one may go on behind the last
/// entry that was read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// An entry is damaged.
    #[error("entry {ledger}:{entry} is damaged: {reason}")]
    Damaged {
        /// Its ledger.
        ledger: u64,
        /// Its number in the ledger.
        entry: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// More arrived than the reader may buffer. Entries up to there have been read.
    #[error("more was delivered than the reader may hold")]
    Overrun,
    /// The broker or the connection took the reader away.
    #[error("brokers unavailable")]
    Unavailable(#[source] Cause),
}

/// What a broker's refusal means to the one who asked.
enum Refusal {
    Busy(String),
    Fenced(String),
    NotFound(String),
    Unauthorized(String),
    Refused { error: ServerError, message: String },
    Unavailable(Cause),
}

impl From<Cause> for Refusal {
    fn from(cause: Cause) -> Self {
        let Cause::Broker { error, message } = cause else {
            return Self::Unavailable(cause);
        };
        match error {
            ServerError::ProducerBusy | ServerError::ConsumerBusy => Self::Busy(message),
            ServerError::ProducerFenced => Self::Fenced(message),
            ServerError::TopicNotFound => Self::NotFound(message),
            ServerError::Authentication | ServerError::Authorization => Self::Unauthorized(message),
            ServerError::ProducerBlockedQuotaExceededError
            | ServerError::ProducerBlockedQuotaExceededException
            | ServerError::UnsupportedVersion
            | ServerError::TopicTerminated
            | ServerError::InvalidTopicName
            | ServerError::IncompatibleSchema
            | ServerError::NotAllowed => Self::Refused { error, message },
            ServerError::Unknown
            | ServerError::Metadata
            | ServerError::Persistence
            | ServerError::ServiceNotReady
            | ServerError::Checksum
            | ServerError::SubscriptionNotFound
            | ServerError::ConsumerNotFound
            | ServerError::TooManyRequests
            | ServerError::ConsumerAssign
            | ServerError::TransactionCoordinatorNotFound
            | ServerError::InvalidTxnStatus
            | ServerError::TransactionConflict
            | ServerError::TransactionNotFound => {
                Self::Unavailable(Cause::Broker { error, message })
            }
        }
    }
}

impl From<Cause> for LookupError {
    fn from(cause: Cause) -> Self {
        match Refusal::from(cause) {
            Refusal::NotFound(message) => Self::NotFound(message),
            Refusal::Unauthorized(message) => Self::Unauthorized(message),
            Refusal::Refused { error, message } => Self::Refused { error, message },
            Refusal::Busy(message) | Refusal::Fenced(message) => Self::Unavailable(Cause::Broker {
                error: ServerError::ServiceNotReady,
                message,
            }),
            Refusal::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

impl From<Cause> for ProducerError {
    fn from(cause: Cause) -> Self {
        match Refusal::from(cause) {
            Refusal::Busy(message) => Self::Busy(message),
            Refusal::Fenced(message) => Self::Fenced(message),
            Refusal::NotFound(message) => Self::NotFound(message),
            Refusal::Unauthorized(message) => Self::Unauthorized(message),
            Refusal::Refused { error, message } => Self::Refused { error, message },
            Refusal::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

impl From<Cause> for ReaderError {
    fn from(cause: Cause) -> Self {
        match Refusal::from(cause) {
            Refusal::NotFound(message) => Self::NotFound(message),
            Refusal::Unauthorized(message) => Self::Unauthorized(message),
            Refusal::Refused { error, message } => Self::Refused { error, message },
            Refusal::Busy(message) | Refusal::Fenced(message) => Self::Unavailable(Cause::Broker {
                error: ServerError::ConsumerBusy,
                message,
            }),
            Refusal::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}
