//! Consumer groups.

use super::Story;
use crate::matrix::client::Record;
use crate::wait::until;
use crate::wire::{Member, Wire};
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const PARTITIONS: i32 = 4;
const EACH: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);

/// A first member has all partitions; with a second one each has some; when that leaves, the first
/// has all again. Each record that is written meanwhile is read once, by the owner of its partition.
pub(super) fn two_members(story: &mut Story<'_>) -> Result<()> {
    let (topic, group) = (story.topic.clone(), story.topic.clone());
    story.wire.create(&topic, PARTITIONS, &[])?;
    let mut written = BTreeSet::new();
    let mut read = BTreeMap::new();

    story.client.join(&topic, &group, "first")?;
    assigned(story, &group, &["first"]).context("alone")?;
    written.extend(write(&mut story.wire, &topic, "alone")?);
    all_read(story, &["first"], &written, &mut read).context("alone")?;

    story.client.join(&topic, &group, "second")?;
    let members = assigned(story, &group, &["first", "second"]).context("with two")?;
    written.extend(write(&mut story.wire, &topic, "two")?);
    all_read(story, &["first", "second"], &written, &mut read).context("with two")?;
    for Member {
        client_id,
        partitions,
    } in members
    {
        let of_others = read.get(&client_id).into_iter().flatten().find(|value| {
            let partition = value
                .strip_prefix("two-")
                .and_then(|rest| rest.split('-').next());
            partition.is_some_and(|p| p.parse().is_ok_and(|p| !partitions.contains(&p)))
        });
        ensure!(
            of_others.is_none(),
            "{client_id} owns {partitions:?} and read {of_others:?}"
        );
    }

    story.client.leave("second")?;
    assigned(story, &group, &["first"]).context("alone again")?;
    written.extend(write(&mut story.wire, &topic, "again")?);
    let left = read.remove("second").unwrap_or_default();
    let rest: BTreeSet<String> = written
        .iter()
        .filter(|v| !left.contains(v))
        .cloned()
        .collect();
    all_read(story, &["first"], &rest, &mut read).context("alone again")?;

    story.client.leave("first")?;
    let ends = i64::try_from(3 * EACH)?;
    let ends: BTreeMap<i32, i64> = (0..PARTITIONS).map(|partition| (partition, ends)).collect();
    let committed = story.wire.committed(&group, &topic, PARTITIONS)?;
    ensure!(
        committed == ends,
        "committed {committed:?}, but the ends are {ends:?}"
    );
    Ok(())
}

/// A member reads a part, commits and leaves; the next one reads the rest and nothing else.
pub(super) fn commit_and_resume(story: &mut Story<'_>) -> Result<()> {
    const FIRST: usize = 7;
    let (topic, group) = (story.topic.clone(), story.topic.clone());
    story.wire.create(&topic, PARTITIONS, &[])?;
    let written = write(&mut story.wire, &topic, "v")?;

    let first = story.client.resume(&topic, &group, FIRST)?;
    ensure!(first.len() == FIRST, "{} records, not {FIRST}", first.len());
    let committed = story.wire.committed(&group, &topic, PARTITIONS)?;
    let sum = usize::try_from(committed.values().sum::<i64>())?;
    ensure!(
        sum == FIRST,
        "{FIRST} records read, but committed {committed:?}"
    );

    let rest = story.client.resume(&topic, &group, written.len() - FIRST)?;
    let mut read = values(&first);
    read.extend(values(&rest));
    each_once(&written, &read)
}

/// Writes some records into each partition; their values are `PREFIX-PARTITION-N`.
fn write(wire: &mut Wire, topic: &str, prefix: &str) -> Result<BTreeSet<String>> {
    let mut written = BTreeSet::new();
    for partition in 0..PARTITIONS {
        let values = (0..EACH).map(|n| format!("{prefix}-{partition}-{n}"));
        let records: Vec<_> = values.map(|value| (None, Some(value))).collect();
        wire.produce(topic, partition, &records)?;
        written.extend(records.into_iter().filter_map(|(_, value)| value));
    }
    Ok(written)
}

/// Waits until the coordinator knows just these members, each with partitions, together all, none twice.
fn assigned(story: &mut Story<'_>, group: &str, clients: &[&str]) -> Result<Vec<Member>> {
    let clients: BTreeSet<&str> = clients.iter().copied().collect();
    until(&format!("{clients:?} with partitions"), PATIENCE, || {
        for &client in &clients {
            story
                .client
                .seen(client)
                .with_context(|| format!("member {client}"))?;
        }
        let Some(members) = story.wire.members(group)? else {
            return Ok(None);
        };
        let present: BTreeSet<&str> = members.iter().map(|m| m.client_id.as_str()).collect();
        let owned: Vec<i32> = members
            .iter()
            .flat_map(|m| m.partitions.iter().copied())
            .collect();
        let all = owned.iter().copied().collect::<BTreeSet<_>>() == (0..PARTITIONS).collect();
        ensure!(
            owned.len() == owned.iter().collect::<BTreeSet<_>>().len(),
            "a partition of two owners: {members:?}"
        );
        let fair = members.iter().all(|member| !member.partitions.is_empty());
        Ok((present == clients && all && fair).then_some(members))
    })
}

/// Waits until the members have read all that is `expected`, and nothing twice.
fn all_read(
    story: &mut Story<'_>,
    members: &[&str],
    expected: &BTreeSet<String>,
    read: &mut BTreeMap<String, Vec<String>>,
) -> Result<()> {
    until(&format!("{} records", expected.len()), PATIENCE, || {
        for &member in members {
            let seen = story.client.seen(member)?;
            read.insert(member.to_owned(), values(&seen));
        }
        let count: usize = read.values().map(Vec::len).sum();
        Ok((count >= expected.len()).then_some(()))
    })?;
    let all: Vec<String> = read.values().flatten().cloned().collect();
    each_once(expected, &all)
}

fn values(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .filter_map(|record| record.value.clone())
        .collect()
}

fn each_once(expected: &BTreeSet<String>, read: &[String]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for value in read {
        ensure!(seen.insert(value), "read twice: {value}");
        ensure!(expected.contains(value), "nobody wrote {value}");
    }
    ensure!(
        seen.len() == expected.len(),
        "{} of {} read",
        seen.len(),
        expected.len()
    );
    Ok(())
}
