//! From the real `KoP` to the gateway in place, and back: what docs/moving-from-kop.md tells.

use anyhow::{Context, Result, ensure};
use kop_e2e::clients::{Java, Record, kafka_java};
use kop_e2e::exact::{self, Contents};
use kop_e2e::gateway::Gateway;
use kop_e2e::install::PULSAR_NEWEST;
use kop_e2e::kop::{self, Kop};
use kop_e2e::process::Process;
use kop_e2e::pulsar::{Home, Pulsar, Release};
use kop_e2e::scratch::{Scratch, tell};
use kop_e2e::story::{self, KafkaServer};
use kop_e2e::wait::until;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

mod recorded;

const PATIENCE: Duration = Duration::from_secs(120);
const FORMATS: [&str; 3] = ["pulsar", "kafka", "mixed_kafka"];
/// A member that was there when its broker went away is given up after this.
const SESSION: &str = "session.timeout.ms=10000";
const DEDUPLICATION: &[(&str, &str)] = &[("brokerDeduplicationEnabled", "true")];

#[test]
fn a_deployment_of_kop_moves_to_the_gateway_and_back_and_on() {
    tell("kop", |scratch| {
        let home = Home::new(scratch, "pulsar")?;
        let mut deployment = Deployment::new(scratch);
        for format in FORMATS {
            let kop = Kop::start(scratch, &home, format, &[])?;
            deployment
                .begins(kop.bootstrap(), format)
                .with_context(|| format!("KoP, entry format {format}"))?;
            kop.stop()?;
        }

        if std::env::var_os("UPDATE").is_some() {
            let pulsar = Pulsar::start_at(scratch, &home, kop::PULSAR, DEDUPLICATION)?;
            recorded::update(scratch, &pulsar, &deployment.topics, &deployment.committed)?;
            pulsar.stop()?;
        }

        let there = |deployment: &mut Deployment<'_>, release, format| {
            let pulsar = Pulsar::start_at(scratch, &home, release, DEDUPLICATION)?;
            let mut gateway = Gateway::on_pulsar(scratch, "gateway", &pulsar, format)?;
            deployment.goes_on(gateway.bootstrap(), Java::Newest)?;
            gateway.stop()?;
            pulsar.stop()
        };
        there(&mut deployment, kop::PULSAR, "pulsar").context("the gateway in place of KoP")?;
        there(&mut deployment, kop::PULSAR, "kafka").context("the gateway in format kafka")?;

        let kop = Kop::start(scratch, &home, "pulsar", &[])?;
        deployment
            .goes_on(kop.bootstrap(), Java::ForKop)
            .context("KoP again")?;
        kop.stop()?;

        let newest = Release::apache(PULSAR_NEWEST);
        there(&mut deployment, newest, "pulsar").context("the gateway on the newest Pulsar")
    });
}

/// What Kafka clients have written and committed so far.
struct Deployment<'a> {
    scratch: &'a Scratch,
    topics: BTreeMap<String, Contents>,
    /// `GROUP:TOPIC`
    groups: Vec<String>,
    /// Topics of text whose groups go on, and the records they have.
    texts: BTreeMap<String, usize>,
    /// What every group has committed.
    committed: Vec<String>,
    /// How often it has gone on.
    stage: usize,
}

impl<'a> Deployment<'a> {
    fn new(scratch: &'a Scratch) -> Self {
        Self {
            scratch,
            topics: BTreeMap::new(),
            groups: Vec::new(),
            texts: BTreeMap::new(),
            committed: Vec::new(),
            stage: 0,
        }
    }

    /// Topics and groups come to be on `KoP`.
    fn begins(&mut self, bootstrap: &str, format: &str) -> Result<()> {
        const RECORDS: usize = 300;
        let scratch = self.scratch;
        let [one, three, text] = ["one", "three", "text"].map(|name| format!("{format}-{name}"));
        let mut wanted = vec![
            format!("{one}:1"),
            format!("{three}:3"),
            format!("{text}:3"),
        ];
        // One topic is written in each format in turn.
        if self.topics.is_empty() {
            wanted.push("switched:1".to_owned());
        }
        let mut arguments = vec!["create", bootstrap];
        arguments.extend(wanted.iter().map(String::as_str));
        exact::ask(scratch, Java::ForKop, &arguments)?;

        // In format pulsar, KoP spoils headers that are not text, and fails where one is null.
        let any_header = format != "pulsar";
        for (topic, partitions) in [(&one, 1), (&three, 3), (&"switched".to_owned(), 1)] {
            let lines = exact::lines(partitions, any_header, 0);
            let contents = self.topics.entry(topic.clone()).or_default();
            exact::write(scratch, Java::ForKop, bootstrap, topic, &lines, contents)?;
        }

        self.produce(bootstrap, Java::ForKop, &text, 0, RECORDS)?;
        self.texts.insert(text.clone(), RECORDS);
        let all: BTreeSet<String> = story::numbered(&text, 0, RECORDS).collect();
        for group in ["read", "alive"].map(|group| format!("{format}-{group}")) {
            let mut member = self.member(bootstrap, Java::ForKop, &text, &group)?;
            story::wait_for_records(std::slice::from_mut(&mut member), RECORDS)?;
            is_exactly(&member, &all)?;
            self.ends(bootstrap, Java::ForKop, &group, &text, &mut member)?;
            self.groups.push(format!("{group}:{text}"));
        }

        // This group never joins: its topic's partitions are given to it.
        let group = format!("{format}-assigned");
        exact::ask(
            scratch,
            Java::ForKop,
            &["assign", bootstrap, &three, &group, "5"],
        )?;
        self.groups.push(format!("{group}:{three}"));

        exact::holds(scratch, Java::ForKop, bootstrap, &self.topics)?;
        self.committed = exact::committed(scratch, Java::ForKop, bootstrap, &self.groups)?;
        // A lag for the groups to catch up with, elsewhere.
        self.lag(bootstrap, Java::ForKop, &text)
    }

    /// All is there as it was; groups continue with the next record; more is written behind it.
    fn goes_on(&mut self, bootstrap: &str, release: Java) -> Result<()> {
        self.stage += 1;
        let scratch = self.scratch;
        exact::holds(scratch, release, bootstrap, &self.topics)?;
        let committed = exact::committed(scratch, release, bootstrap, &self.groups)?;
        exact::same("commits", &committed, &self.committed)?;

        for format in FORMATS {
            let text = format!("{format}-text");
            self.groups_continue(bootstrap, release, format, &text)
                .with_context(|| format!("groups of topic {text}"))?;
            self.lag(bootstrap, release, &text)?;
            for (name, partitions) in [("one", 1), ("three", 3)] {
                let topic = format!("{format}-{name}");
                let lines = exact::lines(partitions, false, i64::try_from(self.stage)? * 1_000);
                let contents = self.topics.entry(topic.clone()).or_default();
                exact::write(scratch, release, bootstrap, &topic, &lines, contents)?;
            }
        }
        exact::holds(scratch, release, bootstrap, &self.topics).context("with what is new")?;
        self.committed = exact::committed(scratch, release, bootstrap, &self.groups)?;
        Ok(())
    }

    fn groups_continue(
        &mut self,
        bootstrap: &str,
        release: Java,
        format: &str,
        text: &str,
    ) -> Result<()> {
        const MORE: usize = 50;
        let has = self.texts.get(text).copied().unwrap_or_default();
        self.produce(bootstrap, release, text, has, MORE)?;
        self.texts.insert(text.to_owned(), has + MORE);
        let unread: BTreeSet<String> = story::numbered(text, has - LAG, LAG + MORE).collect();
        let names = ["read", "alive"].map(|group| format!("{format}-{group}"));
        let mut members = Vec::new();
        for group in &names {
            members.push(self.member(bootstrap, release, text, group)?);
        }
        for (group, member) in names.iter().zip(&mut members) {
            story::wait_for_records(std::slice::from_mut(member), unread.len())
                .with_context(|| format!("group {group}"))?;
            is_exactly(member, &unread).with_context(|| format!("group {group}"))?;
            self.ends(bootstrap, release, group, text, member)?;
        }

        let three = format!("{format}-three");
        let group = format!("{format}-assigned");
        let arguments = ["assign", bootstrap, &three, &group, "5"];
        let said = exact::ask(self.scratch, release, &arguments)?;
        let contents = self.topics.get(&three).context("a topic of three")?;
        let mut expected = Vec::new();
        for (partition, (_, records)) in contents {
            for (offset, record) in records.iter().enumerate().skip(5 * self.stage).take(5) {
                expected.push(format!("{three} at {partition} {offset} {record}"));
            }
        }
        exact::same(&format!("group {group}"), &said, &expected)
    }

    /// Records that groups find when they come back.
    fn lag(&mut self, bootstrap: &str, release: Java, text: &str) -> Result<()> {
        let has = self.texts.get(text).copied().unwrap_or_default();
        self.texts.insert(text.to_owned(), has + LAG);
        self.produce(bootstrap, release, text, has, LAG)
    }

    fn produce(
        &self,
        bootstrap: &str,
        release: Java,
        topic: &str,
        first: usize,
        count: usize,
    ) -> Result<()> {
        let (first, count) = (first.to_string(), count.to_string());
        let arguments = ["produce", bootstrap, topic, &first, &count, topic];
        story::run(kafka_java(self.scratch, release, "produce", &arguments)?)
    }

    /// A member ends: gently after it has committed what it read, or, where the group's name says that it
    /// stays alive, so that its group does not know of it.
    fn ends(
        &self,
        bootstrap: &str,
        release: Java,
        group: &str,
        text: &str,
        member: &mut Process,
    ) -> Result<()> {
        if !group.ends_with("alive") {
            member.end_input();
            return member.succeed(PATIENCE);
        }
        let pair = [format!("{group}:{text}")];
        let has = self.texts.get(text).copied().unwrap_or_default();
        until("the commits of a living member", PATIENCE, || {
            let lines = exact::committed(self.scratch, release, bootstrap, &pair)?;
            let offsets = lines.iter().filter_map(|line| line.split(' ').nth(3));
            let sum: usize = offsets
                .filter_map(|offset| offset.parse::<usize>().ok())
                .sum();
            Ok((sum == has).then_some(()))
        })?;
        member.kill()
    }

    fn member(&self, bootstrap: &str, release: Java, topic: &str, group: &str) -> Result<Process> {
        let arguments = ["consume", bootstrap, topic, group, SESSION];
        kafka_java(self.scratch, release, group, &arguments)
    }
}

/// Records that are written where their groups do not read them.
const LAG: usize = 60;

/// It has read each of these once, and nothing else.
fn is_exactly(member: &Process, expected: &BTreeSet<String>) -> Result<()> {
    let read = story::records(member, Record::got);
    let values: BTreeSet<String> = read.iter().map(|record| record.value.clone()).collect();
    ensure!(read.len() == values.len(), "a record came twice");
    ensure!(
        values == *expected,
        "read {} records for {}, such as {:?}",
        values.len(),
        expected.len(),
        values.symmetric_difference(expected).next()
    );
    Ok(())
}
