use kop_wire::Offset;
use uuid::Uuid;

use super::*;
use crate::api::fetch::{TopicRef, session::Asked};

/// A session of so many partitions.
fn session(partitions: i32) -> Session {
    let asked: Vec<_> = (0..partitions)
        .map(|index| Asked {
            topic: TopicRef::Id(Uuid::nil()),
            index,
            offset: Offset(0),
            max_bytes: 1,
            leader_epoch: -1,
            last_fetched_epoch: -1,
        })
        .collect();
    let news = vec![
        crate::api::fetch::session::News {
            watermarks: None,
            records: false,
            more: false,
            diverging: false,
        };
        asked.len()
    ];
    Session::begin(true, &asked, &news)
}

fn weight() -> usize {
    session(1).weight()
}

struct Clock(Instant);

impl Clock {
    fn at(&self, seconds: u64) -> Instant {
        self.0 + Duration::from_secs(seconds)
    }
}

fn clock() -> Clock {
    Clock(Instant::now())
}

#[test]
fn ids_are_positive_and_nobody_elses() {
    let mut sessions = Sessions::new(10, usize::MAX);
    let now = Instant::now();
    assert_eq!(sessions.begin(session(1), now, [0, -5, 7]), Some(7));
    assert_eq!(sessions.begin(session(1), now, [7, 8]), Some(8));
    assert_eq!(sessions.begin(session(1), now, [7, 8]), None);
    assert_eq!(sessions.len(), 2);
    assert!(sessions.get(7, now).is_some());
    sessions.end(7);
    sessions.end(7);
    assert!(sessions.get(7, now).is_none());
    assert_eq!(sessions.bytes, weight());
}

#[test]
fn the_longest_unused_makes_room_after_two_minutes() {
    let clock = clock();
    let mut sessions = Sessions::new(2, usize::MAX);
    sessions.begin(session(5), clock.at(0), [1]);
    sessions.begin(session(5), clock.at(1), [2]);
    assert_eq!(sessions.begin(session(5), clock.at(100), [3]), None);
    assert!(sessions.get(1, clock.at(110)).is_some());
    assert_eq!(sessions.begin(session(5), clock.at(121), [3]), None);
    assert_eq!(sessions.begin(session(5), clock.at(122), [3]), Some(3));
    assert!(sessions.get(2, clock.at(122)).is_none());
    assert!(sessions.get(1, clock.at(122)).is_some());
}

#[test]
fn an_old_small_one_makes_room_for_a_larger_one() {
    let clock = clock();
    let mut sessions = Sessions::new(3, usize::MAX);
    for (id, partitions) in [(1, 5), (2, 3), (3, 4)] {
        sessions.begin(session(partitions), clock.at(0), [id]);
    }
    for seconds in [100, 121] {
        for id in 1..=3 {
            sessions.get(id, clock.at(seconds));
        }
    }
    assert_eq!(sessions.begin(session(3), clock.at(121), [4]), None);
    assert_eq!(sessions.begin(session(4), clock.at(121), [4]), Some(4));
    assert!(sessions.get(2, clock.at(121)).is_none());
    // The new one is small and used, but not old.
    assert_eq!(sessions.begin(session(4), clock.at(122), [5]), None);
}

#[test]
fn bytes_are_bounded_too() {
    let clock = clock();
    let mut sessions = Sessions::new(100, 10 * weight());
    assert_eq!(sessions.begin(session(11), clock.at(0), [1]), None);
    assert_eq!(sessions.begin(session(6), clock.at(0), [1]), Some(1));
    assert_eq!(sessions.begin(session(5), clock.at(0), [2]), None);
    assert_eq!(sessions.begin(session(4), clock.at(0), [2]), Some(2));
    assert_eq!(sessions.begin(session(1), clock.at(0), [3]), None);
    // Who grows beyond the bounds loses his session, not somebody else.
    sessions.resize(2, (5, 5 * weight()), clock.at(1));
    assert!(sessions.get(2, clock.at(1)).is_none());
    assert_eq!(sessions.bytes, 6 * weight());
    // Shrinking makes room.
    sessions.resize(1, (1, weight()), clock.at(1));
    assert_eq!(sessions.begin(session(9), clock.at(1), [4]), Some(4));
    sessions.resize(1, (0, 0), clock.at(1));
    assert_eq!((sessions.len(), sessions.bytes), (1, 9 * weight()));
}

#[test]
fn a_session_without_partitions_is_none() {
    let mut sessions = Sessions::default();
    assert_eq!(sessions.begin(session(0), Instant::now(), [1]), None);
}
