//! Where a log begins and ends, asked of Pulsar.
use crate::{
    admin::{Admin, AdminError, EntryFacts, InternalStats, Position},
    entry::DecodeError,
    log_start,
    naming::PulsarTopic,
};

/// How often the ledgers are asked for again when entries vanish while they are looked at.
const ATTEMPTS: usize = 5;

/// A log's first and last offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) start: Start,
    /// One past the last record: markers at the end do not count, since no reader is given them. So
    /// every offset below is either a record or a gap that a record behind it shows.
    pub(crate) high: i64,
    /// The last entry, marker or not: the next one's offsets follow its index.
    pub(crate) last: Option<Anchor>,
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
    #[error(transparent)]
    Unusable(#[from] DecodeError),
    /// Entries vanished each time they were looked at.
    #[error("the topic's ledgers keep changing")]
    Changing,
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
    let index = facts.index.ok_or(DecodeError::NoIndex)?;
    let stored = base(oldest)?;
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
    }))
}

fn base(facts: EntryFacts) -> Result<i64, DecodeError> {
    facts.base().ok_or(DecodeError::NoIndex)
}

/// One past the last record at or before `position`; where only markers are left, the first one's
/// index.
async fn readable_end(
    admin: &Admin,
    topic: &PulsarTopic,
    stats: &InternalStats,
    position: Position,
    facts: EntryFacts,
) -> Result<Option<i64>, BoundsError> {
    let (mut position, mut facts) = (position, facts);
    loop {
        let index = facts.index.ok_or(DecodeError::NoIndex)?;
        if !facts.marker {
            return Ok(Some(index + 1));
        }
        let Some(before) = stats.before(position) else {
            return Ok(Some(index));
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
        let index = facts.index.ok_or(DecodeError::NoIndex)?;
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
