//! What whole batches hold, as their headers say, wherever their bytes are cut into chunks. Compressed
//! records are not looked at.
use bytes::{Buf as _, Bytes};
use kop_wire::Offset;

/// Bytes of a batch in front of its records, and where in them its fields stand.
const HEADER: usize = 61;
const LENGTH_AT: usize = 8;
const LAST_OFFSET_DELTA_AT: usize = 23;
const COUNT_AT: usize = 57;
/// Bytes that the length does not count.
const BEFORE_LENGTH: usize = 12;

/// What batches hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// The offset behind the last batch; `None` where there is no batch.
    pub(super) next: Option<Offset>,
}

impl Contents {
    pub(super) fn of(chunks: &[Bytes]) -> Self {
        let mut contents = Self {
            bytes: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            ..Self::default()
        };
        let mut rest = chunks.iter();
        let mut piece: &[u8] = &[];
        // Bytes to pass over before the next header.
        let mut skip = 0_usize;
        let mut header = Vec::new();
        loop {
            if piece.is_empty() {
                match rest.next() {
                    Some(next) => piece = next,
                    None => return contents,
                }
            }
            let passed = skip.min(piece.len());
            skip -= passed;
            piece = piece.get(passed..).unwrap_or_default();
            let missing = HEADER - header.len();
            let (taken, behind) = piece.split_at(missing.min(piece.len()));
            if header.is_empty() && taken.len() == HEADER {
                skip = contents.add(taken);
            } else {
                header.extend_from_slice(taken);
                if header.len() == HEADER {
                    skip = contents.add(&header);
                    header.clear();
                }
            }
            piece = behind;
        }
    }

    /// Adds the batch of this header; how many bytes of it follow the header.
    fn add(&mut self, header: &[u8]) -> usize {
        let field = |at: usize| {
            let mut bytes = header.get(at..).unwrap_or_default();
            let field = bytes.try_get_i32().ok();
            field.and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
        };
        let base = header
            .first_chunk()
            .map_or(0, |base| i64::from_be_bytes(*base));
        let offsets = field(LAST_OFFSET_DELTA_AT) as i64 + 1;
        self.next = Some(Offset(base.saturating_add(offsets)));
        self.records += field(COUNT_AT) as u64;
        (BEFORE_LENGTH + field(LENGTH_AT)).saturating_sub(HEADER)
    }
}

#[cfg(test)]
mod tests {
    use kop_wire::{BatchBuilder, Compression, Record, Timestamp};

    use super::*;

    fn batch(base: i64, records: usize) -> Bytes {
        let mut batch = BatchBuilder::new(Compression::None).base_offset(Offset(base));
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
    fn contents_are_seen_wherever_the_bytes_are_cut() {
        let whole: Vec<u8> = [batch(7, 1), batch(8, 20), batch(40, 3)].concat();
        let whole = Bytes::from(whole);
        let expected = Contents {
            records: 24,
            bytes: whole.len() as u64,
            next: Some(Offset(43)),
        };
        assert_eq!(Contents::of(std::slice::from_ref(&whole)), expected);
        for size in 1..whole.len() {
            let chunks: Vec<_> = (0..whole.len())
                .step_by(size)
                .map(|at| whole.slice(at..whole.len().min(at + size)))
                .collect();
            assert_eq!(Contents::of(&chunks), expected, "in pieces of {size} bytes");
        }
    }

    #[test]
    fn what_is_no_batch_does_no_harm() {
        assert_eq!(Contents::of(&[]), Contents::default());
        let whole = batch(0, 3);
        assert_eq!(Contents::of(&[whole.slice(..60)]).records, 0);
        assert_eq!(Contents::of(&[whole.slice(..60)]).next, None);
        assert_eq!(Contents::of(&[whole.slice(..whole.len() - 1)]).records, 3);
        assert_eq!(Contents::of(&[Bytes::from(vec![0xff; 1000])]).records, 0);
    }
}
