//! Kafka's console producer and consumer, `kafka-topics` and `kafka-configs` as a client.

use super::client::{Client, How, Record, Settings};
use super::driver::{Cannot, Driver, reason};
use crate::install::{self, KAFKA_OLD, KAFKA_TOOLS};
use crate::scratch::Scratch;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::json;
use std::fmt::Write as _;

/// Stands for a null key or value in lines of the console tools.
const NULL: &str = "NULL";
const ZOOKEEPER: &str =
    "The tools of 2.0.0 ask ZooKeeper for this; its AdminClient asks the broker.";
/// Rows that the old tools do not do.
const OLD_CANNOT: Cannot = &[
    (
        "headers",
        "The console tools of 2.0.0 neither write nor show headers.",
    ),
    (
        "tombstones",
        "The console producer of 2.0.0 cannot write a null value.",
    ),
    ("zstd", super::clients::NO_ZSTD),
    ("create", ZOOKEEPER),
    ("describe", ZOOKEEPER),
    ("settings", ZOOKEEPER),
    ("alter", ZOOKEEPER),
    ("delete", ZOOKEEPER),
];

/// What a tool that has ended leaves.
#[derive(Debug, Deserialize)]
pub struct Ended {
    /// What it would have ended a process with.
    pub status: i32,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

/// The tools of one release, in one Java virtual machine.
#[derive(Debug)]
pub struct Tools {
    driver: Driver,
    bootstrap: String,
    release: &'static str,
}

impl Tools {
    /// Starts the virtual machine.
    ///
    /// # Errors
    /// Java or the release is missing.
    pub fn start(scratch: &Scratch, release: &'static str, bootstrap: &str) -> Result<Self> {
        let folder = format!("tools-{release}");
        let sources =
            ["ToolsDriver", "Tool", "Questions"].map(|class| format!("java/{class}.java"));
        let sources = sources.each_ref().map(String::as_str);
        let jars = install::jars("kafka", release)?;
        let classes = install::compiled_all(&folder, "ToolsDriver", &sources, &jars)?;
        let mut command = install::driver_java(&classes)?;
        command.arg("ToolsDriver");
        let name = format!("kafka-tools-{release}");
        let driver = Driver::start(&name, command, bootstrap, scratch.path(), &[])?;
        Ok(Self {
            driver,
            bootstrap: bootstrap.to_owned(),
            release,
        })
    }

    /// HOST:PORT that the tools are for.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The release that they are from.
    #[must_use]
    pub fn release(&self) -> &'static str {
        self.release
    }

    /// Starts `class` under a name; it goes on.
    ///
    /// # Errors
    /// There is no such class.
    pub fn start_one(&mut self, name: &str, class: &str, arguments: &[String]) -> Result<()> {
        let question = json!({"name": name, "class": class, "args": arguments});
        self.driver.ask("start-tool", question)
    }

    /// What a tool that goes on has written so far.
    ///
    /// # Errors
    /// There is no such tool.
    pub fn output_of(&mut self, name: &str) -> Result<String> {
        self.driver.ask("tool-output", json!({"name": name}))
    }

    /// Ends a tool that goes on, as a signal would.
    ///
    /// # Errors
    /// It does not end well.
    pub fn stop(&mut self, name: &str) -> Result<()> {
        let ended: Ended = self.driver.ask("stop-tool", json!({"name": name}))?;
        ensure!(ended.status == 0, "{ended:?}");
        Ok(())
    }

    /// Starts the console consumer as `member` of a group; it prints a line for each record.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_console_consumer(&mut self, member: &str, topic: &str, group: &str) -> Result<()> {
        let old = self.release == KAFKA_OLD;
        let property = if old {
            "--consumer-property"
        } else {
            "--command-property"
        };
        let id = format!("client.id={member}");
        let server = self.bootstrap.clone();
        let mut arguments = vec!["--bootstrap-server", &server, "--topic", topic];
        arguments.extend(["--from-beginning", "--group", group]);
        arguments.extend([property, &id, property, "heartbeat.interval.ms=300"]);
        arguments.extend(Self::shown(old));
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        self.start_one(member, Self::console_consumer(old), &arguments)
    }

    /// What makes the console consumer show all that it can.
    fn shown(old: bool) -> Vec<&'static str> {
        if old {
            return vec!["--property", "print.key=true"];
        }
        let all = [
            "print.key=true",
            "print.headers=true",
            "print.partition=true",
        ];
        let all = all
            .into_iter()
            .chain(["print.offset=true", "null.literal=NULL"]);
        all.flat_map(|shown| ["--formatter-property", shown])
            .collect()
    }

    fn console_consumer(old: bool) -> &'static str {
        if old {
            "kafka.tools.ConsoleConsumer"
        } else {
            "org.apache.kafka.tools.consumer.ConsoleConsumer"
        }
    }

    /// Runs `class` to its end, whatever its status; `input` is its standard input.
    ///
    /// # Errors
    /// It does not end.
    pub fn run(&mut self, class: &str, arguments: &[&str], input: &str) -> Result<Ended> {
        let question = json!({"class": class, "args": arguments, "input": input});
        self.driver.ask("tool", question)
    }

    /// What `class` writes to standard output.
    ///
    /// # Errors
    /// It fails.
    pub fn output(&mut self, class: &str, arguments: &[&str]) -> Result<String> {
        let ended = self.run(class, arguments, "")?;
        ensure!(ended.status == 0, "{class} {arguments:?}: {ended:?}");
        Ok(ended.out)
    }
}

/// The console tools of one release as a client of the matrix.
#[derive(Debug)]
pub struct Console {
    tools: Tools,
}

impl Console {
    /// Starts the tools of `release`.
    ///
    /// # Errors
    /// Java or the release is missing.
    pub fn start(scratch: &Scratch, release: &'static str, bootstrap: &str) -> Result<Self> {
        Ok(Self {
            tools: Tools::start(scratch, release, bootstrap)?,
        })
    }

    fn old(&self) -> bool {
        self.tools.release == KAFKA_OLD
    }

    fn read(&mut self, topic: &str, count: usize, more: &[&str]) -> Result<Vec<Record>> {
        let count = count.to_string();
        let server = self.tools.bootstrap.clone();
        let mut arguments = vec!["--bootstrap-server", &server, "--topic", topic];
        arguments.extend(["--from-beginning", "--max-messages", &count]);
        arguments.extend(["--timeout-ms", "20000"]);
        arguments.extend(Tools::shown(self.old()));
        arguments.extend(more);
        let out = self
            .tools
            .output(Tools::console_consumer(self.old()), &arguments)?;
        self.records(&out)
    }

    fn records(&self, out: &str) -> Result<Vec<Record>> {
        let complete = out
            .rfind('\n')
            .and_then(|end| out.get(..end))
            .unwrap_or_default();
        complete.lines().map(|line| self.record(line)).collect()
    }

    fn record(&self, line: &str) -> Result<Record> {
        // 2.0.0 writes "null" for it and cannot be told another word.
        let present = |text: &str| (text != NULL && text != "null").then(|| text.to_owned());
        let fields: Vec<&str> = line.split('\t').collect();
        let record = match *fields.as_slice() {
            [key, value] => Record {
                key: present(key),
                value: present(value),
                ..Record::default()
            },
            [partition, offset, headers, key, value] => {
                let number = |field: &str| {
                    field
                        .split_once(':')
                        .and_then(|(_, n)| n.parse::<i64>().ok())
                };
                let place = number(partition).zip(number(offset)).context("a place")?;
                let pair = |pair: &str| {
                    let (name, value) = pair.split_once(':')?;
                    Some((name.to_owned(), value.to_owned()))
                };
                Record {
                    key: present(key),
                    value: present(value),
                    headers: headers.split(',').filter_map(pair).collect(),
                    place: Some((i32::try_from(place.0)?, place.1)),
                }
            }
            _ => anyhow::bail!("not a record: {line}"),
        };
        Ok(record)
    }

    fn topics(&mut self, arguments: &[&str]) -> Result<String> {
        let server = self.tools.bootstrap.clone();
        let arguments = [&["--bootstrap-server", &server], arguments].concat();
        self.tools
            .output("org.apache.kafka.tools.TopicCommand", &arguments)
    }

    fn configs(&mut self, topic: &str, arguments: &[&str]) -> Result<String> {
        let server = self.tools.bootstrap.clone();
        let which = [
            "--bootstrap-server",
            &server,
            "--entity-type",
            "topics",
            "--entity-name",
            topic,
        ];
        self.tools
            .output("kafka.admin.ConfigCommand", &[&which, arguments].concat())
    }
}

impl Client for Console {
    fn cannot(&self, row: &str) -> Option<&'static str> {
        reason(if self.old() { OLD_CANNOT } else { &[] }, row)
    }

    fn version(&mut self) -> Result<String> {
        if self.old() {
            // Its tools have no --version, and its jars are fetched by it.
            return Ok(KAFKA_OLD.to_owned());
        }
        let version = self.topics(&["--version"])?;
        Ok(version
            .split(' ')
            .next()
            .unwrap_or(KAFKA_TOOLS)
            .trim()
            .to_owned())
    }

    fn produce(&mut self, topic: &str, records: &[Record], how: How) -> Result<Vec<(i32, i64)>> {
        let idempotent = format!("enable.idempotence={}", how.idempotent);
        let mut arguments = vec!["--topic", topic, "--compression-codec", how.codec];
        let mut lines = String::new();
        let class = if self.old() {
            let keyed = records.iter().any(|record| record.key.is_some());
            arguments.extend([
                "--broker-list",
                &self.tools.bootstrap,
                "--request-required-acks",
                "all",
            ]);
            arguments.extend(["--producer-property", &idempotent]);
            if keyed {
                arguments.extend(["--property", "parse.key=true"]);
            }
            for record in records {
                if let Some(key) = &record.key {
                    write!(lines, "{key}\t")?;
                }
                writeln!(lines, "{}", record.value.as_deref().context("a value")?)?;
            }
            "kafka.tools.ConsoleProducer"
        } else {
            arguments.extend(["--bootstrap-server", &self.tools.bootstrap]);
            arguments.extend(["--command-property", "acks=all"]);
            if how.idempotent {
                arguments.extend(["--command-property", &idempotent]);
            }
            for parsed in ["parse.key=true", "parse.headers=true", "null.marker=NULL"] {
                arguments.extend(["--reader-property", parsed]);
            }
            for record in records {
                let pairs = record
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{name}:{value}"));
                let headers = pairs.collect::<Vec<_>>().join(",");
                let headers = if headers.is_empty() { NULL } else { &headers };
                let (key, value) = (record.key.as_deref(), record.value.as_deref());
                writeln!(
                    lines,
                    "{headers}\t{}\t{}",
                    key.unwrap_or(NULL),
                    value.unwrap_or(NULL)
                )?;
            }
            "org.apache.kafka.tools.ConsoleProducer"
        };
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ended = self.tools.run(class, &arguments, &lines)?;
        // It ends well even where a record was not acknowledged; the row looks at what is stored.
        ensure!(ended.status == 0, "{class}: {ended:?}");
        Ok(Vec::new())
    }

    fn consume(&mut self, topic: &str, count: usize) -> Result<Vec<Record>> {
        self.read(topic, count, &[])
    }

    fn resume(&mut self, topic: &str, group: &str, count: usize) -> Result<Vec<Record>> {
        self.read(topic, count, &["--group", group])
    }

    fn join(&mut self, topic: &str, group: &str, member: &str) -> Result<()> {
        self.tools.start_console_consumer(member, topic, group)
    }

    fn seen(&mut self, member: &str) -> Result<Vec<Record>> {
        let out = self.tools.output_of(member)?;
        self.records(&out)
    }

    fn leave(&mut self, member: &str) -> Result<()> {
        self.tools.stop(member)
    }

    fn create(&mut self, topic: &str, partitions: i32, settings: &Settings) -> Result<()> {
        let partitions = partitions.to_string();
        let settings: Vec<String> = settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut arguments = vec!["--create", "--topic", topic, "--partitions", &partitions];
        arguments.extend(settings.iter().flat_map(|setting| ["--config", setting]));
        self.topics(&arguments).map(drop)
    }

    fn describe(&mut self, topic: &str) -> Result<i32> {
        let out = self.topics(&["--describe", "--topic", topic])?;
        let count = |field: &str| field.strip_prefix("PartitionCount: ")?.parse().ok();
        out.split('\t')
            .find_map(count)
            .with_context(|| format!("no count of partitions: {out}"))
    }

    fn settings(&mut self, topic: &str) -> Result<Settings> {
        let out = self.configs(topic, &["--describe", "--all"])?;
        let setting = |line: &str| {
            let (name, rest) = line.strip_prefix("  ")?.split_once('=')?;
            Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
        };
        Ok(out.lines().filter_map(setting).collect())
    }

    fn alter(&mut self, topic: &str, settings: &Settings) -> Result<()> {
        let wanted: Vec<String> = settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        self.configs(topic, &["--alter", "--add-config", &wanted.join(",")])
            .map(drop)
    }

    fn delete(&mut self, topic: &str) -> Result<()> {
        self.topics(&["--delete", "--topic", topic]).map(drop)
    }
}
