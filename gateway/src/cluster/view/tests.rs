use proptest::prelude::*;

use super::*;
use crate::cluster::announcement::Address;

fn member(node: i32, run: u128) -> Member {
    Member {
        node,
        incarnation: Uuid::from_u128(run),
        listeners: vec![Address {
            name: "plain".to_owned(),
            host: format!("gateway-{node}"),
            port: 9092,
        }],
    }
}

fn partition(index: i32) -> PartitionId {
    PartitionId {
        topic: kop_wire::TopicName::new("orders").unwrap(),
        index,
    }
}

fn leave(node: i32, run: u128) -> Announcement {
    Announcement::Leave {
        node,
        incarnation: Uuid::from_u128(run),
    }
}

#[test]
fn who_left_is_not_in_and_only_the_run_that_ended_leaves() {
    let mut view = View::default();
    assert!(view.follow(&Announcement::Join(member(1, 10))));
    assert!(!view.follow(&Announcement::Join(member(1, 10))));
    assert!(
        view.follow(&Announcement::Join(member(1, 11))),
        "a new run of it"
    );
    assert!(!view.follow(&leave(1, 10)), "the old run is gone already");
    assert!(view.has(1, Uuid::from_u128(11)));
    assert!(view.follow(&leave(1, 11)));
    assert_eq!((view.number(), view.members().count()), (3, 0));
    assert_eq!(view.leader(&partition(0)), None);
}

#[test]
fn a_view_that_was_written_down_stands_for_all_before_it() {
    let mut known = View::default();
    for node in 0..3 {
        known.follow(&Announcement::Join(member(node, 1)));
    }
    let written = Announcement::View(known.clone());
    let read = Announcement::decode(&written.encode()).unwrap();
    let mut newcomer = View::default();
    assert!(newcomer.follow(&read));
    assert_eq!(newcomer, known);
    assert!(
        !known.follow(&read),
        "to those who know it, it is nothing new"
    );
}

#[test]
fn each_member_is_watched_by_one_and_who_is_alone_by_nobody() {
    let mut view = View::default();
    view.follow(&Announcement::Join(member(4, 1)));
    assert_eq!(view.watched_by(4), None);
    for node in [9, 2] {
        view.follow(&Announcement::Join(member(node, 1)));
    }
    let watched = |node| view.watched_by(node).map(|member| member.node);
    assert_eq!(
        [watched(2), watched(4), watched(9)],
        [Some(4), Some(9), Some(2)]
    );
}

#[test]
fn listeners_are_found_by_name_and_the_first_serves_the_others() {
    let mut both = member(0, 1);
    both.listeners.push(Address {
        name: "ext".to_owned(),
        host: "2001:db8::1".to_owned(),
        port: 32_100,
    });
    assert_eq!(
        both.address("ext").unwrap().to_string(),
        "[2001:db8::1]:32100"
    );
    assert_eq!(both.address("other").unwrap().to_string(), "gateway-0:9092");
}

#[test]
fn topics_that_changed_change_no_view() {
    let mut view = View::default();
    view.follow(&Announcement::Join(member(1, 1)));
    let before = view.clone();
    let changed = Announcement::Topics((&partition(0).topic).into());
    let read = Announcement::decode(&changed.encode()).unwrap();
    assert_eq!(read, changed);
    assert!(!view.follow(&read));
    assert_eq!(view, before);
    let wide = Announcement::decode(b"{\"topics\":{\"all\":true}}").unwrap();
    assert!(matches!(wide, Announcement::Topics(changed) if changed.all));
}

#[test]
fn garbage_in_the_log_is_no_announcement() {
    for bytes in [&b""[..], b"{}", b"\xff\xfe", b"{\"dance\":{}}"] {
        assert!(Announcement::decode(bytes).is_err());
    }
}

proptest! {
    /// The epoch that is computed from one view alone is the number of the view in which a run of
    /// views with the same leader, in the same incarnation, began.
    #[test]
    fn epochs_are_those_of_the_history(steps in prop::collection::vec((0..5_i32, any::<bool>()), 1..60)) {
        let mut view = View::default();
        let mut history: Vec<Option<(Leader, Uuid)>> = vec![None; 8];
        for (run, (node, joins)) in (1..).zip(steps) {
            let announcement = if joins {
                Announcement::Join(member(node, run))
            } else {
                let Some(seated) = view.member(node) else { continue };
                leave(node, seated.incarnation.as_u128())
            };
            prop_assert!(view.follow(&announcement));
            for (index, before) in (0..).zip(&mut history) {
                let now = view.leader(&partition(index)).map(|leader| {
                    (leader, view.member(leader.node).unwrap().incarnation)
                });
                if let Some((leader, run)) = now {
                    let led_on = before.is_some_and(|(b, r)| b.node == leader.node && r == run);
                    let expected = if led_on { before.unwrap().0.epoch } else { view.number() };
                    prop_assert_eq!(leader.epoch, expected);
                }
                // A time without any leader ends a leadership, too.
                *before = now;
            }
        }
    }
}

#[test]
fn where_announcements_were_removed_a_view_that_is_written_down_is_the_newest_for_all() {
    let mut known = View::after(0);
    for node in 0..3 {
        known.follow(&Announcement::Join(member(node, 1)));
    }
    // The first two joins are gone.
    let mut newcomer = View::after(2);
    newcomer.follow(&Announcement::Join(member(2, 1)));
    newcomer.follow(&Announcement::Join(member(3, 1)));
    known.follow(&Announcement::Join(member(3, 1)));
    assert!(newcomer.is_partial() && !known.is_partial());
    let written = Announcement::View(newcomer.clone());
    assert!(known.follow(&Announcement::decode(&written.encode()).unwrap()));
    assert_eq!(known.number(), newcomer.number());
    assert!(
        !known.has(0, Uuid::from_u128(1)),
        "it sees that it is out, and joins"
    );
}
