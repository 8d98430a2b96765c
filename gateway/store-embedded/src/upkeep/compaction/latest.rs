//! Where the newest record of each key is.
use std::{
    collections::{
        HashMap,
        hash_map::{Entry, RandomState},
    },
    hash::{BuildHasher, BuildHasherDefault, Hasher},
};

use kop_wire::Offset;

/// The most keys of one round: with 24 bytes each, and what a hash map leaves empty, 26 MB at the most.
/// A log with more is compacted in several rounds.
pub(super) const MAX_KEYS: usize = 900_000;

/// The offset of the newest record of each key, in the part of a log that a round looks at.
///
/// Keys are known by 128 bits of a keyed hash, two halves that have nothing to do with each other. They
/// are as good as the keys themselves: one wrong answer is to be expected after some 10¹⁹ keys, and nobody
/// outside can find two keys that look the same.
#[derive(Debug, Default)]
pub(super) struct Latest {
    hashers: [RandomState; 2],
    offsets: HashMap<[u64; 2], Offset, BuildHasherDefault<First>>,
}

impl Latest {
    /// Notes a record; one that is newer than those noted before counts.
    pub(super) fn note(&mut self, key: &[u8], offset: Offset) {
        match self.offsets.entry(self.hash(key)) {
            Entry::Occupied(mut known) => {
                let newest = offset.max(*known.get());
                known.insert(newest);
            }
            Entry::Vacant(new) => {
                new.insert(offset);
            }
        }
    }

    /// Whether there is a newer record of that key than the one at `offset`.
    pub(super) fn supersedes(&self, key: &[u8], offset: Offset) -> bool {
        let newest = self.offsets.get(&self.hash(key));
        newest.is_some_and(|newest| *newest > offset)
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        let [first, second] = &self.hashers;
        [first.hash_one(key), second.hash_one(key)]
    }
}

/// Takes the first half of what is a hash already.
#[derive(Debug, Default)]
struct First(u64);

impl Hasher for First {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, half: u64) {
        self.0 ^= half;
    }
}
