//! Where a log begins and ends, asked of Pulsar.
use crate::{
    admin::{Admin, AdminError, EntryFacts, InternalStats, Position},
    entry::DecodeError,
    log_start,
    naming::PulsarTopic,
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
}

/// Where a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// The first offset that Pulsar holds.
    pub(crate) stored: i64,
    /// The first one that is given to anybody: the same, or later where records were deleted.
    pub(crate) log: i64,
}

impl Start {
    /// The start of a topic whose first entry begins with `stored`.
    fn of(stats: &InternalStats, stored: i64) -> Self {
        let deleted = log_start::recorded(stats).unwrap_or(stored);
        Self {
            stored,
            log: stored.max(deleted),
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
            start: Start {
                stored: high,
                log: high,
            },
            high,
            last: None,
        }));
    };
    let Some(facts) = admin.entry(topic, last).await? else {
        return Ok(None);
    };
    let Some(index) = index_at(admin, topic, stats, last, facts).await? else {
        return Ok(None);
    };
    let stored = if first == last {
        base(facts)?
    } else {
        let Some(facts) = admin.entry(topic, first).await? else {
            return Ok(None);
        };
        base(facts)?
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
    }))
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
    let index = facts.index.ok_or(DecodeError::NoIndex)?;
    Ok(Some(index))
}

fn base(facts: EntryFacts) -> Result<i64, DecodeError> {
    facts.base().ok_or(DecodeError::NoIndex)
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
            let index = facts.index.ok_or(DecodeError::NoIndex)?;
            return Ok(Some(index + 1));
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
