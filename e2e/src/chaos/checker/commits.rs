//! What groups have committed, which never goes back.

use super::fault::Fault;
use std::collections::HashMap;

/// The highest offset that each group is known to have committed in each partition.
#[derive(Debug, Default)]
pub struct Commits(HashMap<String, HashMap<usize, i64>>);

impl Commits {
    /// What everybody who looks from now on must see, or more; to be taken before the look begins.
    #[must_use]
    pub fn floor(&self, group: &str) -> HashMap<usize, i64> {
        self.0.get(group).cloned().unwrap_or_default()
    }

    /// The group was told that it has committed.
    pub fn acknowledged(&mut self, group: &str, partition: usize, offset: i64) {
        let known = self.0.entry(group.to_owned()).or_default();
        let known = known.entry(partition).or_insert(offset);
        *known = offset.max(*known);
    }

    /// Somebody looked, and saw this; `floor` is what was known when the look began.
    ///
    /// # Errors
    /// It had been more.
    pub fn seen(
        &mut self,
        group: &str,
        floor: &HashMap<usize, i64>,
        partition: usize,
        offset: i64,
    ) -> Result<(), Fault> {
        let was = floor.get(&partition).copied().unwrap_or(-1);
        if offset < was {
            return Err(Fault::WentBack {
                group: group.to_owned(),
                partition,
                was,
                is: offset,
            });
        }
        self.acknowledged(group, partition, offset);
        Ok(())
    }
}
