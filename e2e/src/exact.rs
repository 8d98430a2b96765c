//! Records to the byte, as lines of text that `ExactRecords.java` writes and reads.

use crate::clients::{Java, kafka_class};
use crate::scratch::Scratch;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// What `ExactRecords.java` says with these arguments, without its last line.
///
/// # Errors
/// It fails.
pub fn ask(scratch: &Scratch, release: Java, arguments: &[&str]) -> Result<Vec<String>> {
    let name = arguments.first().copied().unwrap_or_default();
    let mut process = kafka_class(
        scratch,
        release,
        "ExactRecords",
        &format!("exact-{name}"),
        arguments,
    )?;
    process
        .succeed(PATIENCE)
        .with_context(|| arguments.join(" "))?;
    let mut lines = process.lines(0, <[String]>::to_vec);
    ensure!(
        lines.pop().as_deref() == Some("done"),
        "{arguments:?} did not say done"
    );
    Ok(lines)
}

/// Lines of records to write: for each codec and partition two batches with keys and values of every
/// kind. `any_header` says that headers may be null and need not be text.
#[must_use]
pub fn lines(partitions: u32, any_header: bool, from: i64) -> Vec<String> {
    let long = "6b6f70".repeat(200);
    let mut kinds = vec![
        "x6b6579 x76616c7565".to_owned(),
        "- x6e6f206b6579".to_owned(),
        "x x".to_owned(),
        "x746f6d6273746f6e65 -".to_owned(),
        "- -".to_owned(),
        "x00ff80fe x00c3280a".to_owned(),
        "x6b x76 x61=x31 x62=x x61=x32 xc3a4=xe282ac".to_owned(),
        format!("x6c6f6e67 x{long}"),
    ];
    if any_header {
        kinds.push("x6b x76 x6e756c6c=- x62=x00ff80".to_owned());
    }
    let mut lines = Vec::new();
    let mut number = from;
    for codec in CODECS {
        lines.push(format!("codec {codec}"));
        for half in 0..2 {
            for partition in 0..partitions {
                for kind in kinds.iter().skip(half).step_by(2) {
                    number += 1;
                    // Neither rising nor all the same.
                    let timestamp = 1_700_000_000_000 + (number * 7_919) % 100_000;
                    lines.push(format!("{partition} {timestamp} {kind}"));
                }
            }
            lines.push("flush".to_owned());
        }
    }
    lines
}

/// What there is to read in a topic: by partition its first offset and its records.
pub type Contents = BTreeMap<u32, (i64, Vec<String>)>;

/// Adds written lines to what there was.
///
/// # Errors
/// A line is none of [`lines`].
pub fn add(contents: &mut Contents, lines: &[String]) -> Result<()> {
    for line in lines {
        if line == "flush" || line.starts_with("codec ") {
            continue;
        }
        let (partition, record) = line.split_once(' ').context("a line of a record")?;
        let (_, records) = contents.entry(partition.parse()?).or_default();
        records.push(record.to_owned());
    }
    Ok(())
}

/// Writes lines, and checks that each record was put behind what is in `contents`, where it is now.
///
/// # Errors
/// It fails, or a record was acknowledged elsewhere.
pub fn write(
    scratch: &Scratch,
    release: Java,
    bootstrap: &str,
    topic: &str,
    lines: &[String],
    contents: &mut Contents,
) -> Result<()> {
    let file = scratch.path().join("written.records");
    std::fs::write(&file, lines.join("\n"))?;
    let file = file.display().to_string();
    let said = ask(scratch, release, &["write", bootstrap, topic, &file])?;
    let mut ends: BTreeMap<u32, i64> = BTreeMap::new();
    for (partition, (begin, records)) in contents.iter() {
        ends.insert(*partition, begin + i64::try_from(records.len())?);
    }
    add(contents, lines)?;
    let mut expected = Vec::new();
    for line in lines {
        let Some((partition, _)) = line.split_once(' ').filter(|(p, _)| *p != "codec") else {
            continue;
        };
        let end = ends.entry(partition.parse()?).or_default();
        expected.push(format!("acked {partition} {end}"));
        *end += 1;
    }
    same(
        &format!("places of what was written to {topic}"),
        &said,
        &expected,
    )
}

/// Reads whole topics, and checks that each holds what `contents` says, at the same offsets.
///
/// # Errors
/// It fails, or names the first difference.
pub fn holds(
    scratch: &Scratch,
    release: Java,
    bootstrap: &str,
    topics: &BTreeMap<String, Contents>,
) -> Result<()> {
    let names: Vec<&str> = topics.keys().map(String::as_str).collect();
    let said = ask(
        scratch,
        release,
        &[&["read", bootstrap], &names[..]].concat(),
    )?;
    let mut expected = Vec::new();
    for (topic, contents) in topics {
        for (partition, (begin, records)) in contents {
            let end = begin + i64::try_from(records.len())?;
            expected.push(format!("{topic} begin {partition} {begin}"));
            expected.push(format!("{topic} end {partition} {end}"));
            for (offset, record) in (*begin..).zip(records) {
                expected.push(format!("{topic} at {partition} {offset} {record}"));
            }
        }
    }
    same("what is read", &said, &expected)
}

/// What groups have committed: `GROUP TOPIC PARTITION OFFSET TEXT`. Pairs are `GROUP:TOPIC`.
///
/// # Errors
/// It fails.
pub fn committed(
    scratch: &Scratch,
    release: Java,
    bootstrap: &str,
    pairs: &[String],
) -> Result<Vec<String>> {
    let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
    ask(
        scratch,
        release,
        &[&["texts", bootstrap], &pairs[..]].concat(),
    )
}

/// Two lists of lines are the same.
///
/// # Errors
/// Names the first difference.
pub fn same(what: &str, found: &[String], expected: &[String]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let at = (found.iter().zip(expected))
        .position(|(found, expected)| found != expected)
        .unwrap_or(found.len().min(expected.len()));
    let mut text = String::new();
    write!(
        text,
        "{what}: {} lines for {}, the first that differs is {at}: {:.300?} for {:.300?}",
        found.len(),
        expected.len(),
        found.get(at),
        expected.get(at)
    )?;
    anyhow::bail!(text)
}
