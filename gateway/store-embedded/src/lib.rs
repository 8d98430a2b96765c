//! The embedded storage engine: one node, one directory.
//!
//! For trying, developing, testing and the edge. An acknowledged record survives the death of the
//! process, and with [`Durability::Sync`] a power cut. Record batches stand in segments, files that are
//! only ever added to; a key-value store ([`fjall`]) is their index and holds all else. On top of them
//!
//! * one writer thread owns everything that changes: it takes all waiting appends of all partitions,
//!   writes them with one call, syncs once and answers them all (group commit);
//! * readers look at what is committed, the newest batches in memory, older ones through a bounded
//!   number of blocking threads;
//! * one thread removes, in the background, what was deleted or truncated, what has grown too old or too
//!   much, and in compacted topics what was superseded.
//!
//! What the directory holds is described in the module `format`.
mod acknowledged;
mod catalog;
mod clock;
mod config;
mod directory;
mod engine;
mod examine;
mod format;
mod frame;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod journal;
mod keyspaces;
mod live;
mod log;
mod metrics;
mod partition;
mod producers;
mod read;
mod segments;
mod tail;
mod topics;
mod upgrade;
mod upkeep;
mod writer;

#[cfg(test)]
mod tests;

pub use catalog::EmbeddedStore;
pub use clock::Clock;
pub use config::supports;
pub use engine::{Durability, EmbeddedOptions, OpenStoreError};
pub use examine::examine;
pub use metrics::{Distribution, EmbeddedMetrics};
pub use partition::EmbeddedPartition;
