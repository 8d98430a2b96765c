//! What `KoP` wrote as bytes in the repository, so that tests without `KoP` read them.

use anyhow::{Context, Result, ensure};
use kop_e2e::clients::pulsar_class;
use kop_e2e::exact::Contents;
use kop_e2e::install::checkout;
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::Scratch;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Partitions that `KoP` gives to `__consumer_offsets`.
const OFFSETS_PARTITIONS: i32 = 50;

/// Where the recorded bytes lie.
fn folder() -> PathBuf {
    checkout().join("gateway/store-pulsar/tests/kop")
}

/// Records entries of one topic of each format, with what they hold, and of the partitions of
/// `__consumer_offsets` that hold the groups, with what the groups had committed.
pub(crate) fn update(
    scratch: &Scratch,
    pulsar: &Pulsar,
    topics: &BTreeMap<String, Contents>,
    committed: &[String],
) -> Result<()> {
    let folder = folder();
    std::fs::create_dir_all(&folder)?;
    for format in crate::FORMATS {
        let topic = format!("{format}-one");
        let contents = topics.get(&topic).context("a topic that was written")?;
        let (begin, records) = contents.get(&0).context("its partition")?;
        let mut text = String::new();
        for (offset, record) in (*begin..).zip(records) {
            writeln!(text, "{offset} {record}")?;
        }
        std::fs::write(folder.join(format!("{format}.records")), text)?;
        let full = format!("persistent://public/default/{topic}-partition-0");
        let entries = entries(scratch, pulsar, &[full])?;
        std::fs::write(folder.join(format!("{format}.entries")), entries)?;
    }
    let groups: BTreeSet<&str> = committed
        .iter()
        .filter_map(|line| line.split_once(' ').map(|(group, _)| group))
        .collect();
    let partitions: BTreeSet<String> = groups
        .iter()
        .map(|group| {
            let partition = java_hash(group).rem_euclid(OFFSETS_PARTITIONS);
            format!("persistent://public/__kafka/__consumer_offsets-partition-{partition}")
        })
        .collect();
    let partitions: Vec<String> = partitions.into_iter().collect();
    let offsets = entries(scratch, pulsar, &partitions)?;
    std::fs::write(folder.join("consumer_offsets.entries"), offsets)?;
    std::fs::write(
        folder.join("consumer_offsets.committed"),
        committed.join("\n") + "\n",
    )?;
    Ok(())
}

/// Java's `String.hashCode`, of a name of ASCII.
fn java_hash(text: &str) -> i32 {
    text.bytes().fold(0_i32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(i32::from(byte))
    })
}

/// The entries of topics, a line each: the topic's local name, ledger, entry, bytes.
fn entries(scratch: &Scratch, pulsar: &Pulsar, topics: &[String]) -> Result<String> {
    let service = pulsar.service_url();
    let mut arguments = vec![service.as_str()];
    arguments.extend(topics.iter().map(String::as_str));
    let mut reader = pulsar_class(scratch, "PulsarEntries", "entries", &arguments)?;
    reader.succeed(Duration::from_secs(120))?;
    let mut text = String::new();
    reader.lines(0, |lines| {
        for line in lines.iter().filter_map(|line| line.strip_prefix("entry ")) {
            let (topic, rest) = line.split_once(' ').context("a topic")?;
            let local = topic.rsplit('/').next().unwrap_or_default();
            writeln!(text, "{local} {rest}")?;
        }
        anyhow::Ok(())
    })?;
    ensure!(!text.is_empty(), "{topics:?} have no entries");
    Ok(text)
}
