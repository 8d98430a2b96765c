use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_record_of_the_time_stands_before_the_start(
        entries in prop::collection::vec((1i64..5, -3i64..60), 1..200),
        holes in prop::collection::vec(any::<prop::sample::Index>(), 0..2),
        capacity in 2usize..20,
        spacing in 1i64..10,
    ) {
        let mut index = TimeIndex::new(7, capacity, spacing);
        let holes: Vec<usize> = holes.iter().map(|hole| hole.index(entries.len())).collect();
        let (mut base, mut log) = (7, Vec::new());
        for (i, (offsets, max)) in entries.into_iter().enumerate() {
            log.push((base, max));
            if !holes.contains(&i) {
                index.extend(base, base + offsets, max);
            }
            base += offsets;
        }
        prop_assert!(index.points.len() <= capacity);
        for time in -5..65 {
            let Some(start) = index.start(time) else { continue };
            prop_assert!(start <= base);
            prop_assert!(log.iter().all(|(base, max)| *base >= start || *max < time));
        }
    }
}

#[test]
fn a_time_later_than_all_starts_at_the_end() {
    let mut index = TimeIndex::new(0, 10, 1);
    assert_eq!(index.start(5), None);
    index.extend(0, 3, 100);
    index.extend(3, 6, 50);
    assert_eq!(index.start(101), Some(6));
    assert_eq!(index.start(100), None);
    index.extend(6, 9, 200);
    assert_eq!(index.start(150), Some(6));
}

#[test]
fn what_was_deleted_unseen_is_no_hole() {
    let mut index = TimeIndex::new(0, 10, 1);
    assert_eq!(index.newest(), None);
    index.extend(8, 9, 70);
    assert_eq!((index.covered(), index.newest()), (0, None));
    index.begin(8);
    index.begin(3);
    index.extend(8, 9, 70);
    index.extend(9, 12, 60);
    assert_eq!((index.covered(), index.newest()), (12, Some(70)));
    assert_eq!(index.start(71), Some(12));
}
