//! A page cache survives `SIGKILL`, so no kill can show that an answer waits for the disk. The order
//! of the system calls does.

use crate::trace::{Trace, traced};
use anyhow::{Context, Result, ensure};
use kop_e2e::install;
use kop_e2e::process::Process;
use kop_e2e::scratch::{Scratch, tell};
use kop_e2e::wait::until;
use kop_e2e::wire::{Connection, NOBODY, batch};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: usize = 5;

#[test]
fn an_answer_waits_for_the_disk() {
    tell("durability-sync", |scratch| {
        let traced = Traced::run(scratch, "sync")?;
        for (marker, answer) in &traced.answers {
            ensure!(
                traced.is_synced(marker, *answer)?,
                "{marker} was acknowledged before it was on the disk"
            );
        }
        Ok(())
    });
}

/// This is also how the other test could fail.
#[test]
fn an_answer_does_not_wait_for_the_disk_where_that_is_not_asked_for() {
    tell("durability-os", |scratch| {
        let traced = Traced::run(scratch, "os")?;
        for (marker, answer) in &traced.answers {
            ensure!(
                !traced.is_synced(marker, *answer)?,
                "{marker} waited for the disk, or the trace is misread"
            );
        }
        Ok(())
    });
}

#[test]
fn a_new_store_has_its_names_on_the_disk_before_it_answers() {
    tell("durability-names", |scratch| {
        let traced = Traced::run(scratch, "sync")?;
        let answers = traced.trace.answers(traced.port);
        let first = answers.first().context("no answer")?;
        let unsynced = traced.trace.unsynced_names(&traced.folder, first);
        // Nobody misses a lock.
        let missed = unsynced.iter().filter(|name| !name.ends_with("lock"));
        let missed: Vec<_> = missed.collect();
        ensure!(missed.is_empty(), "gone after a power cut: {missed:?}");
        Ok(())
    });
}

/// A gateway that ran under a trace.
struct Traced {
    trace: Trace,
    /// The client's.
    port: u16,
    folder: PathBuf,
    /// What was acknowledged, by a text that stands in what was written, and by the number of its
    /// answer.
    answers: Vec<(String, usize)>,
}

impl Traced {
    fn run(scratch: &Scratch, durability: &str) -> Result<Self> {
        let log = scratch.path().join("trace");
        let folder = scratch.data("gateway");
        let mut command = traced(&log, &install::binary("kop-gateway")?)?;
        command
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(["--durability", durability, "--data-dir"])
            .arg(&folder);
        let mut process = Process::start("gateway", command, scratch.path())?;
        let address = process.wait_for_line("ready line", PATIENCE, |line| {
            let (address, _) = line.strip_prefix("ready kafka=")?.split_once(' ')?;
            Some(address.to_owned())
        })?;
        let mut client = Connection::connect(&address)?;
        let port = client.port()?;
        let answers = acknowledged(&mut client)?;
        // The tracer does not forward signals.
        let gateway = Trace::process(&log)?;
        let told = Command::new("kill")
            .args(["-s", "TERM", &gateway])
            .status()?;
        ensure!(told.success(), "kill: {told}");
        process.succeed(PATIENCE)?;
        let trace = Trace::read(&log)?;
        Ok(Self {
            trace,
            port,
            folder,
            answers,
        })
    }

    fn is_synced(&self, marker: &str, answer: usize) -> Result<bool> {
        let answers = self.trace.answers(self.port);
        let answer = answers
            .get(answer)
            .with_context(|| format!("{} answers, none {answer}", answers.len()))?;
        self.trace.is_synced(marker, answer)
    }
}

/// Has one thing acknowledged after the other.
fn acknowledged(client: &mut Connection) -> Result<Vec<(String, usize)>> {
    let mut answers = Vec::new();
    for round in 0..ROUNDS {
        let topic = format!("topic-{round}");
        client.create(&topic, 1)?;
        answers.push((topic.clone(), client.requests() - 1));
        let record = format!("record-{round}.");
        let written = client.produce(&topic, 0, batch(NOBODY, vec![record.clone()])?)?;
        ensure!(written.0 == 0, "produce: {written:?}");
        answers.push((record, client.requests() - 1));
        let commit = format!("commit-{round}.");
        committed(client, &topic, &commit)?;
        answers.push((commit, client.requests() - 1));
    }
    Ok(answers)
}

/// Commits once the coordinator has started.
fn committed(client: &mut Connection, topic: &str, metadata: &str) -> Result<()> {
    until("the coordinator", PATIENCE, || {
        Ok(client.committed("group", topic)?.ok())
    })?;
    let code = client.commit("group", topic, 1, metadata)?;
    ensure!(code == 0, "commit: error {code}");
    Ok(())
}
