//! When the next snapshot is due: by what the log has grown since the last one. Pure.
use crate::entry::Span;

/// Entries of ours, bytes of theirs, or offsets of anybody's behind which a snapshot is due. They bound
/// what whoever takes over has to read.
const ENTRIES: u64 = 256;
const BYTES: u64 = 4 * 1024 * 1024;
const OFFSETS: i64 = 4_096;
/// By so much the log grows for each byte of snapshots.
const BYTES_PER_BYTE: u64 = 16;
/// What an offset that others took counts for.
const FOREIGN_OFFSET: i64 = 64;

/// What was written since the last snapshot, or since nothing was known of one.
#[derive(Debug, Default)]
pub(super) struct Growth {
    /// Where the last snapshot ended.
    from: Option<i64>,
    end: i64,
    entries: u64,
    bytes: u64,
    /// Offsets of our entries.
    ours: i64,
}

impl Growth {
    /// An entry of ours.
    pub(super) fn entry(&mut self, span: Span, bytes: usize) {
        self.end = span.end;
        self.entries += 1;
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        self.ours += span.end - span.base;
    }

    /// A snapshot that ends at `end` was written.
    pub(super) fn restart(&mut self, end: i64) {
        *self = Self {
            from: Some(end),
            end,
            ..Self::default()
        };
    }

    /// Whether a snapshot of `size` bytes is due. The first one is due at once, so that it is found
    /// however often the log goes from one owner to another.
    pub(super) fn is_enough_for(&self, size: u64) -> bool {
        let Some(from) = self.from else {
            return true;
        };
        let offsets = self.end.saturating_sub(from);
        let due = self.entries >= ENTRIES || self.bytes >= BYTES || offsets >= OFFSETS;
        let foreign = offsets.saturating_sub(self.ours).max(0);
        let foreign = foreign.saturating_mul(FOREIGN_OFFSET).unsigned_abs();
        due && self.bytes.saturating_add(foreign) >= size.saturating_mul(BYTES_PER_BYTE)
    }
}
