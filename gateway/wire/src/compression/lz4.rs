//! The outline of LZ4 frames, as Kafka has them. The decoder takes more: a frame without its end is a
//! short one to it, and blocks may depend on each other, while Java's consumers fail on both.
//!
//! | bytes | meaning |
//! | --- | --- |
//! | 4 | magic, `04 22 4d 18` |
//! | 1 + 1 | flags, largest block |
//! | 8 | content size, if the flags say so |
//! | 1 | header checksum |
//! | then again and again 4 + n (+ 4) | length of a block, a block, its checksum if the flags say so |
//! | 4 (+ 4) | 0, the content's checksum if the flags say so |
use std::io;

use bytes::Buf;

const MAGIC: u32 = 0x184d_2204;
const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
/// Version 1 and blocks that do not depend on each other; no dictionary, nothing that is reserved.
const FIXED: (u8, u8) = (0b1110_0011, 0b0110_0000);
/// Set in the length of a block that is stored as it is.
const UNCOMPRESSED: u32 = 1 << 31;

/// Checks that the input is one whole frame and nothing else. What is in its blocks is not looked at.
pub(super) fn check_frame(mut input: &[u8]) -> io::Result<()> {
    let cut = |_| damaged("frame cut short");
    if input.try_get_u32_le().map_err(cut)? != MAGIC {
        return Err(damaged("no frame"));
    }
    let flags = input.try_get_u8().map_err(cut)?;
    if flags & FIXED.0 != FIXED.1 {
        return Err(damaged("blocks depend on each other, or on a dictionary"));
    }
    let optional = |flag: u8, size: usize| if flags & flag == 0 { 0 } else { size };
    let descriptor = 1 + optional(CONTENT_SIZE, 8) + 1;
    skip(&mut input, descriptor)?;
    loop {
        let length = input.try_get_u32_le().map_err(cut)?;
        if length == 0 {
            break;
        }
        skip(&mut input, (length & !UNCOMPRESSED) as usize)?;
        skip(&mut input, optional(BLOCK_CHECKSUMS, 4))?;
    }
    skip(&mut input, optional(CONTENT_CHECKSUM, 4))?;
    if input.is_empty() {
        Ok(())
    } else {
        Err(damaged("bytes behind the frame"))
    }
}

fn skip(input: &mut &[u8], size: usize) -> io::Result<()> {
    *input = input
        .get(size..)
        .ok_or_else(|| damaged("frame cut short"))?;
    Ok(())
}

fn damaged(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
