//! A disk that runs full, and has room again.

use crate::{PATIENCE, TOPIC, errors, stamped, value, with_store};
use anyhow::{Context, Result, bail, ensure};
use kop_e2e::install;
use kop_e2e::process::Process;
use kop_e2e::scratch::{Scratch, tell};
use kop_e2e::wait::until;
use kop_e2e::wire::Connection;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const KAFKA_STORAGE_ERROR: i16 = 56;
/// Coordinator loading, not available, or elsewhere: clients commit again.
const RETRIABLE: [i16; 3] = [14, 15, 16];
const RECORD: usize = 20_000;
/// How long the disk stays full.
const FULL: Duration = Duration::from_secs(4);
const GROUP: &str = "group";

/// The gateway with its store on a small file system of its own, which goes when the process ends.
fn on_small_disk(store: &Path) -> Result<Command> {
    let binary = install::binary("kop-gateway")?;
    let mut command = Command::new("unshare");
    // Whoever is not root is root over mounts of its own.
    command.args(["--user", "--map-root-user", "--mount", "--", "sh", "-c"]);
    command
        .arg("mount -t tmpfs -o size=96m none \"$0\" && exec setpriv --pdeathsig KILL -- \"$@\"");
    command.arg(store).arg(binary);
    with_store(&mut command, &store.join("store"));
    Ok(command)
}

/// Writes until nothing goes any more.
fn fill(file: &mut File) -> Result<()> {
    for size in [1 << 20, 4096, 1] {
        loop {
            match file.write_all(&vec![1; size]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

#[test]
fn a_full_disk_refuses_writes_for_as_long_as_it_is_full() {
    tell("trouble-full-disk", |scratch| {
        let folder = scratch.data("small");
        std::fs::create_dir_all(&folder)?;
        let mut process = Process::start("gateway", on_small_disk(&folder)?, scratch.path())?;
        let address = process.wait_for_line("ready line", PATIENCE, |line| {
            let (address, _) = line.strip_prefix("ready kafka=")?.split_once(' ')?;
            Some(address.to_owned())
        })?;
        let inside = format!("/proc/{}/root{}", process.id(), folder.display());
        let told = outage(scratch, &address, &PathBuf::from(inside))
            .with_context(|| format!("the process: {:?}", process.ended()));
        told?;
        process.signal("TERM")?;
        process.succeed(PATIENCE)
    });
}

fn outage(scratch: &Scratch, address: &str, disk: &Path) -> Result<()> {
    let mut client = Connection::connect(address)?;
    client.create(TOPIC, 1)?;
    let mut acknowledged = 0;
    while acknowledged < 100 {
        let number = acknowledged;
        let (code, offset) = append(&mut client, number)?;
        ensure!((code, offset) == (0, number as i64), "{code} {offset}");
        acknowledged += 1;
    }

    until("the coordinator", PATIENCE, || {
        Ok(client.committed(GROUP, TOPIC)?.ok())
    })?;
    let code = client.commit(GROUP, TOPIC, 1, "")?;
    ensure!(code == 0, "commit: error {code}");

    let filler = disk.join("filler");
    fill(&mut File::create(&filler)?)?;
    // What is being written over was there before, so some more may still fit.
    let mut tried = 0;
    loop {
        match append(&mut client, acknowledged)? {
            (0, offset) => {
                ensure!(offset == acknowledged as i64, "at {offset}");
                acknowledged += 1;
            }
            (KAFKA_STORAGE_ERROR, _) => break,
            (code, _) => bail!("error {code} on a full disk"),
        }
        tried += 1;
        ensure!(tried < 10_000, "the disk does not get full");
    }
    let lines_before = errors(scratch, "gateway")?.lines().count();
    let full_since = Instant::now();
    while full_since.elapsed() < FULL {
        let (code, _) = append(&mut client, acknowledged)?;
        ensure!(code == KAFKA_STORAGE_ERROR, "error {code} on a full disk");
        let code = client.commit(GROUP, TOPIC, 2, "")?;
        ensure!(RETRIABLE.contains(&code), "commit: {code} on a full disk");
    }
    readable(&mut client, acknowledged).context("while the disk is full")?;
    let said = errors(scratch, "gateway")?;
    let lines = said.lines().count() - lines_before;
    ensure!(lines <= 6, "{lines} lines for one full disk:\n{said}");
    ensure!(said.contains("No space left on device"), "{said}");

    std::fs::remove_file(&filler)?;
    let first = until("room to be noticed", PATIENCE, || {
        match append(&mut client, acknowledged)? {
            (0, offset) => Ok(Some(offset)),
            (KAFKA_STORAGE_ERROR, _) => Ok(None),
            (code, _) => bail!("error {code} with room on the disk"),
        }
    })?;
    ensure!(
        first == acknowledged as i64,
        "{first} behind {acknowledged}"
    );
    acknowledged += 1;
    for _ in 0..100 {
        let (code, offset) = append(&mut client, acknowledged)?;
        ensure!(
            (code, offset) == (0, acknowledged as i64),
            "{code} {offset}"
        );
        acknowledged += 1;
    }
    readable(&mut client, acknowledged).context("with room again")?;
    let committed = until("the coordinator", PATIENCE, || {
        Ok(client.committed(GROUP, TOPIC)?.ok())
    })?;
    ensure!(committed == 1, "committed: {committed}");
    let code = client.commit(GROUP, TOPIC, 3, "")?;
    ensure!(code == 0, "commit: error {code}");
    ensure!(client.committed(GROUP, TOPIC)? == Ok(3), "not committed");
    // Another one is served as if nothing had been.
    readable(&mut Connection::connect(address)?, acknowledged)
}

/// An idempotent producer's next record, again and again until it is taken.
fn append(client: &mut Connection, number: usize) -> Result<(i16, i64)> {
    let batch = stamped(number.try_into()?, &value(number, RECORD))?;
    client.produce(TOPIC, 0, batch)
}

/// What was acknowledged is there, and nothing else.
fn readable(client: &mut Connection, acknowledged: usize) -> Result<()> {
    let records = client.fetch_all(TOPIC, 0, 0)?;
    ensure!(
        records.len() == acknowledged,
        "{} records of {acknowledged}",
        records.len()
    );
    for (number, (offset, found)) in records.into_iter().enumerate() {
        ensure!(
            offset == number as i64 && found == value(number, RECORD),
            "another record at {offset}"
        );
    }
    Ok(())
}
