//! A fetch session (KIP-227): what a client fetches, and what it has been told, so that neither side
//! repeats itself. Pure: requests in, what is to be answered out.
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use kop_store::Watermarks;
use kop_wire::Offset;

use super::TopicRef;

#[cfg(test)]
mod tests;

/// Shortest time that a fetch waits whose client has left partitions out that it is about to want.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

/// A partition that a client wants records of, as its requests have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) topic: TopicRef,
    pub(super) index: i32,
    /// The first offset it wants.
    pub(super) offset: Offset,
    /// Bytes of records at the most, but for a first batch that is larger.
    pub(super) max_bytes: usize,
    /// Epoch of the leader it believes in; −1 where it does not say.
    pub(super) leader_epoch: i32,
    /// Epoch of the last record it has; −1 where it does not say (KIP-595).
    pub(super) last_fetched_epoch: i32,
}

impl Asked {
    /// Bytes that it takes while a session keeps it.
    fn weight(&self) -> usize {
        let name = match &self.topic {
            TopicRef::Name(name) => name.len(),
            TopicRef::Id(_) => 0,
        };
        size_of::<Kept>() + name
    }
}

/// What an answer would say of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    /// Where its log begins and ends; `None` where it is refused.
    pub(super) watermarks: Option<Watermarks>,
    /// Whether there are records.
    pub(super) records: bool,
    /// Whether the log goes on behind these records.
    pub(super) more: bool,
    /// Whether the client is told that its records are not the log's.
    pub(super) diverging: bool,
}

impl News {
    /// What need not be said again next time; `None` where everything needs to be.
    fn told(self) -> Option<Watermarks> {
        self.watermarks.filter(|_| !self.diverging)
    }
}

/// One client's session.
#[derive(Debug)]
pub(super) struct Session {
    /// Whether its topics are named by id. Requests of one session are all of the same kind.
    by_id: bool,
    /// The epoch of the request that comes next, 1 or more.
    epoch: i32,
    /// Those that were not answered with records for longest come first.
    partitions: Vec<Kept>,
    weight: usize,
    /// How long the next fetch may wait, where that is not for the client alone to say.
    patience: Option<Duration>,
}

#[derive(Debug)]
struct Kept {
    asked: Asked,
    /// What the client knows of it.
    told: Option<Watermarks>,
    /// Whether the last answer had records of it, and not the last ones.
    more: bool,
}

/// A request that does not belong to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// Its epoch is not the next one.
    Epoch,
    /// It names topics by id, or does not, and the session is of the other kind.
    Naming,
}

impl Session {
    /// The session that a full fetch begins, and whose first answer says all of `news`. Both are in the
    /// order of the request.
    pub(super) fn begin(by_id: bool, asked: &[Asked], news: &[News]) -> Self {
        let mut session = Self {
            by_id,
            epoch: 1,
            partitions: Vec::with_capacity(asked.len()),
            weight: 0,
            patience: None,
        };
        for (asked, news) in asked.iter().zip(news) {
            session.keep(asked.clone(), news.told(), news.more);
        }
        session.let_go_of_requests();
        session.rotate(|at| news.get(at).is_some_and(|news| news.records));
        session
    }

    /// How many partitions it has.
    pub(super) fn len(&self) -> usize {
        self.partitions.len()
    }

    /// Bytes that it takes, roughly.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Takes the next request: partitions that are new or fetched from elsewhere, and some to forget.
    /// Gives all of its partitions, in the order in which they are to be read.
    ///
    /// # Errors
    /// A request of another epoch or naming, which changes nothing.
    pub(super) fn proceed(
        &mut self,
        by_id: bool,
        epoch: i32,
        changed: Vec<Asked>,
        forgotten: Vec<(TopicRef, i32)>,
    ) -> Result<Vec<Asked>, Mismatch> {
        if epoch != self.epoch {
            return Err(Mismatch::Epoch);
        }
        if by_id != self.by_id {
            return Err(Mismatch::Naming);
        }
        self.epoch = after(epoch);
        self.change(changed, forgotten);
        Ok(self
            .partitions
            .iter()
            .map(|kept| kept.asked.clone())
            .collect())
    }

    fn change(&mut self, changed: Vec<Asked>, forgotten: Vec<(TopicRef, i32)>) {
        if changed.is_empty() && forgotten.is_empty() {
            return;
        }
        let mut order = Vec::with_capacity(changed.len());
        let mut by_name: HashMap<(TopicRef, i32), Asked> = HashMap::with_capacity(changed.len());
        for asked in changed {
            let name = (asked.topic.clone(), asked.index);
            if by_name.insert(name.clone(), asked).is_none() {
                order.push(name);
            }
        }
        let forgotten: HashSet<(TopicRef, i32)> = forgotten.into_iter().collect();
        for kept in &mut self.partitions {
            // The clone shares the name's memory.
            let name = (kept.asked.topic.clone(), kept.asked.index);
            if let Some(asked) = by_name.remove(&name) {
                kept.asked = Asked {
                    topic: name.0,
                    ..asked
                };
            }
        }
        let mut added = false;
        for name in order {
            if let Some(asked) = by_name.remove(&name) {
                self.keep(asked, None, false);
                added = true;
            }
        }
        if !forgotten.is_empty() {
            let (weight, patience) = (&mut self.weight, &mut self.patience);
            self.partitions.retain(|kept| {
                let stays = !forgotten.contains(&(kept.asked.topic.clone(), kept.asked.index));
                if !stays {
                    *weight -= kept.asked.weight();
                    if kept.more {
                        *patience = Some(SHORTEST_WAIT);
                    }
                }
                stays
            });
        }
        if added {
            self.let_go_of_requests();
        }
    }

    /// Says which partitions the answer to the request of this epoch has to name, in the order that
    /// [`Session::proceed`] gave: those with records or an error, and those of which the client knows
    /// something that is no longer so. Those with records come last next time.
    ///
    /// # Errors
    /// Another request of the session has come in between.
    pub(super) fn answer(&mut self, epoch: i32, news: &[News]) -> Result<Vec<bool>, Mismatch> {
        if after(epoch) != self.epoch || news.len() != self.partitions.len() {
            return Err(Mismatch::Epoch);
        }
        let say = |(kept, news): (&mut Kept, &News)| {
            let told = news.told();
            let changed = told.is_none() || told != kept.told;
            kept.told = told;
            kept.more = news.more;
            news.records || changed
        };
        let said = self.partitions.iter_mut().zip(news).map(say).collect();
        self.rotate(|at| news.get(at).is_some_and(|news| news.records));
        if !news.iter().any(|news| news.records) {
            self.patience = self.patience.map(|patience| patience.saturating_mul(2));
        }
        Ok(said)
    }

    /// How long the request that [`Session::proceed`] took may wait for records, where that is less than
    /// its client allows.
    ///
    /// Java's consumer leaves out the partitions whose records it holds and has not handed on yet, and
    /// has one fetch at a time on its way to a node. Where those that it asks for are at their end, that
    /// fetch would wait for all of `max_wait_ms`, while the client hands on what it holds and then cannot
    /// ask for what follows. So a fetch that leaves out a partition with more to come waits for little,
    /// and twice as long each time that there was nothing: the client loses no more time than it took
    /// over what it held, and one that takes very long asks a few times in vain.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.patience
    }

    fn keep(&mut self, asked: Asked, told: Option<Watermarks>, more: bool) {
        self.weight += asked.weight();
        self.partitions.push(Kept { asked, told, more });
    }

    /// Moves the partitions that had something to the end: else the first ones would take all the room
    /// of every answer.
    fn rotate(&mut self, had: impl Fn(usize) -> bool) {
        let mut last = Vec::new();
        let all = std::mem::take(&mut self.partitions);
        self.partitions.reserve_exact(all.len());
        for (at, kept) in all.into_iter().enumerate() {
            if had(at) {
                last.push(kept);
            } else {
                self.partitions.push(kept);
            }
        }
        self.partitions.append(&mut last);
    }

    /// Names share the memory of the request they came in, which is not to stay as long as they do.
    fn let_go_of_requests(&mut self) {
        let mut own: HashMap<TopicRef, TopicRef> = HashMap::new();
        for kept in &mut self.partitions {
            let topic = &mut kept.asked.topic;
            if let TopicRef::Name(_) = topic {
                let copy = || topic.copied();
                *topic = own.entry(topic.clone()).or_insert_with(copy).clone();
            }
        }
    }
}

/// The epoch that follows; 0 is that of a session's first request and does not come again.
fn after(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}
