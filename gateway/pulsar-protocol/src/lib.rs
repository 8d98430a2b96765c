//! Frames and commands of Pulsar's binary protocol.
//!
//! Pure: bytes in, values out, and back. Only the commands that a producer and a reader need are
//! here, with the field numbers of `PulsarApi.proto`; a frame with any other command decodes to a
//! [`BaseCommand`] without a body, which the receiver ignores.
//!
//! - [`frame`]: commands to and from the length-prefixed frames of a connection.
//! - [`entry`]: what follows a `SEND` or `MESSAGE` command, and what a ledger keeps: broker entry
//!   metadata (PIP-70, PIP-90), checksum, message metadata, payload.
//! - [`batch`]: the single messages inside one entry's payload.
//! - [`compression`]: the payload codecs, with bounded output.
pub mod batch;
pub mod command;
pub mod compression;
pub mod entry;
pub mod frame;
mod metadata;
mod server_error;

pub use command::{BaseCommand, Command};
pub use metadata::{
    BrokerEntryMetadata, CompressionType, EncryptionKeys, KeyValue, MessageIdData, MessageMetadata,
    SingleMessageMetadata,
};
pub use prost;
pub use server_error::ServerError;
