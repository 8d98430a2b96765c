//! The payload of an entry that holds several messages.
//!
//! ```text
//! ([size u32][SingleMessageMetadata][payload of payload_size bytes])*
//! ```
use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message as _;

use crate::SingleMessageMetadata;

/// One message of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchedMessage {
    /// What stands before it.
    pub metadata: SingleMessageMetadata,
    /// Its payload, a slice of the batch.
    pub payload: Bytes,
}

/// Why a payload is no batch.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// It ends before its last message does.
    #[error("batch is cut off at message {index}")]
    Truncated {
        /// The message, from 0.
        index: u32,
    },
    /// A message's metadata is no valid message.
    #[error("malformed metadata of message {index}")]
    Metadata {
        /// The message, from 0.
        index: u32,
        /// What is wrong with it.
        #[source]
        source: prost::DecodeError,
    },
}

/// The `count` messages of a decompressed payload. Stops behind the first error.
pub fn messages(payload: Bytes, count: u32) -> Messages {
    Messages {
        rest: payload,
        index: 0,
        count,
    }
}

/// Iterator of [`messages`].
#[derive(Debug, Clone)]
pub struct Messages {
    rest: Bytes,
    index: u32,
    count: u32,
}

impl Iterator for Messages {
    type Item = Result<BatchedMessage, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.index;
        if index >= self.count {
            return None;
        }
        let message = take_message(&mut self.rest, index);
        self.index = if message.is_ok() {
            index + 1
        } else {
            self.count
        };
        Some(message)
    }
}

fn take_message(rest: &mut Bytes, index: u32) -> Result<BatchedMessage, BatchError> {
    let truncated = || BatchError::Truncated { index };
    let size = rest.try_get_u32().map_err(|_| truncated())? as usize;
    let encoded = take(rest, size).ok_or_else(truncated)?;
    let metadata = SingleMessageMetadata::decode(encoded)
        .map_err(|source| BatchError::Metadata { index, source })?;
    // A null value has no bytes; some clients write −1 for it.
    let size = usize::try_from(metadata.payload_size).unwrap_or(0);
    let payload = take(rest, size).ok_or_else(truncated)?;
    Ok(BatchedMessage { metadata, payload })
}

fn take(rest: &mut Bytes, size: usize) -> Option<Bytes> {
    (rest.len() >= size).then(|| rest.split_to(size))
}

/// Puts messages together to a payload.
#[derive(Debug, Clone, Default)]
pub struct BatchBuilder {
    payload: BytesMut,
    count: u32,
}

impl BatchBuilder {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for a payload of so many bytes; it grows where that is not enough.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            payload: BytesMut::with_capacity(bytes),
            count: 0,
        }
    }

    /// Adds a message. Its `payload_size` is set here.
    pub fn push(&mut self, mut metadata: SingleMessageMetadata, payload: &[u8]) {
        metadata.payload_size =
            i32::try_from(payload.len()).expect("messages are far smaller than 2 GiB");
        let size = u32::try_from(metadata.encoded_len()).expect("metadata is smaller than 4 GiB");
        self.payload.put_u32(size);
        metadata
            .encode(&mut self.payload)
            .expect("a BytesMut grows as needed");
        self.payload.put_slice(payload);
        self.count += 1;
    }

    /// Messages so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The payload.
    #[must_use]
    pub fn build(self) -> Bytes {
        self.payload.freeze()
    }
}

#[cfg(test)]
mod tests;
