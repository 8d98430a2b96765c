use std::thread;

use kop_wire::{BatchBuilder, Compression, Offset, Record};
use proptest::prelude::*;

use super::*;

fn batch(base: i64, records: i64) -> Placed {
    sized(base, records, 1000)
}

fn sized(base: i64, records: i64, size: usize) -> Placed {
    let mut builder = BatchBuilder::new(Compression::None);
    for _ in 0..records {
        builder.push(Record {
            value: Some(vec![7; size].into()),
            ..Record::default()
        });
    }
    Placed {
        base: Offset(base),
        batch: builder.build().unwrap(),
    }
}

fn limit(max_bytes: usize, at_least_one: bool) -> ReadLimit {
    ReadLimit {
        max_bytes,
        at_least_one,
    }
}

fn bases(read: &[Placed]) -> Vec<i64> {
    read.iter().map(|p| p.base.0).collect()
}

#[test]
fn reading_starts_at_the_batch_that_holds_the_offset() {
    let mut ring = Ring::new(10, Arc::new(Budget::new(1 << 20)));
    for base in [10, 13, 16] {
        ring.push([batch(base, 3)], base + 3);
    }
    assert!(!ring.holds(9) && ring.holds(10) && ring.holds(18) && !ring.holds(19));
    assert_eq!(
        bases(&ring.read(14, limit(1 << 20, false)).unwrap()),
        [13, 16]
    );
    assert_eq!(bases(&ring.read(16, limit(1 << 20, false)).unwrap()), [16]);
    assert!(ring.read(9, limit(1 << 20, true)).is_none());
    assert!(ring.read(19, limit(1 << 20, true)).is_none());
}

#[test]
fn a_batch_larger_than_the_limit_comes_only_where_one_is_asked_for() {
    let mut ring = Ring::new(0, Arc::new(Budget::new(1 << 20)));
    ring.push([batch(0, 3), batch(3, 3)], 6);
    assert_eq!(bases(&ring.read(0, limit(10, true)).unwrap()), [0]);
    assert!(ring.read(0, limit(10, false)).unwrap().is_empty());
}

#[test]
fn a_used_up_budget_drops_the_oldest_batches() {
    let budget = Arc::new(Budget::new(100_000));
    let mut ring = Ring::new(0, Arc::clone(&budget));
    for base in 0..200 {
        ring.push([batch(base, 1)], base + 1);
    }
    assert!(!ring.holds(0) && ring.holds(199));
    assert!(budget.used.load(Ordering::Relaxed) <= 100_000);
    drop(ring);
    assert_eq!(budget.used.load(Ordering::Relaxed), 0);
}

#[test]
fn a_restarted_ring_holds_nothing_until_it_is_filled() {
    let mut ring = Ring::new(0, Arc::new(Budget::new(1 << 20)));
    ring.push([batch(0, 5)], 5);
    ring.restart(9);
    assert!(!ring.holds(4) && !ring.holds(9));
    assert_eq!(ring.end(), 9);
}

/// What was written to a topic before does not keep room from one that is busy now.
#[test]
fn a_busy_ring_gets_the_memory_of_those_that_are_quiet_now() {
    let budget = Arc::new(Budget::new(1 << 20));
    let mut quiet: Vec<Ring> = (0..40).map(|_| Ring::new(0, Arc::clone(&budget))).collect();
    for ring in &mut quiet {
        for base in 0..20 {
            ring.push([batch(base, 1)], base + 1);
        }
    }
    let mut busy = Ring::new(0, Arc::clone(&budget));
    for base in 0..3_000 {
        busy.push([batch(base, 1)], base + 1);
        assert!(budget.used.load(Ordering::Relaxed) <= 1 << 20);
    }
    let each = size(&batch(0, 1));
    let newest = i64::try_from((1 << 20) / PARTS * NEWEST / each).unwrap();
    assert!(busy.holds(3_000 - newest), "{newest} of the newest batches");
    // What is too old stays where memory is not short.
    let old: usize = quiet.iter().map(|ring| ring.shelf.batches().bytes).sum();
    assert!(
        old <= (1 << 20) / PARTS + 2 * each,
        "{old} bytes of old batches"
    );
}

#[test]
fn many_rings_at_a_time_share_the_budget_and_give_all_of_it_back() {
    let budget = Arc::new(Budget::new(1 << 18));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let budget = Arc::clone(&budget);
            thread::spawn(move || {
                for _ in 0..4 {
                    let mut ring = Ring::new(0, Arc::clone(&budget));
                    for base in 0..500 {
                        ring.push([batch(base, 1)], base + 1);
                        if let Some(read) = ring.read(base - 5, limit(1 << 20, true)) {
                            assert_eq!(
                                bases(&read),
                                ((base - 5).max(0)..=base).collect::<Vec<_>>()
                            );
                        }
                        // The others may each be about to make room.
                        assert!(budget.used.load(Ordering::Relaxed) <= (1 << 18) + 4 * 2_000);
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(budget.used.load(Ordering::Relaxed), 0);
}

/// A ring and what it was given since it was last cleared: each batch's size, and the clock behind it.
struct Modelled {
    ring: Ring,
    first: i64,
    given: Vec<(usize, u64)>,
}

proptest! {
    #[test]
    fn the_newest_batches_of_all_rings_are_held_and_no_more_than_the_budget(
        steps in prop::collection::vec((0..12_usize, 1..1_800_usize, 0..60_u8), 0..600),
    ) {
        const LIMIT: usize = 1 << 16;
        let budget = Arc::new(Budget::new(LIMIT));
        let modelled = || Modelled {
            ring: Ring::new(0, Arc::clone(&budget)),
            first: 0,
            given: Vec::new(),
        };
        let mut all: Vec<Modelled> = (0..12).map(|_| modelled()).collect();
        let mut clock = 0;
        for (at, length, does) in steps {
            let Modelled { ring, first, given } = &mut all[at];
            if does == 0 {
                ring.clear();
                *first = ring.end();
                given.clear();
                continue;
            }
            let base = ring.end();
            let placed = sized(base, 1, length);
            let bytes = size(&placed);
            clock += u64::try_from(bytes).unwrap();
            given.push((bytes, clock));
            ring.push([placed], base + 1);

            let mut held = 0;
            for Modelled { ring, first, given } in &all {
                let offsets = *first..ring.end();
                let holds: Vec<bool> = offsets.clone().map(|offset| ring.holds(offset)).collect();
                // The last ones, without a hole, and read as they were given.
                prop_assert!(holds.is_sorted());
                let kept = holds.iter().filter(|holds| **holds).count();
                let begin = ring.end() - i64::try_from(kept).unwrap();
                let plenty = limit(usize::MAX, true);
                let read = ring.read(begin, plenty).map(|read| bases(&read)).unwrap_or_default();
                prop_assert_eq!(read, (begin..ring.end()).collect::<Vec<_>>());
                for ((bytes, behind), holds) in given.iter().zip(holds) {
                    held += if holds { *bytes } else { 0 };
                    let newest = clock - behind < u64::try_from(LIMIT / PARTS * NEWEST).unwrap();
                    prop_assert!(holds || !newest, "{bytes} bytes are missing");
                }
            }
            prop_assert_eq!(held, budget.used.load(Ordering::Relaxed));
            prop_assert!(held <= LIMIT);
        }
    }
}
