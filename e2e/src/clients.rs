//! Unmodified clients as processes: Kafka's and Pulsar's for Java, and kcat (librdkafka).

use crate::install::{self, KAFKA, KAFKA_CLIENT, KOP_CLIENT, PULSAR_NEWEST};
use crate::process::Process;
use crate::scratch::Scratch;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// What clients under test may have in common.
const SHARED: [&str; 2] = ["Numbered.java", "Input.java"];

/// A record that a consumer printed, or that a producer was told it has written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Partition of the topic.
    pub partition: u32,
    /// Its offset there.
    pub offset: i64,
    /// The value as text. The stories give each record another one.
    pub value: String,
}

impl Record {
    /// Reads `got PARTITION OFFSET KEY VALUE`, as consumers print it.
    #[must_use]
    pub fn got(line: &str) -> Option<Self> {
        let mut fields = line.strip_prefix("got ")?.splitn(4, ' ');
        let (partition, offset) = (fields.next()?, fields.next()?);
        Self::from(partition, offset, fields.nth(1)?)
    }

    /// Reads `acked PARTITION OFFSET VALUE`, as the Java producer prints it.
    #[must_use]
    pub fn acked(line: &str) -> Option<Self> {
        let mut fields = line.strip_prefix("acked ")?.splitn(3, ' ');
        let (partition, offset) = (fields.next()?, fields.next()?);
        Self::from(partition, offset, fields.next()?)
    }

    fn from(partition: &str, offset: &str, value: &str) -> Option<Self> {
        Some(Self {
            partition: partition.parse().ok()?,
            offset: offset.parse().ok()?,
            value: value.to_owned(),
        })
    }
}

/// Which release of Kafka's Java client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Java {
    /// The 3 line's newest.
    Three,
    /// The newest that `KoP` answers.
    ForKop,
    /// The newest of all.
    Newest,
}

impl Java {
    fn jars(self) -> Result<String> {
        match self {
            Self::Three => install::jars("kafka", KAFKA),
            Self::ForKop => install::jars("kafka-clients", KOP_CLIENT),
            Self::Newest => install::jars("kafka-clients", KAFKA_CLIENT),
        }
    }
}

/// Kafka's Java client, as `KafkaRecords.java` describes its arguments.
///
/// # Errors
/// Java or Kafka's jars are missing, or it does not start.
pub fn kafka_java(
    scratch: &Scratch,
    release: Java,
    name: &str,
    arguments: &[&str],
) -> Result<Process> {
    kafka_class(scratch, release, "KafkaRecords", name, arguments)
}

/// Kafka's Java client by another class of `e2e/clients`, which describes its arguments.
///
/// # Errors
/// Java or Kafka's jars are missing, or it does not start.
pub fn kafka_class(
    scratch: &Scratch,
    release: Java,
    class: &str,
    name: &str,
    arguments: &[&str],
) -> Result<Process> {
    let own = format!("{class}.java");
    let sources = [&[own.as_str()], &SHARED[..]].concat();
    let classes = install::compiled_all("", class, &sources, &release.jars()?)?;
    let mut command = install::driver_java(&classes)?;
    command.arg(class).args(arguments);
    Process::start(name, command, scratch.path())
}

/// Pulsar's Java client, as `PulsarRecords.java` describes its arguments.
///
/// # Errors
/// Java or Pulsar's jars are missing, or it does not start.
pub fn pulsar_java(scratch: &Scratch, name: &str, arguments: &[&str]) -> Result<Process> {
    pulsar_class(scratch, "PulsarRecords", name, arguments)
}

/// Pulsar's Java client by another class of `e2e/clients`, which describes its arguments.
///
/// # Errors
/// Java or Pulsar's jars are missing, or it does not start.
pub fn pulsar_class(
    scratch: &Scratch,
    class: &str,
    name: &str,
    arguments: &[&str],
) -> Result<Process> {
    let logging = install::checkout().join("e2e/clients/log4j2.yaml");
    let own = format!("{class}.java");
    let sources = [&[own.as_str()], &SHARED[..]].concat();
    let jars = install::jars("pulsar", PULSAR_NEWEST)?;
    let classes = install::compiled_all("", class, &sources, &jars)?;
    let mut command = install::java()?;
    command
        .args([
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            &classes,
        ])
        .args(["--add-opens", "java.base/java.nio=ALL-UNNAMED"])
        .args(["--add-opens", "java.base/jdk.internal.misc=ALL-UNNAMED"])
        .arg(format!("-Dlog4j.configurationFile={}", logging.display()))
        .arg(class)
        .args(arguments);
    Process::start(name, command, scratch.path())
}

/// kcat writing the lines `KEY:VALUE` of a file, all replicas acknowledging; ends by itself.
///
/// # Errors
/// kcat is missing or does not start.
pub fn kcat_produce(
    scratch: &Scratch,
    name: &str,
    bootstrap: &str,
    topic: &str,
    file: &Path,
    options: &[&str],
) -> Result<Process> {
    let mut command = install::program("kcat", "kcat")?;
    command
        .args(["-P", "-b", bootstrap, "-t", topic, "-K:", "-X", "acks=all"])
        .args(options);
    command.arg("-l").arg(file);
    Process::start(name, command, scratch.path())
}

/// kcat as a member of a group; goes on until `SIGTERM`, then commits what it printed and leaves.
///
/// # Errors
/// kcat is missing or does not start.
pub fn kcat_group(
    scratch: &Scratch,
    name: &str,
    bootstrap: &str,
    topic: &str,
    group: &str,
) -> Result<Process> {
    let mut command = install::program("kcat", "kcat")?;
    command
        .args(["-b", bootstrap, "-X", "auto.offset.reset=earliest", "-u"])
        .args(["-f", "got %p %o %k %s\n", "-G", group, topic]);
    Process::start(name, command, scratch.path())
}

/// kcat reading all partitions from the beginning to their present end; ends by itself.
///
/// # Errors
/// kcat is missing or does not start.
pub fn kcat_read(scratch: &Scratch, name: &str, bootstrap: &str, topic: &str) -> Result<Process> {
    let mut command = install::program("kcat", "kcat")?;
    command
        .args([
            "-C",
            "-b",
            bootstrap,
            "-t",
            topic,
            "-o",
            "beginning",
            "-e",
            "-u",
        ])
        .args(["-f", "got %p %o %k %s\n"]);
    Process::start(name, command, scratch.path())
}

/// What a URL answers, or `None` if it does not answer well.
///
/// # Errors
/// curl is missing, or the answer is not text.
pub fn curl(arguments: &[&str]) -> Result<Option<String>> {
    let output = Command::new("curl")
        .args(["-sf", "-m", "10"])
        .args(arguments)
        .output()
        .context("curl")?;
    Ok(output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout))
        .transpose()?)
}
