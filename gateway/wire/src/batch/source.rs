//! Where the bytes of a record come from: memory, or a decoder that gives them a piece at a time.
use std::io::BufRead;

use bytes::{Buf, Bytes};

use super::BatchError;
use crate::{Compression, compression::CompressionError};

/// What is wrong with a record.
pub(super) type Wrong = &'static str;

/// Bytes end before what they are part of does.
pub(super) const CUT_SHORT: Wrong = "cut short";

impl From<Wrong> for BatchError {
    fn from(wrong: Wrong) -> Self {
        Self::Record(wrong)
    }
}

/// Bytes to be read in order, and Kafka's numbers in them.
pub(super) trait Source {
    /// What may go wrong: besides what the bytes are, what gives them. Memory is read much faster with
    /// an error that is small.
    type Error: From<Wrong>;

    /// How many bytes are left; those of a stream may be fewer in the end.
    fn left(&self) -> usize;

    /// The next byte.
    fn byte(&mut self) -> Result<u8, Self::Error>;

    /// Leaves out some bytes.
    fn skip(&mut self, bytes: usize) -> Result<(), Self::Error>;

    /// A zigzag number of 32 bits.
    #[inline]
    fn varint(&mut self) -> Result<i32, Self::Error> {
        let value = self.unsigned(5)?;
        let value = u32::try_from(value).map_err(|_| "number of more than 32 bits")?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A zigzag number of 64 bits.
    #[inline]
    fn varlong(&mut self) -> Result<i64, Self::Error> {
        let value = self.unsigned(10)?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number of so many bytes at the most, seven bits in each.
    #[inline]
    fn unsigned(&mut self, max_bytes: u32) -> Result<u64, Self::Error> {
        let mut value = 0_u64;
        for at in 0..max_bytes {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("number without an end".into())
    }

    /// A length that is no more than is left; −1 is the `None` of what is null.
    #[inline]
    fn length(&mut self) -> Result<Option<usize>, Self::Error> {
        let length = self.varint()?;
        if length == -1 {
            return Ok(None);
        }
        match usize::try_from(length) {
            Ok(length) if length <= self.left() => Ok(Some(length)),
            Ok(_) => Err(CUT_SHORT.into()),
            Err(_) => Err("negative length".into()),
        }
    }

    /// The number of headers that follow, no more than there can be.
    #[inline]
    fn header_count(&mut self) -> Result<usize, Self::Error> {
        let count = usize::try_from(self.varint()?).map_err(|_| "number of headers is negative")?;
        // A header takes two bytes at least: nobody is to allocate for more than can follow.
        if count > self.left() / 2 {
            return Err("more headers than bytes".into());
        }
        Ok(count)
    }
}

impl Source for Bytes {
    type Error = BatchError;

    fn left(&self) -> usize {
        self.len()
    }

    fn byte(&mut self) -> Result<u8, BatchError> {
        Ok(self.try_get_u8().map_err(|_| CUT_SHORT)?)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), BatchError> {
        if bytes > self.len() {
            return Err(CUT_SHORT.into());
        }
        self.advance(bytes);
        Ok(())
    }
}

impl Source for &[u8] {
    type Error = Wrong;

    #[inline]
    fn left(&self) -> usize {
        self.len()
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Wrong> {
        let (byte, rest) = self.split_first().ok_or(CUT_SHORT)?;
        *self = rest;
        Ok(*byte)
    }

    #[inline]
    fn skip(&mut self, bytes: usize) -> Result<(), Wrong> {
        *self = self.get(bytes..).ok_or(CUT_SHORT)?;
        Ok(())
    }
}

/// Records as they come out of a decoder.
pub(super) struct Stream<'a> {
    from: &'a mut dyn BufRead,
    codec: Compression,
}

impl<'a> Stream<'a> {
    pub(super) fn new(from: &'a mut dyn BufRead, codec: Compression) -> Self {
        Self { from, codec }
    }

    /// Some of the bytes that come next; none at the end.
    pub(super) fn some(&mut self) -> Result<&[u8], BatchError> {
        let codec = self.codec;
        self.from
            .fill_buf()
            .map_err(|source| match source.downcast::<CompressionError>() {
                Ok(error) => error.into(),
                Err(source) => CompressionError::Damaged { codec, source }.into(),
            })
    }

    /// Goes on behind so many of the bytes that were given.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.from.consume(bytes);
    }

    /// The next bytes, `left` of them at the most.
    pub(super) fn take(&mut self, left: usize) -> Part<'_, 'a> {
        Part { from: self, left }
    }
}

/// A part of a stream.
pub(super) struct Part<'s, 'a> {
    from: &'s mut Stream<'a>,
    left: usize,
}

impl Source for Part<'_, '_> {
    type Error = BatchError;

    fn left(&self) -> usize {
        self.left
    }

    fn byte(&mut self) -> Result<u8, BatchError> {
        self.left = self.left.checked_sub(1).ok_or(CUT_SHORT)?;
        let byte = *self.from.some()?.first().ok_or(CUT_SHORT)?;
        self.from.consume(1);
        Ok(byte)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), BatchError> {
        self.left = self.left.checked_sub(bytes).ok_or(CUT_SHORT)?;
        let mut bytes = bytes;
        while bytes > 0 {
            let some = self.from.some()?.len().min(bytes);
            if some == 0 {
                return Err(CUT_SHORT.into());
            }
            self.from.consume(some);
            bytes -= some;
        }
        Ok(())
    }
}
