//! A part of a log, read from its first entry to its last, and what it tells of producers. Pure.
use std::collections::VecDeque;

use bytes::Bytes;
use kop_store::producer_state::{ProducerState, Retention};
use kop_wire::BatchHeader;

use super::snapshot::{First, Since, Snapshot};
use crate::{admin::Position, entry::Span};

/// Entries among which the last one that a snapshot tells of is looked for. Whoever wrote it had fewer
/// entries on their way, but others may have written between.
const RECENT: usize = 4_096;

/// What was read of the part so far.
pub(super) struct Replay {
    state: ProducerState,
    since: Option<Since>,
    /// The newest entries: for the batches to be replayed on a snapshot that is found behind them.
    recent: VecDeque<Read>,
    first: Option<Position>,
    missed: Option<Position>,
    takes_snapshots: bool,
    has_snapshot: bool,
}

/// One entry.
pub(super) struct Read {
    pub(super) position: Position,
    pub(super) span: Span,
    /// When it was written, milliseconds since the epoch.
    pub(super) written: i64,
    /// Headers of the batches of idempotent producers in it.
    pub(super) batches: Vec<BatchHeader>,
}

impl Replay {
    /// Of a part of which nothing is known.
    pub(super) fn new() -> Self {
        Self {
            state: ProducerState::new(Retention::default()),
            since: None,
            recent: VecDeque::new(),
            first: None,
            missed: None,
            takes_snapshots: true,
            has_snapshot: false,
        }
    }

    /// On from a state that is true of all that stands before the part.
    pub(super) fn on(state: ProducerState) -> Self {
        Self {
            state,
            takes_snapshots: false,
            ..Self::new()
        }
    }

    /// The next entry, with the note that it carries.
    pub(super) fn entry(&mut self, read: Read, note: Option<&Bytes>) {
        self.first.get_or_insert(read.position);
        self.since.get_or_insert(Since::Entry(First {
            position: read.position,
            offset: read.span.base,
            written: read.written,
        }));
        if let Some(note) = note.filter(|_| self.takes_snapshots) {
            match Snapshot::parse(note) {
                Ok(snapshot) => self.snapshot(snapshot),
                Err(error) => {
                    tracing::warn!(position = %read.position, %error, "note passed over");
                }
            }
        }
        replay(&mut self.state, &read);
        if self.takes_snapshots {
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(read);
        }
    }

    /// Goes on from a snapshot, if it is of this log: if its last entry was read and ends where it says.
    fn snapshot(&mut self, snapshot: Snapshot) {
        let last = snapshot.last;
        let found = self.recent.partition_point(|r| r.position < last.position);
        let is_it = |read: &Read| read.position == last.position && read.span.end == last.index + 1;
        if self.recent.get(found).is_some_and(is_it) {
            self.state = snapshot.state;
            self.since = Some(snapshot.since);
            self.missed = None;
            self.has_snapshot = true;
            for read in self.recent.range(found + 1..) {
                replay(&mut self.state, read);
            }
        } else if self.first.is_some_and(|first| last.position < first) {
            self.missed = Some(last.position);
        }
    }

    /// The last entry that the newest snapshot tells of, where that stands before the part and so could
    /// not be compared.
    pub(super) fn missed(&self) -> Option<Position> {
        self.missed
    }

    /// Whether what is known begins where a snapshot says, not where the part begins.
    pub(super) fn has_snapshot(&self) -> bool {
        self.has_snapshot
    }

    /// What is known, and from where on; `None` where nothing was read.
    pub(super) fn end(self) -> (ProducerState, Option<Since>) {
        (self.state, self.since)
    }
}

fn replay(state: &mut ProducerState, read: &Read) {
    for header in &read.batches {
        state.replay(header, header.base_offset, read.written);
    }
}
