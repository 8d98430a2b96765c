//! Which entry holds which offset: a sparse map in memory, bounded and pure.
//!
//! Points come from receipts and from entries that were read; each is exact. Between two points the
//! entry of an offset is found by reading on from the one before it. Kafka offsets and positions in
//! Pulsar rise together, which every new point is checked against.
use std::collections::BTreeMap;

use crate::admin::Position;

/// Offsets and where their entries stand.
#[derive(Debug, Clone)]
pub(crate) struct OffsetIndex {
    points: BTreeMap<i64, Position>,
    /// Offsets between two points at the least.
    spacing: i64,
    capacity: usize,
}

/// One known place: the entry at `position` begins with offset `base`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) base: i64,
    pub(crate) position: Position,
}

/// A new point contradicts what was known: one of the two is wrong, so all are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("offset {} at {} contradicts offset {} at {}", .found.base, .found.position, .known.base, .known.position)]
pub(crate) struct Mismatch {
    pub(crate) known: Point,
    pub(crate) found: Point,
}

impl OffsetIndex {
    /// An index of at most `capacity` points, at least `spacing` offsets apart.
    pub(crate) fn new(capacity: usize, spacing: i64) -> Self {
        Self {
            points: BTreeMap::new(),
            spacing: spacing.max(1),
            capacity: capacity.max(2),
        }
    }

    /// The last known entry that begins at `offset` or before.
    pub(crate) fn floor(&self, offset: i64) -> Option<Point> {
        self.points.range(..=offset).next_back().map(point)
    }

    /// The first known entry that begins behind `offset`.
    pub(crate) fn above(&self, offset: i64) -> Option<Point> {
        self.points
            .range(offset.saturating_add(1)..)
            .next()
            .map(point)
    }

    /// Remembers where an entry stands, unless a point close by is known already.
    ///
    /// # Errors
    /// The point contradicts a known one; the index is empty then.
    pub(crate) fn insert(&mut self, found: Point) -> Result<(), Mismatch> {
        let below = self.floor(found.base);
        let above = self.above(found.base);
        let wrong_below = below.filter(|known| {
            if known.base == found.base {
                known.position != found.position
            } else {
                known.position >= found.position
            }
        });
        let wrong_above = above.filter(|known| known.position <= found.position);
        if let Some(known) = wrong_below.or(wrong_above) {
            self.points.clear();
            return Err(Mismatch { known, found });
        }
        let near = |known: Option<Point>| {
            known.is_some_and(|known| (known.base - found.base).abs() < self.spacing)
        };
        if !near(below) && !near(above) {
            self.points.insert(found.base, found.position);
            if self.points.len() > self.capacity {
                self.thin();
            }
        }
        Ok(())
    }

    /// Forgets what stands before the log's first offset.
    pub(crate) fn trim_before(&mut self, offset: i64) {
        if self
            .points
            .first_key_value()
            .is_some_and(|(base, _)| *base < offset)
        {
            self.points = self.points.split_off(&offset);
        }
    }

    /// Every second point goes, and new ones keep twice the distance.
    fn thin(&mut self) {
        self.spacing = self.spacing.saturating_mul(2);
        let mut keep = false;
        self.points.retain(|_, _| {
            keep = !keep;
            keep
        });
    }
}

fn point((base, position): (&i64, &Position)) -> Point {
    Point {
        base: *base,
        position: *position,
    }
}

#[cfg(test)]
mod tests;
