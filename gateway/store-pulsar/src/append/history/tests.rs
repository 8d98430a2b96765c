use kop_wire::{BatchBuilder, Compression, Record};

use super::*;

fn header(id: i64, sequence: i32, records: usize) -> BatchHeader {
    let mut builder = BatchBuilder::new(Compression::None).producer(id, 0, sequence);
    for _ in 0..records {
        builder.push(Record::default());
    }
    *builder.build().unwrap().header()
}

fn stats(ledgers: &str, last: &str) -> InternalStats {
    serde_json::from_str(&format!(
        r#"{{"ledgers":[{ledgers}],"lastConfirmedEntry":"{last}"}}"#
    ))
    .unwrap()
}

#[test]
fn a_batch_that_follows_those_in_flight_is_let_through() {
    let mut history = History::new(true);
    history.sent(&header(7, 0, 3));
    assert!(history.follows_in_flight(&header(7, 3, 1)));
    assert!(!history.follows_in_flight(&header(7, 2, 1)));
    assert!(!history.follows_in_flight(&header(8, 3, 1)));
    history.sent(&header(7, 3, 1));
    history.answered(&header(7, 0, 3));
    assert!(history.follows_in_flight(&header(7, 4, 1)));
    history.answered(&header(7, 3, 1));
    assert!(!history.follows_in_flight(&header(7, 4, 1)));
}

#[test]
fn sequence_numbers_in_flight_start_again_behind_the_largest() {
    let mut history = History::new(true);
    history.sent(&header(7, i32::MAX, 2));
    assert!(history.follows_in_flight(&header(7, 1, 1)));
}

#[test]
fn stepping_back_ends_at_the_first_entry() {
    let stats = stats(
        r#"{"ledgerId":1,"entries":10},{"ledgerId":4,"entries":5}"#,
        "4:4",
    );
    assert_eq!(
        back(&stats, 5),
        Some(Position {
            ledger: 4,
            entry: 0
        })
    );
    assert_eq!(
        back(&stats, 6),
        Some(Position {
            ledger: 1,
            entry: 9
        })
    );
    assert_eq!(back(&stats, 15), None);
    assert_eq!(back(&stats, 100), None);
}

#[test]
fn after_an_interruption_nothing_is_judged_before_it_is_read() {
    let mut history = History::new(true);
    let anchor = Anchor {
        position: Position {
            ledger: 1,
            entry: 2,
        },
        index: 9,
    };
    history.interrupt(Some(anchor));
    assert_eq!(
        history.known,
        Known::Until {
            last: Some(anchor.position),
            time: ALL
        }
    );
    history.interrupt(None);
    assert_eq!(
        history.known,
        Known::Until {
            last: Some(anchor.position),
            time: ALL
        }
    );
}
