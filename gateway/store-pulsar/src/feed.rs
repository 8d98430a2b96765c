//! Whether what this gateway writes is all that is new in a partition.
//!
//! While the writer's entries stand right behind one another, nothing else is in the topic, and a tail
//! reader would only bring back, byte for byte, what has just been sent. A log that was just opened is known
//! to its end; whoever opens it to write gets there before a reader would have brought anything.
use std::time::Duration;

use tokio::time::Instant;

use crate::admin::Position;

/// Entries of ours in a row before the tail reader is given up, or bytes in no fewer than a few: each costs
/// the broker a dispatch, and large ones the more.
const ENOUGH: u32 = 256;
const ENOUGH_BYTES: usize = 256 * 1024;
const FEW: u32 = 4;
/// Longest time between two of them: a disk that syncs may take so long now and then.
const STEADY: Duration = Duration::from_millis(150);
/// How long after the last of them it may be that somebody else has written since. What others write then
/// is seen so much later.
const SILENCE: Duration = Duration::from_millis(200);
/// How long what was known at the opening is taken for all there is, while nobody looks at the end: owning
/// many partitions at once takes so long.
const FRESH: Duration = Duration::from_secs(1);

/// The writer's entries as the tail reader sees them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Feed {
    /// When the log was opened, until somebody wants to know what others write, or may have written.
    fresh: Option<Instant>,
    in_a_row: u32,
    bytes: usize,
    last: Instant,
    upto: Option<Position>,
}

impl Feed {
    /// That of a log that is opened now, and known to its end; nothing was written yet.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            fresh: Some(now),
            in_a_row: 0,
            bytes: 0,
            last: now,
            upto: None,
        }
    }

    /// An entry of ours, of that many bytes, stands there, right behind all that is known.
    pub(crate) fn wrote(&mut self, position: Position, bytes: usize, now: Instant) {
        if now.duration_since(self.last) > STEADY {
            self.restart();
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.last = now;
        self.upto = Some(position);
    }

    /// Somebody else may have written.
    pub(crate) fn interrupt(&mut self) {
        self.fresh = None;
        self.restart();
    }

    /// Somebody looks at the log's end. Whether that makes a difference.
    pub(crate) fn look(&mut self) -> bool {
        self.fresh.take().is_some()
    }

    fn restart(&mut self) {
        self.in_a_row = 0;
        self.bytes = 0;
    }

    /// Whether a tail reader would bring nothing new.
    pub(crate) fn suffices(&self, now: Instant) -> bool {
        let fresh = |opened| now.duration_since(opened) <= FRESH;
        let enough =
            self.in_a_row >= ENOUGH || (self.bytes >= ENOUGH_BYTES && self.in_a_row >= FEW);
        self.fresh.is_some_and(fresh) || enough && now.duration_since(self.last) <= SILENCE
    }

    /// The last entry of ours behind which nothing is known: a tail reader goes on there.
    pub(crate) fn upto(&self) -> Option<Position> {
        self.upto
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(entry: u64) -> Position {
        Position { ledger: 1, entry }
    }

    /// That of a log whose end somebody looks at.
    fn looked_at(now: Instant) -> Feed {
        let mut feed = Feed::new(now);
        assert!(feed.look());
        feed
    }

    #[test]
    fn what_is_known_at_the_opening_suffices_for_a_while() {
        let begin = Instant::now();
        let mut feed = Feed::new(begin);
        assert!(feed.suffices(begin + FRESH));
        assert!(!feed.suffices(begin + FRESH + Duration::from_millis(1)));
        // A first entry that comes late is no reason to read it back.
        feed.wrote(at(0), 100, begin + STEADY * 2);
        assert!(feed.suffices(begin + FRESH));
    }

    #[test]
    fn it_does_not_where_somebody_looks_at_the_end_or_may_have_written() {
        let now = Instant::now();
        let mut feed = Feed::new(now);
        assert!(feed.look());
        assert!(!feed.suffices(now));
        assert!(!feed.look());
        let mut feed = Feed::new(now);
        feed.interrupt();
        assert!(!feed.suffices(now));
    }

    #[test]
    fn a_steady_writer_suffices_until_it_is_silent_or_somebody_else_writes() {
        let begin = Instant::now();
        let mut feed = looked_at(begin);
        let mut now = begin;
        for entry in 0..u64::from(ENOUGH) {
            assert!(!feed.suffices(now));
            now += Duration::from_millis(1);
            feed.wrote(at(entry), 100, now);
        }
        assert!(feed.suffices(now));
        assert!(feed.suffices(now + SILENCE));
        assert!(!feed.suffices(now + SILENCE + Duration::from_millis(1)));
        assert_eq!(feed.upto(), Some(at(u64::from(ENOUGH) - 1)));
        feed.interrupt();
        assert!(!feed.suffices(now));
    }

    #[test]
    fn large_entries_suffice_sooner() {
        let now = Instant::now();
        let mut feed = looked_at(now);
        for entry in 0..u64::from(FEW) {
            assert!(!feed.suffices(now));
            feed.wrote(at(entry), ENOUGH_BYTES, now);
        }
        assert!(feed.suffices(now));
        feed.interrupt();
        feed.wrote(at(u64::from(FEW)), ENOUGH_BYTES, now);
        assert!(!feed.suffices(now));
    }

    #[test]
    fn a_slow_writer_never_suffices() {
        let mut now = Instant::now();
        let mut feed = looked_at(now);
        for entry in 0..u64::from(ENOUGH) * 4 {
            now += STEADY + Duration::from_millis(1);
            feed.wrote(at(entry), 100, now);
            assert!(!feed.suffices(now));
        }
    }
}
