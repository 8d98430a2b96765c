//! The codecs of record batches, with bounded output: a few bytes may claim to hold gigabytes.
use std::{
    borrow::Cow,
    io::{self, Read, Write},
};

use bytes::Bytes;

mod lz4;
mod snappy;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use stream::DecoderMemory;

/// The most that one batch may decompress to, in bytes.
pub const MAX_OUTPUT: usize = 100 * 1024 * 1024;

/// How a batch's records are compressed, as the lowest three attribute bits say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, RFC 1952.
    Gzip,
    /// Snappy, in the block framing of Java's `SnappyOutputStream` or in none.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard (KIP-110).
    Zstd,
}

impl Compression {
    /// All codecs.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec that a batch's attributes name; `None` for the three numbers that are not taken.
    #[must_use]
    pub fn of_attributes(attributes: i16) -> Option<Self> {
        match attributes & 0x07 {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The codec's number in a batch's attributes.
    #[must_use]
    pub fn attribute_bits(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

/// Bytes that could not be compressed or decompressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// They are not what the codec writes.
    #[error("{codec:?} data is damaged")]
    Damaged {
        /// The codec.
        codec: Compression,
        /// What the codec found.
        #[source]
        source: io::Error,
    },
    /// They would decompress to more than is taken.
    #[error("{codec:?} data holds more than {limit} bytes")]
    TooLarge {
        /// The codec.
        codec: Compression,
        /// What is taken, in bytes.
        limit: usize,
    },
}

/// Decompresses `input`, to `limit` bytes at the most. Uncompressed input is passed on, not copied.
///
/// # Errors
/// Input that is damaged, or that holds more than `limit` bytes.
pub fn decompress(
    codec: Compression,
    input: &Bytes,
    limit: usize,
) -> Result<Bytes, CompressionError> {
    match codec {
        Compression::None if input.len() > limit => {
            Err(CompressionError::TooLarge { codec, limit })
        }
        Compression::None => Ok(input.clone()),
        Compression::Gzip => {
            read_bounded(codec, flate2::bufread::MultiGzDecoder::new(&**input), limit)
        }
        Compression::Snappy => snappy::decompress(input, limit),
        Compression::Lz4 => {
            lz4::check_frame(input)
                .map_err(|source| CompressionError::Damaged { codec, source })?;
            read_bounded(codec, lz4_flex::frame::FrameDecoder::new(&**input), limit)
        }
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(&**input)
                .map_err(|source| CompressionError::Damaged { codec, source })?;
            read_bounded(codec, decoder, limit)
        }
    }
}

/// Compresses `input` as the codec's default settings have it.
///
/// # Errors
/// What the codec reports; compressing into memory normally cannot fail.
pub fn compress(codec: Compression, input: &[u8]) -> Result<Cow<'_, [u8]>, CompressionError> {
    let compressed = match codec {
        Compression::None => return Ok(Cow::Borrowed(input)),
        Compression::Gzip => gzip(input),
        Compression::Snappy => snappy::compress(input),
        Compression::Lz4 => lz4(input),
        // With its content's size in the frame: some decoders of JavaScript refuse one without.
        Compression::Zstd => zstd::bulk::compress(input, zstd::DEFAULT_COMPRESSION_LEVEL),
    };
    compressed
        .map(Cow::Owned)
        .map_err(|source| CompressionError::Damaged { codec, source })
}

fn gzip(input: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(input)?;
    encoder.finish()
}

fn lz4(input: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(input)?;
    encoder.finish().map_err(io::Error::other)
}

/// Reads one byte more than allowed, to tell a full answer from one that goes on.
fn read_bounded(
    codec: Compression,
    reader: impl Read,
    limit: usize,
) -> Result<Bytes, CompressionError> {
    let mut output = Vec::new();
    reader
        .take((limit as u64).saturating_add(1))
        .read_to_end(&mut output)
        .map_err(|source| CompressionError::Damaged { codec, source })?;
    if output.len() > limit {
        return Err(CompressionError::TooLarge { codec, limit });
    }
    Ok(output.into())
}
