//! From one generation to the next.
use std::collections::{HashMap, HashSet};

use super::{Group, Round, State, Turn};
use crate::{GroupError, MemberId, Name, Reply};

impl Group {
    /// Starts a rebalance, unless one is already waiting, and ends it at once where nobody is missing.
    pub(super) fn rebalance(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::Preparing(_) => {}
            State::Empty => self.wait_for_newcomers(turn),
            State::Completing | State::Stable => {
                self.interrupt_syncs(turn, &GroupError::RebalanceInProgress);
                self.state = State::Preparing(Round::Members);
                turn.set(turn.join_timer(), self.longest_rebalance_timeout_ms());
            }
        }
        self.complete_if_all_joined(turn);
    }

    fn wait_for_newcomers(&mut self, turn: &mut Turn<'_>) {
        let delay = turn.config.initial_rebalance_delay_ms;
        self.state = State::Preparing(Round::First {
            remaining_ms: self.longest_rebalance_timeout_ms().saturating_sub(delay),
            newcomers: false,
        });
        if delay == 0 {
            self.complete(turn);
        } else {
            turn.set(turn.join_timer(), delay);
        }
    }

    /// Nobody waits for an assignment any more.
    pub(super) fn interrupt_syncs(&mut self, turn: &mut Turn<'_>, told: &GroupError) {
        self.unsynced.clear();
        turn.cancel(turn.sync_timer());
        for (id, ticket) in self.take_syncing() {
            self.touch(turn, &id);
            turn.reply(ticket, Reply::Sync(Err(told.clone())));
        }
    }

    /// The time to join is over, or a first rebalance looks whether more members came.
    pub(crate) fn join_timer_ran_out(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::Preparing(Round::First {
                remaining_ms,
                newcomers: true,
            }) if remaining_ms > 0 => {
                let delay = turn.config.initial_rebalance_delay_ms.min(remaining_ms);
                self.state = State::Preparing(Round::First {
                    remaining_ms: remaining_ms - delay,
                    newcomers: false,
                });
                turn.set(turn.join_timer(), delay);
            }
            State::Preparing(_) => self.complete(turn),
            State::Empty | State::Completing | State::Stable => {}
        }
    }

    pub(super) fn complete_if_all_joined(&mut self, turn: &mut Turn<'_>) {
        let all_here =
            self.pending.is_empty() && self.members.values().all(|m| m.joining.is_some());
        if self.state == State::Preparing(Round::Members) && all_here {
            self.complete(turn);
        }
    }

    fn complete(&mut self, turn: &mut Turn<'_>) {
        self.drop_absent(turn);
        let is_anyone_here = self.members.values().any(|m| m.joining.is_some());
        if !self.members.is_empty() && !is_anyone_here {
            // Only static members, all of them away: they may be restarting.
            self.state = State::Preparing(Round::Members);
            turn.set(turn.join_timer(), self.longest_rebalance_timeout_ms());
            return;
        }
        turn.cancel(turn.join_timer());
        turn.out.counts.rebalances += 1;
        self.generation = self.generation.wrapping_add(1).max(1);
        for member in self.members.values_mut() {
            member.assignment.clear();
        }
        if self.members.is_empty() {
            self.state = State::Empty;
            self.protocol = None;
            self.leader = None;
            let record = self.record(turn);
            turn.out.records.push(record);
            return;
        }
        self.elect_leader();
        self.protocol = self.choose_protocol();
        self.state = State::Completing;
        self.announce(turn);
    }

    /// Dynamic members that have not joined are out; static ones have their session to come back.
    fn drop_absent(&mut self, turn: &mut Turn<'_>) {
        let absent: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(_, member)| member.joining.is_none() && member.instance.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for id in absent {
            self.drop_member(turn, &id);
        }
    }

    /// Whoever leads must be here to assign.
    fn elect_leader(&mut self) {
        let is_here = |id: &MemberId| self.members.get(id).is_some_and(|m| m.joining.is_some());
        if !self.leader.as_ref().is_some_and(is_here) {
            self.leader = self.members.keys().find(|id| is_here(id)).cloned();
        }
    }

    /// The protocol most members prefer among those that all support; of equals, the first by name.
    pub(super) fn choose_protocol(&self) -> Option<Name> {
        let mut supporters: HashMap<&Name, usize> = HashMap::new();
        for member in self.members.values() {
            let supported: HashSet<&Name> = member.protocols.iter().map(|p| &p.name).collect();
            for name in supported {
                *supporters.entry(name).or_default() += 1;
            }
        }
        let is_shared = |name: &Name| supporters.get(name) == Some(&self.members.len());
        let mut votes: HashMap<&Name, usize> = HashMap::new();
        for member in self.members.values() {
            let choice = member.protocols.iter().find(|p| is_shared(&p.name));
            if let Some(choice) = choice {
                *votes.entry(&choice.name).or_default() += 1;
            }
        }
        votes
            .into_iter()
            .max_by(|(a, a_votes), (b, b_votes)| a_votes.cmp(b_votes).then_with(|| b.cmp(a)))
            .map(|(name, _)| name.clone())
    }

    /// Answers every waiting join with the new generation.
    fn announce(&mut self, turn: &mut Turn<'_>) {
        let ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for id in &ids {
            self.touch(turn, id);
            let Some(member) = self.members.get_mut(id) else {
                continue;
            };
            member.is_new = false;
            if let Some(ticket) = member.joining.take() {
                let joined = self.joined(id);
                turn.reply(ticket, Reply::Join(joined));
            }
        }
        self.unsynced = ids.into_iter().collect();
        turn.set(turn.sync_timer(), self.longest_rebalance_timeout_ms());
    }
}
