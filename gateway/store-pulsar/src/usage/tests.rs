use std::thread;

use kop_store::TopicClass;
use tokio::time::advance;

use super::*;
use crate::log::tests::log;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_log_is_closed_a_while_after_the_last_who_held_it_has_gone() {
    let log = Arc::new(log(TopicClass::UserData, 0));
    let held = Held::of(&log).expect("it is open");
    let more = held.clone();
    drop(held);
    advance(MINUTE * 10).await;
    assert!(!log.end_unused(MINUTE), "it is held");
    drop(more);
    assert!(log.usage.unused() < MINUTE, "it was used until now");
    advance(MINUTE - Duration::from_millis(1)).await;
    assert!(!log.end_unused(MINUTE));
    advance(Duration::from_millis(1)).await;
    assert!(log.end_unused(MINUTE));
    assert!(log.is_over());
    assert!(Held::of(&log).is_none(), "nobody comes to a closed one");
    assert!(!log.end_unused(MINUTE), "it is closed once");
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_in_time_keeps_a_log_open() {
    let log = Arc::new(log(TopicClass::UserData, 0));
    for _ in 0..10 {
        advance(MINUTE - Duration::from_millis(1)).await;
        assert!(!log.end_unused(MINUTE));
        drop(Held::of(&log).expect("it is open"));
    }
}

/// Whoever got hold of it finds it open until they let go, however many come and go meanwhile.
#[tokio::test]
async fn a_log_that_is_held_is_never_closed() {
    for _ in 0..20 {
        let log = Arc::new(log(TopicClass::UserData, 0));
        let users: Vec<_> = (0..4)
            .map(|_| {
                let log = Arc::clone(&log);
                thread::spawn(move || {
                    let mut held = 0;
                    while let Some(first) = Held::of(&log) {
                        let more = first.clone();
                        drop(first);
                        assert!(!more.is_over());
                        held += 1;
                        drop(more);
                        thread::yield_now();
                    }
                    assert!(log.is_over());
                    held
                })
            })
            .collect();
        while !log.end_unused(Duration::ZERO) {
            thread::yield_now();
        }
        for user in users {
            user.join().expect("nobody found it closed");
        }
        assert_eq!(log.usage.holders.load(Ordering::Relaxed), CLOSED);
    }
}
