//! The checker sees what must not be.

use super::*;

const IDEMPOTENT: u8 = 0;
const ONCE: u8 = 1;
const NATIVE: u8 = 2;

fn record(producer: u8, number: u32) -> Identity {
    Identity { producer, number }
}

fn at(ledger: u64, entry: u64) -> MessageId {
    MessageId {
        ledger,
        entry,
        index: -1,
    }
}

/// A log as it should be: two records of each producer, in turn, and all that they were told.
fn sound() -> (Checker, Vec<(i64, Identity)>) {
    let kinds = [
        (IDEMPOTENT, Kind::Idempotent),
        (ONCE, Kind::Once),
        (NATIVE, Kind::Again),
    ];
    let mut checker = Checker::new(1, kinds);
    for producer in [IDEMPOTENT, ONCE, NATIVE] {
        checker.sends(0, record(producer, 2));
    }
    let log = [
        (0, record(IDEMPOTENT, 0)),
        (1, record(ONCE, 0)),
        (2, record(NATIVE, 0)),
        (3, record(IDEMPOTENT, 1)),
        (4, record(ONCE, 1)),
        (5, record(NATIVE, 1)),
    ];
    checker
        .acknowledged(0, 0, record(IDEMPOTENT, 0), 1)
        .unwrap();
    checker.acknowledged(0, 1, record(ONCE, 0), 1).unwrap();
    checker
        .acknowledged(0, 3, record(IDEMPOTENT, 1), 1)
        .unwrap();
    checker.stored(0, at(7, 1), record(NATIVE, 0)).unwrap();
    checker.stored(0, at(9, 0), record(NATIVE, 1)).unwrap();
    (checker, log.to_vec())
}

/// What is found in a log that was changed after the promises were made.
fn found(change: impl FnOnce(&mut Vec<(i64, Identity)>)) -> Result<Verdict, Fault> {
    let (mut checker, mut log) = sound();
    change(&mut log);
    checker.read(0, 0, &log)?;
    checker.verify()
}

#[test]
fn a_sound_log_is_found_sound() {
    let verdict = Verdict {
        records: 6,
        promised: 3,
        stored: 2,
        repeated: 0,
        gaps: 0,
    };
    assert_eq!(found(|_| {}).unwrap(), verdict);
}

#[test]
fn a_gap_where_nothing_was_promised_is_no_fault() {
    let moved = found(|log| log[5].0 = 6).unwrap();
    assert_eq!((moved.records, moved.gaps), (6, 1));
}

#[test]
fn a_promised_record_that_is_lost_is_found() {
    // In the middle, where a reader goes over it, and at the end, where nobody comes.
    let fault = found(|log| log.retain(|(offset, _)| *offset != 3)).unwrap_err();
    assert!(
        matches!(fault, Fault::Contradiction { offset: 3, .. }),
        "{fault}"
    );
    let fault = found(|log| log.truncate(3)).unwrap_err();
    assert!(matches!(fault, Fault::Unread { offset: 3, .. }), "{fault}");
    let fault = found(|log| log.truncate(5)).unwrap_err();
    assert!(matches!(fault, Fault::StoredAndLost { .. }), "{fault}");
}

#[test]
fn a_record_that_moved_is_found() {
    let fault = found(|log| {
        for place in &mut log[3..] {
            place.0 += 1;
        }
    });
    let fault = fault.unwrap_err();
    assert!(
        matches!(fault, Fault::Contradiction { offset: 3, .. }),
        "{fault}"
    );
}

#[test]
fn a_doubled_record_is_found() {
    for producer in [IDEMPOTENT, ONCE] {
        let fault = found(|log| log.push((6, record(producer, 1)))).unwrap_err();
        assert!(matches!(fault, Fault::Doubled { offset: 6, .. }), "{fault}");
    }
    // Native producers may.
    let verdict = found(|log| log.push((6, record(NATIVE, 1)))).unwrap();
    assert_eq!(verdict.repeated, 1);
}

#[test]
fn records_out_of_order_are_found() {
    let swapped = |producer: u8| {
        let mut checker = sound().0;
        checker.sends(0, record(producer, 4));
        let mut log = sound().1;
        log.extend([(6, record(producer, 3)), (7, record(producer, 2))]);
        checker.read(0, 0, &log)?;
        checker.verify()
    };
    let fault = swapped(IDEMPOTENT).unwrap_err();
    assert!(matches!(fault, Fault::Skipped { offset: 6, .. }), "{fault}");
    let fault = swapped(ONCE).unwrap_err();
    assert!(matches!(fault, Fault::Doubled { offset: 7, .. }), "{fault}");
    let fault = swapped(NATIVE).unwrap_err();
    assert!(matches!(fault, Fault::Skipped { offset: 6, .. }), "{fault}");
}

#[test]
fn a_record_of_nobody_is_found() {
    let fault = found(|log| log.push((6, record(IDEMPOTENT, 2)))).unwrap_err();
    assert!(matches!(fault, Fault::Strange { .. }), "{fault}");
    let fault = found(|log| log.push((6, record(77, 0)))).unwrap_err();
    assert!(matches!(fault, Fault::Strange { .. }), "{fault}");
}

#[test]
fn readers_that_do_not_see_the_same_are_found() {
    let (mut checker, log) = sound();
    checker.read(0, 0, &log).unwrap();
    checker.read(0, 2, &log[2..5]).unwrap();
    // Another record, one left out, one that was not there before, one twice.
    let other = [(1, record(ONCE, 1))];
    assert!(checker.read(0, 1, &other).is_err());
    assert!(checker.read(0, 1, &[log[2]]).is_err());
    let (mut checker, mut log) = sound();
    log[5].0 = 6;
    checker.read(0, 0, &log).unwrap();
    assert!(checker.read(0, 5, &[(5, record(NATIVE, 1))]).is_err());
    assert!(checker.read(0, 3, &[log[3], log[3]]).is_err());
    assert!(checker.given("group", 0, 1, record(ONCE, 1)).is_err());
}

#[test]
fn two_promises_of_one_offset_are_found() {
    let (mut checker, _) = sound();
    checker
        .acknowledged(0, 3, record(IDEMPOTENT, 1), 1)
        .unwrap();
    assert!(checker.acknowledged(0, 3, record(ONCE, 1), 1).is_err());
    assert!(checker.stored(0, at(9, 0), record(NATIVE, 2)).is_err());
}

#[test]
fn native_records_in_another_order_than_stored_are_found() {
    let (mut checker, log) = sound();
    checker.stored(0, at(6, 0), record(NATIVE, 1)).unwrap();
    checker.read(0, 0, &log).unwrap();
    let fault = checker.verify().unwrap_err();
    assert!(matches!(fault, Fault::StoredAndLost { .. }), "{fault}");
}

#[test]
fn what_a_group_was_not_given_is_missing() {
    let (mut checker, log) = sound();
    checker.read(0, 0, &log).unwrap();
    for (offset, record) in &log[1..] {
        checker.given("group", 0, *offset, *record).unwrap();
    }
    assert_eq!(checker.missing("group"), 1);
    checker.given("group", 0, 0, log[0].1).unwrap();
    assert_eq!(checker.missing("group"), 0);
    assert_eq!(checker.missing("another"), 6);
}

#[test]
fn commits_that_go_back_are_found() {
    let mut commits = Commits::default();
    let before = commits.floor("group");
    commits.acknowledged("group", 0, 5);
    // A look that began before may see less, one that begins now may not.
    commits.seen("group", &before, 0, 4).unwrap();
    let floor = commits.floor("group");
    let fault = commits.seen("group", &floor, 0, 4).unwrap_err();
    assert!(
        matches!(fault, Fault::WentBack { was: 5, is: 4, .. }),
        "{fault}"
    );
    commits.seen("group", &floor, 0, 7).unwrap();
    let floor = commits.floor("group");
    assert!(commits.seen("group", &floor, 0, 6).is_err());
    // A group that is forgotten.
    assert!(commits.seen("group", &floor, 0, -1).is_err());
}
