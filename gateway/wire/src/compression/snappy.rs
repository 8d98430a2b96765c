//! Snappy as Kafka's clients write it: Java's in blocks behind a header of its own, others as one
//! bare block.
//!
//! | bytes | meaning |
//! | --- | --- |
//! | 8 | magic, `82 53 4e 41 50 50 59 00` |
//! | 4 + 4 | version and oldest compatible version, both 1 |
//! | then again and again 4 + n | length of a block, a block |
use std::io;

use bytes::{Buf, Bytes};

use super::{Compression, CompressionError};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const VERSION: u32 = 1;
/// Bytes in front of the first block.
const HEADER: usize = MAGIC.len() + 4 + 4;
/// What Java's stream puts into one block.
const BLOCK: usize = 32 * 1024;

pub(super) fn decompress(input: &Bytes, limit: usize) -> Result<Bytes, CompressionError> {
    let mut output = Vec::new();
    let Some(mut blocks) = input.strip_prefix(&MAGIC) else {
        block(input, &mut output, limit)?;
        return Ok(output.into());
    };
    if blocks.len() < HEADER - MAGIC.len() {
        return Err(damaged("header cut short"));
    }
    blocks.advance(HEADER - MAGIC.len());
    while !blocks.is_empty() {
        let Ok(length) = blocks.try_get_u32() else {
            return Err(damaged("block length cut short"));
        };
        let Some((this, rest)) = blocks.split_at_checked(length as usize) else {
            return Err(damaged("block cut short"));
        };
        block(this, &mut output, limit)?;
        blocks = rest;
    }
    Ok(output.into())
}

/// Appends one decompressed block to the output.
fn block(input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<(), CompressionError> {
    let size = snap::raw::decompress_len(input).map_err(snappy_error)?;
    if size > limit.saturating_sub(output.len()) {
        return Err(CompressionError::TooLarge {
            codec: Compression::Snappy,
            limit,
        });
    }
    // Three bytes of Snappy make 64 at the most: do not allocate what a short block only claims.
    if size / 32 > input.len() {
        return Err(damaged("block shorter than it claims"));
    }
    let start = output.len();
    output.resize(start + size, 0);
    let (_, free) = output.split_at_mut(start);
    snap::raw::Decoder::new()
        .decompress(input, free)
        .map_err(snappy_error)?;
    Ok(())
}

pub(super) fn compress(input: &[u8]) -> io::Result<Vec<u8>> {
    let mut output = Vec::with_capacity(HEADER + input.len() / 2);
    output.extend_from_slice(&MAGIC);
    output.extend_from_slice(&VERSION.to_be_bytes());
    output.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for chunk in input.chunks(BLOCK) {
        let block = encoder.compress_vec(chunk).map_err(io::Error::other)?;
        let length = u32::try_from(block.len()).map_err(io::Error::other)?;
        output.extend_from_slice(&length.to_be_bytes());
        output.extend_from_slice(&block);
    }
    Ok(output)
}

fn damaged(reason: &'static str) -> CompressionError {
    let source = io::Error::new(io::ErrorKind::InvalidData, reason);
    CompressionError::Damaged {
        codec: Compression::Snappy,
        source,
    }
}

fn snappy_error(error: snap::Error) -> CompressionError {
    let source = io::Error::new(io::ErrorKind::InvalidData, error);
    CompressionError::Damaged {
        codec: Compression::Snappy,
        source,
    }
}
