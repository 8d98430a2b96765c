//! What is told of groups to those who look at them from outside.
use std::{collections::BTreeSet, fmt};

use bytes::Bytes;

use crate::{
    GroupId, InstanceId, MemberId, Name,
    classic::{Group, State},
    groups::Groups,
};

/// Where a group stands. It displays as what Kafka's tools call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    /// No members; committed offsets may be there.
    Empty,
    /// Waits for its members to join.
    PreparingRebalance,
    /// Waits for its leader's assignment.
    CompletingRebalance,
    /// Everyone has an assignment.
    Stable,
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        })
    }
}

impl From<State> for GroupState {
    fn from(state: State) -> Self {
        match state {
            State::Empty => Self::Empty,
            State::Preparing(_) => Self::PreparingRebalance,
            State::Completing => Self::CompletingRebalance,
            State::Stable => Self::Stable,
        }
    }
}

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group.
    pub group: GroupId,
    /// The class of protocols; empty where nobody ever joined, as with consumers that only commit.
    pub protocol_type: Name,
    /// Where it stands.
    pub state: GroupState,
}

/// A group and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedGroup {
    /// The class of protocols; empty where nobody ever joined.
    pub protocol_type: Name,
    /// Where it stands.
    pub state: GroupState,
    /// The protocol that was chosen; `None` where the group is not stable.
    pub protocol: Option<Name>,
    /// The members.
    pub members: Vec<DescribedMember>,
}

/// A member as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// The member.
    pub member: MemberId,
    /// Set for a static member.
    pub instance: Option<InstanceId>,
    /// The client id it connected with.
    pub client_id: Name,
    /// Where it connected from.
    pub client_host: Name,
    /// Its subscription under the chosen protocol; empty where the group is not stable.
    pub subscription: Bytes,
    /// Its assignment; empty where the group is not stable.
    pub assignment: Bytes,
}

impl Groups {
    /// Every group there is, by name: with members, with a past, or with no more than offsets.
    pub(crate) fn list(&self) -> Vec<ListedGroup> {
        self.ids()
            .into_iter()
            .map(|id| ListedGroup {
                group: id.clone(),
                protocol_type: self.protocol_type(id),
                state: self.state(id),
            })
            .collect()
    }

    /// `None` where there is no such group.
    pub(crate) fn describe(&self, id: &GroupId) -> Option<DescribedGroup> {
        if !self.exists(id) {
            return None;
        }
        let live = self.live.get(id);
        Some(DescribedGroup {
            protocol_type: self.protocol_type(id),
            state: self.state(id),
            protocol: live.and_then(Group::settled_protocol),
            members: live.map(Group::describe_members).unwrap_or_default(),
        })
    }

    pub(crate) fn exists(&self, id: &GroupId) -> bool {
        self.live.contains_key(id) || self.hard.knows(id)
    }

    pub(crate) fn ids(&self) -> BTreeSet<&GroupId> {
        let mut ids = self.hard.ids();
        ids.extend(self.live.keys());
        ids
    }

    pub(crate) fn state(&self, id: &GroupId) -> GroupState {
        let live = self.live.get(id);
        live.map_or(GroupState::Empty, |group| group.state().into())
    }

    fn protocol_type(&self, id: &GroupId) -> Name {
        let live = self.live.get(id).and_then(Group::protocol_type);
        let logged = || self.hard.group(id).map(|group| &group.protocol_type);
        live.or_else(logged).cloned().unwrap_or_else(Name::empty)
    }
}
