//! The newest batches of a log, in memory, so that a consumer that keeps up costs no disk and no
//! thread.
use std::collections::VecDeque;

use bytes::Bytes;
use kop_store::ReadLimit;
use kop_wire::Offset;

/// Contiguous batches up to the end of the log; the oldest are dropped first.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    batches: VecDeque<Recent>,
    /// How many were dropped before their turn.
    dropped: usize,
}

#[derive(Debug)]
struct Recent {
    base: Offset,
    end: Offset,
    /// Its first bytes, and the others.
    bytes: [Bytes; 2],
}

impl Tail {
    pub(crate) fn push(&mut self, base: Offset, end: Offset, bytes: [Bytes; 2]) {
        self.batches.push_back(Recent { base, end, bytes });
    }

    /// Drops the oldest batch, unless the one whose turn it is has been dropped before.
    pub(crate) fn pop(&mut self) {
        match self.dropped.checked_sub(1) {
            Some(left) => self.dropped = left,
            None => {
                self.batches.pop_front();
            }
        }
    }

    /// Drops all batches of a log that no one appends to any more.
    pub(crate) fn clear(&mut self) {
        self.batches = VecDeque::new();
    }

    /// Drops the batches that begin below an offset: they are no longer as they stand here.
    pub(crate) fn forget_below(&mut self, offset: Offset) {
        let gone = self.batches.partition_point(|batch| batch.base < offset);
        self.batches.drain(..gone);
        self.dropped += gone;
    }

    /// The batches from the one that holds `from` on and below `high`; `None` where the tail begins
    /// later.
    pub(crate) fn read(&self, from: Offset, high: Offset, limit: ReadLimit) -> Option<Vec<Bytes>> {
        if self.batches.front()?.base > from {
            return None;
        }
        let first = self.batches.partition_point(|batch| batch.end <= from);
        let mut room = Room::new(limit);
        let mut chunks = Vec::new();
        for batch in self.batches.range(first..) {
            let [head, rest] = &batch.bytes;
            if batch.end > high || !room.take(head.len() + rest.len()) {
                break;
            }
            chunks.push(head.clone());
            chunks.push(rest.clone());
        }
        Some(chunks)
    }
}

/// How much goes into an answer.
#[derive(Debug)]
pub(crate) struct Room {
    left: usize,
    /// The next batch goes in, whatever its size.
    at_least_one: bool,
    is_untouched: bool,
}

impl Room {
    pub(crate) fn new(limit: ReadLimit) -> Self {
        Self {
            left: limit.max_bytes,
            at_least_one: limit.at_least_one,
            is_untouched: true,
        }
    }

    /// Takes room for a batch, if there is enough.
    pub(crate) fn take(&mut self, size: usize) -> bool {
        let fits = size <= self.left || (self.at_least_one && self.is_untouched);
        if fits {
            self.left = self.left.saturating_sub(size);
            self.is_untouched = false;
        }
        fits
    }

    /// Whether nothing has been taken.
    pub(crate) fn is_untouched(&self) -> bool {
        self.is_untouched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of two offsets and ten bytes: 4–5, 6–7, 8–9.
    fn tail() -> Tail {
        let mut tail = Tail::default();
        for base in [2, 4, 6, 8] {
            tail.push(
                Offset(base),
                Offset(base + 2),
                [
                    Bytes::from(vec![base as u8; 4]),
                    Bytes::from(vec![base as u8; 6]),
                ],
            );
        }
        tail.pop();
        tail
    }

    fn read(from: i64, high: i64, max_bytes: usize, at_least_one: bool) -> Option<Vec<u8>> {
        let limit = ReadLimit {
            max_bytes,
            at_least_one,
        };
        let chunks = tail().read(Offset(from), Offset(high), limit)?;
        let pieces = chunks.chunks(2);
        Some(pieces.map(|pieces| pieces[0][0]).collect())
    }

    #[test]
    fn what_was_dropped_is_not_answered() {
        assert_eq!(read(3, 10, 100, true), None);
        assert_eq!(
            Tail::default().read(
                Offset(0),
                Offset(0),
                ReadLimit {
                    max_bytes: 1,
                    at_least_one: true,
                }
            ),
            None
        );
    }

    #[test]
    fn batches_dropped_before_their_turn_take_it_all_the_same() {
        let mut tail = tail();
        tail.forget_below(Offset(8));
        let bases = |tail: &Tail| tail.batches.iter().map(|b| b.base.0).collect::<Vec<_>>();
        assert_eq!(bases(&tail), [8]);
        tail.push(Offset(10), Offset(12), [Bytes::new(), Bytes::new()]);
        tail.pop();
        tail.pop();
        assert_eq!(bases(&tail), [8, 10], "those were the turns of 4 and 6");
        tail.pop();
        assert_eq!(bases(&tail), [10]);
    }

    #[test]
    fn a_read_begins_with_the_batch_that_holds_its_offset() {
        assert_eq!(read(4, 10, 100, true), Some(vec![4, 6, 8]));
        assert_eq!(read(7, 10, 100, true), Some(vec![6, 8]));
        assert_eq!(read(9, 10, 100, true), Some(vec![8]));
    }

    #[test]
    fn a_read_ends_at_the_high_watermark_and_at_its_limit() {
        assert_eq!(read(4, 8, 100, true), Some(vec![4, 6]));
        assert_eq!(read(4, 10, 29, true), Some(vec![4, 6]));
        assert_eq!(read(4, 10, 1, true), Some(vec![4]));
        assert_eq!(read(4, 10, 1, false), Some(vec![]));
    }
}
