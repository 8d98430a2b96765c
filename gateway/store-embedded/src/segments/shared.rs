//! Large batches that were read of late, so that many who read the same hold it in memory once.
use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::{
    format::{LogId, Pointer},
    frame::Place,
};

/// Smaller batches take little memory, however many read them.
const LARGE: usize = 32 * 1024;
/// Bytes that are kept.
const KEPT: usize = 16 * 1024 * 1024;

/// The batches by where they stand. The one that was read longest ago goes first.
#[derive(Debug, Default)]
pub(super) struct Shared {
    batches: HashMap<Place, (LogId, Bytes)>,
    order: VecDeque<Place>,
    bytes: usize,
}

impl Shared {
    /// The one batch that is to be read, if it is here.
    pub(super) fn get(&self, log: LogId, run: &[Pointer]) -> Option<Bytes> {
        let [pointer] = run else { return None };
        let (of, batch) = self.batches.get(&pointer.place())?;
        (*of == log && batch.len() == pointer.bytes()).then(|| batch.clone())
    }

    /// Keeps what was read, if it was one large batch.
    pub(super) fn put(&mut self, log: LogId, run: &[Pointer], batches: &[Bytes]) {
        let ([pointer], [batch]) = (run, batches) else {
            return;
        };
        if !(LARGE..=KEPT).contains(&batch.len()) {
            return;
        }
        let place = pointer.place();
        if self.batches.insert(place, (log, batch.clone())).is_some() {
            return; // Somebody else read it at the same time.
        }
        self.order.push_back(place);
        self.bytes += batch.len();
        while self.bytes > KEPT {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some((_, batch)) = self.batches.remove(&oldest) {
                self.bytes -= batch.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_was_read_longest_ago_goes_first() {
        let log = LogId {
            topic: Uuid::from_u128(1),
            partition: 0,
        };
        let pointer = |segment| Pointer {
            segment,
            position: 7,
            length: 4 << 20,
        };
        let mut shared = Shared::default();
        for segment in 0..6 {
            let batch = Bytes::from(vec![segment as u8; 4 << 20]);
            for _ in 0..2 {
                shared.put(log, &[pointer(segment)], std::slice::from_ref(&batch));
            }
        }
        let is_there = |segment| shared.get(log, &[pointer(segment)]).is_some();
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(is_there),
            [false, false, true, true, true, true]
        );
        assert_eq!((shared.bytes, shared.order.len()), (16 << 20, 4));
        assert_eq!(shared.get(log, &[pointer(3)]).unwrap()[0], 3);
        let other = LogId {
            partition: 1,
            ..log
        };
        assert_eq!(shared.get(other, &[pointer(3)]), None);
    }
}
