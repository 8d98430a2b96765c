use super::*;

fn topic(name: &str) -> TopicRef {
    let name = kop_wire::kafka_protocol::protocol::StrBytes::from_string(name.to_owned());
    TopicRef::Name(name.into())
}

/// "a0@5" is partition 0 of topic "a" from offset 5 on.
fn asked(text: &str) -> Vec<Asked> {
    let one = |text: &str| {
        let (place, offset) = text.split_once('@').unwrap();
        let (name, index) = place.split_at(1);
        Asked {
            topic: topic(name),
            index: index.parse().unwrap(),
            offset: Offset(offset.parse().unwrap()),
            max_bytes: 1,
            leader_epoch: -1,
            last_fetched_epoch: -1,
        }
    };
    text.split_whitespace().map(one).collect()
}

fn forgotten(text: &str) -> Vec<(TopicRef, i32)> {
    let one = |text: &str| {
        let (name, index) = text.split_at(1);
        (topic(name), index.parse().unwrap())
    };
    text.split_whitespace().map(one).collect()
}

fn names(asked: &[Asked]) -> String {
    let one = |asked: &Asked| match &asked.topic {
        TopicRef::Name(name) => format!("{}{}@{}", name.0, asked.index, asked.offset),
        TopicRef::Id(id) => format!("{id}{}@{}", asked.index, asked.offset),
    };
    asked.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// "10" is a high watermark without records, "10r" one with records, "10m" one with records that are not
/// the last ones, "x" an error, "10d" diverging.
fn news(text: &str) -> Vec<News> {
    let one = |text: &str| {
        let high = text.trim_end_matches(['r', 'm', 'd']).parse().ok();
        News {
            watermarks: high.map(|high| Watermarks {
                log_start: Offset(0),
                last_stable: Offset(high),
                high: Offset(high),
            }),
            records: text.ends_with(['r', 'm']),
            more: text.ends_with('m'),
            diverging: text.ends_with('d'),
        }
    };
    text.split_whitespace().map(one).collect()
}

/// A session that has been answered once.
fn session(partitions: &str, first: &str) -> Session {
    Session::begin(false, &asked(partitions), &news(first))
}

fn proceed(session: &mut Session, epoch: i32, changed: &str, gone: &str) -> String {
    let all = session.proceed(false, epoch, asked(changed), forgotten(gone));
    names(&all.unwrap())
}

fn said(session: &mut Session, epoch: i32, found: &str) -> Vec<bool> {
    session.answer(epoch, &news(found)).unwrap()
}

#[test]
fn nothing_new_is_said_twice() {
    let mut session = session("a0@5 a1@7", "5 7");
    for epoch in 1..5 {
        assert_eq!(proceed(&mut session, epoch, "", ""), "a0@5 a1@7");
        assert_eq!(said(&mut session, epoch, "5 7"), [false, false]);
    }
}

#[test]
fn what_has_changed_is_said_once() {
    let mut session = session("a0@5 a1@7", "5 7");
    proceed(&mut session, 1, "", "");
    assert_eq!(said(&mut session, 1, "5 9"), [false, true]);
    proceed(&mut session, 2, "", "");
    assert_eq!(said(&mut session, 2, "5 9"), [false, false]);
    // The log begins later.
    proceed(&mut session, 3, "", "");
    let mut found = news("5 9");
    found[0].watermarks.as_mut().unwrap().log_start = Offset(3);
    assert_eq!(session.answer(3, &found), Ok(vec![true, false]));
}

#[test]
fn records_are_always_said() {
    let mut session = session("a0@5 a1@7", "9 7");
    for epoch in 1..4 {
        proceed(&mut session, epoch, "", "");
        // Known watermarks, but records again.
        let found = if epoch == 1 { "9r 7" } else { "7 9r" };
        let expected = if epoch == 1 {
            [true, false]
        } else {
            [false, true]
        };
        assert_eq!(said(&mut session, epoch, found), expected);
    }
}

#[test]
fn errors_are_said_until_they_are_over_and_then_everything_is() {
    for trouble in ["x", "5d"] {
        let mut session = session("a0@5", "5");
        for (epoch, found, expected) in [
            (1, "5", false),
            (2, trouble, true),
            (3, trouble, true),
            (4, "5", true),
            (5, "5", false),
        ] {
            proceed(&mut session, epoch, "", "");
            assert_eq!(said(&mut session, epoch, found), [expected], "{epoch}");
        }
    }
    let mut session = session("a0@5", "x");
    proceed(&mut session, 1, "", "");
    assert_eq!(said(&mut session, 1, "5"), [true]);
}

#[test]
fn partitions_come_change_and_go() {
    let mut session = session("a0@5 a1@7", "5 7");
    let weight = session.weight();
    assert_eq!(
        proceed(&mut session, 1, "a1@8 b0@0 a0@6 b0@3", ""),
        "a0@6 a1@8 b0@3"
    );
    // What is new is told of, what has only moved is not.
    assert_eq!(said(&mut session, 1, "5 7 0"), [false, false, true]);
    assert_eq!(session.weight(), weight / 2 * 3);
    assert_eq!(proceed(&mut session, 2, "", "a0 c9 b0"), "a1@8");
    assert_eq!(said(&mut session, 2, "7"), [false]);
    assert_eq!(session.weight(), weight / 2);
    // Forgotten and named at once: forgotten, as in Kafka.
    assert_eq!(proceed(&mut session, 3, "a1@9 a2@0", "a1"), "a2@0");
    assert_eq!(said(&mut session, 3, "0"), [true]);
    assert_eq!(proceed(&mut session, 4, "", "a2"), "");
    assert_eq!((session.len(), session.weight()), (0, 0));
}

#[test]
fn those_who_had_records_come_last() {
    let mut session = session("a0@0 a1@0 a2@0 a3@0", "9r 9 9r 9");
    assert_eq!(proceed(&mut session, 1, "", ""), "a1@0 a3@0 a0@0 a2@0");
    said(&mut session, 1, "9r 9 9 9");
    assert_eq!(proceed(&mut session, 2, "", ""), "a3@0 a0@0 a2@0 a1@0");
    // One partition that always has something does not keep the others from their turn.
    said(&mut session, 2, "9 9 9 9r");
    assert_eq!(proceed(&mut session, 3, "", ""), "a3@0 a0@0 a2@0 a1@0");
}

#[test]
fn a_request_of_another_epoch_changes_nothing() {
    let mut session = session("a0@5", "5");
    for epoch in [-1, 0, 2, i32::MAX] {
        let found = session.proceed(false, epoch, asked("b0@0"), Vec::new());
        assert_eq!(found, Err(Mismatch::Epoch));
    }
    let found = session.proceed(true, 1, Vec::new(), Vec::new());
    assert_eq!(found, Err(Mismatch::Naming));
    assert_eq!(proceed(&mut session, 1, "", ""), "a0@5");
}

#[test]
fn an_answer_that_comes_too_late_is_none() {
    let mut session = session("a0@5", "5");
    proceed(&mut session, 1, "", "");
    proceed(&mut session, 2, "", "");
    assert_eq!(session.answer(1, &news("9")), Err(Mismatch::Epoch));
    assert_eq!(said(&mut session, 2, "9"), [true]);
}

#[test]
fn epochs_start_over_at_one() {
    let mut session = session("a0@5", "5");
    session.epoch = i32::MAX;
    proceed(&mut session, i32::MAX, "", "");
    assert_eq!(said(&mut session, i32::MAX, "5"), [false]);
    proceed(&mut session, 1, "", "");
}

#[test]
fn a_fetch_that_leaves_out_what_has_more_waits_for_little_and_then_longer() {
    let waits = |millis: u64| Some(Duration::from_millis(millis));
    let mut session = session("a0@0 a1@0 a2@0", "9m 9m 5r");
    proceed(&mut session, 1, "a2@5", "");
    assert_eq!(session.patience(), None, "all are asked for");
    said(&mut session, 1, "5 9m 9m");
    proceed(&mut session, 2, "", "a0 a1");
    assert_eq!(session.patience(), waits(5));
    for (epoch, millis) in [(2, 5), (3, 10), (4, 20)] {
        assert_eq!(session.patience(), waits(millis));
        said(&mut session, epoch, "5");
        proceed(&mut session, epoch + 1, "", "");
    }
    // One is back, reaches its end, and is left out: there is nothing more of it to come.
    said(&mut session, 5, "5");
    proceed(&mut session, 6, "a0@9", "");
    assert_eq!(session.patience(), waits(80));
    said(&mut session, 6, "5 12r");
    proceed(&mut session, 7, "", "a0");
    assert_eq!(session.patience(), waits(80));
    // The other one is not at its end yet.
    said(&mut session, 7, "5");
    proceed(&mut session, 8, "a1@9", "");
    said(&mut session, 8, "5 99m");
    proceed(&mut session, 9, "", "a1");
    assert_eq!(session.patience(), waits(5));
}

#[test]
fn a_partition_that_had_more_long_ago_hurries_nobody() {
    let mut session = session("a0@0 a1@0", "9m 5r");
    proceed(&mut session, 1, "a0@9 a1@5", "");
    said(&mut session, 1, "5 9");
    proceed(&mut session, 2, "", "a0");
    assert_eq!(session.patience(), None);
}

#[test]
fn names_do_not_keep_the_request_they_came_in() {
    let request = bytes::Bytes::from_static(b"............orders............");
    let name = kop_wire::kafka_protocol::protocol::StrBytes::try_from(request.slice(12..18));
    let mut wanted = asked("a0@0 a1@0");
    for asked in &mut wanted {
        asked.topic = TopicRef::Name(name.clone().unwrap().into());
    }
    let mut session = Session::begin(false, &wanted, &news("0 0"));
    let kept = session.proceed(false, 1, Vec::new(), Vec::new()).unwrap();
    let at = |asked: &Asked| match &asked.topic {
        TopicRef::Name(name) => name.as_ptr(),
        TopicRef::Id(_) => panic!(),
    };
    assert_eq!(kept[0].topic, wanted[0].topic);
    assert_ne!(at(&kept[0]), at(&wanted[0]));
    assert_eq!(at(&kept[0]), at(&kept[1]), "one copy for all partitions");
}
