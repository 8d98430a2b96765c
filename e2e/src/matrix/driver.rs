//! A client behind a driver program of `e2e/clients`: it is asked with one line of JSON and answers
//! with one, `{"ok": …}` or `{"error": "…"}`.

use super::client::{Client, How, Record, Settings};
use crate::process::Process;
use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Longer than any operation takes; drivers give up on their own after 30 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// A row that the client does not do, and why.
pub type Cannot = &'static [(&'static str, &'static str)];

/// A client and its running driver.
#[derive(Debug)]
pub struct Driver {
    process: Process,
    cannot: Cannot,
}

impl Driver {
    /// Starts `command`, which takes the bootstrap address as its last argument.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(
        name: &str,
        mut command: Command,
        bootstrap: &str,
        logs: &Path,
        cannot: Cannot,
    ) -> Result<Self> {
        command.arg(bootstrap);
        let process = Process::start(name, command, logs)?;
        Ok(Self { process, cannot })
    }

    /// Asks for `operation`; its arguments are the members of `arguments`.
    ///
    /// # Errors
    /// The driver answers with an error, with something else than a `T`, or not at all.
    pub fn ask<T: DeserializeOwned>(&mut self, operation: &str, mut arguments: Value) -> Result<T> {
        let members = arguments.as_object_mut().context("arguments have names")?;
        members.insert("op".to_owned(), operation.into());
        let line = self.process.ask(&arguments.to_string(), PATIENCE)?;
        let mut answer: Value =
            serde_json::from_str(&line).with_context(|| format!("{operation}: {line}"))?;
        if let Some(error) = answer.get("error") {
            bail!("{operation}: {}", error.as_str().unwrap_or_default());
        }
        let ok = answer
            .get_mut("ok")
            .with_context(|| format!("neither ok nor error: {line}"))?;
        serde_json::from_value(ok.take()).with_context(|| format!("{operation} answers {line}"))
    }
}

impl Client for Driver {
    fn cannot(&self, row: &str) -> Option<&'static str> {
        reason(self.cannot, row)
    }

    fn version(&mut self) -> Result<String> {
        self.ask("version", json!({}))
    }

    fn produce(&mut self, topic: &str, records: &[Record], how: How) -> Result<Vec<(i32, i64)>> {
        let (codec, idempotent) = (how.codec, how.idempotent);
        self.ask(
            "produce",
            json!({"topic": topic, "records": records, "codec": codec, "idempotent": idempotent}),
        )
    }

    fn consume(&mut self, topic: &str, count: usize) -> Result<Vec<Record>> {
        self.ask("consume", json!({"topic": topic, "count": count}))
    }

    fn resume(&mut self, topic: &str, group: &str, count: usize) -> Result<Vec<Record>> {
        self.ask(
            "resume",
            json!({"topic": topic, "group": group, "count": count}),
        )
    }

    fn join(&mut self, topic: &str, group: &str, member: &str) -> Result<()> {
        self.ask(
            "join",
            json!({"topic": topic, "group": group, "member": member}),
        )
    }

    fn seen(&mut self, member: &str) -> Result<Vec<Record>> {
        self.ask("seen", json!({"member": member}))
    }

    fn leave(&mut self, member: &str) -> Result<()> {
        self.ask("leave", json!({"member": member}))
    }

    fn create(&mut self, topic: &str, partitions: i32, settings: &Settings) -> Result<()> {
        self.ask(
            "create",
            json!({"topic": topic, "partitions": partitions, "settings": settings}),
        )
    }

    fn describe(&mut self, topic: &str) -> Result<i32> {
        self.ask("describe", json!({"topic": topic}))
    }

    fn settings(&mut self, topic: &str) -> Result<Settings> {
        self.ask("settings", json!({"topic": topic}))
    }

    fn alter(&mut self, topic: &str, settings: &Settings) -> Result<()> {
        self.ask("alter", json!({"topic": topic, "settings": settings}))
    }

    fn delete(&mut self, topic: &str) -> Result<()> {
        self.ask("delete", json!({"topic": topic}))
    }
}

/// What `cannot` says of a row.
#[must_use]
pub fn reason(cannot: Cannot, row: &str) -> Option<&'static str> {
    cannot
        .iter()
        .find_map(|&(name, reason)| (name == row).then_some(reason))
}
