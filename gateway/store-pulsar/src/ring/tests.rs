use bytes::Bytes;
use kop_wire::{BatchBuilder, Compression, Offset, Record};

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
fn a_restarted_ring_holds_nothing_until_it_is_filled() {
    let mut ring = Ring::new(0, Arc::new(Budget::new(1 << 20)));
    ring.push([batch(0, 5)], 5);
    ring.restart(9);
    assert!(!ring.holds(4) && !ring.holds(9));
    assert_eq!(ring.end(), 9);
}
