//! Where a log begins and ends, asked of Pulsar.
use kop_store::AppendError;

use crate::{
    admin::{Admin, AdminError, EntryFacts, InternalStats, Position},
    entry::{DecodeError, Span},
    log_start,
    naming::PulsarTopic,
    offset_search::{self, Around},
};

/// How often the ledgers are asked for again when entries vanish while they are looked at.
const ATTEMPTS: usize = 5;
/// Entries that nobody is given, at the end of a log, which are looked at one by one. Where there are more,
/// those who read there find out; or if they have no index, the log's end is not known.
const MOST_HIDDEN: usize = 1024;

/// A log's first and last offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) start: Start,
    /// One past the last record: markers at the end do not count, nor what a transaction wrote that was
    /// aborted, since no reader is given them. So every offset below is either a record or a gap that a
    /// record behind it shows, unless a transaction was open that was then aborted.
    pub(crate) high: i64,
    /// The last entry, marker or not: the next one's offsets follow its index.
    pub(crate) last: Option<Anchor>,
    /// Where the first entry stands that has an index.
    pub(crate) first: Option<Position>,
    /// Whether entries stand before that one that have none, since the brokers did not number them.
    pub(crate) behind_unnumbered: bool,
    /// Where the first entry ever will stand, unless the ledger changes: where nothing was ever written.
    pub(crate) begins: Option<Position>,
}

impl Bounds {
    /// One past all that was ever written, markers at the end included. `KoP` counts those, so groups may
    /// have committed that far.
    pub(crate) fn end(&self) -> i64 {
        let behind = self.last.map_or(0, |last| last.index.saturating_add(1));
        self.high.max(behind)
    }

    /// Whether they cannot be those of a topic that was known to reach to `high`, its newest known entry
    /// being `newest`: then the topic was deleted and made anew. What a topic once held is counted by
    /// Pulsar even when all of it was removed.
    pub(crate) fn are_of_another(&self, high: i64, newest: Option<(Position, Span)>) -> bool {
        let begins_behind =
            |(position, _): &(Position, Span)| self.first.is_some_and(|first| first > *position);
        let overlaps = newest
            .filter(begins_behind)
            .is_some_and(|(_, span)| self.start.stored < span.end);
        self.end() < high || overlaps
    }
}

/// Where a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// The first offset that Pulsar's entries hold.
    pub(crate) stored: i64,
    /// Records before this offset were deleted; 0 where none were.
    pub(crate) deleted: i64,
}

impl Bounds {
    /// Where the log's entries begin, if others stand before that have no index.
    pub(crate) fn numbered_from(&self) -> Option<Position> {
        self.first.filter(|_| self.behind_unnumbered)
    }

    /// Whether nothing was ever written there.
    pub(crate) fn is_untouched(&self) -> bool {
        self.last.is_none() && self.high == 0
    }
}

impl Start {
    /// The start of a topic whose first entry begins with `stored`.
    fn of(stats: &InternalStats, stored: i64) -> Self {
        let deleted = log_start::recorded(stats).unwrap_or(0);
        Self { stored, deleted }
    }

    /// The first offset that is given to anybody. Of a log that is compacted, compaction keeps what stands
    /// before the entries.
    pub(crate) fn log(self, compacts: bool) -> i64 {
        if compacts {
            self.deleted
        } else {
            self.stored.max(self.deleted)
        }
    }
}

/// An entry whose index is known for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) position: Position,
    /// Index of the entry's last message.
    pub(crate) index: i64,
}

/// Why bounds are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BoundsError {
    /// Pulsar does not answer, or refuses.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The topic was written without indexes.
    #[error("{0}: {why}", why = DecodeError::NoIndex)]
    Unnumbered(PulsarTopic),
    /// Entries vanished each time they were looked at.
    #[error("the topic's ledgers keep changing")]
    Changing,
}

impl From<BoundsError> for AppendError {
    fn from(error: BoundsError) -> Self {
        match error {
            error @ BoundsError::Unnumbered(_) => Self::Unusable(error.to_string()),
            error => Self::Unavailable(error.into()),
        }
    }
}

/// Asks for the bounds of a topic.
pub(crate) async fn ask(admin: &Admin, topic: &PulsarTopic) -> Result<Bounds, BoundsError> {
    for _ in 0..ATTEMPTS {
        let stats = admin.internal_stats(topic).await?;
        if let Some(bounds) = of(admin, topic, &stats).await? {
            return Ok(bounds);
        }
    }
    Err(BoundsError::Changing)
}

/// `None` where an entry is gone that the ledgers still name.
async fn of(
    admin: &Admin,
    topic: &PulsarTopic,
    stats: &InternalStats,
) -> Result<Option<Bounds>, BoundsError> {
    let (Some(first), Some(last)) = (stats.first(), stats.last()) else {
        // Nothing is there, but what was there and trimmed had numbers.
        let high = stats
            .index_on_record()
            .map_or(0, |index| index.saturating_add(1))
            .max(0);
        return Ok(Some(Bounds {
            start: Start::of(stats, high),
            high,
            last: None,
            first: None,
            behind_unnumbered: false,
            begins: stats.begins().filter(|_| high == 0),
        }));
    };
    let (oldest, facts) = if first == last {
        let facts = admin.entry(topic, last).await?;
        (facts, facts)
    } else {
        tokio::try_join!(admin.entry(topic, first), admin.entry(topic, last))?
    };
    let (Some(oldest), Some(facts)) = (oldest, facts) else {
        return Ok(None);
    };
    let Some(index) = index_at(admin, topic, stats, last, facts).await? else {
        return Ok(None);
    };
    let (first, stored, behind_unnumbered) = match oldest.base() {
        Some(stored) => (first, stored, false),
        None => {
            let (first, stored) = first_numbered(admin, topic, stats).await?;
            (first, stored, true)
        }
    };
    let Some(high) = readable_end(admin, topic, stats, last, facts).await? else {
        return Ok(None);
    };
    let last = Anchor {
        position: last,
        index,
    };
    Ok(Some(Bounds {
        start: Start::of(stats, stored),
        high: high.max(stored),
        last: Some(last),
        first: Some(first),
        behind_unnumbered,
        begins: None,
    }))
}

/// The first entry that has an index, and its first offset, of a topic whose first entry has none and whose last
/// one has. What the brokers did not number has no offset at which anybody could be given it.
async fn first_numbered(
    admin: &Admin,
    topic: &PulsarTopic,
    stats: &InternalStats,
) -> Result<(Position, i64), BoundsError> {
    // An entry without an index counts as one that stands before every offset.
    let close = offset_search::find(admin, topic, stats, -1, Around::default()).await?;
    let mut next = close;
    for _ in 0..MOST_HIDDEN {
        let Some(position) = next else {
            break;
        };
        let facts = admin.entry(topic, position).await?;
        if let Some(base) = facts.and_then(EntryFacts::base) {
            return Ok((position, base));
        }
        next = stats.behind(position);
    }
    Err(BoundsError::Unnumbered(topic.clone()))
}

/// The index that the log has reached at `position`. Old brokers number neither transactions nor their
/// markers: then it is that of the entry before.
async fn index_at(
    admin: &Admin,
    topic: &PulsarTopic,
    stats: &InternalStats,
    position: Position,
    facts: EntryFacts,
) -> Result<Option<i64>, BoundsError> {
    let (mut position, mut facts) = (position, facts);
    for _ in 0..MOST_HIDDEN {
        if facts.index.is_some() || !facts.hidden {
            break;
        }
        let Some(before) = stats.before(position) else {
            return Ok(Some(stats.index_on_record().unwrap_or(-1)));
        };
        position = before;
        facts = match admin.entry(topic, position).await? {
            Some(facts) => facts,
            None => return Ok(None),
        };
    }
    numbered(topic, facts).map(Some)
}

fn numbered(topic: &PulsarTopic, facts: EntryFacts) -> Result<i64, BoundsError> {
    let unnumbered = || BoundsError::Unnumbered(topic.clone());
    facts.index.ok_or_else(unnumbered)
}

/// What readers are given from an offset on, of what is stored by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// Something.
    Records,
    /// Something, it may be, when an open transaction has ended.
    Undecided,
    /// Nothing.
    Nothing,
}

/// Asks what is ahead of a reader that is given nothing.
pub(crate) async fn ahead(
    admin: &Admin,
    topic: &PulsarTopic,
    offset: i64,
) -> Result<Ahead, BoundsError> {
    let bounds = ask(admin, topic).await?;
    if bounds.high <= offset {
        return Ok(Ahead::Nothing);
    }
    let last = match bounds.last {
        Some(last) => admin.entry(topic, last.position).await?,
        None => None,
    };
    Ok(match last {
        Some(last) if last.undecided => Ahead::Undecided,
        _ => Ahead::Records,
    })
}

/// One past the last record at or before `position`; where only entries are left that no reader is given,
/// the first one's index.
async fn readable_end(
    admin: &Admin,
    topic: &PulsarTopic,
    stats: &InternalStats,
    position: Position,
    facts: EntryFacts,
) -> Result<Option<i64>, BoundsError> {
    let (mut position, mut facts) = (position, facts);
    let mut looked = 0;
    loop {
        if let (false, _) | (true, MOST_HIDDEN) = (facts.hidden, looked) {
            return Ok(Some(numbered(topic, facts)? + 1));
        }
        looked += 1;
        let Some(before) = stats.before(position) else {
            let reached = stats.index_on_record().map_or(0, |index| index + 1);
            return Ok(Some(facts.index.unwrap_or(reached).max(0)));
        };
        position = before;
        facts = match admin.entry(topic, position).await? {
            Some(facts) => facts,
            None => return Ok(None),
        };
    }
}

/// One past the last record before the marker at `marker`, which has just been written.
pub(crate) async fn end_before(
    admin: &Admin,
    topic: &PulsarTopic,
    marker: Position,
) -> Result<(Anchor, i64), BoundsError> {
    for _ in 0..ATTEMPTS {
        let stats = admin.internal_stats(topic).await?;
        let Some(facts) = admin.entry(topic, marker).await? else {
            continue;
        };
        let index = numbered(topic, facts)?;
        if let Some(end) = readable_end(admin, topic, &stats, marker, facts).await? {
            return Ok((
                Anchor {
                    position: marker,
                    index,
                },
                end,
            ));
        }
    }
    Err(BoundsError::Changing)
}

/// Where the log begins now, with one look at the ledgers; `None` where they hold nothing.
pub(crate) async fn start(
    admin: &Admin,
    topic: &PulsarTopic,
) -> Result<Option<Start>, BoundsError> {
    let stats = admin.internal_stats(topic).await?;
    let Some(first) = stats.first() else {
        return Ok(None);
    };
    let facts = admin.entry(topic, first).await?;
    Ok(facts
        .and_then(EntryFacts::base)
        .map(|stored| Start::of(&stats, stored)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ledger: u64, entry: u64) -> Position {
        Position { ledger, entry }
    }

    fn bounds(stored: i64, high: i64, last_index: i64, first: Position) -> Bounds {
        Bounds {
            start: Start { stored, deleted: 0 },
            high,
            last: Some(Anchor {
                position: at(9, 9),
                index: last_index,
            }),
            first: Some(first),
            behind_unnumbered: false,
            begins: None,
        }
    }

    #[test]
    fn markers_at_the_end_are_behind_the_records_and_before_the_end() {
        assert_eq!(bounds(0, 3, 4, at(1, 0)).end(), 5);
        assert_eq!(bounds(0, 3, 2, at(1, 0)).end(), 3);
    }

    #[test]
    fn a_topic_that_ends_before_what_was_known_or_begins_again_behind_it_is_another() {
        let newest = Some((
            at(5, 3),
            Span {
                base: 990,
                end: 1000,
            },
        ));
        let is_another = |bounds: Bounds| bounds.are_of_another(1000, newest);
        // The same, grown, and trimmed up to behind all that was known.
        assert!(!is_another(bounds(0, 1000, 999, at(1, 0))));
        assert!(!is_another(bounds(500, 1200, 1199, at(5, 0))));
        assert!(!is_another(bounds(1100, 1200, 1199, at(7, 0))));
        // A marker at the end may be all that is left of it.
        assert!(!is_another(bounds(1000, 1000, 1000, at(7, 0))));
        // Shorter, or as long already, but with early offsets in later ledgers.
        assert!(is_another(bounds(0, 7, 6, at(8, 0))));
        assert!(is_another(bounds(0, 5000, 4999, at(8, 0))));
        assert!(!bounds(0, 5000, 4999, at(8, 0)).are_of_another(0, None));
    }
}
