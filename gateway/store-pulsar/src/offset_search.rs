//! Finding the entry of an offset that no index knows: bisection over ledgers, then over entries.
//!
//! Every probe is one entry read through the admin API, so this works on every Pulsar version. It
//! stops a few entries short: reading on from there costs less than another probe.
use crate::{
    admin::{Admin, AdminError, InternalStats, Position},
    naming::PulsarTopic,
    offset_index::Point,
};

/// Entries that are rather read than searched.
const NEAR: u64 = 16;

/// Entries without index in a row that are looked at to find out where they stand.
const MOST_HIDDEN: usize = 256;

/// What is known before the search.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Around {
    pub(crate) below: Option<Point>,
    pub(crate) above: Option<Point>,
}

/// An entry that begins at `offset` or before, close to the one that holds it. Where all begin
/// behind it, the first one.
pub(crate) async fn find(
    admin: &Admin,
    topic: &PulsarTopic,
    stats: &InternalStats,
    offset: i64,
    around: Around,
) -> Result<Option<Position>, AdminError> {
    let ledgers = stats.ledgers();
    let at_or_before = async |position| {
        let mut position = position;
        for _ in 0..MOST_HIDDEN {
            let facts = admin.entry(topic, position).await?;
            // An entry that is gone stands before all that are there; one without index before those
            // that have one.
            let Some(facts) = facts else {
                return Ok::<bool, AdminError>(true);
            };
            if let Some(base) = facts.base() {
                return Ok(base <= offset);
            }
            if !facts.hidden {
                return Ok(true);
            }
            // Old brokers number neither transactions nor their markers: the next entry tells.
            match stats.behind(position) {
                Some(next) => position = next,
                None => return Ok(false),
            }
        }
        // Then the search goes on before them, where it cannot miss the offset.
        Ok(false)
    };
    let (mut low, mut high) = (0, ledgers.len());
    while high - low > 1 {
        let middle = low.midpoint(high);
        let Some((ledger, _)) = ledgers.get(middle) else {
            break;
        };
        let first = Position {
            ledger: *ledger,
            entry: 0,
        };
        let before = match around.side(first) {
            Some(before) => before,
            None => at_or_before(first).await?,
        };
        if before { low = middle } else { high = middle }
    }
    let Some((ledger, entries)) = ledgers.get(low).copied() else {
        return Ok(None);
    };
    let (mut low, mut high) = (0, entries);
    if let Some(below) = around.below.filter(|p| p.position.ledger == ledger) {
        low = below.position.entry.min(high.saturating_sub(1));
    }
    if let Some(above) = around.above.filter(|p| p.position.ledger == ledger) {
        high = above.position.entry.clamp(low + 1, high);
    }
    while high - low > NEAR {
        let middle = low.midpoint(high);
        if at_or_before(Position {
            ledger,
            entry: middle,
        })
        .await?
        {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(Some(Position { ledger, entry: low }))
}

impl Around {
    /// Whether the entry at `position` begins at the offset or before, as far as the points tell.
    fn side(self, position: Position) -> Option<bool> {
        if self.below.is_some_and(|below| position <= below.position) {
            return Some(true);
        }
        self.above
            .is_some_and(|above| position >= above.position)
            .then_some(false)
    }
}
