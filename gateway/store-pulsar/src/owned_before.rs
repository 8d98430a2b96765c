//! Which partitions this process has owned, so that it does not take them for new when it opens them again.
use std::{
    collections::{HashSet, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::naming::PulsarTopic;

/// Partitions that are told apart. Beyond that all count as owned before, which costs a look at their logs.
const MOST: usize = 1 << 20;

/// Partitions by the hashes of their names: one that is taken for another one is looked at for nothing.
#[derive(Debug, Default)]
pub(crate) struct OwnedBefore {
    hasher: RandomState,
    hashes: Mutex<HashSet<u64>>,
}

impl OwnedBefore {
    fn hashes(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(&self, partition: &PulsarTopic) -> u64 {
        self.hasher.hash_one(partition)
    }

    /// This process owns the partition now.
    pub(crate) fn note(&self, partition: &PulsarTopic) {
        let mut hashes = self.hashes();
        if hashes.len() < MOST {
            hashes.insert(self.hash(partition));
        }
    }

    /// The partition is another one now, though its name is the same.
    pub(crate) fn forget(&self, partition: &PulsarTopic) {
        let mut hashes = self.hashes();
        if hashes.len() < MOST {
            hashes.remove(&self.hash(partition));
        }
    }

    /// Whether this process has owned the partition, as far as is known.
    pub(crate) fn has(&self, partition: &PulsarTopic) -> bool {
        let hashes = self.hashes();
        hashes.len() >= MOST || hashes.contains(&self.hash(partition))
    }
}
