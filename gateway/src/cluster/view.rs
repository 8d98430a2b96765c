//! Who is in, as a pure function of what was announced.
//!
//! Every gateway reads the same announcements in the same order and so comes to the same views, each
//! with its number. A partition's leader is the member that its placement prefers, and its leader
//! epoch the number of the view in which that member became the leader: it rises whenever the leader
//! changes, and a leader that went and came back has another one.
use std::{cmp::Reverse, collections::BTreeMap};

use kop_store::PartitionId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    announcement::{Announcement, Member},
    placement::weights,
};

/// Who is in, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct View {
    /// Rises by one with each change of who is in.
    number: i32,
    /// By node id. A seat that was left stays, as what is known of the last who had it.
    seats: BTreeMap<i32, Seat>,
    /// Announcements had been removed before they were read.
    #[serde(skip)]
    partial: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seat {
    /// Who has the seat; `None` when it was left.
    member: Option<Member>,
    /// The view with which that began.
    since: i32,
}

/// A partition's leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leader {
    /// Its node id.
    pub(crate) node: i32,
    /// Number of the view that made it the leader.
    pub(crate) epoch: i32,
}

impl View {
    /// Follows an announcement. Answers whether someone came or went.
    pub(crate) fn follow(&mut self, announcement: &Announcement) -> bool {
        match announcement {
            Announcement::Join(member) => {
                let seated = self.member(member.node);
                if seated == Some(member) {
                    return false;
                }
                self.seat(member.node, Some(member.clone()));
                true
            }
            Announcement::Leave { node, incarnation } => {
                let seated = self.member(*node);
                // Whoever has the seat by now is another one, and stays.
                if seated.is_none_or(|member| member.incarnation != *incarnation) {
                    return false;
                }
                self.seat(*node, None);
                true
            }
            Announcement::View(view) => {
                let newer = view.number > self.number;
                if newer {
                    self.clone_from(view);
                }
                newer
            }
            Announcement::Topics(_) => false,
        }
    }

    fn seat(&mut self, node: i32, member: Option<Member>) {
        self.number = self.number.saturating_add(1);
        let since = self.number;
        self.seats.insert(node, Seat { member, since });
    }

    /// A view without members, whose number is not below any that there may have been before.
    pub(crate) fn empty(number: i32) -> Self {
        Self {
            number,
            seats: BTreeMap::new(),
            partial: false,
        }
    }

    /// What is known before the first announcement that is still there, so many having been removed.
    ///
    /// The views that those came to are not known, only that they were not more than the announcements. A
    /// number beyond all of them makes the view that is then written down ([`Announcement::View`]) the
    /// newest for everyone, and who is missing in it joins again.
    pub(crate) fn after(removed: u64) -> Self {
        let number = i32::try_from(removed).map_or(i32::MAX, |removed| removed.saturating_add(1));
        Self {
            partial: removed > 0,
            ..Self::empty(if removed > 0 { number } else { 0 })
        }
    }

    /// Whether others may know of members that this view lacks.
    pub(crate) fn is_partial(&self) -> bool {
        self.partial
    }

    /// Rises by one with each change of who is in.
    pub(crate) fn number(&self) -> i32 {
        self.number
    }

    /// Who is in, by node id.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.seats.values().filter_map(|seat| seat.member.as_ref())
    }

    /// The member with that node id.
    pub(crate) fn member(&self, node: i32) -> Option<&Member> {
        self.seats.get(&node)?.member.as_ref()
    }

    /// Whether that very run of a gateway is in.
    pub(crate) fn has(&self, node: i32, incarnation: Uuid) -> bool {
        self.member(node)
            .is_some_and(|member| member.incarnation == incarnation)
    }

    /// The member whom `node` watches: the next one, in a ring by node id. `None` for who is alone.
    pub(crate) fn watched_by(&self, node: i32) -> Option<&Member> {
        let next = self.members().find(|member| member.node > node);
        next.or_else(|| self.members().next())
            .filter(|member| member.node != node)
    }

    /// Who leads a partition; `None` while nobody is in.
    pub(crate) fn leader(&self, partition: &PartitionId) -> Option<Leader> {
        let weight = weights(partition);
        let rank = |node: i32| (weight(node), Reverse(node));
        let seats = || {
            self.seats
                .iter()
                .map(|(node, seat)| (rank(*node), *node, seat))
        };
        let (best, node, seat) = seats()
            .filter(|(_, _, seat)| seat.member.is_some())
            .max_by_key(|(rank, ..)| *rank)?;
        // It leads since it came, or since the last went who would be preferred to it.
        let preferred = seats().filter(|(rank, ..)| *rank > best);
        let epoch = preferred
            .map(|(_, _, gone)| gone.since)
            .fold(seat.since, i32::max);
        Some(Leader { node, epoch })
    }
}

#[cfg(test)]
mod tests;
