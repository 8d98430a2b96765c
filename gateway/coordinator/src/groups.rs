//! The door: which group a command is for, and whether there is one.
use std::collections::HashMap;

use crate::classic::{Group, Turn};
use crate::hard::Hard;
use crate::offsets;
use crate::{
    Command, CommitOffsets, GroupConfig, GroupError, GroupId, Join, Leave, Output, Record, Reply,
    Request, Ticket, Timer, TimerChange, TopicNames,
};

/// All groups of one partition of `__consumer_offsets`.
#[derive(Debug)]
pub struct Groups {
    pub(crate) config: GroupConfig,
    pub(crate) names: TopicNames,
    pub(crate) hard: Hard,
    /// Groups that have, or had in this run, members.
    pub(crate) live: HashMap<GroupId, Group>,
    /// What `live` takes in memory, in bytes.
    weight: usize,
    /// Records that were put out and have not been replayed.
    unsettled: usize,
}

impl Groups {
    /// A shard whose log is empty.
    #[must_use]
    pub fn new(config: GroupConfig, names: TopicNames) -> Self {
        Self {
            config,
            names,
            hard: Hard::default(),
            live: HashMap::new(),
            weight: 0,
            unsettled: 0,
        }
    }

    /// Makes what a durable record says so: each record of the log at start-up, then each record of
    /// an [`Output`] once it is appended. `at` is the record's timestamp in the log, in milliseconds
    /// since the epoch, negative where it has none; a restart must be given the same.
    pub fn replay(&mut self, record: &Record, at: i64) {
        self.unsettled = self.unsettled.saturating_sub(1);
        self.hard.replay(record, at);
        if let Record::Group { group, value: None } = record
            && let Some(group) = self.live.get_mut(group)
        {
            group.start_over();
        }
        self.tidy(record.group());
    }

    /// The durable state.
    #[must_use]
    pub fn hard(&self) -> &Hard {
        &self.hard
    }

    /// To be called once, when the whole log is replayed: members get a session's time to show
    /// themselves.
    pub fn resume(&mut self, now: u64) -> Output {
        let mut out = Output::default();
        let mut groups: Vec<_> = self.hard.groups().collect();
        groups.sort_by_key(|(id, _)| *id);
        for (id, metadata) in groups {
            if metadata.members.is_empty() {
                continue;
            }
            let mut turn = Turn {
                now,
                config: &self.config,
                group: id,
                out: &mut out,
            };
            let group = Group::resume(&mut turn, metadata);
            self.weight += group.weight();
            self.live.insert(id.clone(), group);
        }
        let look = now.saturating_add(self.config.offset_retention_check_ms);
        out.timers.push(TimerChange::Set(Timer::Expiry, look));
        out
    }

    /// What follows from a command at `now`, in milliseconds that never run backwards.
    ///
    /// Durable state does not change before the output's records are replayed; a command in between
    /// sees committed offsets as they were, and must be none that [sweeps](Command::sweeps).
    pub fn handle(&mut self, now: u64, command: Command) -> Output {
        debug_assert!(
            self.unsettled == 0 || !command.sweeps(),
            "{command:?} before earlier records were replayed"
        );
        let mut out = Output::default();
        match command {
            Command::Request(ticket, request) => {
                let group = request.group().clone();
                let is_heavy = request.may_change_membership();
                let before = if is_heavy { self.weight_of(&group) } else { 0 };
                self.request(now, &mut out, ticket, request);
                if is_heavy {
                    self.reweigh(&group, before);
                }
                self.tidy(&group);
            }
            Command::ListGroups(ticket) => {
                out.replies.push((ticket, Reply::ListGroups(self.list())));
            }
            Command::Survey(ticket, most) => {
                out.replies.push((ticket, Reply::Survey(self.survey(most))));
            }
            Command::ForgetTopic(ticket, topic) => {
                let count = self.forget_topic(&mut out, &topic);
                out.replies.push((ticket, Reply::ForgetTopic(count)));
            }
            Command::Timer(timer) => self.timer(now, &mut out, &timer),
        }
        self.unsettled += out.records.len();
        out
    }

    fn request(&mut self, now: u64, out: &mut Output, ticket: Ticket, request: Request) {
        match request {
            Request::Join(join) => {
                if let Err(error) = self.join(now, out, ticket, &join) {
                    out.replies.push((ticket, Reply::Join(Err(error))));
                }
            }
            Request::Sync(sync) => {
                let id = sync.member.group.clone();
                match self.with(now, out, &id) {
                    Some((group, mut turn)) => group.sync(&mut turn, ticket, sync),
                    None => {
                        let unknown = Reply::Sync(Err(GroupError::UnknownMember));
                        out.replies.push((ticket, unknown));
                    }
                }
            }
            Request::Heartbeat(beat) => match self.with(now, out, &beat.member.group) {
                Some((group, mut turn)) => group.heartbeat(&mut turn, ticket, &beat),
                None => {
                    let unknown = Reply::Heartbeat(Err(GroupError::UnknownMember));
                    out.replies.push((ticket, unknown));
                }
            },
            Request::Leave(leave) => self.leave(now, out, ticket, &leave),
            Request::CommitOffsets(commit) => {
                let result = self.commit(now, out, commit);
                out.replies.push((ticket, Reply::CommitOffsets(result)));
            }
            Request::FetchOffsets(fetch) => {
                let offsets = offsets::fetch(&self.hard, fetch);
                out.replies.push((ticket, Reply::FetchOffsets(offsets)));
            }
            Request::DescribeGroup(describe) => {
                let described = self.describe(&describe.group);
                out.replies.push((ticket, Reply::DescribeGroup(described)));
            }
            Request::DeleteGroup(delete) => {
                let result = self.delete_group(now, out, &delete.group);
                out.replies.push((ticket, Reply::DeleteGroup(result)));
            }
            Request::DeleteOffsets(delete) => {
                let result = self.delete_offsets(out, delete);
                out.replies.push((ticket, Reply::DeleteOffsets(result)));
            }
        }
    }

    fn join(
        &mut self,
        now: u64,
        out: &mut Output,
        ticket: Ticket,
        join: &Join,
    ) -> Result<(), GroupError> {
        let limits = self.config.min_session_timeout_ms..=self.config.max_session_timeout_ms;
        if join.group.as_str().is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        if !limits.contains(&join.session_timeout_ms) {
            return Err(GroupError::InvalidSessionTimeout);
        }
        if join.member.is_none() && self.weight >= self.config.max_shard_bytes {
            return Err(GroupError::GroupFull);
        }
        if !self.live.contains_key(&join.group) {
            if join.member.is_some() {
                return Err(GroupError::UnknownMember);
            }
            if self.live.len() >= self.config.max_groups {
                return Err(GroupError::GroupFull);
            }
            let group = Group::after(self.logged_generation(&join.group));
            self.live.insert(join.group.clone(), group);
        }
        if let Some((group, mut turn)) = self.with(now, out, &join.group) {
            group.join(&mut turn, ticket, join);
        }
        Ok(())
    }

    fn leave(&mut self, now: u64, out: &mut Output, ticket: Ticket, leave: &Leave) {
        if leave.group.as_str().is_empty() {
            let invalid = Reply::Leave(Err(GroupError::InvalidGroupId));
            out.replies.push((ticket, invalid));
            return;
        }
        match self.with(now, out, &leave.group) {
            Some((group, mut turn)) => group.leave(&mut turn, ticket, leave),
            None => {
                let unknown = vec![Err(GroupError::UnknownMember); leave.members.len()];
                out.replies.push((ticket, Reply::Leave(Ok(unknown))));
            }
        }
    }

    fn commit(
        &mut self,
        now: u64,
        out: &mut Output,
        commit: CommitOffsets,
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        let group = commit.group.clone();
        let is_known = self.hard.knows(&group);
        match self.with(now, out, &group) {
            Some((group, mut turn)) => group.admit_commit(&mut turn, &commit)?,
            None if commit.generation < 0 => {}
            None if is_known => return Err(GroupError::UnknownMember),
            None => return Err(GroupError::IllegalGeneration),
        }
        let mut turn = Turn {
            now,
            config: &self.config,
            group: &group,
            out,
        };
        Ok(offsets::commit(&self.hard, &mut turn, commit))
    }

    fn timer(&mut self, now: u64, out: &mut Output, timer: &Timer) {
        let (Timer::Join(id) | Timer::Sync(id) | Timer::Session(id, _)) = timer else {
            return self.expire(now, out);
        };
        let before = self.weight_of(id);
        if let Some((group, mut turn)) = self.with(now, out, id) {
            match timer {
                Timer::Join(_) => group.join_timer_ran_out(&mut turn),
                Timer::Sync(_) => group.sync_timer_ran_out(&mut turn),
                Timer::Session(_, member) => group.session_ran_out(&mut turn, member),
                Timer::Expiry => {}
            }
        }
        self.reweigh(id, before);
        self.tidy(id);
    }

    fn weight_of(&self, id: &GroupId) -> usize {
        self.live.get(id).map_or(0, Group::weight)
    }

    fn reweigh(&mut self, id: &GroupId, before: usize) {
        let now = self.weight_of(id);
        self.weight = (self.weight + now).saturating_sub(before);
    }

    fn with<'a>(
        &'a mut self,
        now: u64,
        out: &'a mut Output,
        id: &'a GroupId,
    ) -> Option<(&'a mut Group, Turn<'a>)> {
        let group = self.live.get_mut(id)?;
        let turn = Turn {
            now,
            config: &self.config,
            group: id,
            out,
        };
        Some((group, turn))
    }

    fn logged_generation(&self, id: &GroupId) -> i32 {
        self.hard.group(id).map_or(0, |group| group.generation)
    }

    /// Forgets the soft state of a group that has none: nobody joined after all, or all have left and
    /// the log says so.
    fn tidy(&mut self, id: &GroupId) {
        let logged = self.logged_generation(id);
        let is_forgettable = |group: &Group| group.is_forgettable(logged);
        if self.live.get(id).is_some_and(is_forgettable)
            && let Some(group) = self.live.remove(id)
        {
            self.weight = self.weight.saturating_sub(group.weight());
        }
    }
}

#[cfg(test)]
mod tests;
