//! What the gateway on its embedded store says and does when things are not as they should be: a store
//! it cannot have, a disk that is full, files that are damaged, clients that mean no good.

#![expect(
    clippy::indexing_slicing,
    reason = "the functions of a test are a test"
)]

use anyhow::{Result, ensure};
use kop_e2e::gateway::Gateway;
use kop_e2e::install;
use kop_e2e::process::Process;
use kop_e2e::scratch::Scratch;
use kop_e2e::wire::{Connection, NOBODY, Stamp, batch};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

mod damage;
mod edge;
mod full_disk;
mod starting;

const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "topic";

/// The gateway's binary with arguments for a store.
fn gateway(store: &Path) -> Result<Command> {
    let mut command = Command::new(install::binary("kop-gateway")?);
    with_store(&mut command, store);
    Ok(command)
}

fn with_store(command: &mut Command, store: &Path) {
    command
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(store);
}

/// What it says when it does not start, which must be one line on standard error, and status 1.
fn refusal(scratch: &Scratch, name: &str, command: Command) -> Result<String> {
    let mut process = Process::start(name, command, scratch.path())?;
    let status = process.wait(PATIENCE)?;
    let said = errors(scratch, name)?;
    ensure!(status.code() == Some(1), "{status}; it said:\n{said}");
    let complaints = said
        .lines()
        .filter(|line| line.starts_with("kop-gateway: "));
    let complaints: Vec<&str> = complaints.collect();
    ensure!(complaints.len() == 1, "not one line but:\n{said}");
    ensure!(!said.contains("panicked"), "{said}");
    Ok(complaints[0].to_owned())
}

/// What it has written to standard error.
fn errors(scratch: &Scratch, name: &str) -> Result<String> {
    Ok(std::fs::read_to_string(
        scratch.path().join(format!("{name}.err")),
    )?)
}

/// Appends a record and has it acknowledged.
fn acknowledged(client: &mut Connection, partition: i32, value: &str) -> Result<i64> {
    let written = client.produce(TOPIC, partition, batch(NOBODY, vec![value.to_owned()])?)?;
    ensure!(written.0 == 0, "error {}", written.0);
    Ok(written.1)
}

/// A batch of an idempotent producer.
fn stamped(sequence: i32, value: &str) -> Result<bytes::Bytes> {
    let stamp = Stamp {
        producer: 77,
        epoch: 0,
        sequence,
    };
    batch(stamp, vec![value.to_owned()])
}

/// A text of this length that is not another one's.
fn value(number: usize, length: usize) -> String {
    let mut text = format!("{number} ");
    text.extend(std::iter::repeat_n('x', length));
    text
}

fn copied(from: &Path, to: &Path) -> Result<()> {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    ensure!(copied.success(), "cp: {copied}");
    Ok(())
}

/// A client of a gateway of the story.
fn client(gateway: &Gateway) -> Result<Connection> {
    use kop_e2e::story::KafkaServer as _;
    Connection::connect(gateway.bootstrap())
}
