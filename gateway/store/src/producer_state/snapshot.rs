//! The producer state as bytes, for engines that do not want to read a whole log again.
//!
//! Version (1 byte), number of producers (u32); for each its id (i64), epoch (i16), last sight (i64,
//! milliseconds), number of batches (u8), and for each batch its first and last sequence number (i32)
//! and its offset (i64). Everything is big-endian.
use std::collections::{HashMap, VecDeque};

use bytes::{Buf, BufMut, TryGetError};
use kop_wire::Offset;

use super::{Producer, ProducerState, REMEMBERED, Retention, Written};

const VERSION: u8 = 1;

/// Bytes that are no snapshot of the producer state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("damaged snapshot of the producer state")]
pub struct InvalidSnapshot;

impl From<TryGetError> for InvalidSnapshot {
    fn from(_: TryGetError) -> Self {
        Self
    }
}

impl ProducerState {
    /// The state as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(5 + self.producers.len() * 100);
        to.put_u8(VERSION);
        // `Retention` bounds the number of producers, REMEMBERED that of batches.
        to.put_u32(u32::try_from(self.producers.len()).unwrap_or(u32::MAX));
        for (id, producer) in &self.producers {
            to.put_i64(*id);
            to.put_i16(producer.epoch);
            to.put_i64(producer.seen_ms);
            to.put_u8(u8::try_from(producer.batches.len()).unwrap_or(u8::MAX));
            for written in &producer.batches {
                to.put_i32(written.first_sequence);
                to.put_i32(written.last_sequence);
                to.put_i64(written.base_offset.0);
            }
        }
        to
    }

    /// The state that a snapshot holds.
    ///
    /// # Errors
    /// Bytes that [`ProducerState::snapshot`] did not write, or of more producers than are remembered.
    pub fn restore(mut from: &[u8], retention: Retention) -> Result<Self, InvalidSnapshot> {
        if from.try_get_u8()? != VERSION {
            return Err(InvalidSnapshot);
        }
        let count = from.try_get_u32()?;
        if usize::try_from(count).map_or(true, |count| count > retention.producers) {
            return Err(InvalidSnapshot);
        }
        let mut producers = HashMap::new();
        for _ in 0..count {
            let (id, producer) = producer(&mut from)?;
            producers.insert(id, producer);
        }
        if from.has_remaining() {
            return Err(InvalidSnapshot);
        }
        Ok(Self {
            retention,
            producers,
        })
    }
}

fn producer(from: &mut &[u8]) -> Result<(i64, Producer), InvalidSnapshot> {
    let id = from.try_get_i64()?;
    let epoch = from.try_get_i16()?;
    let seen_ms = from.try_get_i64()?;
    let count = usize::from(from.try_get_u8()?);
    if count > REMEMBERED {
        return Err(InvalidSnapshot);
    }
    let mut batches = VecDeque::with_capacity(count);
    for _ in 0..count {
        batches.push_back(Written {
            first_sequence: from.try_get_i32()?,
            last_sequence: from.try_get_i32()?,
            base_offset: Offset(from.try_get_i64()?),
        });
    }
    Ok((
        id,
        Producer {
            epoch,
            batches,
            seen_ms,
        },
    ))
}
