//! Error codes a broker answers with.

/// `ServerError` of the protocol. The numbers are Pulsar's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ServerError {
    /// Anything the broker has no code for, and any code this crate does not know.
    Unknown = 0,
    /// The metadata store failed.
    Metadata = 1,
    /// BookKeeper failed to read or write.
    Persistence = 2,
    /// The credentials are not valid.
    Authentication = 3,
    /// The role may not do this.
    Authorization = 4,
    /// Another consumer holds the subscription.
    ConsumerBusy = 5,
    /// The broker does not serve the topic now: look it up again and retry.
    ServiceNotReady = 6,
    /// The backlog quota is exceeded; producers are held.
    ProducerBlockedQuotaExceededError = 7,
    /// The backlog quota is exceeded; producers are refused.
    ProducerBlockedQuotaExceededException = 8,
    /// An entry's checksum did not match.
    Checksum = 9,
    /// The client is too old for a required feature.
    UnsupportedVersion = 10,
    /// No such topic.
    TopicNotFound = 11,
    /// No such subscription.
    SubscriptionNotFound = 12,
    /// No such consumer.
    ConsumerNotFound = 13,
    /// Too many requests of this kind at once.
    TooManyRequests = 14,
    /// The topic was terminated.
    TopicTerminated = 15,
    /// A producer of that name is connected.
    ProducerBusy = 16,
    /// The topic's name is not legal.
    InvalidTopicName = 17,
    /// The schema does not fit the topic's.
    IncompatibleSchema = 18,
    /// The dispatcher could not assign the consumer.
    ConsumerAssign = 19,
    /// No transaction coordinator here.
    TransactionCoordinatorNotFound = 20,
    /// The transaction's state does not allow that.
    InvalidTxnStatus = 21,
    /// Policy forbids the operation.
    NotAllowed = 22,
    /// Another transaction has acknowledged the message.
    TransactionConflict = 23,
    /// No such transaction.
    TransactionNotFound = 24,
    /// The producer may never write again under its present epoch.
    ProducerFenced = 25,
}

impl ServerError {
    /// The code behind a field's number; [`Unknown`](Self::Unknown) for one of a newer broker.
    #[must_use]
    pub fn from_code(code: i32) -> Self {
        Self::try_from(code).unwrap_or(Self::Unknown)
    }

    /// Whether the same request, after a fresh lookup, may succeed.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::ServiceNotReady | Self::Metadata | Self::Persistence | Self::TooManyRequests
        )
    }
}
