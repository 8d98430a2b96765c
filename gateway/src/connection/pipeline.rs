//! Requests of one connection: which may run now, and whose answer is next.
use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::oneshot;

use crate::{
    api::{Order, Turn},
    dispatch::{Outcome, Request},
    gateway::Gateway,
};

/// Answers that may be as large as a fetch, in the making or waiting for earlier ones, at a time.
const MOST_LARGE: u64 = 8;

/// The requests that have not been answered, in their order.
pub(super) struct Pipeline {
    gateway: Arc<Gateway>,
    from: (SocketAddr, usize),
    /// Number of the request in `slots`' front.
    first: u64,
    /// The outcome of each request, once it is known.
    slots: VecDeque<Option<Outcome>>,
    /// Requests that may not begin yet.
    queued: VecDeque<(u64, Request)>,
    running: FuturesUnordered<BoxFuture<'static, (u64, Order, Outcome)>>,
    serial: usize,
    appends: usize,
    /// Resolves when the last append that began has been handed to the store.
    last_append: Option<oneshot::Receiver<()>>,
    /// Nobody waits for the answers.
    abandoned: bool,
    /// The client does not take what it has been answered.
    held: bool,
}

impl Pipeline {
    pub(super) fn new(gateway: Arc<Gateway>, from: (SocketAddr, usize)) -> Self {
        Self {
            gateway,
            from,
            first: 0,
            slots: VecDeque::new(),
            queued: VecDeque::new(),
            running: FuturesUnordered::new(),
            serial: 0,
            appends: 0,
            last_append: None,
            abandoned: false,
            held: false,
        }
    }

    /// Requests whose outcome has not been taken.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is left to do.
    pub(super) fn is_empty(&self) -> bool {
        let only_waiting = self.serial == 0 && self.appends == 0 && self.queued.is_empty();
        self.slots.is_empty() || (self.abandoned && only_waiting)
    }

    /// Whether [`advance`](Self::advance) has something to wait for.
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    pub(super) fn push(&mut self, request: Request) {
        let number = self.first + self.slots.len() as u64;
        self.slots.push_back(None);
        self.queued.push_back((number, request));
        self.start();
    }

    /// Adds a request that needs no serving.
    pub(super) fn push_settled(&mut self, outcome: Outcome) {
        self.slots.push_back(Some(outcome));
    }

    /// Waits until one more request has its outcome. May be dropped and called again.
    pub(super) async fn advance(&mut self) {
        let Some((number, order, outcome)) = self.running.next().await else {
            return;
        };
        match order {
            Order::Serial => self.serial -= 1,
            Order::Appends => self.appends -= 1,
            Order::Waits => {}
        }
        let slot = number
            .checked_sub(self.first)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(slot) = slot.and_then(|at| self.slots.get_mut(at)) {
            *slot = Some(outcome);
        }
        self.start();
    }

    /// The oldest request's outcome, if it is known.
    pub(super) fn pop(&mut self) -> Option<Outcome> {
        if !matches!(self.slots.front(), Some(Some(_))) {
            return None;
        }
        self.first += 1;
        let outcome = self.slots.pop_front().flatten();
        self.start();
        outcome
    }

    /// Whether to begin nothing whose answer may be large, until the client has taken more.
    pub(super) fn hold(&mut self, held: bool) {
        if std::mem::replace(&mut self.held, held) && !held {
            self.start();
        }
    }

    /// The client is gone: what it asked for is still done, but for what waits for others.
    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
        self.queued
            .retain(|(_, request)| request.order() != Order::Waits);
        self.start();
    }

    /// Stops everything.
    pub(super) fn clear(&mut self) {
        self.first += self.slots.len() as u64;
        self.slots.clear();
        self.queued.clear();
        self.running.clear();
        (self.serial, self.appends) = (0, 0);
    }

    /// Begins all requests that may begin.
    fn start(&mut self) {
        while let Some((number, request)) = self.queued.front() {
            let order = request.order();
            let has_room = !self.held && number - self.first < MOST_LARGE;
            let may = match order {
                Order::Appends => self.serial == 0,
                Order::Serial => self.serial == 0 && self.appends == 0,
                Order::Waits => self.serial == 0 && self.appends == 0 && has_room,
            };
            if !may {
                return;
            }
            let Some((number, request)) = self.queued.pop_front() else {
                return;
            };
            let mut turn = None;
            match order {
                Order::Serial => self.serial += 1,
                Order::Appends => {
                    self.appends += 1;
                    let (after, handed_over) = oneshot::channel();
                    let before = self.last_append.replace(handed_over);
                    turn = Some(Turn { before, after });
                }
                Order::Waits => {}
            }
            let (gateway, from) = (Arc::clone(&self.gateway), self.from);
            self.running.push(Box::pin(async move {
                (number, order, request.serve(gateway, from, turn).await)
            }));
        }
    }
}
