//! The first batches of idempotent producers that were refused: those behind them have to wait for them.
//!
//! A producer that nothing is known of may begin with any sequence number, as in Kafka, because it may have
//! been forgotten. But clients have several requests on their way: where the first batch of all is refused
//! for a moment and the one behind it were written, the first would be out of order for ever.
use std::collections::HashMap;

use kop_wire::BatchHeader;

/// Producers noted at once. Beyond that all are forgotten, and what stands above comes true again.
const MOST: usize = 1_024;

/// The earliest sequence number of each producer that was refused and has not been written since.
#[derive(Debug, Default)]
pub(super) struct Refused(HashMap<i64, First>);

#[derive(Debug, Clone, Copy)]
struct First {
    epoch: i16,
    sequence: i32,
}

impl Refused {
    /// A batch was refused by an error after which its producer sends it again.
    pub(super) fn note(&mut self, header: &BatchHeader) {
        if !header.is_idempotent() {
            return;
        }
        let (epoch, sequence) = (header.producer_epoch, header.base_sequence);
        if self.0.len() >= MOST && !self.0.contains_key(&header.producer_id) {
            self.0 = HashMap::new();
        }
        let first = self
            .0
            .entry(header.producer_id)
            .or_insert(First { epoch, sequence });
        if epoch > first.epoch || (epoch == first.epoch && sequence < first.sequence) {
            *first = First { epoch, sequence };
        }
    }

    /// A batch was written.
    pub(super) fn written(&mut self, header: &BatchHeader) {
        self.0.remove(&header.producer_id);
    }

    /// The sequence number that has to come before the batch, of whose producer nothing is known.
    pub(super) fn before(&self, header: &BatchHeader) -> Option<i32> {
        let first = self.0.get(&header.producer_id)?;
        let waits = first.epoch == header.producer_epoch && first.sequence < header.base_sequence;
        waits.then_some(first.sequence)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kop_wire::{BatchBuilder, Compression, Record};

    use super::*;

    fn header(producer_id: i64, producer_epoch: i16, base_sequence: i32) -> BatchHeader {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(Record {
            value: Some(Bytes::from_static(b"value")),
            ..Record::default()
        });
        BatchHeader {
            producer_id,
            producer_epoch,
            base_sequence,
            ..*builder.build().unwrap().header()
        }
    }

    #[test]
    fn batches_behind_a_refused_one_wait_for_it() {
        let mut refused = Refused::default();
        assert_eq!(refused.before(&header(7, 0, 5)), None);
        refused.note(&header(7, 0, 5));
        refused.note(&header(7, 0, 3));
        refused.note(&header(7, 0, 8));
        assert_eq!(refused.before(&header(7, 0, 5)), Some(3));
        assert_eq!(refused.before(&header(7, 0, 3)), None);
        assert_eq!(refused.before(&header(8, 0, 5)), None);
        refused.written(&header(7, 0, 3));
        assert_eq!(refused.before(&header(7, 0, 8)), None);
    }

    #[test]
    fn a_newer_epoch_begins_anew() {
        let mut refused = Refused::default();
        refused.note(&header(7, 0, 5));
        assert_eq!(refused.before(&header(7, 1, 9)), None);
        refused.note(&header(7, 1, 9));
        refused.note(&header(7, 0, 2));
        assert_eq!(refused.before(&header(7, 1, 12)), Some(9));
    }

    #[test]
    fn no_more_are_noted_than_there_is_room_for() {
        let mut refused = Refused::default();
        for id in 0..10_000 {
            refused.note(&header(id, 0, 5));
            assert!(refused.0.len() <= MOST);
        }
        assert_eq!(refused.before(&header(9_999, 0, 6)), Some(5));
    }
}
