//! Which timers of a shard run, and which is due next. Pure.
use std::collections::{BTreeSet, HashMap};

use kop_coordinator::{Timer, TimerChange};

/// Running timers by name and by time.
#[derive(Debug, Default)]
pub(super) struct Timers {
    at: HashMap<Timer, u64>,
    order: BTreeSet<(u64, Timer)>,
}

impl Timers {
    pub(super) fn apply(&mut self, change: TimerChange) {
        match change {
            TimerChange::Set(timer, at) => {
                if let Some(before) = self.at.insert(timer.clone(), at) {
                    self.order.remove(&(before, timer.clone()));
                }
                self.order.insert((at, timer));
            }
            TimerChange::Cancel(timer) => {
                if let Some(at) = self.at.remove(&timer) {
                    self.order.remove(&(at, timer));
                }
            }
        }
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<u64> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes out one that is due at `now`.
    pub(super) fn pop_due(&mut self, now: u64) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.at.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use kop_coordinator::GroupId;

    use super::*;

    fn timer(group: &str) -> Timer {
        Timer::Join(GroupId::new(group).unwrap())
    }

    #[test]
    fn timers_come_due_in_the_order_of_their_times() {
        let mut timers = Timers::default();
        timers.apply(TimerChange::Set(timer("a"), 20));
        timers.apply(TimerChange::Set(timer("b"), 10));
        assert_eq!(timers.pop_due(9), None);
        assert_eq!(timers.pop_due(20), Some(timer("b")));
        assert_eq!(timers.pop_due(20), Some(timer("a")));
        assert_eq!(timers.pop_due(20), None);
    }

    #[test]
    fn a_timer_that_is_set_again_moves() {
        let mut timers = Timers::default();
        timers.apply(TimerChange::Set(timer("a"), 10));
        timers.apply(TimerChange::Set(timer("a"), 30));
        assert_eq!(timers.pop_due(29), None);
        assert_eq!(timers.next(), Some(30));
    }

    #[test]
    fn a_cancelled_timer_never_comes_due() {
        let mut timers = Timers::default();
        timers.apply(TimerChange::Set(timer("a"), 10));
        timers.apply(TimerChange::Cancel(timer("a")));
        assert_eq!(timers.next(), None);
    }
}
