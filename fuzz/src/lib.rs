//! Every parser of bytes from outside as a fuzz target.
//!
//! A [`Target`] is a function that takes any bytes at all. It panics where something is wrong with the
//! parser; bytes that are wrong are refused in silence. Two drivers share the targets and their corpora
//! (`corpus/TARGET`, one file an input):
//!
//! * `tests/replay.rs`, by stable Rust, on every change: each file and some mutations of it, under a
//!   deadline and with the memory counted.
//! * `libfuzzer/`, by nightly Rust and libFuzzer, for as long as one likes: `./test fuzz TARGET SECONDS`.
//!
//! What either finds is mended, and the input stays in the corpus.
//!
//! Files named after a client were captured from it (`kop-e2e`'s `capture`); `of-*` are derived from
//! those by `seeds`; `found-*` once made a target fail.
mod targets;

pub use targets::{
    batch::{batch_to_pulsar, compression, record_batch},
    config::{addresses, config},
    group_log::{group_log, subscription},
    kafka::{kafka_connection, kafka_request},
    pulsar::{producer_snapshot, pulsar_compression, pulsar_connection, pulsar_entry},
    service::kafka_service,
    stored::{producer_state, stored_value},
};

/// A parser under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is also its folder of the corpus and its program in `libfuzzer/`.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// How much memory it may hold at a time, in bytes, whatever the input.
    pub memory: usize,
    /// How much more it may hold for each byte of the input.
    pub memory_per_byte: usize,
    /// Mutations of the whole corpus that `tests/replay` tries.
    pub mutations: usize,
}

const fn target(
    name: &'static str,
    run: fn(&[u8]),
    memory: usize,
    memory_per_byte: usize,
) -> Target {
    Target {
        name,
        run,
        memory,
        memory_per_byte,
        mutations: 6_000,
    }
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Every target. The bounds are what was seen, rounded up, and far from what would hurt.
pub const TARGETS: &[Target] = &[
    target("kafka_connection", kafka_connection, 64 * KIB, KIB),
    target("kafka_request", kafka_request, 64 * KIB, KIB),
    Target {
        // Each goes through sockets and the store.
        mutations: 300,
        ..target("kafka_service", kafka_service, MIB, KIB)
    },
    target("record_batch", record_batch, 8 * MIB, 256),
    target("compression", compression, 8 * MIB, 256),
    target("batch_to_pulsar", batch_to_pulsar, 16 * MIB, KIB),
    target("group_log", group_log, 64 * KIB, KIB),
    target("subscription", subscription, 64 * KIB, 256),
    target("pulsar_connection", pulsar_connection, 64 * KIB, KIB),
    target("pulsar_entry", pulsar_entry, 16 * MIB, KIB),
    target("pulsar_compression", pulsar_compression, 8 * MIB, 256),
    target("stored_value", stored_value, 64 * KIB, 256),
    target("producer_state", producer_state, 64 * KIB, 256),
    target("producer_snapshot", producer_snapshot, 64 * KIB, 256),
    target("config", config, 64 * KIB, KIB),
    target("addresses", addresses, 64 * KIB, 256),
];
