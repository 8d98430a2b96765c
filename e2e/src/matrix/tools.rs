//! Kafka's command-line tools for administrators, those of the newest release and of 2.0.0.

use super::console::Tools;
use super::driver::{Cannot, reason};
use super::{Cell, Column};
use crate::install::{KAFKA_OLD, KAFKA_TOOLS};
use crate::scratch::Scratch;
use crate::wire::Wire;
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;
use std::time::{Duration, Instant};

mod groups;
mod records;
mod server;
mod topics;

const PATIENCE: Duration = Duration::from_secs(60);
const ZOOKEEPER: &str = "The tool of 2.0.0 asks ZooKeeper, not the broker.";
const LATER: &str = "Later than 2.0.0.";
const OLD_CANNOT: Cannot = &[
    ("create", ZOOKEEPER),
    ("grow", ZOOKEEPER),
    ("delete", ZOOKEEPER),
    ("topic-settings", ZOOKEEPER),
    (
        "broker-settings",
        "The tool of 2.0.0 shows only what was changed, which is nothing.",
    ),
    ("delete-offsets", LATER),
    ("elect", ZOOKEEPER),
    ("producers", LATER),
    ("kafka-groups", LATER),
    ("cluster", LATER),
    ("reassign", ZOOKEEPER),
];

/// What a row is told with.
#[derive(Debug)]
pub struct Story<'a> {
    tools: &'a mut Tools,
    wire: Wire,
    /// A topic of this row alone, not yet there.
    topic: String,
    /// A place for a file.
    file: PathBuf,
}

impl Story<'_> {
    fn old(&self) -> bool {
        self.tools.release() == KAFKA_OLD
    }

    /// What `class` writes when it is pointed to the server.
    fn run(&mut self, class: &str, arguments: &[&str]) -> Result<String> {
        let server = self.tools.bootstrap().to_owned();
        self.tools.output(
            class,
            &[&["--bootstrap-server", &server], arguments].concat(),
        )
    }

    /// The class of a tool that had another package in 2.0.0.
    fn class(&self, newest: &'static str, old: &'static str) -> &'static str {
        if self.old() { old } else { newest }
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
struct Row {
    id: &'static str,
    title: &'static str,
    tell: fn(&mut Story<'_>) -> Result<()>,
}

const fn row(id: &'static str, title: &'static str, tell: fn(&mut Story<'_>) -> Result<()>) -> Row {
    Row { id, title, tell }
}

const ROWS: &[Row] = &[
    row(
        "create",
        "`kafka-topics.sh --create`, `--list`, `--describe`",
        topics::create,
    ),
    row(
        "grow",
        "`kafka-topics.sh --alter --partitions`",
        topics::grow,
    ),
    row("delete", "`kafka-topics.sh --delete`", topics::delete),
    row(
        "topic-settings",
        "`kafka-configs.sh` of a topic",
        topics::settings,
    ),
    row(
        "broker-settings",
        "`kafka-configs.sh --describe` of a broker",
        server::settings,
    ),
    row(
        "groups",
        "`kafka-consumer-groups.sh --list`, `--describe`",
        groups::describe,
    ),
    row(
        "reset",
        "`kafka-consumer-groups.sh --reset-offsets`",
        groups::reset,
    ),
    row(
        "delete-offsets",
        "`kafka-consumer-groups.sh --delete-offsets`",
        groups::delete_offsets,
    ),
    row(
        "delete-group",
        "`kafka-consumer-groups.sh --delete`",
        groups::delete,
    ),
    row(
        "kafka-groups",
        "`kafka-groups.sh --list`",
        groups::all_kinds,
    ),
    row("get-offsets", "`kafka-get-offsets.sh`", records::offsets),
    row(
        "delete-records",
        "`kafka-delete-records.sh`",
        records::delete,
    ),
    row(
        "producers",
        "`kafka-transactions.sh describe-producers`",
        records::producers,
    ),
    row("elect", "`kafka-leader-election.sh`", server::elect),
    row(
        "reassign",
        "`kafka-reassign-partitions.sh --list`",
        server::reassign,
    ),
    row(
        "log-dirs",
        "`kafka-log-dirs.sh --describe`",
        server::log_dirs,
    ),
    row("cluster", "`kafka-cluster.sh`", server::cluster),
    row(
        "api-versions",
        "`kafka-broker-api-versions.sh`",
        server::api_versions,
    ),
];

/// Titles of the rows, for the table.
#[must_use]
pub fn titles() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.title).collect()
}

/// The tools of both releases do what they can; `cannot` are rows that the server does not serve.
///
/// # Errors
/// What failed, of all tools.
pub fn each_tool_does_what_it_can(
    scratch: &Scratch,
    bootstrap: &str,
    cannot: Cannot,
) -> Result<Vec<Column>> {
    let mut failed = Vec::new();
    let mut columns = Vec::new();
    for release in [KAFKA_TOOLS, KAFKA_OLD] {
        let began = Instant::now();
        let mut tools = Tools::start(scratch, release, bootstrap)?;
        let mut cells = Vec::new();
        for row in ROWS {
            let old = if release == KAFKA_OLD {
                OLD_CANNOT
            } else {
                &[]
            };
            if let Some(reason) = reason(old, row.id).or_else(|| reason(cannot, row.id)) {
                cells.push(Cell::NotApplicable(reason));
                continue;
            }
            let story = &mut Story {
                tools: &mut tools,
                wire: Wire::connect(bootstrap)?,
                topic: format!("tools-{}-{release}", row.id),
                file: scratch.data("tools.json"),
            };
            match (row.tell)(story) {
                Ok(()) => cells.push(Cell::Passed),
                Err(error) => failed.push(format!("{release}, {}: {error:#}", row.id)),
            }
        }
        eprintln!("tools-{release}: {:.1} s", began.elapsed().as_secs_f32());
        columns.push(Column {
            title: "Kafka",
            version: release.to_owned(),
            cells,
        });
    }
    if !failed.is_empty() {
        bail!("{} failed:\n{}", failed.len(), failed.join("\n"));
    }
    Ok(columns)
}

/// The cells of a table as the tools print them, between spaces.
fn fields(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The line of a table whose first cells are these.
fn line_of<'a>(out: &'a str, first: &[&str]) -> Result<Vec<&'a str>> {
    let mut lines = out.lines().map(fields);
    lines
        .find(|cells| cells.starts_with(first))
        .with_context(|| format!("no {first:?}: {out}"))
}

fn holds(out: &str, wanted: &str) -> Result<()> {
    ensure!(out.contains(wanted), "no {wanted:?}: {out}");
    Ok(())
}
