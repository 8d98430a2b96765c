//! Blind mutations, as fuzzers make them: enough to see on every change that nothing is plainly broken.
use fastrand::Rng;

/// Bytes that lengths and counts go wrong at.
const EDGES: &[&[u8]] = &[
    &[0],
    &[0x7f],
    &[0x80],
    &[0xff],
    &[0x7f, 0xff],
    &[0x80, 0x00],
    &[0xff, 0xff],
    &[0, 0, 0, 0],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0, 0, 0, 0, 0],
];

pub(crate) struct Mutator {
    random: Rng,
    others: Vec<Vec<u8>>,
}

impl Mutator {
    /// Mutations that depend on the seed alone; `others` are what inputs are crossed with.
    pub(crate) fn new(seed: u64, others: Vec<Vec<u8>>) -> Self {
        Self {
            random: Rng::with_seed(seed),
            others,
        }
    }

    /// The input with one to four changes.
    pub(crate) fn mutate(&mut self, input: &[u8]) -> Vec<u8> {
        let mut mutated = input.to_vec();
        for _ in 0..self.random.usize(1..=4) {
            self.change(&mut mutated);
        }
        mutated
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.random.usize(..=bytes.len());
        let end = bytes.len().min(at + self.random.usize(..=16));
        match self.random.u8(..8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.insert(at, self.random.u8(..)),
            3 => {
                let copy = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, copy));
            }
            4 => self.write(bytes, at),
            5 => {
                let other = self
                    .random
                    .choice(&self.others)
                    .cloned()
                    .unwrap_or_default();
                let from = self.random.usize(..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            6 if at < bytes.len() => bytes[at] = self.random.u8(..),
            _ if at < bytes.len() => bytes[at] ^= 1 << self.random.u8(..8),
            _ => {}
        }
    }

    /// Writes an edge over what is there.
    fn write(&mut self, bytes: &mut [u8], at: usize) {
        let edge = self.random.choice(EDGES).copied().unwrap_or_default();
        for (byte, edge) in bytes[at..].iter_mut().zip(edge) {
            *byte = *edge;
        }
    }
}
