//! What holds in every run, whatever is said in whatever order.
use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    CommittedOffset, FetchOffsets, Hard, Heartbeat, InstanceId, Leaving, Member, MemberId, Name,
    OffsetToCommit, Protocol, Sync, TimerChange, Wanted,
};

/// One thing that is said, or time that passes.
#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Restart,
    Join {
        group: u8,
        member: Option<u8>,
        instance: Option<u8>,
        id_first: bool,
        skip: bool,
        sub: u8,
    },
    /// Speaks of the generation the group is in.
    Sync {
        group: u8,
        member: u8,
    },
    Heartbeat {
        group: u8,
        member: u8,
    },
    Leave {
        group: u8,
        member: Option<u8>,
        instance: Option<u8>,
    },
    Commit {
        group: u8,
        member: Option<u8>,
        partition: u8,
        offset: i64,
        retention_ms: Option<u64>,
    },
    Fetch {
        group: u8,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let group = 0..2_u8;
    let member = 0..12_u8;
    let some = || prop::option::of(0..12_u8);
    let instance = || prop::option::weighted(0.3, 0..2_u8);
    let retention = prop::option::weighted(0.2, 0..2 * RETENTION_MS);
    let step = prop_oneof![
        2 => (0..20_000_u64).prop_map(Step::Wait),
        1 => Just(Step::Restart),
        6 => (group.clone(), some(), instance(), any::<bool>(), any::<bool>(), 0..2_u8).prop_map(
            |(group, member, instance, id_first, skip, sub)| Step::Join {
                group, member, instance, id_first, skip, sub
            }
        ),
        4 => (group.clone(), member.clone()).prop_map(|(group, member)| Step::Sync { group, member }),
        3 => (group.clone(), member).prop_map(|(group, member)| Step::Heartbeat { group, member }),
        2 => (group.clone(), some(), instance())
            .prop_map(|(group, member, instance)| Step::Leave { group, member, instance }),
        3 => (group.clone(), some(), 0..3_u8, any::<i64>(), retention).prop_map(
            |(group, member, partition, offset, retention_ms)| Step::Commit {
                group, member, partition, offset, retention_ms
            }
        ),
        1 => group.prop_map(|group| Step::Fetch { group }),
    ];
    prop::collection::vec(step, 0..60)
}

/// A shard with what surrounds it: a log, timers, and who waits.
struct Run {
    groups: Groups,
    log: Vec<(Record, i64)>,
    now: u64,
    timers: HashMap<Timer, u64>,
    /// Ids in the order they were given out.
    ids: Vec<MemberId>,
    asked: u64,
    waiting: HashSet<Ticket>,
    generations: HashMap<GroupId, i32>,
    /// What was committed, and how long it is kept at the least.
    acknowledged: BTreeMap<(GroupId, i32), (i64, u64)>,
}

/// Longer than a run goes without a wait, shorter than most runs.
const RETENTION_MS: u64 = 40_000;

fn config() -> GroupConfig {
    GroupConfig {
        initial_rebalance_delay_ms: 2_000,
        max_group_size: 4,
        offset_retention_ms: RETENTION_MS,
        offset_retention_check_ms: 5_000,
        ..GroupConfig::default()
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn group(number: u8) -> GroupId {
    GroupId::new(&format!("g{number}")).unwrap()
}

fn instance(number: Option<u8>) -> Option<InstanceId> {
    number.map(|number| InstanceId::new(&format!("i{number}")).unwrap())
}

impl Run {
    fn new() -> Self {
        let mut run = Self {
            groups: Groups::new(config(), TopicNames::verbatim()),
            log: Vec::new(),
            now: 0,
            timers: HashMap::new(),
            ids: Vec::new(),
            asked: 0,
            waiting: HashSet::new(),
            generations: HashMap::new(),
            acknowledged: BTreeMap::new(),
        };
        run.restart();
        run
    }

    fn member(&self, number: u8) -> MemberId {
        let newest_first = self.ids.iter().rev().nth(usize::from(number));
        newest_first
            .cloned()
            .unwrap_or_else(|| MemberId::new("nobody").unwrap())
    }

    fn identity(&self, number: u8, member: u8) -> Member {
        let group = group(number);
        let generation = self.generations.get(&group).copied().unwrap_or(0);
        Member {
            group,
            generation,
            member: self.member(member),
            instance: None,
        }
    }

    fn perform(&mut self, step: Step) {
        match step {
            Step::Wait(ms) => self.wait(ms),
            Step::Restart => self.restart(),
            Step::Fetch { group: number } => self.ask(Request::FetchOffsets(FetchOffsets {
                group: group(number),
                wanted: Wanted::All,
            })),
            Step::Join {
                group,
                member,
                instance,
                id_first,
                skip,
                sub,
            } => self.join(group, member, instance, (id_first, skip, sub)),
            Step::Sync { group, member } => {
                let assignments = self
                    .ids
                    .iter()
                    .map(|id| (id.clone(), Bytes::from_static(b"x")));
                self.ask(Request::Sync(Sync {
                    member: self.identity(group, member),
                    protocol_type: None,
                    protocol: None,
                    assignments: assignments.collect(),
                }));
            }
            Step::Heartbeat { group, member } => {
                let member = self.identity(group, member);
                self.ask(Request::Heartbeat(Heartbeat { member }));
            }
            Step::Leave {
                group: number,
                member,
                instance: own,
            } => {
                let member = member.map(|member| self.member(member));
                let members = vec![Leaving {
                    member,
                    instance: instance(own),
                }];
                self.ask(Request::Leave(Leave {
                    group: group(number),
                    members,
                }));
            }
            Step::Commit {
                group: number,
                member,
                partition,
                offset,
                retention_ms,
            } => {
                let generation =
                    member.map_or(-1, |member| self.identity(number, member).generation);
                self.ask(Request::CommitOffsets(CommitOffsets {
                    group: group(number),
                    generation,
                    member: member.map(|member| self.member(member)),
                    instance: None,
                    retention_ms,
                    offsets: vec![OffsetToCommit {
                        topic: name("t"),
                        partition: i32::from(partition),
                        offset,
                        metadata: String::new(),
                    }],
                }));
            }
        }
    }

    fn join(
        &mut self,
        number: u8,
        member: Option<u8>,
        own: Option<u8>,
        (id_first, skip, sub): (bool, bool, u8),
    ) {
        let fresh_member = MemberId::new(&format!("m{}", self.asked)).unwrap();
        let protocol = Protocol {
            name: name("range"),
            metadata: Bytes::from(vec![sub]),
        };
        self.ask(Request::Join(Join {
            group: group(number),
            member: member.map(|member| self.member(member)),
            fresh_member: fresh_member.clone(),
            instance: instance(own),
            client_id: name("c"),
            client_host: name("h"),
            protocol_type: name("consumer"),
            protocols: vec![protocol],
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 15_000,
            requires_member_id: id_first,
            may_skip_assignment: skip,
        }));
        self.ids.push(fresh_member);
    }

    fn ask(&mut self, request: Request) {
        self.asked += 1;
        let ticket = Ticket(self.asked);
        self.waiting.insert(ticket);
        let output = self
            .groups
            .handle(self.now, Command::Request(ticket, request));
        self.apply(output);
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some((at, timer)) = self
            .timers
            .iter()
            .map(|(timer, at)| (*at, timer.clone()))
            .min()
            && at <= until
        {
            self.now = self.now.max(at);
            self.timers.remove(&timer);
            let output = self.groups.handle(self.now, Command::Timer(timer));
            self.apply(output);
        }
        self.now = until;
    }

    fn restart(&mut self) {
        self.groups = Groups::new(config(), TopicNames::verbatim());
        for (record, at) in &self.log {
            self.groups.replay(record, *at);
        }
        self.timers.clear();
        self.waiting.clear();
        let output = self.groups.resume(self.now);
        self.apply(output);
    }

    fn note(&mut self, key: (GroupId, i32), committed: Option<&CommittedOffset>) {
        if let Some(committed) = committed {
            let at = committed
                .expire_timestamp
                .map(|at| u64::try_from(at).unwrap());
            let kept = at.unwrap_or(self.now + RETENTION_MS);
            self.acknowledged.insert(key, (committed.offset, kept));
        } else {
            let (_, kept) = self.acknowledged.remove(&key).expect("it was there");
            assert!(kept <= self.now, "an offset expires too early");
        }
    }

    fn apply(&mut self, output: Output) {
        for record in output.records {
            if let Record::Group {
                group,
                value: Some(value),
            } = &record
            {
                let before = self
                    .groups
                    .hard()
                    .group(group)
                    .map_or(0, |group| group.generation);
                assert!(value.generation >= before, "a generation went back");
            }
            if let Record::Offset {
                group,
                partition,
                value,
                ..
            } = &record
            {
                self.note((group.clone(), *partition), value.as_ref());
            }
            let (key, value) = record.encode();
            let read = Record::decode(&key, value.as_deref()).unwrap();
            assert_eq!(read.as_ref(), Some(&record), "a record does not read back");
            let at = i64::try_from(self.now).unwrap();
            self.groups.replay(&record, at);
            self.log.push((record, at));
        }
        for change in output.timers {
            match change {
                TimerChange::Set(timer, at) => drop(self.timers.insert(timer, at)),
                TimerChange::Cancel(timer) => drop(self.timers.remove(&timer)),
            }
        }
        for (ticket, reply) in output.replies {
            assert!(
                self.waiting.remove(&ticket),
                "{ticket:?} was answered twice, or never asked"
            );
            if let Reply::FetchOffsets(offsets) = reply {
                assert!(offsets.iter().all(|offset| offset.committed.is_some()));
            }
        }
        let weight: usize = self.groups.live.values().map(Group::weight).sum();
        assert_eq!(self.groups.weight, weight, "the shard has lost count");
        for (id, live) in &self.groups.live {
            self.generations.insert(id.clone(), live.generation());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn replaying_the_log_of_any_run_gives_its_durable_state(steps in steps()) {
        let mut run = Run::new();
        for step in steps {
            run.perform(step);
        }
        let mut replayed = Hard::default();
        for (record, at) in &run.log {
            replayed.replay(record, *at);
        }
        prop_assert_eq!(&replayed, run.groups.hard());
    }

    #[test]
    fn an_acknowledged_offset_is_kept_for_its_retention(steps in steps()) {
        let mut run = Run::new();
        for step in steps {
            run.perform(step);
        }
        run.restart();
        for ((group, partition), (offset, _)) in &run.acknowledged {
            let offsets = run.groups.hard().offsets(group);
            let found = offsets.and_then(|offsets| offsets.get(&name("t"), *partition));
            prop_assert_eq!(found.map(|found| found.offset), Some(*offset));
        }
    }

    #[test]
    fn everyone_is_answered_once_and_nobody_stays_for_ever(steps in steps()) {
        let mut run = Run::new();
        for step in steps {
            run.perform(step);
        }
        // Nobody says anything more: sessions and rebalances run out.
        run.wait(60 * 60 * 1_000);
        prop_assert!(run.waiting.is_empty(), "{:?} still wait", run.waiting);
        run.timers.remove(&Timer::Expiry);
        prop_assert!(run.timers.is_empty(), "{:?} still run", run.timers);
        prop_assert!(run.groups.live.is_empty(), "{:?} still live", run.groups.live);
        prop_assert_eq!(run.groups.hard(), &Hard::default());
        prop_assert_eq!(run.groups.weight, 0);
    }
}
