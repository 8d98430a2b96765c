//! Where a log begins and ends.
use kop_wire::Offset;

/// The offsets that bound a log. `log_start <= last_stable <= high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// Offset of the first record that can be read, or `high` where the log is empty.
    pub log_start: Offset,
    /// Offset below which no transaction is open: what `read_committed` may see.
    pub last_stable: Offset,
    /// Offset that the next record will get; everything below it is durable.
    pub high: Offset,
}
