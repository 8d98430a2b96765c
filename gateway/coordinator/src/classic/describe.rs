//! A group as others see it.
use bytes::Bytes;

use super::{Group, State, Turn};
use crate::{DescribedMember, Name};

impl Group {
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Members, those who have only been given an id left out.
    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn protocol_type(&self) -> Option<&Name> {
        self.protocol_type.as_ref()
    }

    /// The protocol that assignments were made under.
    pub(crate) fn settled_protocol(&self) -> Option<Name> {
        self.protocol
            .clone()
            .filter(|_| self.state == State::Stable)
    }

    pub(crate) fn describe_members(&self) -> Vec<DescribedMember> {
        let is_stable = self.state == State::Stable;
        let if_stable = |bytes: Bytes| if is_stable { bytes } else { Bytes::new() };
        self.members
            .iter()
            .map(|(id, member)| DescribedMember {
                member: id.clone(),
                instance: member.instance.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                subscription: if_stable(member.metadata(self.protocol.as_ref())),
                assignment: if_stable(member.assignment.clone()),
            })
            .collect()
    }

    /// What the members said of themselves under the protocol of their generation, or, where the next
    /// one is yet to be chosen, under every one they support.
    pub(crate) fn subscriptions(&self) -> impl Iterator<Item = &Bytes> {
        let chosen = match self.state {
            State::Empty | State::Preparing(_) => None,
            State::Completing | State::Stable => self.protocol.as_ref(),
        };
        let protocols = self.members.values().flat_map(|member| &member.protocols);
        protocols
            .filter(move |protocol| chosen.is_none_or(|chosen| protocol.name == *chosen))
            .map(|protocol| &protocol.metadata)
    }

    /// Nobody waits to become a member any more: the group is being removed.
    pub(crate) fn disband(self, turn: &mut Turn<'_>) {
        for id in &self.pending {
            turn.cancel(turn.session_timer(id));
        }
    }
}
