use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// A broker's side of the account, which delivers as far as permits go.
struct Broker {
    permits: i64,
    on_their_way: VecDeque<(u32, usize)>,
}

impl Broker {
    fn dispatch(&mut self, log: &mut VecDeque<(u32, usize)>) {
        while self.permits > 0 && !log.is_empty() {
            for _ in 0..self.permits.min(100) {
                let Some(entry) = log.pop_front() else { break };
                self.permits -= i64::from(entry.0);
                self.on_their_way.push_back(entry);
            }
        }
    }
}

proptest! {
    #[test]
    fn every_entry_comes_and_never_more_than_the_window_are_on_their_way(
        entries in prop::collection::vec((1..2000_u32, 1..200_000_usize), 1..600),
        budget in 1..4_000_000_usize,
    ) {
        let mut log: VecDeque<_> = entries.iter().copied().collect();
        let mut flow = Flow::new(budget);
        let mut broker = Broker { permits: i64::from(flow.begin()), on_their_way: VecDeque::new() };
        let mut read = 0;
        loop {
            broker.dispatch(&mut log);
            prop_assert!(broker.on_their_way.len() as i64 <= MAX_WINDOW);
            let Some((messages, bytes)) = broker.on_their_way.pop_front() else { break };
            read += 1;
            broker.permits += i64::from(flow.read(messages, bytes).unwrap_or(0));
        }
        prop_assert_eq!(read, entries.len());
    }
}

#[test]
fn entries_of_one_size_fill_the_budget_and_do_not_exceed_it() {
    let mut log: VecDeque<_> = std::iter::repeat_n((1, 10_000), 1000).collect();
    let mut flow = Flow::new(200_000);
    let mut broker = Broker {
        permits: i64::from(flow.begin()),
        on_their_way: VecDeque::new(),
    };
    let mut most = 0;
    loop {
        broker.dispatch(&mut log);
        most = most.max(broker.on_their_way.len());
        let Some((messages, bytes)) = broker.on_their_way.pop_front() else {
            break;
        };
        broker.permits += i64::from(flow.read(messages, bytes).unwrap_or(0));
    }
    assert_eq!(most, 20);
}

#[test]
fn one_large_entry_closes_the_window_at_once() {
    let mut flow = Flow::new(1_000_000);
    flow.begin();
    for _ in 0..20 {
        flow.read(1, 100);
    }
    assert_eq!(flow.window, MAX_WINDOW);
    flow.read(1, 5_000_000);
    assert_eq!(flow.window, 1);
}
