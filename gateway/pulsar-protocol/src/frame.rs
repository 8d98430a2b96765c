//! Length-prefixed frames.
//!
//! ```text
//! [total u32][command size u32][BaseCommand][trailer]
//! ```
//!
//! All numbers are big-endian; `total` counts what follows it. Only `SEND` and `MESSAGE` have a
//! trailer: an entry, see [`entry`](crate::entry).
use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message as _;

use crate::{BaseCommand, Command, MessageMetadata, entry};

/// Bytes of a size field.
const SIZE: usize = 4;
/// Largest message a broker takes where it does not say otherwise, in bytes.
pub const DEFAULT_MAX_MESSAGE_SIZE: usize = 5 * 1024 * 1024;
/// What a frame may be larger than the largest message, in bytes: room for the command, the sizes
/// and the broker's metadata.
pub const FRAME_PADDING: usize = 64 * 1024;

/// A frame as it was received.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The command.
    pub command: BaseCommand,
    /// What follows it: an entry, or nothing.
    pub trailer: Bytes,
}

/// Why bytes are no frame. The connection cannot go on: where the next frame begins is not known.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The frame is larger than the receiver takes.
    #[error("frame of {size} bytes is larger than {limit}")]
    TooLarge {
        /// Size in bytes, without its own size field.
        size: usize,
        /// What the receiver takes.
        limit: usize,
    },
    /// The sizes contradict each other.
    #[error("command of {command} bytes in a frame of {frame}")]
    Inconsistent {
        /// Size that the command is said to have.
        command: usize,
        /// Size of the frame.
        frame: usize,
    },
    /// The command is no valid message.
    #[error("malformed command")]
    Command(#[from] prost::DecodeError),
}

/// Takes the first frame off `buffer`; `None`, with `buffer` unchanged, while it is not complete.
///
/// # Errors
/// Where the bytes are no frame, or one of more than `limit` bytes.
pub fn decode(buffer: &mut BytesMut, limit: usize) -> Result<Option<Frame>, FrameError> {
    let Some(size) = frame_size(buffer, limit)? else {
        return Ok(None);
    };
    if buffer.len() < SIZE + size {
        return Ok(None);
    }
    let mut frame = buffer.split_to(SIZE + size).freeze();
    frame.advance(SIZE);
    if size < SIZE {
        return Err(FrameError::Inconsistent {
            command: 0,
            frame: size,
        });
    }
    let command = frame.get_u32() as usize;
    if frame.len() < command {
        return Err(FrameError::Inconsistent {
            command,
            frame: size,
        });
    }
    let encoded = frame.split_to(command);
    Ok(Some(Frame {
        command: BaseCommand::decode(encoded)?,
        trailer: frame,
    }))
}

/// How many bytes are missing until `buffer` holds its first frame: what to make room for before
/// the next read. 0 where the frame is complete.
///
/// # Errors
/// Where the frame is said to have more than `limit` bytes.
pub fn missing(buffer: &[u8], limit: usize) -> Result<usize, FrameError> {
    Ok(match frame_size(buffer, limit)? {
        None => SIZE.saturating_sub(buffer.len()),
        Some(size) => (SIZE + size).saturating_sub(buffer.len()),
    })
}

fn frame_size(buffer: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    let Some(head) = buffer.first_chunk::<SIZE>() else {
        return Ok(None);
    };
    let size = u32::from_be_bytes(*head) as usize;
    if size > limit {
        return Err(FrameError::TooLarge { size, limit });
    }
    Ok(Some(size))
}

/// The frame of a command that has no trailer.
#[must_use]
pub fn encode(command: Command) -> Bytes {
    start(&command.into(), 0, 0).freeze()
}

/// The frame of a command and its trailer, in one piece.
#[must_use]
pub fn encode_with_trailer(command: Command, trailer: &[u8]) -> Bytes {
    let mut frame = start(&command.into(), trailer.len(), trailer.len());
    frame.put_slice(trailer);
    frame.freeze()
}

/// The frame of a command and an entry *up to* the entry's payload, which has to follow it on the
/// wire: so the payload is never copied.
///
/// With `checksum` the entry carries a CRC32C over metadata and payload, which broker and readers
/// verify.
#[must_use]
pub fn encode_with_entry(
    command: Command,
    metadata: &MessageMetadata,
    payload: &[Bytes],
    checksum: bool,
) -> Bytes {
    let head = entry::head_len(metadata, checksum);
    let body: usize = payload.iter().map(Bytes::len).sum();
    let mut frame = start(&command.into(), head + body, head);
    entry::put_head(&mut frame, metadata, payload, checksum);
    frame.freeze()
}

/// Sizes and command of a frame that `trailer` more bytes belong to, with room for `room` of them.
///
/// # Panics
/// Where a frame would be larger than 4 GiB: callers limit entries to what a broker takes.
fn start(command: &BaseCommand, trailer: usize, room: usize) -> BytesMut {
    let length = command.encoded_len();
    let total = SIZE + length + trailer;
    let mut frame = BytesMut::with_capacity(SIZE + SIZE + length + room);
    frame.put_u32(u32::try_from(total).expect("entries are far smaller than 4 GiB"));
    frame.put_u32(u32::try_from(length).expect("commands are far smaller than 4 GiB"));
    command
        .encode(&mut frame)
        .expect("a BytesMut grows as needed");
    frame
}

#[cfg(test)]
mod tests;
