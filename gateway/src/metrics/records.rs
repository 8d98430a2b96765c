//! Records that clients wrote and read.
use bytes::{Buf as _, Bytes};
use prometheus_client::{metrics::counter::Counter, registry::Registry};

use super::registered;

/// Bytes of a batch in front of its records, and where in them its length and its record count stand.
const HEADER: usize = 61;
const LENGTH_AT: usize = 8;
const COUNT_AT: usize = 57;
/// Bytes that the length does not count.
const BEFORE_LENGTH: usize = 12;

/// Records that clients wrote and read.
#[derive(Debug, Default)]
pub(crate) struct Records {
    produced: Counter,
    produced_bytes: Counter,
    fetched: Counter,
    fetched_bytes: Counter,
}

impl Records {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        Self {
            produced: registered(
                registry,
                "kop_produced_records",
                "Records that producers wrote and were told so",
            ),
            produced_bytes: registered(
                registry,
                "kop_produced_bytes",
                "Bytes of the batches of these, as they were sent",
            ),
            fetched: registered(
                registry,
                "kop_fetched_records",
                "Records in the batches that were sent to consumers",
            ),
            fetched_bytes: registered(
                registry,
                "kop_fetched_bytes",
                "Bytes of the batches that were sent to consumers",
            ),
        }
    }

    /// Counts a batch that was written.
    pub(crate) fn produced(&self, records: i32, bytes: usize) {
        self.produced.inc_by(u64::try_from(records).unwrap_or(0));
        self.produced_bytes.inc_by(bytes as u64);
    }

    /// Counts whole batches that are sent, cut into pieces anywhere.
    pub(crate) fn fetched(&self, chunks: &[Bytes]) {
        let bytes: usize = chunks.iter().map(Bytes::len).sum();
        if bytes > 0 {
            self.fetched.inc_by(count(chunks));
            self.fetched_bytes.inc_by(bytes as u64);
        }
    }
}

/// How many records the batches hold, as their headers say. Compressed records are not looked at.
fn count(chunks: &[Bytes]) -> u64 {
    let mut rest = chunks.iter();
    let mut piece: &[u8] = &[];
    let mut records = 0_u64;
    // Bytes to pass over before the next header.
    let mut skip = 0_usize;
    let mut header = Vec::new();
    loop {
        if piece.is_empty() {
            match rest.next() {
                Some(next) => piece = next,
                None => return records,
            }
        }
        let passed = skip.min(piece.len());
        skip -= passed;
        piece = piece.get(passed..).unwrap_or_default();
        let missing = HEADER - header.len();
        let (taken, behind) = piece.split_at(missing.min(piece.len()));
        if header.is_empty() && taken.len() == HEADER {
            (records, skip) = add(records, taken);
        } else {
            header.extend_from_slice(taken);
            if header.len() == HEADER {
                (records, skip) = add(records, &header);
                header.clear();
            }
        }
        piece = behind;
    }
}

/// The sum with this batch's records, and how many bytes of it follow its header.
fn add(records: u64, header: &[u8]) -> (u64, usize) {
    let field = |at: usize| {
        let mut bytes = header.get(at..).unwrap_or_default();
        bytes
            .try_get_i32()
            .ok()
            .and_then(|n| usize::try_from(n).ok())
    };
    let length = field(LENGTH_AT).map_or(0, |length| BEFORE_LENGTH + length);
    let count = field(COUNT_AT).unwrap_or(0);
    (records + count as u64, length.saturating_sub(HEADER))
}

#[cfg(test)]
mod tests {
    use kop_wire::{BatchBuilder, Compression, Offset, Record, Timestamp};

    use super::*;

    fn batch(records: usize) -> Bytes {
        let mut batch = BatchBuilder::new(Compression::None);
        for at in 0..records {
            batch.push(Record {
                offset: Offset(0),
                timestamp: Timestamp(0),
                key: None,
                value: Some(Bytes::from(vec![b'x'; at * 7])),
                headers: Vec::new(),
            });
        }
        batch.build().unwrap().bytes().clone()
    }

    #[test]
    fn records_are_counted_wherever_the_bytes_are_cut() {
        let whole: Vec<u8> = [batch(1), batch(20), batch(3)].concat();
        let whole = Bytes::from(whole);
        assert_eq!(count(std::slice::from_ref(&whole)), 24);
        for size in 1..whole.len() {
            let chunks: Vec<_> = (0..whole.len())
                .step_by(size)
                .map(|at| whole.slice(at..whole.len().min(at + size)))
                .collect();
            assert_eq!(count(&chunks), 24, "in pieces of {size} bytes");
        }
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[whole.slice(..whole.len() - 1)]), 24);
        assert_eq!(count(&[whole.slice(..60)]), 0);
        assert_eq!(count(&[Bytes::from(vec![0xff; 1000])]), 0);
    }
}
