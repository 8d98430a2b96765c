//! Stories that any Kafka must pass: Apache's own, and the gateway on each of its stores.

use crate::clients::{Java, Record, kafka_java, kcat_group, kcat_produce, kcat_read};
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait::until;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Something that Kafka clients can be pointed to.
pub trait KafkaServer {
    /// HOST:PORT
    fn bootstrap(&self) -> &str;
    /// Ends it gently and starts it again with the same data and address.
    ///
    /// # Errors
    /// It did not end or start well.
    fn restart(&mut self) -> Result<()>;
}

/// How many records each producer of [`groups_read_each_record_once`] writes.
pub const RECORDS: usize = 100_000;
const PARTITIONS: u32 = 8;
const AFTER_RESTART: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(180);

/// The Java client and kcat write [`RECORDS`] each over 8 partitions while two Java members of one
/// group, of different releases, read them, each once. After a restart of the server the group goes
/// on behind its commits, and two kcat members of another group read all from the beginning.
///
/// # Errors
/// Any record lost, doubled or at another offset than acknowledged; any client that fails.
pub fn groups_read_each_record_once(
    scratch: &Scratch,
    server: &mut dyn KafkaServer,
    topic: &str,
) -> Result<()> {
    let bootstrap = server.bootstrap().to_owned();
    let name = |part: &str| format!("{topic}-{part}");
    run(kafka_java(
        scratch,
        Java::Three,
        &name("create"),
        &["create", &bootstrap, topic, &PARTITIONS.to_string()],
    )?)?;

    let group = format!("{topic}-java-group");
    let member = |n: u32| {
        let release = if n == 1 { Java::Three } else { Java::Newest };
        let arguments = ["consume", &bootstrap, topic, &group];
        kafka_java(scratch, release, &name(&format!("java-{n}")), &arguments)
    };
    let mut members = [member(1)?, member(2)?];
    wait_for_assignments(&mut members)?;

    let mut java = kafka_java(
        scratch,
        Java::Newest,
        &name("java-produce"),
        &[
            "produce",
            &bootstrap,
            topic,
            "0",
            &RECORDS.to_string(),
            "java",
        ],
    )?;
    let lines = lines_file(scratch, &name("kcat-lines"), "kcat", 0, RECORDS)?;
    let idempotent = ["-X", "enable.idempotence=true", "-H", "origin=kcat"];
    let mut kcat = kcat_produce(
        scratch,
        &name("kcat-produce"),
        &bootstrap,
        topic,
        &lines,
        &idempotent,
    )?;
    java.succeed(PATIENCE).context("the Java producer")?;
    kcat.succeed(PATIENCE).context("the kcat producer")?;
    let acked = records(&java, Record::acked);
    ensure!(
        acked.len() == RECORDS,
        "{} of {RECORDS} acknowledged",
        acked.len()
    );
    let mut expected: HashSet<String> = numbered("java", 0, RECORDS).collect();
    expected.extend(numbered("kcat", 0, RECORDS));

    wait_for_records(&mut members, expected.len()).context("the Java group")?;
    for member in &mut members {
        member.end_input();
        member.succeed(PATIENCE)?;
    }
    let read = all_records(&members);
    each_once(&read, &expected).context("the Java group")?;
    at_acknowledged_offsets(&acked, &read)?;
    commits_reach_the_end(scratch, &name("committed"), &bootstrap, topic, &group)?;

    server.restart().context("the restart")?;
    let more = lines_file(scratch, &name("more-lines"), "more", 0, AFTER_RESTART)?;
    kcat_produce(scratch, &name("more"), &bootstrap, topic, &more, &[])?.succeed(PATIENCE)?;
    let more: HashSet<String> = numbered("more", 0, AFTER_RESTART).collect();
    let mut resumed = [member(3)?];
    wait_for_records(&mut resumed, more.len()).context("the resumed group")?;
    let [member] = &mut resumed;
    member.end_input();
    member.succeed(PATIENCE)?;
    each_once(&all_records(&resumed), &more).context("the resumed group")?;
    commits_reach_the_end(scratch, &name("recommitted"), &bootstrap, topic, &group)?;

    expected.extend(more);
    kcat_reads_each_once(scratch, &bootstrap, topic, &expected, &acked)
}

/// Two members of a kcat group and one plain reader, each seeing all there is.
fn kcat_reads_each_once(
    scratch: &Scratch,
    bootstrap: &str,
    topic: &str,
    expected: &HashSet<String>,
    acked: &[Record],
) -> Result<()> {
    let group = format!("{topic}-kcat-group");
    let member = |n: u32| {
        kcat_group(
            scratch,
            &format!("{topic}-kcat-{n}"),
            bootstrap,
            topic,
            &group,
        )
    };
    let mut members = [member(1)?, member(2)?];
    wait_for_records(&mut members, expected.len()).context("the kcat group")?;
    for member in &mut members {
        member.signal("TERM")?;
        member.wait(PATIENCE)?;
    }
    let read = all_records(&members);
    each_once(&read, expected).context("the kcat group")?;
    at_acknowledged_offsets(acked, &read)?;
    let name = format!("{topic}-kcat-committed");
    commits_reach_the_end(scratch, &name, bootstrap, topic, &group)?;

    let mut reader = kcat_read(scratch, &format!("{topic}-kcat-read"), bootstrap, topic)?;
    reader.succeed(PATIENCE).context("kcat to the end")?;
    each_once(&records(&reader, Record::got), expected).context("kcat to the end")
}

/// Waits for a process that ends by itself.
///
/// # Errors
/// It does not end well in time.
pub fn run(mut process: Process) -> Result<()> {
    process.succeed(PATIENCE)
}

/// `PREFIX-FIRST` and so on.
pub fn numbered(prefix: &str, first: usize, count: usize) -> impl Iterator<Item = String> {
    (first..first + count).map(move |n| format!("{prefix}-{n}"))
}

/// A file of lines `KEY:VALUE` with [`numbered`] values.
///
/// # Errors
/// It cannot be written.
pub fn lines_file(
    scratch: &Scratch,
    name: &str,
    prefix: &str,
    first: usize,
    count: usize,
) -> Result<PathBuf> {
    let mut text = String::new();
    for (n, value) in (first..).zip(numbered(prefix, first, count)) {
        writeln!(text, "key-{n}:{value}")?;
    }
    let path = scratch.data(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

/// What a process has printed, read by `parse`.
pub fn records(process: &Process, parse: fn(&str) -> Option<Record>) -> Vec<Record> {
    process.lines(0, |lines| {
        lines.iter().filter_map(|line| parse(line)).collect()
    })
}

/// What consumers have printed together.
pub fn all_records(members: &[Process]) -> Vec<Record> {
    members
        .iter()
        .flat_map(|member| records(member, Record::got))
        .collect()
}

/// Waits until the consumers have printed `count` records together.
///
/// # Errors
/// One ended, or the time passed.
pub fn wait_for_records(members: &mut [Process], count: usize) -> Result<()> {
    until(&format!("{count} records"), PATIENCE, || {
        let mut seen = 0;
        for member in members.iter_mut() {
            if let Some(status) = member.ended()? {
                bail!("a member ended: {status}");
            }
            seen += member.lines(0, |lines| {
                lines.iter().filter(|l| l.starts_with("got ")).count()
            });
        }
        Ok((seen >= count).then_some(()))
    })
}

/// Waits until each member has partitions.
///
/// # Errors
/// One ended, or the time passed.
pub fn wait_for_assignments(members: &mut [Process]) -> Result<()> {
    until("partitions for each member", PATIENCE, || {
        let mut all = true;
        for member in members.iter_mut() {
            if let Some(status) = member.ended()? {
                bail!("a member ended: {status}");
            }
            let latest = |lines: &[String]| {
                lines
                    .iter()
                    .rev()
                    .find_map(|line| line.strip_prefix("assigned ").map(str::len))
            };
            all &= member
                .lines(0, latest)
                .is_some_and(|partitions| partitions > 0);
        }
        Ok(all.then_some(()))
    })
}

/// Each expected value was read once and nothing else was, no offset came twice, and offsets of a
/// partition rose in the order of reading at each member.
///
/// # Errors
/// Says what was lost, doubled or strange.
pub fn each_once(read: &[Record], expected: &HashSet<String>) -> Result<()> {
    let mut places = HashSet::new();
    let mut values = HashSet::new();
    for record in read {
        ensure!(
            places.insert((record.partition, record.offset)),
            "offset read twice: {record:?}"
        );
        ensure!(values.insert(&record.value), "value read twice: {record:?}");
        ensure!(expected.contains(&record.value), "nobody wrote {record:?}");
    }
    let lost: Vec<&String> = expected
        .iter()
        .filter(|value| !values.contains(value))
        .collect();
    ensure!(
        lost.is_empty(),
        "{} records lost, such as {:?}",
        lost.len(),
        lost.first()
    );
    Ok(())
}

/// Each acknowledged record was read where its acknowledgement said.
///
/// # Errors
/// Names one that was not.
pub fn at_acknowledged_offsets(acked: &[Record], read: &[Record]) -> Result<()> {
    let placed: BTreeMap<(u32, i64), &str> = read
        .iter()
        .map(|record| ((record.partition, record.offset), record.value.as_str()))
        .collect();
    for record in acked {
        let found = placed.get(&(record.partition, record.offset));
        ensure!(
            found == Some(&record.value.as_str()),
            "{record:?} is not there but {found:?}"
        );
    }
    Ok(())
}

/// A group has committed the end of each of the topic's partitions.
///
/// # Errors
/// Says where it has not.
pub fn commits_reach_the_end(
    scratch: &Scratch,
    name: &str,
    bootstrap: &str,
    topic: &str,
    group: &str,
) -> Result<()> {
    let mut process = kafka_java(
        scratch,
        Java::Newest,
        name,
        &["committed", bootstrap, topic, group],
    )?;
    process.succeed(PATIENCE)?;
    let of = |kind: &str| -> Vec<String> {
        process.lines(0, |l| {
            l.iter()
                .filter_map(|l| l.strip_prefix(kind))
                .map(str::to_owned)
                .collect()
        })
    };
    let (mut committed, mut ends) = (of("committed "), of("end "));
    committed.sort();
    ends.sort();
    ensure!(!ends.is_empty(), "no partition has an end");
    ensure!(
        committed == ends,
        "committed {committed:?}, but the ends are {ends:?}"
    );
    Ok(())
}
