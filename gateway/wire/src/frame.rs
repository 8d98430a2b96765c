//! Length-prefixed frames: how requests and responses follow each other on a connection.
use bytes::{Buf, Bytes, BytesMut};

/// Bytes of the length in front of a frame.
pub const PREFIX: usize = 4;

/// Bytes that are no frame; the connection is of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is negative: the other side hardly speaks Kafka.
    #[error("frame of negative length {0}")]
    Negative(i32),
    /// The frame is larger than what the receiver takes.
    #[error("frame of {size} bytes is larger than {limit}")]
    TooLarge {
        /// The frame's size in bytes, without the prefix.
        size: usize,
        /// What is taken.
        limit: usize,
    },
}

/// Takes the first whole frame, without its prefix, out of what has been received; `None` where more
/// must be received first. Copies nothing and allocates nothing: the caller decides how the buffer
/// grows.
///
/// # Errors
/// A length that is negative or above `limit`; the buffer is left as it is.
pub fn take(received: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(size) = announced(received, limit)? else {
        return Ok(None);
    };
    if received.len() - PREFIX < size {
        return Ok(None);
    }
    received.advance(PREFIX);
    Ok(Some(received.split_to(size).freeze()))
}

/// The size of the first frame, without its prefix, as far as it is known.
///
/// # Errors
/// A length that is negative or above `limit`.
pub fn announced(received: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = received.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*prefix);
    let size = usize::try_from(length).map_err(|_| FrameError::Negative(length))?;
    if size > limit {
        return Err(FrameError::TooLarge { size, limit });
    }
    Ok(Some(size))
}

/// The prefix of a frame of `size` bytes; `None` where the size does not fit into one.
#[must_use]
pub fn prefix(size: usize) -> Option<[u8; PREFIX]> {
    i32::try_from(size).ok().map(i32::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(bytes: &[u8]) -> BytesMut {
        BytesMut::from(bytes)
    }

    #[test]
    fn frames_come_out_in_order_and_the_rest_stays() {
        let mut buffer = received(&[0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0, 0, 3, 1]);
        assert_eq!(take(&mut buffer, 10), Ok(Some(Bytes::from_static(&[7, 8]))));
        assert_eq!(take(&mut buffer, 10), Ok(Some(Bytes::new())));
        assert_eq!(take(&mut buffer, 10), Ok(None));
        buffer.extend_from_slice(&[2, 3]);
        assert_eq!(
            take(&mut buffer, 10),
            Ok(Some(Bytes::from_static(&[1, 2, 3])))
        );
        assert_eq!(take(&mut buffer, 10), Ok(None));
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_before_its_body_arrives() {
        let mut buffer = received(&[0, 0, 1, 0]);
        assert_eq!(
            take(&mut buffer, 255),
            Err(FrameError::TooLarge {
                size: 256,
                limit: 255
            })
        );
        assert_eq!(take(&mut buffer, 256), Ok(None));
    }

    #[test]
    fn a_negative_length_is_refused() {
        let mut buffer = received(&[0xff, 0xff, 0xff, 0xff]);
        assert_eq!(take(&mut buffer, usize::MAX), Err(FrameError::Negative(-1)));
    }

    #[test]
    fn a_prefix_announces_its_size() {
        assert_eq!(announced(&prefix(77).unwrap(), 100), Ok(Some(77)));
        assert_eq!(prefix(usize::MAX), None);
    }
}
