use bytes::Bytes;
use kop_wire::{BatchBuilder, Compression, Offset, Record};
use proptest::prelude::*;

use super::*;

fn batch(base: i64, records: i64) -> Placed {
    let mut builder = BatchBuilder::new(Compression::None);
    for _ in 0..records {
        builder.push(Record {
            value: Some(Bytes::from_static(&[7; 1000])),
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
    assert_eq!(bases(&ring.read(14, limit(1 << 20, false))), [13, 16]);
    assert_eq!(bases(&ring.read(16, limit(1 << 20, false))), [16]);
}

#[test]
fn a_batch_larger_than_the_limit_comes_only_where_one_is_asked_for() {
    let mut ring = Ring::new(0, Arc::new(Budget::new(1 << 20)));
    ring.push([batch(0, 3), batch(3, 3)], 6);
    assert_eq!(bases(&ring.read(0, limit(10, true))), [0]);
    assert!(ring.read(0, limit(10, false)).is_empty());
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
fn the_newest_bytes_have_the_budget_whichever_ring_they_are_in() {
    let budget = Arc::new(Budget::new(100_000));
    let mut idle = Ring::new(0, Arc::clone(&budget));
    let mut busy = Ring::new(0, Arc::clone(&budget));
    for base in 0..200 {
        idle.push([batch(base, 1)], base + 1);
    }
    for base in 0..200 {
        busy.push([batch(base, 1)], base + 1);
        if budget.is_overfull() {
            idle.give_up_old();
            assert!(!budget.is_overfull());
        }
    }
    let held = |ring: &Ring| ring.batches.len();
    let alone = 100_000 / size(&batch(0, 1));
    assert!((alone - 1..=alone).contains(&held(&busy)), "{busy:?}");
    assert!(held(&idle) <= alone / SLACK + 1, "{}", held(&idle));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What was taken in last is held, as much as the budget has, and hardly more.
    #[test]
    fn rings_hold_what_a_model_holds(pushes in prop::collection::vec((0..4usize, 1..40i64), 1..200)) {
        const LIMIT: usize = 60_000;
        let budget = Arc::new(Budget::new(LIMIT));
        let mut rings: Vec<Ring> = (0..4).map(|_| Ring::new(0, Arc::clone(&budget))).collect();
        // Ring, end offset and size of each batch that was ever pushed.
        let mut all: Vec<(usize, i64, usize)> = Vec::new();
        for (which, records) in pushes {
            let ring = &mut rings[which];
            let (base, end) = (ring.end(), ring.end() + records);
            let placed = batch(base, records);
            all.push((which, end, size(&placed)));
            ring.push([placed], end);
            if budget.is_overfull() {
                rings.iter_mut().for_each(Ring::give_up_old);
            }
            let mut newest = 0;
            for (which, end, size) in all.iter().rev() {
                newest += size;
                let held = rings[*which].holds(end - 1);
                prop_assert!(held || newest > LIMIT, "{newest} bytes before the end are not held");
            }
            prop_assert!(budget.used.load(Ordering::Relaxed) <= LIMIT + LIMIT / SLACK);
            let held: usize = rings.iter().flat_map(|ring| &ring.batches).map(|held| size(&held.placed)).sum();
            prop_assert_eq!(held, budget.used.load(Ordering::Relaxed));
        }
    }
}

#[test]
fn a_restarted_ring_holds_nothing_until_it_is_filled() {
    let mut ring = Ring::new(0, Arc::new(Budget::new(1 << 20)));
    ring.push([batch(0, 5)], 5);
    ring.restart(9);
    assert!(!ring.holds(4) && !ring.holds(9));
    assert_eq!(ring.end(), 9);
}
