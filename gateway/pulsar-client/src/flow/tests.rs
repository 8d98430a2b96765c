use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// A broker's side of the account, which delivers as far as permits go.
struct Broker {
    permits: i64,
    on_their_way: VecDeque<(u32, usize)>,
}

/// A reader's.
struct Reader {
    flow: Flow,
    unread: usize,
}

impl Reader {
    fn arrive(&mut self, broker: &mut Broker) -> bool {
        let Some((messages, bytes)) = broker.on_their_way.pop_front() else {
            return false;
        };
        self.flow.arrived(messages, bytes);
        self.unread += 1;
        true
    }

    fn read(&mut self, broker: &mut Broker) {
        self.unread -= 1;
        broker.permits += i64::from(self.flow.grant(self.unread).unwrap_or(0));
    }
}

fn begin(budget: usize) -> (Reader, Broker) {
    let mut flow = Flow::new(budget);
    let broker = Broker {
        permits: i64::from(flow.begin()),
        on_their_way: VecDeque::new(),
    };
    (Reader { flow, unread: 0 }, broker)
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
        // Whether an entry arrives next or is read.
        course in prop::collection::vec(any::<bool>(), 600),
    ) {
        let mut log: VecDeque<_> = entries.iter().copied().collect();
        let (mut reader, mut broker) = begin(budget);
        let mut read = 0;
        for arrives in course.into_iter().cycle() {
            broker.dispatch(&mut log);
            prop_assert!((broker.on_their_way.len() + reader.unread) as i64 <= MAX_WINDOW);
            if arrives && reader.arrive(&mut broker) {
                continue;
            }
            if reader.unread > 0 {
                reader.read(&mut broker);
                read += 1;
            } else if !reader.arrive(&mut broker) {
                break;
            }
        }
        prop_assert_eq!(read, entries.len());
    }
}

#[test]
fn entries_of_one_size_fill_the_budget_and_do_not_exceed_it() {
    let mut log: VecDeque<_> = std::iter::repeat_n((1, 10_000), 1000).collect();
    let (mut reader, mut broker) = begin(200_000);
    let mut most = 0;
    loop {
        broker.dispatch(&mut log);
        most = most.max(broker.on_their_way.len() + reader.unread);
        if !reader.arrive(&mut broker) {
            break;
        }
        reader.read(&mut broker);
    }
    assert_eq!(most, 20);
}

#[test]
fn entries_of_many_messages_come_before_the_last_ones_have_been_read() {
    let mut log: VecDeque<_> = std::iter::repeat_n((60, 10_000), 1000).collect();
    let (mut reader, mut broker) = begin(200_000);
    let mut least = usize::MAX;
    while !log.is_empty() {
        broker.dispatch(&mut log);
        while reader.arrive(&mut broker) {}
        // The window has grown by then.
        if log.len() < 900 {
            least = least.min(reader.unread);
        }
        reader.read(&mut broker);
    }
    assert_eq!(least, 11, "the one that is read, and half of the window");
}

#[test]
fn one_large_entry_closes_the_window_at_once() {
    let mut flow = Flow::new(1_000_000);
    flow.begin();
    for _ in 0..20 {
        flow.arrived(1, 100);
        flow.grant(0);
    }
    assert_eq!(flow.window, MAX_WINDOW);
    flow.arrived(1, 5_000_000);
    assert_eq!(flow.window, 1);
}
