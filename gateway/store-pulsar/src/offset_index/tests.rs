use proptest::prelude::*;

use super::*;

fn at(base: i64, ledger: u64, entry: u64) -> Point {
    Point {
        base,
        position: Position { ledger, entry },
    }
}

/// A log as Pulsar might hold it: entries of some offsets each, ledgers of some entries each.
fn log() -> impl Strategy<Value = Vec<Point>> {
    prop::collection::vec((1i64..50, prop::bool::weighted(0.05)), 1..300).prop_map(|entries| {
        let (mut base, mut ledger, mut entry) = (0, 1, 0);
        let mut points = Vec::new();
        for (offsets, rolls) in entries {
            points.push(at(base, ledger, entry));
            base += offsets;
            entry += 1;
            if rolls {
                ledger += 3;
                entry = 0;
            }
        }
        points
    })
}

proptest! {
    #[test]
    fn what_is_answered_is_true_and_never_behind_the_offset(
        (log, order) in log().prop_flat_map(|log| {
            let n = log.len();
            (Just(log), prop::collection::vec(0..n, 0..600))
        }),
        capacity in 2usize..40,
        spacing in 1i64..100,
    ) {
        let mut index = OffsetIndex::new(capacity, spacing);
        for i in order {
            prop_assert_eq!(index.insert(log[i]), Ok(()));
            prop_assert!(index.points.len() <= capacity);
        }
        let end = log.last().unwrap().base + 10;
        for offset in 0..end {
            if let Some(floor) = index.floor(offset) {
                prop_assert!(floor.base <= offset);
                prop_assert!(log.contains(&floor));
            }
            if let Some(above) = index.above(offset) {
                prop_assert!(above.base > offset);
                prop_assert!(log.contains(&above));
            }
        }
    }

    #[test]
    fn trimming_leaves_no_point_before_the_start(log in log(), start in 0i64..5000) {
        let mut index = OffsetIndex::new(1000, 1);
        for point in &log {
            prop_assert_eq!(index.insert(*point), Ok(()));
        }
        index.trim_before(start);
        prop_assert!(index.floor(start - 1).is_none());
        let kept = log.iter().filter(|p| p.base >= start).count();
        prop_assert_eq!(index.points.len(), kept);
    }
}

#[test]
fn a_contradiction_is_found_and_empties_the_index() {
    let mut index = OffsetIndex::new(10, 1);
    assert_eq!(index.insert(at(0, 1, 0)), Ok(()));
    assert_eq!(index.insert(at(10, 1, 5)), Ok(()));
    let wrong = at(5, 1, 6);
    assert_eq!(
        index.insert(wrong),
        Err(Mismatch {
            known: at(10, 1, 5),
            found: wrong
        })
    );
    assert_eq!(index.floor(100), None);
}

#[test]
fn the_same_offset_at_two_places_is_a_contradiction() {
    let mut index = OffsetIndex::new(10, 1);
    assert_eq!(index.insert(at(3, 1, 3)), Ok(()));
    assert!(index.insert(at(3, 1, 4)).is_err());
}
