//! What went wrong below, in Kafka's codes: the one place.
use std::time::Duration;

use kop_store::{
    AppendError, CatalogError, ConfigureError, CreateError, DeleteError, GrowError, OpenError,
    ReadError, TruncateError, UnsupportedConfig, topic_config::ConfigError,
};
use kop_wire::kafka_protocol::ResponseError;
use tracing::warn;

use crate::{sparingly::Sparingly, store::error_chain};

/// A refusal as a response carries it.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// Kafka's code.
    pub(crate) code: ResponseError,
    /// For people; clients show it where the response has room for it.
    pub(crate) message: Option<String>,
}

impl Refusal {
    /// A code and a text that explains it.
    pub(crate) fn new(code: ResponseError, message: impl Into<String>) -> Self {
        Self {
            code,
            message: Some(message.into()),
        }
    }
}

impl From<ResponseError> for Refusal {
    fn from(code: ResponseError) -> Self {
        Self {
            code,
            message: None,
        }
    }
}

/// Clients retry silently, so the operator of the gateway is told why they do. All of them retry at a
/// time, so not of each one.
static UNAVAILABLE: Sparingly = Sparingly::every(Duration::from_secs(10));

/// Consumers that cannot go on try again, too.
static UNREADABLE: Sparingly = Sparingly::every(Duration::from_secs(10));

fn unavailable(cause: &(dyn std::error::Error + 'static)) {
    if let Some(more_before) = UNAVAILABLE.now() {
        let cause = error_chain(cause);
        warn!(cause, more_before, "store unavailable");
    }
}

impl From<CatalogError> for Refusal {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Unavailable(cause) => {
                unavailable(&*cause);
                ResponseError::LeaderNotAvailable.into()
            }
        }
    }
}

impl From<CreateError> for Refusal {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Exists(_) => {
                Self::new(ResponseError::TopicAlreadyExists, error.to_string())
            }
            CreateError::Unsupported(unsupported) => unsupported.into(),
            CreateError::Refused(why) => Self::new(ResponseError::InvalidRequest, why),
            CreateError::Unavailable(cause) => {
                unavailable(&*cause);
                ResponseError::RequestTimedOut.into()
            }
        }
    }
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self::new(ResponseError::InvalidConfig, error.to_string())
    }
}

impl From<UnsupportedConfig> for Refusal {
    fn from(error: UnsupportedConfig) -> Self {
        Self::new(ResponseError::InvalidConfig, error.to_string())
    }
}

impl From<ConfigureError> for Refusal {
    fn from(error: ConfigureError) -> Self {
        match error {
            ConfigureError::Unknown(_) => {
                Self::new(ResponseError::UnknownTopicOrPartition, error.to_string())
            }
            ConfigureError::Changed(_) => {
                Self::new(ResponseError::RequestTimedOut, error.to_string())
            }
            ConfigureError::Unsupported(unsupported) => unsupported.into(),
            ConfigureError::Unavailable(cause) => {
                unavailable(&*cause);
                ResponseError::RequestTimedOut.into()
            }
        }
    }
}

impl From<GrowError> for Refusal {
    fn from(error: GrowError) -> Self {
        match error {
            GrowError::Unknown(_) => {
                Self::new(ResponseError::UnknownTopicOrPartition, error.to_string())
            }
            GrowError::NotMore { .. } => {
                Self::new(ResponseError::InvalidPartitions, error.to_string())
            }
            GrowError::Refused(why) => Self::new(ResponseError::InvalidPartitions, why),
            GrowError::Unavailable(cause) => {
                unavailable(&*cause);
                ResponseError::RequestTimedOut.into()
            }
        }
    }
}

impl From<TruncateError> for Refusal {
    fn from(error: TruncateError) -> Self {
        match error {
            TruncateError::OutOfRange { .. } => ResponseError::OffsetOutOfRange.into(),
            TruncateError::Deleted => ResponseError::UnknownTopicOrPartition.into(),
            // What Kafka answers where a topic's records are not deleted by age or size either.
            TruncateError::Refused(why) => {
                warn!(why, "records not deleted");
                Self::new(ResponseError::PolicyViolation, why)
            }
            TruncateError::Unavailable(cause) => {
                unavailable(&*cause);
                ResponseError::NotLeaderOrFollower.into()
            }
        }
    }
}

impl From<DeleteError> for Refusal {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Unknown(_) => {
                Self::new(ResponseError::UnknownTopicOrPartition, error.to_string())
            }
            DeleteError::Unavailable(cause) => {
                unavailable(&*cause);
                ResponseError::RequestTimedOut.into()
            }
        }
    }
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unknown => ResponseError::UnknownTopicOrPartition.into(),
            OpenError::NotOwner => ResponseError::NotLeaderOrFollower.into(),
            // Not an error that clients retry silently: someone has to do something about it.
            OpenError::Unusable(why) => {
                warn!(why, "partition cannot be served");
                Self::new(ResponseError::UnknownServerError, why)
            }
            OpenError::Unavailable(cause) => {
                unavailable(&*cause);
                ResponseError::NotLeaderOrFollower.into()
            }
        }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        let code = match error {
            AppendError::OutOfOrderSequence { .. } => ResponseError::OutOfOrderSequenceNumber,
            AppendError::StaleProducerEpoch { .. } => ResponseError::InvalidProducerEpoch,
            AppendError::TooLarge { .. } => ResponseError::MessageTooLarge,
            AppendError::Refused(_) => ResponseError::InvalidRecord,
            AppendError::Deleted => ResponseError::UnknownTopicOrPartition,
            AppendError::NotOwner => ResponseError::NotLeaderOrFollower,
            // As where such a partition is opened.
            AppendError::Unusable(why) => return OpenError::Unusable(why).into(),
            AppendError::Unavailable(ref cause) => {
                unavailable(&**cause);
                ResponseError::NotEnoughReplicasAfterAppend
            }
            AppendError::Storage(ref cause) => {
                unavailable(&**cause);
                ResponseError::KafkaStorageError
            }
        };
        Self::new(code, error.to_string())
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::OutOfRange { .. } => ResponseError::OffsetOutOfRange.into(),
            ReadError::Deleted => ResponseError::UnknownTopicOrPartition.into(),
            ReadError::NotOwner => ResponseError::NotLeaderOrFollower.into(),
            // What a consumer throws to its application instead of trying again for ever.
            ReadError::Unreadable(why) => {
                if let Some(more_before) = UNREADABLE.now() {
                    warn!(why, more_before, "unreadable records");
                }
                Self::new(ResponseError::CorruptMessage, why)
            }
            ReadError::Unavailable(cause) => {
                unavailable(&*cause);
                ResponseError::NotLeaderOrFollower.into()
            }
        }
    }
}
