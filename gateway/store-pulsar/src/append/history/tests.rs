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
        back(&stats, None, 5),
        Some(Position {
            ledger: 4,
            entry: 0
        })
    );
    assert_eq!(
        back(&stats, None, 6),
        Some(Position {
            ledger: 1,
            entry: 9
        })
    );
    assert_eq!(back(&stats, None, 15), None);
    assert_eq!(back(&stats, None, 100), None);
}

#[test]
fn stepping_back_from_an_entry_counts_those_before_it() {
    let stats = stats(
        r#"{"ledgerId":1,"entries":10},{"ledgerId":4,"entries":5}"#,
        "4:4",
    );
    let entry = |ledger, entry| Position { ledger, entry };
    let cases = [
        ((4, 2), 2, Some((4, 0))),
        ((4, 2), 3, Some((1, 9))),
        ((4, 0), 1, Some((1, 9))),
        ((1, 3), 2, Some((1, 1))),
        // The first one of all, and one of a ledger that is gone.
        ((1, 3), 3, None),
        ((0, 8), 1, None),
    ];
    for (before, entries, expected) in cases {
        let found = back(&stats, Some(entry(before.0, before.1)), entries);
        assert_eq!(found, expected.map(|(l, e)| entry(l, e)), "{before:?}");
    }
}

fn anchor(entry: u64, index: i64) -> Anchor {
    let position = Position { ledger: 1, entry };
    Anchor { position, index }
}

#[test]
fn after_an_interruption_nothing_is_judged_before_it_is_read() {
    let mut history = History::new(true);
    history.interrupt(Some(anchor(2, 9)));
    let until = Known::Until {
        last: anchor(2, 9),
        since: Some(Since::Beginning),
    };
    assert_eq!(history.known, until);
    history.interrupt(None);
    assert_eq!(history.known, until);

    // Without a place to read on from, all that was known is.
    let mut history = History::new(true);
    history.interrupt(None);
    assert_eq!((history.known, history.alone), (Known::From(None), false));
}

fn written(entry: u64, base: i64, records: usize) -> Written {
    Written {
        position: Position { ledger: 1, entry },
        span: Span {
            base,
            end: base + i64::try_from(records).unwrap(),
        },
        time: 1_000 + entry,
    }
}

#[test]
fn a_snapshot_is_due_at_once_and_then_when_the_log_has_grown() {
    let mut history = History::beside_others(false);
    assert_eq!(history.note(), None, "nothing is known");
    history.written(&header(7, 0, 3), written(4, 20, 3), 500);
    let note = Snapshot::parse(&history.note().unwrap()).unwrap();
    assert_eq!(note.last, anchor(4, 22));
    let first = First {
        position: Position {
            ledger: 1,
            entry: 4,
        },
        offset: 20,
        written: 1_004,
    };
    assert_eq!(note.since, Since::Entry(first));
    assert_eq!(&note.state, history.state());
    history.noted();
    for n in 0..=255_u8 {
        assert_eq!(history.note(), None, "{n}");
        let n = i64::from(n);
        let entry = 5 + n.unsigned_abs();
        let sequence = 3 + i32::try_from(n).unwrap();
        history.written(&header(7, sequence, 1), written(entry, 23 + n, 1), 500);
    }
    let note = Snapshot::parse(&history.note().unwrap()).unwrap();
    assert_eq!(note.since, Since::Entry(first));
    // Not while others may have written.
    history.interrupt(Some(anchor(260, 278)));
    assert_eq!(history.note(), None);
}

#[test]
fn snapshots_are_few_where_they_are_large_or_entries_small() {
    let mut growth = Growth::default();
    assert!(growth.is_enough_for(1_000_000), "the first one");
    growth.restart(0);
    for n in 0..1_000 {
        growth.entry(
            Span {
                base: n,
                end: n + 1,
            },
            100,
        );
    }
    assert!(growth.is_enough_for(100_000 / 16));
    assert!(!growth.is_enough_for(100_000 / 16 + 1));
    // What others write counts, though it is not seen how large it is.
    growth.entry(
        Span {
            base: 10_000,
            end: 10_001,
        },
        100,
    );
    assert!(growth.is_enough_for(9_000 * 64 / 16));
}

#[test]
fn bytes_that_are_no_snapshot_are_refused() {
    let mut state = ProducerState::new(Retention::default());
    state.replay(&header(7, 0, 3), Offset(20), 5);
    let first = First {
        position: Position {
            ledger: 1,
            entry: 2,
        },
        offset: 5,
        written: 9,
    };
    for since in [Since::Beginning, Since::Entry(first)] {
        let bytes = Snapshot::encode(since, anchor(4, 22), &state);
        let parsed = Snapshot::parse(&bytes).unwrap();
        let whole = Snapshot {
            since,
            last: anchor(4, 22),
            state: state.clone(),
        };
        assert_eq!(parsed, whole);
        for end in 0..bytes.len() {
            assert!(Snapshot::parse(&bytes[..end]).is_err());
            let mut damaged = bytes.to_vec();
            damaged[end] ^= 0x10;
            assert!(Snapshot::parse(&damaged).is_err());
        }
    }
    // A first entry behind the last one.
    let bytes = Snapshot::encode(Since::Entry(first), anchor(1, 22), &state);
    assert!(Snapshot::parse(&bytes).is_err());
    let bytes = Snapshot::encode(Since::Entry(first), anchor(4, 4), &state);
    assert!(Snapshot::parse(&bytes).is_err());
}

/// A log as it is read: entries, of which some carry a note.
struct Told {
    entries: Vec<(Position, Span, Vec<BatchHeader>, Option<Bytes>)>,
}

impl Told {
    fn read(&self, from: usize, mut into: Replay) -> Replay {
        for (position, span, batches, note) in self.entries.iter().skip(from) {
            let read = Read {
                position: *position,
                span: *span,
                written: i64::try_from(position.entry).unwrap(),
                batches: batches.clone(),
            };
            into.entry(read, note.as_ref());
        }
        into
    }

    fn replayed(&self, entries: std::ops::Range<usize>) -> ProducerState {
        let mut state = ProducerState::new(Retention::default());
        for (position, _, batches, _) in &self.entries[entries] {
            for header in batches {
                let written = i64::try_from(position.entry).unwrap();
                state.replay(header, header.base_offset, written);
            }
        }
        state
    }
}

/// An owner's log: each entry is of a producer (or of nobody, as a native one), has records, and carries
/// a note or none, which is true of the log up to so many entries before. Positions have holes, as
/// markers leave them, and ledgers end.
fn log(entries: &[(Option<i64>, usize, bool, usize, bool)], since: usize) -> Told {
    let mut told = Told {
        entries: Vec::new(),
    };
    let mut sequences = HashMap::new();
    let (mut ledger, mut base) = (3, 0);
    for (n, (producer, records, notes, lag, rolls)) in entries.iter().enumerate() {
        ledger += u64::from(*rolls);
        let position = Position {
            ledger,
            entry: 2 * u64::try_from(n).unwrap(),
        };
        let end = base + i64::try_from(*records).unwrap();
        let batches = producer.map(|id| {
            let sequence = sequences.entry(id).or_insert(0);
            let mut header = header(id, *sequence, *records);
            header.base_offset = Offset(base);
            *sequence += i32::try_from(*records).unwrap();
            header
        });
        // The last entry of which the note is true.
        let up_to = n.checked_sub(lag + 1).filter(|last| *last >= since);
        let note = up_to.filter(|_| *notes).map(|last| {
            let (position, span, ..) = told.entries[last];
            let (first, first_span, ..) = told.entries[since];
            let first = First {
                position: first,
                offset: first_span.base,
                written: i64::try_from(first.entry).unwrap(),
            };
            let since_is = if since == 0 {
                Since::Beginning
            } else {
                Since::Entry(first)
            };
            let last_is = Anchor {
                position,
                index: span.end - 1,
            };
            Snapshot::encode(since_is, last_is, &told.replayed(since..last + 1))
        });
        let span = Span { base, end };
        told.entries
            .push((position, span, batches.into_iter().collect(), note));
        base = end;
    }
    told
}

proptest::proptest! {
    #[test]
    fn a_snapshot_and_the_rest_tell_what_the_whole_log_tells(
        entries in proptest::collection::vec(
            (proptest::option::of(0_i64..4), 1_usize..4, proptest::bool::weighted(0.2), 0_usize..12,
                proptest::bool::weighted(0.05)),
            1..120,
        ),
        since in proptest::prelude::any::<proptest::sample::Index>(),
        from in proptest::prelude::any::<proptest::sample::Index>(),
    ) {
        let since = since.index(entries.len());
        let told = log(&entries, since);
        let from = from.index(entries.len());
        let mut part = told.read(from, Replay::new());
        let missed = part.missed();
        if let Some(position) = missed {
            let at = told.entries.iter().position(|entry| entry.0 == position).unwrap();
            proptest::prop_assert!(at < from);
            part = told.read(at, Replay::new());
            proptest::prop_assert!(part.has_snapshot());
            proptest::prop_assert_eq!(part.missed(), None);
        }
        let has_snapshot = part.has_snapshot();
        let newest = told.entries[from..].iter().rposition(|entry| entry.3.is_some());
        proptest::prop_assert_eq!(has_snapshot, newest.is_some());
        let (state, known_since) = part.end();
        let begins = if has_snapshot { since } else { from };
        proptest::prop_assert_eq!(&state, &told.replayed(begins..entries.len()));
        let (position, span, ..) = told.entries[begins];
        match known_since {
            Some(Since::Beginning) => proptest::prop_assert_eq!(begins, 0),
            Some(Since::Entry(first)) => {
                proptest::prop_assert_eq!((first.position, first.offset), (position, span.base));
            }
            None => proptest::prop_assert!(false, "entries were read"),
        }

        // Another log with the same notes at other places believes none of them.
        let mut other = told;
        for (position, ..) in &mut other.entries {
            position.ledger += 1_000;
        }
        let part = other.read(from, Replay::new());
        proptest::prop_assert!(!part.has_snapshot());
        proptest::prop_assert_eq!(part.end().0, other.replayed(from..entries.len()));
    }
}

#[test]
fn what_is_written_behind_an_interruption_is_not_judged_without_what_stands_before_it() {
    let mut history = History::new(true);
    history.written(&header(7, 0, 1), written(2, 9, 1), 100);
    // The batch with sequence 1 is stored, but where is not known; the one behind it is answered.
    history.interrupt(Some(anchor(2, 9)));
    history.written(&header(7, 2, 1), written(4, 11, 1), 100);
    let until = Known::Until {
        last: anchor(2, 9),
        since: Some(Since::Beginning),
    };
    assert_eq!(history.known, until);
    let verdict = history.state().check(&header(7, 1, 1));
    assert!(
        matches!(verdict, Ok(kop_store::producer_state::Verdict::Write)),
        "{verdict:?}"
    );
}

#[test]
fn a_producer_is_new_only_where_it_cannot_have_been_forgotten() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let births = Births::default();
    births.note(100, 50_000_000);
    let topic = |made, now, stored| Topic {
        births: &births,
        made,
        now,
        stored,
    };
    let now = 50_000_000 + 1_000;
    let young = topic(50_000_000 - 5_000, now, 0);
    let all = History::beside_others(true);
    assert!(all.is_new(&header(100, 5, 1), &young));
    // An id that was taken before anybody noted when.
    assert!(!all.is_new(&header(99, 5, 1), &young));
    // One that may have gone on from another topic of the name, or may have been silent for a day.
    assert!(!all.is_new(&header(100, 5, 1), &topic(now, now, 0)));
    assert!(!all.is_new(&header(100, 5, 1), &topic(0, 50_000_000 + DAY, 0)));
    // What was removed may have been its.
    assert!(!all.is_new(&header(100, 5, 1), &topic(0, now, 7)));
    assert!(!History::beside_others(false).is_new(&header(100, 5, 1), &young));
    // All that a process was told since it took the id, having been alone.
    assert!(History::new(false).is_new(&header(100, 5, 1), &topic(0, now, 7)));
}
