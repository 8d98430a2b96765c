//! Entries: what follows a `SEND` or `MESSAGE` command, and what a ledger keeps.
//!
//! ```text
//! [0x0e02][size u32][BrokerEntryMetadata]   optional, put there by the broker
//! [0x0e01][crc32c u32]                      optional, over all that follows
//! [size u32][MessageMetadata][payload]
//! ```
use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message as _;

use crate::{BrokerEntryMetadata, MessageMetadata};

const MAGIC_CHECKSUM: u16 = 0x0e01;
const MAGIC_BROKER_METADATA: u16 = 0x0e02;

/// An entry taken apart. The payload is as it was sent: compressed, perhaps encrypted.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What the broker put before it.
    pub broker: Option<BrokerEntryMetadata>,
    /// What the producer put before it.
    pub metadata: MessageMetadata,
    /// The payload, a slice of the parsed bytes.
    pub payload: Bytes,
}

/// Why bytes are no entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// They end too early.
    #[error("entry is cut off")]
    Truncated,
    /// They are not what the producer sent.
    #[error("checksum is {found:#010x}, the entry says {expected:#010x}")]
    Checksum {
        /// The checksum that the entry carries.
        expected: u32,
        /// The checksum of its bytes.
        found: u32,
    },
    /// Metadata is no valid message.
    #[error("malformed metadata")]
    Metadata(#[from] prost::DecodeError),
}

/// Takes an entry apart and verifies its checksum, where it has one.
///
/// # Errors
/// Where the bytes are no entry, or a damaged one.
pub fn parse(mut bytes: Bytes) -> Result<Entry, EntryError> {
    let broker = match peek_magic(&bytes) {
        Some(MAGIC_BROKER_METADATA) => {
            bytes.advance(2);
            Some(BrokerEntryMetadata::decode(take_sized(&mut bytes)?)?)
        }
        _ => None,
    };
    if peek_magic(&bytes) == Some(MAGIC_CHECKSUM) {
        bytes.advance(2);
        let expected = bytes.try_get_u32().map_err(|_| EntryError::Truncated)?;
        let found = crc32c::crc32c(&bytes);
        if found != expected {
            return Err(EntryError::Checksum { expected, found });
        }
    }
    let metadata = MessageMetadata::decode(take_sized(&mut bytes)?)?;
    Ok(Entry {
        broker,
        metadata,
        payload: bytes,
    })
}

/// An entry in one piece, with the broker's metadata before it where given: as a broker sends it.
#[must_use]
pub fn encode(
    broker: Option<&BrokerEntryMetadata>,
    metadata: &MessageMetadata,
    payload: &[Bytes],
    checksum: bool,
) -> Bytes {
    let mut entry = BytesMut::new();
    if let Some(broker) = broker {
        entry.put_u16(MAGIC_BROKER_METADATA);
        put_size(&mut entry, broker.encoded_len());
        broker
            .encode(&mut entry)
            .expect("a BytesMut grows as needed");
    }
    put_head(&mut entry, metadata, payload, checksum);
    for part in payload {
        entry.put_slice(part);
    }
    entry.freeze()
}

/// Bytes of what [`put_head`] writes.
pub(crate) fn head_len(metadata: &MessageMetadata, checksum: bool) -> usize {
    let checksum = if checksum { 2 + 4 } else { 0 };
    checksum + 4 + metadata.encoded_len()
}

/// Everything of an entry that stands before its payload.
pub(crate) fn put_head(
    buffer: &mut BytesMut,
    metadata: &MessageMetadata,
    payload: &[Bytes],
    checksum: bool,
) {
    let checksum_at = checksum.then(|| {
        buffer.put_u16(MAGIC_CHECKSUM);
        buffer.put_u32(0);
        buffer.len()
    });
    put_size(buffer, metadata.encoded_len());
    metadata.encode(buffer).expect("a BytesMut grows as needed");
    if let Some(at) = checksum_at {
        let head = buffer.get(at..).map_or(0, crc32c::crc32c);
        let crc = payload
            .iter()
            .fold(head, |crc, part| crc32c::crc32c_append(crc, part));
        if let Some(place) = buffer.get_mut(at - 4..at) {
            place.copy_from_slice(&crc.to_be_bytes());
        }
    }
}

fn put_size(buffer: &mut BytesMut, size: usize) {
    buffer.put_u32(u32::try_from(size).expect("metadata is far smaller than 4 GiB"));
}

fn peek_magic(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|magic| u16::from_be_bytes(*magic))
}

fn take_sized(bytes: &mut Bytes) -> Result<Bytes, EntryError> {
    let size = bytes.try_get_u32().map_err(|_| EntryError::Truncated)? as usize;
    if bytes.len() < size {
        return Err(EntryError::Truncated);
    }
    Ok(bytes.split_to(size))
}

#[cfg(test)]
mod tests;
