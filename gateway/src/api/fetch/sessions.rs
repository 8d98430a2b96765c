//! The fetch sessions of all clients (KIP-227), bounded in number and in bytes. Pure: time and chance
//! are arguments.
//!
//! | a session goes when | |
//! | --- | --- |
//! | its client ends it or begins another | at once |
//! | there is no room for a new one, and it was not used for two minutes | the longest unused first |
//! | there is no room, and it is older than two minutes and has fewer partitions than the new one | the smallest first |
//!
//! Where nothing may go, the new client gets no session, and names all its partitions each time.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use super::session::Session;

#[cfg(test)]
mod tests;

/// Sessions at the most, as Kafka's `max.incremental.fetch.session.cache.slots`.
const SLOTS: usize = 1_000;
/// Bytes of all sessions at the most.
const BYTES: usize = 16 << 20;
/// How long an unused session stays for sure, and how long a small one is safe from larger ones.
const SAFE: Duration = Duration::from_secs(120);

/// A session as those share it who serve its requests.
pub(super) type Shared = Arc<Mutex<Session>>;

/// All sessions by their ids.
#[derive(Debug)]
pub(crate) struct Sessions {
    by_id: HashMap<i32, Slot>,
    bytes: usize,
    slots: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Slot {
    session: Shared,
    partitions: usize,
    bytes: usize,
    created: Instant,
    used: Instant,
}

impl Default for Sessions {
    fn default() -> Self {
        Self::new(SLOTS, BYTES)
    }
}

impl Sessions {
    pub(super) fn new(slots: usize, most_bytes: usize) -> Self {
        Self {
            by_id: HashMap::new(),
            bytes: 0,
            slots,
            most_bytes,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The session of that id, which is in use now.
    pub(super) fn get(&mut self, id: i32, now: Instant) -> Option<Shared> {
        let slot = self.by_id.get_mut(&id)?;
        slot.used = now;
        Some(Arc::clone(&slot.session))
    }

    /// Ends a session, if there is one of that id.
    pub(super) fn end(&mut self, id: i32) {
        if let Some(slot) = self.by_id.remove(&id) {
            self.bytes -= slot.bytes;
        }
    }

    /// Notes that a session has become larger or smaller. One that does not fit any longer ends: its
    /// client begins another.
    pub(super) fn resize(&mut self, id: i32, (partitions, bytes): (usize, usize), now: Instant) {
        let Some(slot) = self.by_id.get_mut(&id) else {
            return;
        };
        slot.partitions = partitions;
        self.bytes = self.bytes - slot.bytes + bytes;
        slot.bytes = bytes;
        if partitions == 0 {
            self.end(id);
        }
        while self.bytes > self.most_bytes {
            match self.victim(partitions, now) {
                Some(victim) => self.end(victim),
                None => return self.end(id),
            }
        }
    }

    /// Keeps a new session, if there is room or room can be made. Its id is the first of `ids` that is
    /// no other one's.
    pub(super) fn begin(
        &mut self,
        session: Session,
        now: Instant,
        ids: impl IntoIterator<Item = i32>,
    ) -> Option<i32> {
        let (partitions, bytes) = (session.len(), session.weight());
        if partitions == 0 || bytes > self.most_bytes {
            return None;
        }
        while self.by_id.len() >= self.slots || self.bytes + bytes > self.most_bytes {
            let victim = self.victim(partitions, now)?;
            self.end(victim);
        }
        let taken = |id: &i32| *id <= 0 || self.by_id.contains_key(id);
        let id = ids.into_iter().find(|id| !taken(id))?;
        self.bytes += bytes;
        let slot = Slot {
            session: Arc::new(Mutex::new(session)),
            partitions,
            bytes,
            created: now,
            used: now,
        };
        self.by_id.insert(id, slot);
        Some(id)
    }

    /// The session that makes room for one of so many partitions.
    fn victim(&self, partitions: usize, now: Instant) -> Option<i32> {
        let (unused, slot) = self.by_id.iter().min_by_key(|(_, slot)| slot.used)?;
        if now.duration_since(slot.used) > SAFE {
            return Some(*unused);
        }
        let smaller =
            |slot: &Slot| slot.partitions < partitions && now.duration_since(slot.created) > SAFE;
        let smaller = self.by_id.iter().filter(|(_, slot)| smaller(slot));
        let smallest = smaller.min_by_key(|(_, slot)| (slot.partitions, slot.used));
        smallest.map(|(id, _)| *id)
    }
}
