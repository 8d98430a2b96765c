//! A snapshot of what idempotent producers have written, as it stands beside the messages of an entry.
//!
//! It says of which part of the log it is true: from one entry on, or from the log's beginning, to
//! another one, which stands before the entry that carries it. What came behind that is to be replayed.
//!
//! | bytes | |
//! | --- | --- |
//! | 1 | version, 1 |
//! | 4 | CRC-32C of what follows |
//! | 8, 8, 8 | ledger, entry and index of the last entry of which it is true |
//! | 1 | 0: from the log's beginning; 1: from an entry on |
//! | 8, 8, 8, 8 | that entry's ledger, number, first offset, and time in milliseconds; absent after 0 |
//! | the rest | [`ProducerState::snapshot`] |
//!
//! Everything is big-endian.
use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};
use kop_store::producer_state::{InvalidSnapshot, ProducerState, Retention};

use crate::{admin::Position, bounds::Anchor};

const VERSION: u8 = 1;
/// Bytes before those that the CRC is of.
const HEAD: usize = 5;
const FROM_BEGINNING: u8 = 0;
const FROM_ENTRY: u8 = 1;

/// From where on a log's producers are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// From that entry on.
    Entry(First),
    /// From where it began.
    Beginning,
}

/// The first entry of a part of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct First {
    pub(crate) position: Position,
    /// Its first offset.
    pub(crate) offset: i64,
    /// When it was written, milliseconds since the epoch.
    pub(crate) written: i64,
}

/// What producers wrote in a part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Where the part begins.
    pub(crate) since: Since,
    /// Its last entry.
    pub(crate) last: Anchor,
    pub(crate) state: ProducerState,
}

impl Snapshot {
    /// Bytes that a snapshot of that many producers may take.
    pub(crate) fn size_of(producers: usize) -> u64 {
        let producers = u64::try_from(producers).unwrap_or(u64::MAX);
        producers.saturating_mul(99).saturating_add(67)
    }

    /// The snapshot as bytes.
    pub(crate) fn encode(since: Since, last: Anchor, state: &ProducerState) -> Bytes {
        let state = state.snapshot();
        let mut to = BytesMut::with_capacity(HEAD + 57 + state.len());
        to.put_u8(VERSION);
        to.put_u32(0);
        put_position(&mut to, last.position);
        to.put_i64(last.index);
        match since {
            Since::Beginning => to.put_u8(FROM_BEGINNING),
            Since::Entry(first) => {
                to.put_u8(FROM_ENTRY);
                put_position(&mut to, first.position);
                to.put_i64(first.offset);
                to.put_i64(first.written);
            }
        }
        to.put_slice(&state);
        seal(&mut to);
        to.freeze()
    }

    /// The snapshot that bytes hold.
    pub(crate) fn parse(mut from: &[u8]) -> Result<Self, InvalidSnapshot> {
        if from.try_get_u8()? != VERSION || from.try_get_u32()? != crc32c::crc32c(from) {
            return Err(InvalidSnapshot);
        }
        let last = Anchor {
            position: position(&mut from)?,
            index: from.try_get_i64()?,
        };
        let since = match from.try_get_u8()? {
            FROM_BEGINNING => Since::Beginning,
            FROM_ENTRY => Since::Entry(First {
                position: position(&mut from)?,
                offset: from.try_get_i64()?,
                written: from.try_get_i64()?,
            }),
            _ => return Err(InvalidSnapshot),
        };
        let is_before = |first: First| {
            first.position <= last.position && (0..=last.index).contains(&first.offset)
        };
        if last.index < 0 || matches!(since, Since::Entry(first) if !is_before(first)) {
            return Err(InvalidSnapshot);
        }
        let state = ProducerState::restore(from, Retention::default())?;
        Ok(Self { since, last, state })
    }
}

/// Gives bytes of a snapshot the CRC that belongs to them.
pub(crate) fn seal(snapshot: &mut [u8]) {
    if let Some((head, rest)) = snapshot.split_at_mut_checked(HEAD)
        && let Some(crc) = head.last_chunk_mut()
    {
        *crc = crc32c::crc32c(rest).to_be_bytes();
    }
}

fn put_position(to: &mut BytesMut, position: Position) {
    to.put_u64(position.ledger);
    to.put_u64(position.entry);
}

fn position(from: &mut &[u8]) -> Result<Position, TryGetError> {
    Ok(Position {
        ledger: from.try_get_u64()?,
        entry: from.try_get_u64()?,
    })
}
