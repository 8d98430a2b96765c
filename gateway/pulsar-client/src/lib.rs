//! A thin client for Pulsar's binary protocol.
//!
//! It gives what a Kafka gateway needs of Pulsar and leaves the rest out: producers whose sends are
//! pipelined in call order, readers that see each entry whole with the index the broker gave it
//! (PIP-70), lookups. It does **not** re-create producers or readers behind the caller's back: when
//! the broker or the connection takes one away it says so, and who owns what is decided above.
//!
//! ```text
//! Client ── lookup ──► broker of a topic ──► pool: a few connections per broker
//!                                                   │ one task owns each socket
//! Producer ── send, in call order ─────────────────►│
//! Reader   ◄─ entries, by permits ──────────────────│
//! ```
mod authentication;
mod client;
mod connection;
mod error;
mod flow;
mod lookup;
mod oauth2;
mod pool;
mod producer;
mod reader;
mod remembered;
mod service_url;
mod transport;

pub use authentication::{Authentication, CredentialsError, TokenSource};
pub use client::{Client, ClientOptions, TlsOptions};
pub use connection::{ConnectionId, Greeting};
pub use error::{Cause, LookupError, ProducerError, ReadError, ReaderError, SendError};
pub use oauth2::{OAuth2, OAuth2Error, OAuth2Options};
pub use producer::{AccessMode, CloseReason, OutgoingEntry, Producer, ProducerOptions, Receipt};
pub use pulsar_protocol::{
    self as protocol, BrokerEntryMetadata, CompressionType, EncryptionKeys, KeyValue,
    MessageMetadata, ServerError, SingleMessageMetadata,
};
pub use reader::{Entry, EntryId, Reader, ReaderOptions, ReaderStart};
