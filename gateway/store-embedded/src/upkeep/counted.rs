//! How much a log holds, counted once and then kept up to date, so that looking at a log that has not
//! changed costs nothing.
use kop_store::Cause;
use kop_wire::{Offset, Timestamp};

use crate::{
    format::{self, BatchKey, LogId, Pointer, Stored},
    keyspaces::Keyspaces,
    log::Bounds,
};

/// What is remembered of a log.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Bytes of batches that have been compacted, and of those that have not.
    pub(super) clean: u64,
    pub(super) dirty: u64,
    /// Where the batches begin that have not been compacted; `None` before anything was counted.
    pub(super) cleaned_to: Option<Offset>,
    /// When compaction may remove what it has kept for a while; `i64::MAX` where there is nothing.
    pub(super) horizon_ms: i64,
    /// The oldest of the times of batches that have not been compacted.
    pub(super) oldest_dirty_ms: Option<i64>,
    /// Where counting goes on.
    upto: Offset,
    pub(super) aged: Option<Aged>,
    pub(super) ripened: Option<Ripened>,
}

/// How far a log was looked at for what is too old.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aged {
    /// Where the log began.
    pub(super) start: Offset,
    /// The time of the first batch that has one, if there is such a batch.
    pub(super) time: Option<Timestamp>,
    /// Where there may be such a batch, if none has been seen.
    pub(super) upto: Offset,
}

/// How far the batches that have not been compacted are old enough to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ripened {
    /// What was old enough when this was looked at.
    pub(super) lag_ms: i64,
    pub(super) upto: Offset,
    pub(super) bytes: u64,
}

impl Counted {
    /// Counts what has come since the last time.
    pub(super) fn count(
        &mut self,
        keyspaces: &Keyspaces,
        log: LogId,
        bounds: Bounds,
    ) -> Result<(), Cause> {
        let cleaned_to = match self.cleaned_to {
            Some(cleaned_to) => cleaned_to,
            None => {
                let saved = keyspaces.meta.get(log.cleaned_key())?;
                let saved = saved.map(|value| format::cleaned_of(&value)).transpose()?;
                let (offset, horizon_ms) = saved.unwrap_or((Offset(0), i64::MAX));
                self.horizon_ms = horizon_ms;
                *self.cleaned_to.insert(offset)
            }
        };
        for batch in sized(keyspaces, log, self.upto, bounds.high) {
            let (key, held) = batch?;
            self.upto = key.end();
            *self.part(key.base, cleaned_to) += held.bytes;
            let time = key.max_timestamp.0;
            if key.base >= cleaned_to && time >= 0 {
                let oldest = self.oldest_dirty_ms.get_or_insert(time);
                *oldest = time.min(*oldest);
            }
        }
        Ok(())
    }

    /// Forgets a batch that is gone, if it was counted.
    pub(super) fn without(&mut self, key: &BatchKey, size: u64) {
        let Some(cleaned_to) = self.cleaned_to.filter(|_| key.base < self.upto) else {
            return;
        };
        let part = self.part(key.base, cleaned_to);
        *part = part.saturating_sub(size);
    }

    /// Takes over what a round of compaction left below an offset.
    pub(super) fn cleaned(&mut self, to: Offset, bytes: u64, horizon_ms: i64) {
        *self = Self {
            clean: bytes,
            cleaned_to: Some(to),
            horizon_ms,
            upto: to,
            ..Self::default()
        };
    }

    fn part(&mut self, base: Offset, cleaned_to: Offset) -> &mut u64 {
        if base < cleaned_to {
            &mut self.clean
        } else {
            &mut self.dirty
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.clean.saturating_add(self.dirty)
    }
}

/// The batches that begin from one offset on and below another, and where each is.
pub(super) fn sized(
    keyspaces: &Keyspaces,
    log: LogId,
    from: Offset,
    below: Offset,
) -> impl Iterator<Item = Result<(BatchKey, Held), Cause>> {
    let range = log.key_at(from)..log.key_at(below);
    keyspaces.batches.range(range).map(|item| {
        let (key, value) = item.into_inner()?;
        let held = Held::of(&Stored::of(value.into())?);
        Ok((BatchKey::decode(&key)?, held))
    })
}

/// How many bytes a batch has, and where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) bytes: u64,
    /// In a segment; or it is from before format 3.
    pub(super) at: Option<Pointer>,
}

impl Held {
    pub(super) fn of(stored: &Stored) -> Self {
        Self {
            bytes: stored.bytes() as u64,
            at: match stored {
                Stored::At(pointer) => Some(*pointer),
                Stored::Here(_) => None,
            },
        }
    }
}
