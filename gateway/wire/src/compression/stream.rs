//! Decompressing a piece at a time, for those who look at what is inside and keep none of it.
use std::{
    fmt,
    io::{self, BufRead, BufReader},
};

use zstd::zstd_safe::{DCtx, ResetDirective};

use super::{Compression, CompressionError, lz4, snappy};

/// What is decompressed at a time where the codec does not say.
const PIECE: usize = 32 * 1024;
/// What a decoder may keep for the next batch.
const KEPT: usize = 1024 * 1024;

/// Memory of a decoder, kept from one batch to the next: making it anew costs more than reading a
/// small batch.
#[derive(Default)]
pub(crate) struct DecoderMemory {
    zstd: Option<DCtx<'static>>,
    snappy: Vec<u8>,
}

impl fmt::Debug for DecoderMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecoderMemory").finish_non_exhaustive()
    }
}

impl DecoderMemory {
    /// Calls `with` for a reader of what `input` decompresses to. How much of it is read is for `with`
    /// to bound; a single block of Snappy holds `limit` bytes at the most. A reader's errors are the
    /// codec's.
    pub(crate) fn read<T>(
        &mut self,
        codec: Compression,
        input: &[u8],
        limit: usize,
        with: impl FnOnce(&mut dyn BufRead) -> T,
    ) -> Result<T, CompressionError> {
        let damaged = |source| CompressionError::Damaged { codec, source };
        match codec {
            Compression::None => Ok(with(&mut &*input)),
            Compression::Gzip => {
                let decoder = flate2::bufread::MultiGzDecoder::new(input);
                Ok(with(&mut BufReader::with_capacity(PIECE, decoder)))
            }
            Compression::Snappy => {
                let result = with(&mut snappy::Blocks::new(input, &mut self.snappy, limit)?);
                if self.snappy.capacity() > KEPT {
                    self.snappy = Vec::new();
                }
                Ok(result)
            }
            Compression::Lz4 => {
                lz4::check_frame(input).map_err(damaged)?;
                Ok(with(&mut lz4_flex::frame::FrameDecoder::new(input)))
            }
            Compression::Zstd => self.zstd(input, with).map_err(damaged),
        }
    }

    fn zstd<T>(&mut self, input: &[u8], with: impl FnOnce(&mut dyn BufRead) -> T) -> io::Result<T> {
        let context = match &mut self.zstd {
            Some(context) => context,
            none => none.insert(DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?),
        };
        // What was read before may have ended in the middle.
        context
            .reset(ResetDirective::SessionOnly)
            .map_err(|code| io::Error::other(zstd::zstd_safe::get_error_name(code)))?;
        let decoder = zstd::stream::read::Decoder::with_context(input, context);
        let result = with(&mut BufReader::with_capacity(PIECE, decoder));
        if self.zstd.as_ref().is_some_and(|zstd| zstd.sizeof() > KEPT) {
            self.zstd = None;
        }
        Ok(result)
    }
}
