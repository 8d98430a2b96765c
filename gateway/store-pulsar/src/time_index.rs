//! From which offset on to look for a record of a given time: pure and bounded.
//!
//! Timestamps are the applications' and need not rise; but the largest timestamp *before* an offset
//! never falls as the offset grows. The first record of a time or later stands where that largest
//! timestamp first reaches it. Points of it are kept for the part of the log that was seen without
//! a hole from its beginning.

/// Largest timestamps of the log's beginnings.
#[derive(Debug, Clone)]
pub(crate) struct TimeIndex {
    /// Offset and largest timestamp before it; both rise strictly.
    points: Vec<(i64, i64)>,
    /// The log was seen up to here.
    covered: i64,
    /// Largest timestamp up to there.
    max: i64,
    /// Offsets between two points at the least.
    spacing: i64,
    capacity: usize,
}

impl TimeIndex {
    /// An index of a log that begins at `start`.
    pub(crate) fn new(start: i64, capacity: usize, spacing: i64) -> Self {
        Self {
            points: Vec::new(),
            covered: start,
            max: i64::MIN,
            spacing: spacing.max(1),
            capacity: capacity.max(2),
        }
    }

    /// Takes in the offsets from `base` to before `end`, whose largest timestamp is `max`. What does
    /// not follow on what was seen, or was seen before, changes nothing.
    pub(crate) fn extend(&mut self, base: i64, end: i64, max: i64) {
        if base > self.covered || end <= self.covered {
            return;
        }
        self.covered = end;
        if max <= self.max {
            return;
        }
        let far = self
            .points
            .last()
            .is_none_or(|(last, _)| base - last >= self.spacing);
        if far && self.max > i64::MIN {
            self.points.push((base, self.max));
            if self.points.len() > self.capacity {
                self.thin();
            }
        }
        self.max = max;
    }

    /// The log begins at `start` now, or later: what stands before that counts no more.
    pub(crate) fn begin(&mut self, start: i64) {
        self.covered = self.covered.max(start);
    }

    /// The newest timestamp of all that was seen; `None` where nothing was.
    pub(crate) fn newest(&self) -> Option<i64> {
        (self.max > i64::MIN).then_some(self.max)
    }

    /// The last known offset before which no record is of `time` or later; `None` where none is
    /// known but the beginning.
    pub(crate) fn start(&self, time: i64) -> Option<i64> {
        if self.max < time && self.max > i64::MIN {
            return Some(self.covered);
        }
        let later = self.points.partition_point(|(_, max)| *max < time);
        self.points
            .get(later.checked_sub(1)?)
            .map(|(offset, _)| *offset)
    }

    /// The offset up to which the log was seen.
    pub(crate) fn covered(&self) -> i64 {
        self.covered
    }

    fn thin(&mut self) {
        self.spacing = self.spacing.saturating_mul(2);
        let mut keep = false;
        self.points.retain(|_| {
            keep = !keep;
            keep
        });
    }
}

#[cfg(test)]
mod tests;
