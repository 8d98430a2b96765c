//! Snappy as Kafka's clients write it: Java's in blocks behind a header of its own, others as one
//! bare block.
//!
//! | bytes | meaning |
//! | --- | --- |
//! | 8 | magic, `82 53 4e 41 50 50 59 00` |
//! | 4 + 4 | version and oldest compatible version, both 1 |
//! | then again and again 4 + n | length of a block, a block |
use std::io::{self, BufRead, Read};

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
    let mut rest = &**input;
    let framed = skip_header(&mut rest)?;
    while !rest.is_empty() {
        block(next(&mut rest, framed)?, &mut output, limit)?;
    }
    Ok(output.into())
}

/// What is decompressed block by block, into the same memory again and again.
#[derive(Debug)]
pub(super) struct Blocks<'a> {
    rest: &'a [u8],
    framed: bool,
    /// The bytes of one block that are still to be read are those behind `at`.
    block: &'a mut Vec<u8>,
    at: usize,
    limit: usize,
}

impl<'a> Blocks<'a> {
    /// The blocks of `input`, each of `limit` bytes at the most.
    pub(super) fn new(
        mut input: &'a [u8],
        memory: &'a mut Vec<u8>,
        limit: usize,
    ) -> Result<Self, CompressionError> {
        let framed = skip_header(&mut input)?;
        memory.clear();
        Ok(Self {
            rest: input,
            framed,
            block: memory,
            at: 0,
            limit,
        })
    }
}

impl Read for Blocks<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(to)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Blocks<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at >= self.block.len() && !self.rest.is_empty() {
            let next = next(&mut self.rest, self.framed).map_err(io::Error::other)?;
            self.block.clear();
            self.at = 0;
            block(next, self.block, self.limit).map_err(io::Error::other)?;
        }
        Ok(self.block.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

/// Skips the header of Java's framing, if there is one.
fn skip_header(input: &mut &[u8]) -> Result<bool, CompressionError> {
    let Some(behind) = input.strip_prefix(&MAGIC) else {
        return Ok(false);
    };
    *input = behind
        .get(HEADER - MAGIC.len()..)
        .ok_or_else(|| damaged("header cut short"))?;
    Ok(true)
}

/// Takes the next block, which without framing is everything.
fn next<'a>(rest: &mut &'a [u8], framed: bool) -> Result<&'a [u8], CompressionError> {
    if !framed {
        return Ok(std::mem::take(rest));
    }
    let length = rest
        .try_get_u32()
        .map_err(|_| damaged("block length cut short"))?;
    rest.split_off(..length as usize)
        .ok_or_else(|| damaged("block cut short"))
}

/// Appends one decompressed block to the output, which is to hold `limit` bytes at the most.
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
