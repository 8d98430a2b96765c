//! The codecs of payloads.
//!
//! An entry says how large its payload is once decompressed, and a decompressor gives exactly so
//! much or fails: what it may allocate is known, and limited, before it begins.
use std::io::Write as _;

use bytes::Bytes;
use flate2::{Decompress, DecompressError, FlushDecompress, Status, write::ZlibEncoder};

use crate::CompressionType;

/// Why a payload was not decompressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// It is said to be larger than the receiver takes.
    #[error("payload of {size} bytes is larger than {limit}")]
    TooLarge {
        /// Size in bytes once decompressed.
        size: usize,
        /// What the receiver takes.
        limit: usize,
    },
    /// It decompresses to another size than the entry says.
    #[error("payload is not of the {size} bytes that the entry says")]
    WrongSize {
        /// What the entry says.
        size: usize,
    },
    /// It is not valid for the codec.
    #[error("malformed {codec:?} payload")]
    Malformed {
        /// The codec.
        codec: CompressionType,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Decompresses a payload that has `size` bytes then, at most `limit`.
///
/// # Errors
/// Where the payload is too large, malformed, or not of that size.
pub fn decompress(
    codec: CompressionType,
    payload: &Bytes,
    size: usize,
    limit: usize,
) -> Result<Bytes, CompressionError> {
    if size > limit {
        return Err(CompressionError::TooLarge { size, limit });
    }
    let malformed = |source: Box<dyn std::error::Error + Send + Sync>| {
        CompressionError::Malformed { codec, source }
    };
    let bytes = match codec {
        // `uncompressed_size` need not be set then.
        CompressionType::None => return Ok(payload.clone()),
        CompressionType::Lz4 => {
            lz4_flex::block::decompress(payload, size).map_err(|error| malformed(error.into()))?
        }
        CompressionType::Zlib => inflate(payload, size).map_err(|error| malformed(error.into()))?,
        CompressionType::Zstd => {
            zstd::bulk::decompress(payload, size).map_err(|error| malformed(error.into()))?
        }
        CompressionType::Snappy => {
            let length =
                snap::raw::decompress_len(payload).map_err(|error| malformed(error.into()))?;
            if length != size {
                return Err(CompressionError::WrongSize { size });
            }
            snap::raw::Decoder::new()
                .decompress_vec(payload)
                .map_err(|error| malformed(error.into()))?
        }
    };
    if bytes.len() != size {
        return Err(CompressionError::WrongSize { size });
    }
    Ok(bytes.into())
}

/// The first `size + 1` bytes of a zlib stream, or all of it where it is shorter: one byte more shows
/// a stream that goes on behind its size. Java's client only flushes its streams and never finishes
/// them, so their end is no error.
fn inflate(payload: &[u8], size: usize) -> Result<Vec<u8>, DecompressError> {
    let mut bytes = Vec::with_capacity(size + 1);
    let mut stream = Decompress::new(true);
    loop {
        let (taken, given) = (stream.total_in(), stream.total_out());
        let rest = usize::try_from(taken)
            .ok()
            .and_then(|taken| payload.get(taken..));
        let status =
            stream.decompress_vec(rest.unwrap_or_default(), &mut bytes, FlushDecompress::None)?;
        let stuck = (taken, given) == (stream.total_in(), stream.total_out());
        if status == Status::StreamEnd || stuck || bytes.len() > size {
            return Ok(bytes);
        }
    }
}

/// Compresses a payload. The entry must say its present size as `uncompressed_size`.
#[must_use]
pub fn compress(codec: CompressionType, payload: &Bytes) -> Bytes {
    match codec {
        CompressionType::None => payload.clone(),
        CompressionType::Lz4 => lz4_flex::block::compress(payload).into(),
        CompressionType::Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder
                .write_all(payload)
                .expect("writing to memory does not fail");
            encoder
                .finish()
                .expect("writing to memory does not fail")
                .into()
        }
        CompressionType::Zstd => zstd::bulk::compress(payload, zstd::DEFAULT_COMPRESSION_LEVEL)
            .expect("a buffer of the bound's size takes every input")
            .into(),
        CompressionType::Snappy => snap::raw::Encoder::new()
            .compress_vec(payload)
            .expect("payloads are smaller than snappy's 4 GiB")
            .into(),
    }
}

#[cfg(test)]
mod tests;
