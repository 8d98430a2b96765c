//! One partition as all its handles and tasks share it.
//!
//! Two feed it: the writer with the receipts of what this gateway wrote, and the tail reader with
//! everything that anyone wrote. The high watermark is the end of the last *record* known; a marker
//! raises it only when a record follows, so that below it there is never an end that no reader can
//! reach.
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicI64},
    time::Duration,
};

use kop_store::{PartitionId, ReadLimit, Watermarks};
use kop_wire::Offset;
use pulsar_client::ReaderStart;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};

use crate::{
    admin::Position,
    append::Asked,
    bounds::{Bounds, Start},
    entry::{self, Layout, Placed, Span},
    feed::Feed,
    live::Live,
    metrics::Metrics,
    naming::PulsarTopic,
    offset_index::{OffsetIndex, Point},
    ring::Ring,
    shared::Shared,
    time_index::TimeIndex,
    topics::Origin,
    usage::Usage,
};

mod asked;

pub(crate) use asked::Gone;
use asked::Proof;

/// Positions of the newest entries that are kept to look up receipts in.
const SEEN: usize = 512;
/// Points of the offset index per partition, and their distance in offsets to begin with.
const INDEX_POINTS: usize = 512;
const INDEX_SPACING: i64 = 128;
const TIME_POINTS: usize = 256;
/// How often a partition without a tail reader is asked whether it needs one.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One partition.
pub(crate) struct Log {
    /// As Kafka names it.
    pub(crate) id: PartitionId,
    pub(crate) topic: PulsarTopic,
    pub(crate) origin: Arc<Origin>,
    pub(crate) layout: Layout,
    /// What holds for the topic.
    pub(crate) live: Arc<Live>,
    pub(crate) shared: Arc<Shared>,
    /// Without a bound of its own: a place in it is taken at once, so that appends stand in the order in
    /// which they were asked for and are made even if whoever asked does not wait. What waits here is
    /// part of a request in flight, and those are bounded.
    pub(crate) appends: mpsc::UnboundedSender<Asked>,
    state: Mutex<State>,
    high: watch::Sender<i64>,
    /// The end with the markers behind the last record, as it was when it was last asked for.
    end: AtomicI64,
    /// A tail reader may be needed, because somebody else may have written or somebody looks.
    interrupted: Notify,
    life: watch::Sender<Life>,
    proof: Mutex<Option<Proof>>,
    /// Who holds it.
    pub(crate) usage: Usage,
    /// Held while the log's start is moved.
    pub(crate) moving_start: tokio::sync::Mutex<()>,
    /// Held while records are looked through for their times.
    pub(crate) looking_through: tokio::sync::Mutex<()>,
}

/// Whether a partition is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// action: reads and appends.
    /// transition: to `Closing` by a gateway that drains or gives it up, to `Unused` where nobody has held
    /// it for a while, to `Lost` where a coordinator's log lost its owner, to `Deleted` with its topic.
    Serving,
    /// action: refuses everything, since another gateway may have written. End.
    Lost,
    /// action: answers what is in flight. End.
    Closing,
    /// action: none; nobody holds it, and nothing is in flight. End: whoever asks for the partition opens it
    /// anew.
    Unused,
    /// action: refuses everything. End.
    Deleted,
}

struct State {
    start: Start,
    /// Where its entries begin, if others stand before that have no index: nobody is given those.
    numbered_from: Option<Position>,
    ring: Ring,
    index: OffsetIndex,
    times: TimeIndex,
    seen: VecDeque<(Position, Span)>,
    feed: Feed,
}

/// What is known in memory of a read.
pub(crate) enum Lookup {
    /// The batches.
    Held(Vec<Placed>),
    /// The read begins at the end.
    AtEnd,
    /// The read begins outside of the log.
    OutOfRange,
    /// They are to be read from Pulsar.
    Stored,
}

impl Log {
    pub(crate) fn new(
        (id, topic): (PartitionId, PulsarTopic),
        (origin, live): (Arc<Origin>, Arc<Live>),
        layout: Layout,
        shared: Arc<Shared>,
        appends: mpsc::UnboundedSender<Asked>,
        bounds: Bounds,
    ) -> Self {
        let ring = Ring::new(bounds.high, Arc::clone(&shared.budget));
        let compacts = layout == Layout::Pulsar && live.compacts();
        let begins = bounds.start.log(compacts);
        Self {
            id,
            topic,
            origin,
            layout,
            live,
            shared,
            appends,
            state: Mutex::new(State {
                start: bounds.start,
                numbered_from: bounds.numbered_from(),
                ring,
                index: OffsetIndex::new(INDEX_POINTS, INDEX_SPACING),
                times: TimeIndex::new(begins, TIME_POINTS, INDEX_SPACING),
                seen: VecDeque::new(),
                feed: Feed::new(Instant::now()),
            }),
            interrupted: Notify::new(),
            high: watch::Sender::new(bounds.high),
            end: AtomicI64::new(bounds.end()),
            life: watch::Sender::new(Life::Serving),
            proof: Mutex::new(None),
            usage: Usage::new(),
            moving_start: tokio::sync::Mutex::default(),
            looking_through: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the topic is `__consumer_offsets`.
    pub(crate) fn is_group_log(&self) -> bool {
        self.layout == Layout::GroupLog
    }

    pub(crate) fn watermarks(&self) -> Watermarks {
        let high = *self.high.borrow();
        let log_start = self.log_start().min(high);
        Watermarks {
            log_start: Offset(log_start),
            last_stable: Offset(high),
            high: Offset(high),
        }
    }

    pub(crate) fn log_start(&self) -> i64 {
        self.begins_at(&self.state())
    }

    fn begins_at(&self, state: &State) -> i64 {
        state.start.log(self.compacts())
    }

    /// Whether Pulsar compacts the topic: what stands before its entries is read from what compaction left.
    pub(crate) fn compacts(&self) -> bool {
        self.layout == Layout::Pulsar && self.live.compacts()
    }

    /// Where a reader of all its entries begins.
    pub(crate) fn beginning(&self) -> ReaderStart {
        let from = self.state().numbered_from;
        from.map_or(ReaderStart::Earliest, Position::start)
    }

    /// Whether all entries at a position and before it have no index.
    pub(crate) fn is_before_numbered(&self, position: Position) -> bool {
        self.state()
            .numbered_from
            .is_some_and(|from| position < from)
    }

    /// The first offset that Pulsar's entries hold, as far as is known.
    pub(crate) fn stored_start(&self) -> i64 {
        self.state().start.stored
    }

    pub(crate) fn high(&self) -> i64 {
        *self.high.borrow()
    }

    /// Follows the high watermark.
    pub(crate) fn follow(&self) -> watch::Receiver<i64> {
        self.high.subscribe()
    }

    /// Follows whether the partition is served. Its tasks do so for as long as they run.
    pub(crate) fn life(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
    }

    /// Whether it has ended: whoever wants the partition opens it anew.
    pub(crate) fn is_over(&self) -> bool {
        *self.life.borrow() != Life::Serving || self.usage.is_closed()
    }

    /// Ends it if nobody holds it and nobody has used it for so long.
    pub(crate) fn end_unused(&self, unused: Duration) -> bool {
        let closes = self.usage.close(unused);
        if closes {
            self.end(Life::Unused);
        }
        closes
    }

    pub(crate) fn is_deleted(&self) -> bool {
        *self.life.borrow() == Life::Deleted
    }

    /// Ends the partition's tasks; those who wait for records are woken.
    pub(crate) fn end(&self, life: Life) {
        self.life.send_if_modified(|now| {
            let changes = *now == Life::Serving;
            if changes {
                *now = life;
            }
            changes
        });
        if life == Life::Deleted {
            self.state().ring.clear();
        }
    }

    /// Waits until the tasks have ended.
    pub(crate) async fn ended(&self) {
        // Those who wait for records follow it too, and are woken by its end.
        self.life.closed().await;
    }

    /// Looks a read up in memory.
    pub(crate) fn lookup(&self, from: i64, limit: ReadLimit) -> Lookup {
        let high = self.high();
        let state = self.state();
        if from > high || from < self.begins_at(&state) {
            return Lookup::OutOfRange;
        }
        if from == high {
            return Lookup::AtEnd;
        }
        if state.ring.holds(from) {
            return Lookup::Held(state.ring.read(from, limit));
        }
        Lookup::Stored
    }

    /// Whether the batch that holds `offset` is in memory.
    pub(crate) fn holds(&self, offset: i64) -> bool {
        self.state().ring.holds(offset)
    }

    /// A batch of ours has been written there.
    pub(crate) fn written(&self, position: Position, placed: Placed, span: Span) {
        let bytes = placed.batch.bytes().len();
        {
            let mut state = self.state();
            self.note(&mut state, position, span);
            state.times.extend(span.base, span.end, latest(&placed));
            if span.base > state.ring.end() && self.is_group_log() {
                // No tail reader will bring what is missing in between.
                state.ring.restart(span.base);
            }
            if span.base == state.ring.end() {
                state.ring.push([placed], span.end);
            }
            if span.end <= state.ring.end() {
                // Here already, or brought by the tail reader before the receipt was.
                state.feed.wrote(position, bytes, Instant::now());
            } else {
                state.feed.interrupt();
            }
        }
        self.shared.keep_budget();
        self.raise(span.end);
    }

    /// Somebody else may have written: the tail reader is to look.
    pub(crate) fn interrupt(&self) {
        self.state().feed.interrupt();
        self.interrupted.notify_one();
    }

    /// Somebody looks at the end: from here on, what others write there is to be known.
    pub(crate) fn look_at_end(&self) {
        let begins = self.state().feed.look();
        if begins {
            self.interrupted.notify_one();
        }
    }

    /// Whether a tail reader would bring nothing but what is known, or what this gateway writes.
    pub(crate) fn feeds_itself(&self) -> bool {
        self.state().feed.suffices(Instant::now())
    }

    /// Waits until a tail reader may bring something new; the entry behind which that is.
    pub(crate) async fn hungry(&self) -> Option<Position> {
        loop {
            let feed = self.state().feed;
            if !feed.suffices(Instant::now()) {
                return feed.upto();
            }
            tokio::select! {
                () = self.interrupted.notified() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// An entry was read that stands behind all that was read before. It is unpacked only if it is
    /// not in memory yet.
    pub(crate) fn observed(&self, entry: &pulsar_client::Entry) {
        let Ok(span) = Span::of(&entry.metadata, entry.index) else {
            return;
        };
        let position = position(entry);
        let known = {
            let mut state = self.state();
            self.note(&mut state, position, span);
            span.end <= state.ring.end()
        };
        if !known {
            let unpacked =
                entry::decode(self.is_group_log(), &entry.metadata, &entry.payload, span);
            let mut state = self.state();
            let end = state.ring.end();
            let gap = entry::gap(end, span.base);
            match (unpacked, gap) {
                (Ok(batches), Ok(gap)) if span.base >= end => {
                    let time = batches.iter().map(latest).max().unwrap_or(i64::MIN);
                    state.times.extend(end, span.end, time);
                    state.ring.push(gap.into_iter().chain(batches), span.end);
                }
                // What cannot be unpacked is the business of those who read there.
                _ if span.end > end => state.ring.restart(span.end),
                _ => {}
            }
            drop(state);
            self.shared.keep_budget();
        }
        self.raise(span.end);
    }

    /// An entry that cannot be taken apart stands behind all that was read before.
    pub(crate) fn unreadable(&self, position: Position, span: Span) {
        let mut state = self.state();
        self.note(&mut state, position, span);
        if span.end > state.ring.end() {
            state.ring.restart(span.end);
        }
        drop(state);
        self.raise(span.end);
    }

    /// Remembers where an entry stands.
    pub(crate) fn learn(&self, position: Position, span: Span) {
        self.note(&mut self.state(), position, span);
    }

    fn note(&self, state: &mut State, position: Position, span: Span) {
        if state.seen.back().is_none_or(|(last, _)| *last < position) {
            if state.seen.len() == SEEN {
                state.seen.pop_front();
            }
            state.seen.push_back((position, span));
        } else if let Ok(known) = state.seen.binary_search_by_key(&position, |(p, _)| *p)
            && state
                .seen
                .get(known)
                .is_some_and(|(_, known)| *known != span)
        {
            self.mismatch(position, span);
        }
        if let Err(mismatch) = state.index.insert(Point {
            base: span.base,
            position,
        }) {
            Metrics::add(&self.shared.metrics.offset_mismatches);
            tracing::error!(topic = %self.topic, %mismatch, "offset index contradicted");
        }
    }

    /// An entry has other offsets than it was thought to have.
    pub(crate) fn mismatch(&self, position: Position, span: Span) {
        Metrics::add(&self.shared.metrics.offset_mismatches);
        tracing::error!(topic = %self.topic, %position, base = span.base, end = span.end,
            "entry has other offsets than expected");
    }

    /// The offsets of an entry, if it is one of the newest.
    pub(crate) fn seen(&self, position: Position) -> Option<Span> {
        let state = self.state();
        let known = state
            .seen
            .binary_search_by_key(&position, |(p, _)| *p)
            .ok()?;
        state.seen.get(known).map(|(_, span)| *span)
    }

    /// The known entries around an offset.
    pub(crate) fn around(&self, offset: i64) -> (Option<Point>, Option<Point>) {
        let state = self.state();
        (state.index.floor(offset), state.index.above(offset))
    }

    /// Where to begin to look for the first record of `time` or later.
    pub(crate) fn start_of(&self, time: i64) -> i64 {
        let state = self.state();
        let begins = self.begins_at(&state);
        state.times.start(time).unwrap_or(begins).max(begins)
    }

    /// The offset up to which the records' times are known.
    pub(crate) fn times_covered(&self) -> i64 {
        self.state().times.covered()
    }

    /// The newest timestamp of the records up to there.
    pub(crate) fn newest_time(&self) -> Option<i64> {
        self.state().times.newest()
    }

    /// All offsets from `base` to before `end` hold at the latest a record of `time`.
    pub(crate) fn learn_times(&self, base: i64, end: i64, time: i64) {
        self.state().times.extend(base, end, time);
    }

    /// The log begins there, or later.
    pub(crate) fn begins(&self, start: Start) {
        let mut state = self.state();
        if start.stored > state.start.stored {
            // What stood there was removed, and all before it.
            state.numbered_from = None;
        }
        state.start.stored = state.start.stored.max(start.stored);
        state.start.deleted = state.start.deleted.max(start.deleted);
        if !self.compacts() {
            state.index.trim_before(start.stored);
        }
        let begins = self.begins_at(&state);
        state.times.begin(begins);
    }

    /// The records before `offset` have been deleted.
    pub(crate) fn deleted_before(&self, offset: i64) {
        let mut state = self.state();
        state.start.deleted = state.start.deleted.max(offset);
        let begins = self.begins_at(&state);
        state.times.begin(begins);
    }

    /// Gives back what is not among the newest batches of all partitions.
    pub(crate) fn give_up_old(&self) {
        self.state().ring.give_up_old();
    }

    /// Gives the memory of the newest batches back.
    pub(crate) fn forget_ring(&self) {
        self.state().ring.clear();
    }

    pub(crate) fn raise(&self, to: i64) {
        self.high.send_if_modified(|high| {
            let rises = to > *high;
            if rises {
                *high = to;
            }
            rises
        });
    }
}

/// The largest timestamp in a batch.
pub(crate) fn latest(placed: &Placed) -> i64 {
    let header = placed.batch.header();
    if header.record_count == 0 {
        i64::MIN
    } else {
        header.max_timestamp.0
    }
}

/// Where an entry stands.
pub(crate) fn position(entry: &pulsar_client::Entry) -> Position {
    entry.id.into()
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
