//! Files of the store that are not as they were left.

use crate::{PATIENCE, TOPIC, acknowledged, client, copied, errors, gateway, refusal, value};
use anyhow::{Context, Result, ensure};
use kop_e2e::gateway::Gateway;
use kop_e2e::process::Process;
use kop_e2e::scratch::{Scratch, tell};
use kop_e2e::wire::{Connection, NOBODY, batch};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const RECORDS: usize = 200;

/// What holds the index and the topics.
const JOURNAL: &str = "db/0.jnl";
/// What holds the records.
const SEGMENT: &str = "segments/00000001.appended";

/// A store whose gateway was killed after it had acknowledged [`RECORDS`] records, one at a time.
struct Killed {
    store: PathBuf,
}

impl Killed {
    fn new(scratch: &Scratch) -> Result<Self> {
        let mut gateway = Gateway::embedded(scratch, "whole")?;
        let mut client = client(&gateway)?;
        client.create(TOPIC, 1)?;
        for number in 0..RECORDS {
            let offset = acknowledged(&mut client, 0, &value(number, 700))?;
            ensure!(offset == number as i64, "{offset}");
        }
        gateway.kill()?;
        let store = scratch.data("whole");
        Ok(Self { store })
    }

    /// The number of bytes of a file up to the last one that is not zero, and the one behind: a record ends
    /// with a zero.
    fn end(&self, file: &str) -> Result<u64> {
        let bytes = fs::read(self.store.join(file))?;
        let last = bytes.iter().rposition(|byte| *byte != 0);
        Ok(last.context("an empty file")? as u64 + 2)
    }

    /// A copy in which something has happened to a file.
    fn with(
        &self,
        scratch: &Scratch,
        (name, file): (&str, &str),
        happens: impl FnOnce(&fs::File) -> std::io::Result<()>,
    ) -> Result<PathBuf> {
        let copy = scratch.data(name);
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        copied(&self.store, &copy)?;
        happens(&OpenOptions::new().write(true).open(copy.join(file))?)?;
        Ok(copy)
    }
}

/// Whether it starts on a store and has all that was acknowledged; else, what it or a fetch says.
fn outcome(scratch: &Scratch, name: &str, store: &Path) -> Result<Result<(), String>> {
    let mut process = Process::start(name, gateway(store)?, scratch.path())?;
    let ready = process.wait_for_line("ready line", PATIENCE, |line| {
        let (address, _) = line.strip_prefix("ready kafka=")?.split_once(' ')?;
        Some(address.to_owned())
    });
    let Ok(address) = ready else {
        drop(process);
        return Ok(Err(refusal(
            scratch,
            &format!("{name}-again"),
            gateway(store)?,
        )?));
    };
    let records = match Connection::connect(&address)?.fetch_all(TOPIC, 0, 0) {
        Ok(records) => records,
        Err(error) => {
            let said = errors(scratch, name)?;
            ensure!(said.contains("unreadable"), "{error:#}:\n{said}");
            return Ok(Err(error.to_string()));
        }
    };
    ensure!(
        records.len() == RECORDS,
        "{} of {RECORDS} records, and not a word",
        records.len()
    );
    for (number, (offset, found)) in records.into_iter().enumerate() {
        ensure!(
            offset == number as i64 && found == value(number, 700),
            "another at {offset}"
        );
    }
    process.signal("TERM")?;
    process.succeed(PATIENCE)?;
    Ok(Ok(()))
}

#[test]
fn what_a_crash_leaves_behind_the_last_write_is_cut_off() {
    tell("trouble-torn", |scratch| {
        let killed = Killed::new(scratch)?;
        for (name, file) in [("journal", JOURNAL), ("segment", SEGMENT)] {
            let end = killed.end(file)?;
            let torn = killed.with(scratch, (name, file), |file| {
                file.write_all_at(&[1, 1, 0, 0, 0, 9, 9], end)
            })?;
            let started = outcome(scratch, name, &torn)?;
            ensure!(started.is_ok(), "{started:?}");
            let said = errors(scratch, name)?;
            ensure!(said.contains("cut off"), "not a word of it:\n{said}");
        }
        Ok(())
    });
}

#[test]
fn acknowledged_writes_that_are_missing_are_a_reason_not_to_start() {
    tell("trouble-truncated", |scratch| {
        let killed = Killed::new(scratch)?;
        let end = killed.end(SEGMENT)?;
        for (name, file, left) in [
            ("last", SEGMENT, end - 2),
            ("half", SEGMENT, end / 2),
            ("all", SEGMENT, 0),
            ("topic", JOURNAL, 0),
        ] {
            let cut = killed.with(scratch, (name, file), |file| file.set_len(left))?;
            let line = refusal(scratch, name, gateway(&cut)?)?;
            let note = cut.join("acknowledged").display().to_string();
            ensure!(line.contains(&note), "no {note:?} in: {line}");
            // Whoever wants what is left takes it, knowing what it is.
            fs::remove_file(note)?;
            let mut process = Process::start("left", gateway(&cut)?, scratch.path())?;
            process.wait_for_line("ready line", PATIENCE, |line| {
                line.starts_with("ready ").then_some(())
            })?;
        }
        Ok(())
    });
}

/// The index of what was appended is not synced with each answer, because the segments hold it too.
#[test]
fn an_index_that_has_forgotten_records_is_made_again() {
    tell("trouble-forgotten", |scratch| {
        let killed = Killed::new(scratch)?;
        let end = killed.end(JOURNAL)?;
        for (name, left) in [("last", end - 3), ("half", end / 2)] {
            let cut = killed.with(scratch, (name, JOURNAL), |file| file.set_len(left))?;
            let started = outcome(scratch, name, &cut)?;
            ensure!(started.is_ok(), "{started:?}");
            let said = errors(scratch, name)?;
            ensure!(said.contains("read again"), "not a word of it:\n{said}");
        }
        Ok(())
    });
}

#[test]
fn garbage_never_loses_a_record_without_a_word() {
    tell("trouble-garbage", |scratch| {
        let killed = Killed::new(scratch)?;
        for file in [JOURNAL, SEGMENT] {
            let end = killed.end(file)?;
            let (mut whole, mut refused) = (0, 0);
            // At all kinds of places: in headers, keys, values, checksums.
            for number in 0..40_u64 {
                let at = end * number / 40 + number * 7 % 41;
                let garbage = match number % 3 {
                    0 => vec![0xff; 8],
                    1 => vec![0; 64],
                    _ => vec![1; 3],
                };
                let damaged = killed.with(scratch, ("garbage", file), |file| {
                    file.write_all_at(&garbage, at)
                })?;
                let name = format!("garbage-{}-{number}", file.len());
                match outcome(scratch, &name, &damaged).with_context(|| format!("at {at}"))? {
                    Ok(()) => whole += 1,
                    Err(_) => refused += 1,
                }
            }
            // What a journal has lost of appends is in the segment.
            ensure!(
                file == JOURNAL || refused > 30,
                "{file}: {refused} refused, {whole} as if nothing had been"
            );
        }
        Ok(())
    });
}

/// What the index has already is not read when a store is opened.
#[test]
fn records_that_are_damaged_are_an_error_and_the_others_are_served() {
    tell("trouble-corrupt", |scratch| {
        const LARGE: usize = 900_000;
        let mut gateway = Gateway::embedded_with(scratch, "gateway", &["--durability", "os"])?;
        let mut before = client(&gateway)?;
        before.create(TOPIC, 2)?;
        for number in 0..60 {
            let records = batch(NOBODY, vec![value(number, LARGE)])?;
            let written = before.produce(TOPIC, i32::from(number >= 30), records)?;
            ensure!(written.0 == 0, "{written:?}");
        }
        gateway.stop()?;
        let damaged = damage_values(&scratch.data("gateway"), &value(10, 100))?;
        ensure!(damaged > 0, "the record is in no segment");
        gateway.begin_again()?;
        gateway.ready()?;
        let mut after = client(&gateway)?;
        let read = after.fetch(TOPIC, 0, 10)?;
        ensure!(
            read.error_code == 2 && read.records.is_empty(),
            "a damaged record was read: {} {:?}",
            read.error_code,
            read.records.len()
        );
        let said = errors(scratch, "gateway")?;
        ensure!(said.contains("unreadable"), "not a word of it:\n{said}");
        let around: Vec<_> = after.fetch(TOPIC, 0, 11)?.records;
        ensure!(
            around.first().is_some_and(|(offset, _)| *offset == 11),
            "{around:?}"
        );
        let others = after.fetch_all(TOPIC, 1, 0)?;
        ensure!(others.len() == 30, "{} of 30", others.len());
        gateway.stop()
    });
}

/// Turns around some bits of a value that begins with this, in every segment.
fn damage_values(store: &Path, begins: &str) -> Result<usize> {
    let mut damaged = 0;
    let mut folders = vec![store.join("segments")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path)?;
            let begins = begins.as_bytes();
            let found = bytes
                .windows(begins.len())
                .position(|window| window == begins);
            if let Some(at) = found {
                let file = OpenOptions::new().write(true).open(&path)?;
                file.write_all_at(b"y", (at + begins.len()) as u64)?;
                damaged += 1;
            }
        }
    }
    Ok(damaged)
}
