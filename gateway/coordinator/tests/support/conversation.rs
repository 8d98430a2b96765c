//! Text to commands, effects to text.
use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use kop_coordinator::{
    Command, CommitOffsets, Counts, DeleteGroup, DeleteOffsets, DescribeGroup, FetchOffsets,
    GroupConfig, GroupId, Groups, Heartbeat, InstanceId, Join, Leave, Leaving, Member, MemberId,
    Name, OffsetToCommit, OffsetToDelete, Output, Protocol, Record, Reply, Request, Survey, Sync,
    Ticket, Timer, TimerChange, TopicNames, Wanted,
};

/// The script with what really follows in place of what it says.
pub(crate) fn retell(script: &str) -> String {
    let mut stage = Stage::default();
    stage.start();
    let mut told = String::new();
    for line in script.lines().filter(|line| !line.starts_with(' ')) {
        told.push_str(line);
        told.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        for effect in stage.perform(line) {
            told.push_str("    ");
            told.push_str(&effect);
            told.push('\n');
        }
    }
    told
}

struct Stage {
    config: GroupConfig,
    groups: Groups,
    log: Vec<Logged>,
    now: u64,
    timers: HashMap<Timer, u64>,
    last_ticket: u64,
    counts: Counts,
}

/// A record as the log has it, and its timestamp.
struct Logged {
    key: Bytes,
    value: Option<Bytes>,
    at: i64,
}

/// Records call a topic `t` what members call `t` or `alias-of-t`.
fn names() -> TopicNames {
    TopicNames::new(|said| match said.as_str().strip_prefix("alias-of-") {
        Some(stored) => name(stored),
        None => said,
    })
}

impl Default for Stage {
    fn default() -> Self {
        let config = GroupConfig {
            initial_rebalance_delay_ms: 0,
            ..GroupConfig::default()
        };
        Self {
            groups: Groups::new(config.clone(), names()),
            config,
            log: Vec::new(),
            now: 0,
            timers: HashMap::new(),
            last_ticket: 0,
            counts: Counts::default(),
        }
    }
}

impl Stage {
    fn perform(&mut self, line: &str) -> Vec<String> {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("config") => {
                self.set(&Words::new(words));
                self.log.clear();
                self.restart()
            }
            Some("restart") => {
                self.set(&Words::new(words));
                self.restart()
            }
            Some("timers") => self.running(),
            Some("counts") => {
                let Counts {
                    rebalances,
                    committed_offsets,
                    expired_offsets,
                } = self.counts;
                vec![format!(
                    "rebalances={rebalances} committed={committed_offsets} expired={expired_offsets}"
                )]
            }
            Some("at") => {
                let time = millis(words.next().expect("a time after `at`"));
                let mut effects = self.wait_until(time);
                if let Some(verb) = words.next() {
                    self.last_ticket += 1;
                    let ticket = Ticket(self.last_ticket);
                    let words = Words::new(words);
                    effects.extend(self.handle(match verb {
                        "list" => Command::ListGroups(ticket),
                        "survey" => {
                            let most = words.get("most").map_or(100, |n| n.parse().unwrap());
                            Command::Survey(ticket, most)
                        }
                        "topic-deleted" => {
                            let topic = words.get("topic").expect("topic=");
                            Command::ForgetTopic(ticket, name(topic))
                        }
                        _ => Command::Request(ticket, request(verb, &words, ticket.0)),
                    }));
                }
                effects
            }
            other => panic!("no such line: {other:?} in {line:?}"),
        }
    }

    /// Rules that hold from the next start on.
    fn set(&mut self, words: &Words<'_>) {
        let config = &mut self.config;
        if let Some(delay) = words.get("initial-delay") {
            config.initial_rebalance_delay_ms = millis(delay);
        }
        if let Some(retention) = words.get("retention") {
            config.offset_retention_ms = millis(retention);
        }
        if let Some(longest) = words.get("max-session") {
            config.max_session_timeout_ms = millis(longest);
        }
        if let Some(size) = words.get("max-size") {
            config.max_group_size = size.parse().unwrap();
        }
        if let Some(size) = words.get("max-bytes") {
            config.max_group_bytes = size.parse().unwrap();
        }
        if let Some(size) = words.get("max-shard") {
            config.max_shard_bytes = size.parse().unwrap();
        }
        if let Some(size) = words.get("max-metadata") {
            config.max_offset_metadata_bytes = size.parse().unwrap();
        }
        if let Some(size) = words.get("max-offsets") {
            config.max_offsets_per_group = size.parse().unwrap();
        }
    }

    /// As the shell does when it has replayed the log.
    fn start(&mut self) -> Vec<String> {
        self.timers.clear();
        let output = self.groups.resume(self.now);
        self.apply(output)
    }

    fn restart(&mut self) -> Vec<String> {
        self.groups = Groups::new(self.config.clone(), names());
        for Logged { key, value, at } in &self.log {
            let record = Record::decode(key, value.as_deref()).unwrap().unwrap();
            self.groups.replay(&record, *at);
        }
        self.start()
    }

    fn running(&self) -> Vec<String> {
        // The look for what expires is always set, and told of when it finds something.
        let running = self.timers.iter().filter(|(t, _)| **t != Timer::Expiry);
        let sorted: BTreeSet<_> = running.map(|(timer, at)| (at, timer)).collect();
        sorted
            .iter()
            .map(|(at, timer)| format!("{} at {}", named(timer), time(**at)))
            .collect()
    }

    fn wait_until(&mut self, time: u64) -> Vec<String> {
        assert!(time >= self.now, "time runs backwards");
        let mut effects = Vec::new();
        loop {
            let due = self
                .timers
                .iter()
                .map(|(timer, at)| (*at, timer.clone()))
                .min();
            let Some((at, timer)) = due.filter(|(at, _)| *at <= time) else {
                break;
            };
            self.now = at;
            self.timers.remove(&timer);
            let happened = self.handle(Command::Timer(timer.clone()));
            if !happened.is_empty() {
                effects.push(format!("{} ran out at {}", named(&timer), self::time(at)));
                effects.extend(happened);
            }
        }
        self.now = time;
        effects
    }

    fn handle(&mut self, command: Command) -> Vec<String> {
        let output = self.groups.handle(self.now, command);
        self.apply(output)
    }

    /// As the shell does: records to the log and back, then the replies.
    fn apply(&mut self, output: Output) -> Vec<String> {
        let Output {
            records,
            replies,
            timers,
            counts,
        } = output;
        self.counts.rebalances += counts.rebalances;
        self.counts.committed_offsets += counts.committed_offsets;
        self.counts.expired_offsets += counts.expired_offsets;
        let mut effects = Vec::new();
        for change in timers {
            match change {
                TimerChange::Set(timer, at) => drop(self.timers.insert(timer, at)),
                TimerChange::Cancel(timer) => drop(self.timers.remove(&timer)),
            }
        }
        for record in records {
            let (key, value) = record.encode();
            let read = Record::decode(&key, value.as_deref()).unwrap();
            assert_eq!(read.as_ref(), Some(&record));
            let at = i64::try_from(self.now).unwrap();
            self.groups.replay(&record, at);
            self.log.push(Logged { key, value, at });
            effects.push(recorded(&record));
        }
        for (Ticket(ticket), reply) in replies {
            effects.push(format!("{ticket}: {}", replied(&reply)));
        }
        effects
    }
}

/// `key=value` words of a line; a word without a value is its own.
struct Words<'a>(HashMap<&'a str, &'a str>);

impl<'a> Words<'a> {
    fn new(words: impl Iterator<Item = &'a str>) -> Self {
        Self(
            words
                .map(|word| word.split_once('=').unwrap_or((word, word)))
                .collect(),
        )
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).copied()
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    fn group(&self) -> GroupId {
        GroupId::new(self.get("group").unwrap_or("g")).unwrap()
    }

    fn member(&self) -> Option<MemberId> {
        self.get("member").map(member)
    }

    fn instance(&self) -> Option<InstanceId> {
        self.get("instance").map(|id| InstanceId::new(id).unwrap())
    }

    fn identity(&self) -> Member {
        Member {
            group: self.group(),
            generation: self
                .get("generation")
                .map_or(1, |text| text.parse().unwrap()),
            member: self.member().unwrap_or_else(MemberId::empty),
            instance: self.instance(),
        }
    }
}

fn request(verb: &str, words: &Words<'_>, ticket: u64) -> Request {
    match verb {
        "join" => Request::Join(join(words, ticket)),
        "sync" => Request::Sync(Sync {
            member: words.identity(),
            protocol_type: words.get("type").map(name),
            protocol: words.get("protocol").map(name),
            assignments: pairs(words.get("assign").unwrap_or_default())
                .map(|(id, share)| (member(id), Bytes::copy_from_slice(share.as_bytes())))
                .collect(),
        }),
        "heartbeat" => Request::Heartbeat(Heartbeat {
            member: words.identity(),
        }),
        "leave" => Request::Leave(Leave {
            group: words.group(),
            members: match words.get("all") {
                None => vec![Leaving {
                    member: words.member(),
                    instance: words.instance(),
                }],
                Some(ids) => pairs(ids)
                    .map(|(id, instance)| Leaving {
                        member: Some(member(id)).filter(|id| !id.as_str().is_empty()),
                        instance: Some(instance)
                            .filter(|id| !id.is_empty())
                            .map(|id| InstanceId::new(id).unwrap()),
                    })
                    .collect(),
            },
        }),
        "commit" => Request::CommitOffsets(CommitOffsets {
            group: words.group(),
            generation: words
                .get("generation")
                .map_or(-1, |text| text.parse().unwrap()),
            member: words.member(),
            instance: words.instance(),
            retention_ms: words.get("retention").map(millis),
            offsets: pairs(words.get("offsets").expect("offsets="))
                .map(|(partition, offset)| OffsetToCommit {
                    topic: name(words.get("topic").unwrap_or("t")),
                    partition: partition.parse().unwrap(),
                    offset: offset.parse().unwrap(),
                    metadata: words.get("metadata").unwrap_or_default().to_owned(),
                })
                .collect(),
        }),
        "fetch" => Request::FetchOffsets(FetchOffsets {
            group: words.group(),
            wanted: match words.get("partitions") {
                None => Wanted::All,
                Some(list) => Wanted::These(
                    list.split(',')
                        .map(|p| (name("t"), p.parse().unwrap()))
                        .collect(),
                ),
            },
        }),
        "describe" => Request::DescribeGroup(DescribeGroup {
            group: words.group(),
        }),
        "delete" => Request::DeleteGroup(DeleteGroup {
            group: words.group(),
        }),
        "delete-offsets" => Request::DeleteOffsets(DeleteOffsets {
            group: words.group(),
            offsets: words
                .get("partitions")
                .expect("partitions=")
                .split(',')
                .map(|partition| OffsetToDelete {
                    topic: name("t"),
                    partition: partition.parse().unwrap(),
                })
                .collect(),
        }),
        other => panic!("no such request: {other}"),
    }
}

fn join(words: &Words<'_>, ticket: u64) -> Join {
    let fresh = words
        .get("new")
        .map_or_else(|| format!("m{ticket}"), str::to_owned);
    let protocols = words.get("protocols").unwrap_or("range:s");
    Join {
        group: words.group(),
        member: words.member(),
        fresh_member: member(&fresh),
        instance: words.instance(),
        client_id: name("c"),
        client_host: name("/h"),
        protocol_type: name(words.get("type").unwrap_or("consumer")),
        protocols: pairs(protocols)
            .map(|(protocol, metadata)| Protocol {
                name: name(protocol),
                metadata: subscription(metadata),
            })
            .collect(),
        session_timeout_ms: millis(words.get("session").unwrap_or("10s")),
        rebalance_timeout_ms: millis(words.get("rebalance").unwrap_or("60s")),
        requires_member_id: words.has("requires-id"),
        may_skip_assignment: words.has("may-skip"),
    }
}

/// `@t` is what a consumer says that subscribes to the topic `t`.
fn subscription(text: &str) -> Bytes {
    let Some(topic) = text.strip_prefix('@') else {
        return Bytes::copy_from_slice(text.as_bytes());
    };
    let length = i16::try_from(topic.len()).unwrap().to_be_bytes();
    let parts = [&[0, 1, 0, 0, 0, 1], &length[..], topic.as_bytes()];
    parts.concat().into()
}

/// `a:x,b:y`, or nothing.
fn pairs(list: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = list.split(',').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once(':').unwrap_or((pair, "")))
}

fn member(id: &str) -> MemberId {
    MemberId::new(id).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn millis(text: &str) -> u64 {
    let units = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    let in_unit = units
        .iter()
        .find_map(|(unit, ms)| Some((text.strip_suffix(unit)?.parse::<u64>().ok()?, ms)));
    let (count, ms) = in_unit.expect("a time in ms, s, m, h or d");
    count * ms
}

fn time(ms: u64) -> String {
    if ms.is_multiple_of(1_000) {
        format!("{}s", ms / 1_000)
    } else {
        format!("{ms}ms")
    }
}

fn named(timer: &Timer) -> String {
    match timer {
        Timer::Join(group) => format!("join timer of {group}"),
        Timer::Sync(group) => format!("sync timer of {group}"),
        Timer::Session(group, member) => format!("session of {member} in {group}"),
        Timer::Expiry => "time of the next look for expired offsets".to_owned(),
    }
}

fn recorded(record: &Record) -> String {
    match record {
        Record::Group { group, value: None } => format!("record: no group {group}"),
        Record::Group {
            group,
            value: Some(metadata),
        } => {
            let members: Vec<_> = metadata
                .members
                .iter()
                .map(|m| {
                    let instance = m.instance.as_ref().map(|id| format!("({id})"));
                    let assigned = String::from_utf8_lossy(&m.assignment).into_owned();
                    format!("{}{}={assigned}", m.member, instance.unwrap_or_default())
                })
                .collect();
            let protocol = metadata.protocol.as_ref().map_or("none", Name::as_str);
            let leader = metadata.leader.as_ref().map_or("none", MemberId::as_str);
            let generation = metadata.generation;
            let members = members.join(" ");
            format!(
                "record: group {group} generation={generation} {protocol} leader={leader} [{members}]"
            )
        }
        Record::Offset {
            group,
            topic,
            partition,
            value,
        } => match value {
            Some(value) => format!(
                "record: offset {group} {topic}-{partition} = {}",
                value.offset
            ),
            None => format!("record: no offset {group} {topic}-{partition}"),
        },
    }
}

fn replied(reply: &Reply) -> String {
    match reply {
        Reply::Join(Ok(joined)) => {
            let members: Vec<_> = joined
                .members
                .iter()
                .map(|m| {
                    let metadata = String::from_utf8_lossy(&m.metadata);
                    format!("{}:{}", m.member, metadata.escape_debug())
                })
                .collect();
            let roster = if members.is_empty() {
                String::new()
            } else {
                format!(" [{}]", members.join(" "))
            };
            let skip = if joined.skip_assignment {
                " skip-assignment"
            } else {
                ""
            };
            format!(
                "joined as {} generation={} {} leader={}{roster}{skip}",
                joined.member, joined.generation, joined.protocol, joined.leader
            )
        }
        Reply::Sync(Ok(synced)) => {
            format!("assigned {:?}", String::from_utf8_lossy(&synced.assignment))
        }
        Reply::DescribeGroup(None) => "no such group".to_owned(),
        Reply::DescribeGroup(Some(group)) => {
            let members = group.members.iter().map(|m| {
                let subscription = String::from_utf8_lossy(&m.subscription);
                let assignment = String::from_utf8_lossy(&m.assignment);
                format!("{}:{}={assignment}", m.member, subscription.escape_debug())
            });
            let members: Vec<_> = members.collect();
            let protocol = group.protocol.as_ref().map_or("none", Name::as_str);
            let (state, kind) = (group.state, &group.protocol_type);
            format!("{state} {kind:?} {protocol} [{}]", members.join(" "))
        }
        Reply::DeleteGroup(Ok(())) => "deleted".to_owned(),
        Reply::Survey(survey) => surveyed(survey),
        Reply::ForgetTopic(count) => format!("forgot {count} offsets"),
        Reply::DeleteOffsets(Ok(results)) => each("deleted", results),
        Reply::ListGroups(groups) => {
            let groups = groups.iter().map(|g| format!("{} {}", g.group, g.state));
            format!("groups [{}]", groups.collect::<Vec<_>>().join(", "))
        }
        Reply::Heartbeat(Ok(())) => "alive".to_owned(),
        Reply::Leave(Ok(results)) => each("left", results),
        Reply::CommitOffsets(Ok(results)) => each("committed", results),
        Reply::FetchOffsets(fetched) => {
            let offsets: Vec<_> = fetched
                .iter()
                .map(|f| {
                    let offset = f
                        .committed
                        .as_ref()
                        .map_or(-1, |committed| committed.offset);
                    format!("{}-{}={offset}", f.topic, f.partition)
                })
                .collect();
            format!("offsets [{}]", offsets.join(" "))
        }
        Reply::Join(Err(error))
        | Reply::Sync(Err(error))
        | Reply::Heartbeat(Err(error))
        | Reply::Leave(Err(error))
        | Reply::CommitOffsets(Err(error))
        | Reply::DeleteGroup(Err(error))
        | Reply::DeleteOffsets(Err(error)) => format!("refused: {error}"),
    }
}

fn surveyed(survey: &Survey) -> String {
    let groups = survey
        .groups
        .iter()
        .map(|(state, n)| format!("{n} {state}"));
    let listed = survey
        .listed
        .iter()
        .map(|o| format!("{} {}-{}={}", o.group, o.topic, o.partition, o.offset));
    format!(
        "[{}] members={} offsets={} [{}]",
        groups.collect::<Vec<_>>().join(", "),
        survey.members,
        survey.offsets,
        listed.collect::<Vec<_>>().join(", ")
    )
}

fn each(done: &str, results: &[Result<(), kop_coordinator::GroupError>]) -> String {
    let texts: Vec<_> = results
        .iter()
        .map(|result| {
            result
                .as_ref()
                .map_or_else(ToString::to_string, |()| done.to_owned())
        })
        .collect();
    texts.join(", ")
}
