use kop_wire::{Batch, BatchBuilder, Compression, Record};
use proptest::prelude::*;

use super::*;

const RETENTION: Retention = Retention {
    producers: 8,
    silence_ms: 1_000,
};

fn header(id: i64, epoch: i16, sequence: i32, records: i32) -> BatchHeader {
    let mut builder = BatchBuilder::new(Compression::None).producer(id, epoch, sequence);
    for _ in 0..records {
        builder.push(Record::default());
    }
    *builder
        .build()
        .map(|batch: Batch| *batch.header())
        .as_ref()
        .unwrap()
}

/// Checks and, where that says so, replays.
fn offer(
    state: &mut ProducerState,
    header: &BatchHeader,
    at: i64,
) -> Result<Verdict, SequenceError> {
    let verdict = state.check(header)?;
    if verdict == Verdict::Write {
        state.replay(header, Offset(at), 0);
    }
    Ok(verdict)
}

#[test]
fn a_batch_that_follows_is_written_and_a_repeated_one_is_not() {
    let mut state = ProducerState::new(RETENTION);
    assert_eq!(
        offer(&mut state, &header(1, 0, 0, 3), 10),
        Ok(Verdict::Write)
    );
    assert_eq!(
        offer(&mut state, &header(1, 0, 3, 2), 13),
        Ok(Verdict::Write)
    );
    let again = offer(&mut state, &header(1, 0, 0, 3), 15);
    assert_eq!(
        again,
        Ok(Verdict::Duplicate {
            base_offset: Offset(10)
        })
    );
    assert_eq!(
        offer(&mut state, &header(1, 0, 6, 1), 15),
        Err(SequenceError::OutOfOrder {
            expected: 5,
            found: 6
        })
    );
    assert_eq!(
        offer(&mut state, &header(1, 0, 0, 2), 15),
        Err(SequenceError::OutOfOrder {
            expected: 5,
            found: 0
        }),
        "same beginning, another end"
    );
}

#[test]
fn five_batches_are_remembered() {
    let mut state = ProducerState::new(RETENTION);
    for n in 0..6 {
        assert_eq!(
            offer(&mut state, &header(1, 0, n, 1), n.into()),
            Ok(Verdict::Write)
        );
    }
    for n in 1..6 {
        assert_eq!(
            state.check(&header(1, 0, n, 1)),
            Ok(Verdict::Duplicate {
                base_offset: Offset(n.into())
            })
        );
    }
    assert_eq!(
        state.check(&header(1, 0, 0, 1)),
        Err(SequenceError::OutOfOrder {
            expected: 6,
            found: 0
        })
    );
}

#[test]
fn zero_follows_the_largest_sequence() {
    let mut state = ProducerState::new(RETENTION);
    offer(&mut state, &header(1, 0, i32::MAX - 1, 2), 0).unwrap();
    assert_eq!(
        offer(&mut state, &header(1, 0, 0, 1), 2),
        Ok(Verdict::Write)
    );

    let mut state = ProducerState::new(RETENTION);
    let around = header(1, 0, i32::MAX, 3);
    offer(&mut state, &around, 0).unwrap();
    assert_eq!(
        state.check(&around),
        Ok(Verdict::Duplicate {
            base_offset: Offset(0)
        })
    );
    assert_eq!(
        offer(&mut state, &header(1, 0, 2, 1), 3),
        Ok(Verdict::Write)
    );
}

#[test]
fn an_unknown_producer_may_begin_anywhere() {
    let mut state = ProducerState::new(RETENTION);
    assert_eq!(
        offer(&mut state, &header(7, 4, 100, 1), 0),
        Ok(Verdict::Write)
    );
    assert!(state.knows(7) && !state.knows(8));
    assert_eq!(
        state.check(&header(7, 4, 200, 1)),
        Err(SequenceError::OutOfOrder {
            expected: 101,
            found: 200
        })
    );
}

#[test]
fn a_newer_epoch_begins_at_zero_and_shuts_out_the_older() {
    let mut state = ProducerState::new(RETENTION);
    offer(&mut state, &header(1, 3, 0, 1), 0).unwrap();
    assert_eq!(
        state.check(&header(1, 4, 1, 1)),
        Err(SequenceError::OutOfOrder {
            expected: 0,
            found: 1
        })
    );
    assert_eq!(
        offer(&mut state, &header(1, 4, 0, 1), 1),
        Ok(Verdict::Write)
    );
    assert_eq!(
        state.check(&header(1, 3, 1, 1)),
        Err(SequenceError::StaleEpoch {
            current: 4,
            found: 3
        })
    );
}

#[test]
fn a_marker_raises_the_epoch_and_has_no_sequence() {
    let mut state = ProducerState::new(RETENTION);
    offer(&mut state, &header(1, 0, 0, 1), 0).unwrap();
    let mut builder = BatchBuilder::new(Compression::None)
        .producer(1, 1, -1)
        .transactional(true)
        .control(true);
    builder.push(Record::default());
    let marker = *builder.build().unwrap().header();
    assert_eq!(offer(&mut state, &marker, 1), Ok(Verdict::Write));
    assert_eq!(state.check(&header(1, 1, 0, 1)), Ok(Verdict::Write));
    assert!(matches!(
        state.check(&header(1, 0, 1, 1)),
        Err(SequenceError::StaleEpoch { .. })
    ));
}

#[test]
fn a_predicted_offset_can_be_corrected() {
    let mut state = ProducerState::new(RETENTION);
    let first = header(1, 0, 0, 1);
    offer(&mut state, &first, 10).unwrap();
    offer(&mut state, &header(1, 0, 1, 1), 11).unwrap();
    state.replay(&first, Offset(20), 0);
    assert_eq!(
        state.check(&first),
        Ok(Verdict::Duplicate {
            base_offset: Offset(20)
        })
    );
    assert_eq!(state.check(&header(1, 0, 2, 1)), Ok(Verdict::Write));
}

#[test]
fn producers_that_are_not_idempotent_leave_no_trace() {
    let mut state = ProducerState::new(RETENTION);
    let plain = header(-1, -1, -1, 5);
    assert_eq!(offer(&mut state, &plain, 0), Ok(Verdict::Write));
    assert_eq!(offer(&mut state, &plain, 5), Ok(Verdict::Write));
    assert!(state.is_empty());
}

#[test]
fn the_silent_are_forgotten_by_time_and_then_by_number() {
    let mut state = ProducerState::new(RETENTION);
    state.replay(&header(1, 0, 0, 1), Offset(0), 0);
    state.replay(&header(2, 0, 0, 1), Offset(1), 500);
    state.expire(1_200);
    assert!(!state.knows(1) && state.knows(2));
    for id in 3..100 {
        state.replay(&header(id, 0, 0, 1), Offset(id), 1_000 + id);
        assert!(state.len() <= RETENTION.producers);
        assert!(state.knows(id));
    }
    assert!(!state.knows(2));
}

#[test]
fn bytes_that_are_no_snapshot_are_refused() {
    let mut state = ProducerState::new(RETENTION);
    offer(&mut state, &header(1, 0, 0, 1), 0).unwrap();
    let snapshot = state.snapshot();
    for end in 0..snapshot.len() {
        assert_eq!(
            ProducerState::restore(&snapshot[..end], RETENTION),
            Err(InvalidSnapshot)
        );
    }
    let trailing = [snapshot.as_slice(), &[0]].concat();
    assert_eq!(
        ProducerState::restore(&trailing, RETENTION),
        Err(InvalidSnapshot)
    );
}

proptest! {
    /// Whatever a network repeats, delays or drops within a window of five, each batch is written
    /// once, in order, and a repeated one is answered with its first offset.
    #[test]
    fn each_batch_is_written_once_and_in_order(
        sizes in proptest::collection::vec(1_i32..5, 1..40),
        arrivals in proptest::collection::vec(any::<prop::sample::Index>(), 1..200),
        start in prop_oneof![Just(0), Just(i32::MAX - 20)],
    ) {
        let mut sequence = start;
        let batches: Vec<_> = sizes
            .iter()
            .map(|size| {
                let batch = header(1, 0, sequence, *size);
                sequence = advance(sequence, *size);
                batch
            })
            .collect();
        let mut state = ProducerState::new(RETENTION);
        let mut log: Vec<(usize, i64)> = Vec::new();
        let mut end = 0;
        for arrival in arrivals {
            // A client sends what it has in flight: at most five from the first unacknowledged one.
            let next = log.len();
            let from = next.saturating_sub(5);
            let which = from + arrival.index((next + 5).min(batches.len()) - from);
            let batch = &batches[which];
            let (first, restored) = (
                state.is_empty(),
                ProducerState::restore(&state.snapshot(), RETENTION).unwrap(),
            );
            prop_assert_eq!(&restored, &state);
            match offer(&mut state, batch, end) {
                Ok(Verdict::Write) => {
                    if first && which != 0 {
                        // An unknown producer begins anywhere; start over from there is another story.
                        return Ok(());
                    }
                    prop_assert_eq!(which, next);
                    log.push((which, end));
                    end += batch.offsets();
                }
                Ok(Verdict::Duplicate { base_offset }) => {
                    prop_assert!(log.contains(&(which, base_offset.0)));
                }
                Err(error) => {
                    prop_assert!(which > next, "{error} for batch {which} after {next}");
                }
            }
        }
    }

    #[test]
    fn noise_is_no_snapshot_and_no_panic(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = ProducerState::restore(&noise, RETENTION);
    }

    #[test]
    fn a_replayed_log_gives_the_same_state(
        batches in proptest::collection::vec((0_i64..4, 0_i16..2, 0_i32..6, 1_i32..3), 0..60),
    ) {
        let mut serving = ProducerState::new(RETENTION);
        let mut log = Vec::new();
        for (id, epoch, sequence, records) in batches {
            let header = header(id, epoch, sequence, records);
            let at = i64::try_from(log.len()).unwrap();
            if offer(&mut serving, &header, at) == Ok(Verdict::Write) {
                log.push((header, at));
            }
        }
        let mut rebuilt = ProducerState::new(RETENTION);
        for (header, at) in log {
            rebuilt.replay(&header, Offset(at), 0);
        }
        prop_assert_eq!(rebuilt, serving);
    }

    #[test]
    fn a_log_read_in_parts_or_from_a_snapshot_on_gives_the_same_state(
        batches in proptest::collection::vec((0_i64..6, 0_i16..8, 1_i32..4, 0_i64..50), 0..80),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 3),
    ) {
        // Epochs and time only rise, as in a log.
        let mut log = Vec::new();
        let mut producers = HashMap::new();
        let (mut at, mut now) = (0, 0);
        for (id, raise, records, later) in batches {
            let (epoch, sequence) = producers.entry(id).or_insert((0_i16, 0_i32));
            if raise == 0 {
                (*epoch, *sequence) = (*epoch + 1, 0);
            }
            now += later;
            log.push((header(id, *epoch, *sequence, records), Offset(at), now));
            *sequence += records;
            at += i64::from(records);
        }
        let replay = |from: ProducerState, log: &[(BatchHeader, Offset, i64)]| {
            log.iter().fold(from, |mut state, (header, at, now)| {
                state.replay(header, *at, *now);
                state
            })
        };
        let empty = || ProducerState::new(RETENTION);
        let whole = replay(empty(), &log);

        let cut = cuts[0].index(log.len() + 1);
        let snapshot = replay(empty(), &log[..cut]).snapshot();
        let restored = ProducerState::restore(&snapshot, RETENTION).unwrap();
        prop_assert_eq!(&replay(restored, &log[cut..]), &whole);

        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(log.len() + 1)).collect();
        cuts.sort_unstable();
        let parts = [&log[..cuts[0]], &log[cuts[0]..cuts[1]], &log[cuts[1]..cuts[2]], &log[cuts[2]..]];
        let backwards = parts.iter().rev().fold(empty(), |later, part| {
            replay(empty(), part).followed_by(&later)
        });
        prop_assert_eq!(&backwards, &whole);
    }
}
