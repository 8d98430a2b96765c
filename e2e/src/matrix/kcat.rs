//! kcat (librdkafka), which is a client by its command line alone.

use super::client::{Client, How, Record};
use super::driver::{Cannot, reason};
use crate::install;
use crate::process::Process;
use crate::scratch::Scratch;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const NO_SETTINGS: &str = "kcat describes topics, but not their settings.";
const NO_ADMIN: &str = "kcat creates, alters and deletes nothing.";
/// Rows that kcat does not do.
pub(super) const CANNOT: Cannot = &[
    ("create", NO_ADMIN),
    ("settings", NO_SETTINGS),
    ("alter", NO_ADMIN),
    ("delete", NO_ADMIN),
];

/// kcat as a client of the matrix.
#[derive(Debug)]
pub struct Kcat {
    bootstrap: String,
    logs: PathBuf,
    members: BTreeMap<String, Process>,
}

impl Kcat {
    /// kcat for this server.
    #[must_use]
    pub fn new(scratch: &Scratch, bootstrap: &str) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            logs: scratch.path().to_owned(),
            members: BTreeMap::new(),
        }
    }

    fn start(&self, arguments: &[&str]) -> Result<Process> {
        let mut command = install::program("kcat", "kcat")?;
        command.args(["-b", &self.bootstrap]).args(arguments);
        Process::start("kcat", command, &self.logs)
    }

    /// Writes records that have the same headers and are all tombstones or none of them.
    fn write(&mut self, topic: &str, records: &[&Record], how: How) -> Result<()> {
        let first = records.first().context("records to write")?;
        let headers = first.headers.iter();
        let headers: Vec<String> = headers
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let idempotent = format!("enable.idempotence={}", how.idempotent);
        let mut arguments = vec!["-P", "-t", topic, "-z", how.codec, "-X", "acks=all"];
        arguments.extend(["-X", "linger.ms=20", "-X", &idempotent]);
        arguments.extend(headers.iter().flat_map(|header| ["-H", header]));
        if first.value.is_none() {
            arguments.push("-Z");
        }
        if first.key.is_some() {
            arguments.push("-K\t");
        }
        let mut lines = String::new();
        for record in records {
            if let Some(key) = &record.key {
                write!(lines, "{key}\t")?;
            }
            writeln!(lines, "{}", record.value.as_deref().unwrap_or_default())?;
        }
        let file = self.logs.join("data/kcat-lines");
        std::fs::write(&file, lines)?;
        let file = file.display().to_string();
        arguments.extend(["-l", &file]);
        self.start(&arguments)?.succeed(PATIENCE)
    }
}

impl Client for Kcat {
    fn cannot(&self, row: &str) -> Option<&'static str> {
        reason(CANNOT, row)
    }

    fn version(&mut self) -> Result<String> {
        let mut process = self.start(&["-V"])?;
        process.succeed(PATIENCE)?;
        let version = |line: &str| {
            line.strip_prefix("Version ")?
                .split(' ')
                .next()
                .map(str::to_owned)
        };
        let found = process.lines(0, |lines| lines.iter().find_map(|line| version(line)));
        found.context("a version")
    }

    fn produce(&mut self, topic: &str, records: &[Record], how: How) -> Result<Vec<(i32, i64)>> {
        let shape = |r: &Record| (r.headers.clone(), r.key.is_none(), r.value.is_none());
        let all: Vec<&Record> = records.iter().collect();
        for alike in all.chunk_by(|a, b| shape(a) == shape(b)) {
            self.write(topic, alike, how)?;
        }
        Ok(Vec::new())
    }

    fn consume(&mut self, topic: &str, count: usize) -> Result<Vec<Record>> {
        let mut process = self.start(&["-C", "-J", "-u", "-e", "-o", "beginning", "-t", topic])?;
        process.succeed(PATIENCE)?;
        let records = read(&process)?;
        ensure!(records.len() == count, "{} of {count} came", records.len());
        Ok(records)
    }

    fn resume(&mut self, topic: &str, group: &str, count: usize) -> Result<Vec<Record>> {
        let count = count.to_string();
        let begin = "auto.offset.reset=earliest";
        let mut process =
            self.start(&["-J", "-u", "-X", begin, "-c", &count, "-G", group, topic])?;
        process.succeed(PATIENCE)?;
        read(&process)
    }

    fn join(&mut self, topic: &str, group: &str, member: &str) -> Result<()> {
        let id = format!("client.id={member}");
        let mut arguments = vec!["-J", "-u", "-X", "auto.offset.reset=earliest", "-X", &id];
        arguments.extend(["-X", "heartbeat.interval.ms=300", "-G", group, topic]);
        let process = self.start(&arguments)?;
        self.members.insert(member.to_owned(), process);
        Ok(())
    }

    fn seen(&mut self, member: &str) -> Result<Vec<Record>> {
        let process = self.members.get_mut(member).context("a member")?;
        if let Some(status) = process.ended()? {
            bail!("kcat ended: {status}");
        }
        read(process)
    }

    fn leave(&mut self, member: &str) -> Result<()> {
        let mut process = self.members.remove(member).context("a member")?;
        process.signal("TERM")?;
        process.succeed(PATIENCE)
    }

    fn describe(&mut self, topic: &str) -> Result<i32> {
        let mut process = self.start(&["-L", "-J", "-t", topic])?;
        process.succeed(PATIENCE)?;
        let text = process.lines(0, <[String]>::concat);
        let found: Value = serde_json::from_str(&text).context(text)?;
        let partitions = found
            .pointer("/topics/0/partitions")
            .and_then(Value::as_array);
        Ok(i32::try_from(partitions.context("partitions")?.len())?)
    }
}

/// Records as kcat prints them with `-J`.
fn read(process: &Process) -> Result<Vec<Record>> {
    process.lines(0, |lines| lines.iter().map(|line| record(line)).collect())
}

fn record(line: &str) -> Result<Record> {
    let read: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
    let text = |name: &str| read.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| {
        read.get(name)
            .and_then(Value::as_i64)
            .with_context(|| name.to_owned())
    };
    let headers: Vec<String> = match read.get("headers") {
        Some(headers) => serde_json::from_value(headers.clone())?,
        None => Vec::new(),
    };
    let pairs = headers.chunks_exact(2).filter_map(|pair| match pair {
        [name, value] => Some((name.clone(), value.clone())),
        _ => None,
    });
    Ok(Record {
        key: text("key"),
        value: text("payload"),
        headers: pairs.collect(),
        place: Some((i32::try_from(number("partition")?)?, number("offset")?)),
    })
}
