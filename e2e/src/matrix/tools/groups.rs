//! `kafka-consumer-groups.sh` and `kafka-groups.sh`.

use super::{PATIENCE, Story, holds, line_of};
use crate::wait::until;
use anyhow::{Result, ensure};
use std::collections::BTreeMap;

const PARTITIONS: i32 = 2;
const EACH: i64 = 10;

fn groups(story: &mut Story<'_>, arguments: &[&str]) -> Result<String> {
    let class = story.class(
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        "kafka.admin.ConsumerGroupCommand",
    );
    story.run(class, arguments)
}

/// A group of the topic's name that has read everything and then left; `live` happens before that.
fn group_that_left(
    story: &mut Story<'_>,
    live: impl FnOnce(&mut Story<'_>) -> Result<()>,
) -> Result<()> {
    let topic = story.topic.clone();
    story.wire.create(&topic, PARTITIONS, &[])?;
    write(story)?;
    story
        .tools
        .start_console_consumer("member", &topic, &topic)?;
    until("a member that has read everything", PATIENCE, || {
        let committed = story.tools.output_of("member")?.lines().count();
        let stable = story
            .wire
            .members(&topic)?
            .is_some_and(|members| members.len() == 1);
        Ok((stable && i64::try_from(committed)? == EACH * i64::from(PARTITIONS)).then_some(()))
    })?;
    live(story)?;
    story.tools.stop("member")?;
    committed(story, EACH)
}

fn write(story: &mut Story<'_>) -> Result<()> {
    for partition in 0..PARTITIONS {
        let records: Vec<_> = (0..EACH).map(|n| (None, Some(format!("v{n}")))).collect();
        story.wire.produce(&story.topic, partition, &records)?;
    }
    Ok(())
}

fn committed(story: &mut Story<'_>, offset: i64) -> Result<()> {
    let expected: BTreeMap<i32, i64> = (0..PARTITIONS).map(|p| (p, offset)).collect();
    let found = story
        .wire
        .committed(&story.topic, &story.topic, PARTITIONS)?;
    ensure!(found == expected, "committed {found:?}, not {offset} each");
    Ok(())
}

pub(super) fn describe(story: &mut Story<'_>) -> Result<()> {
    let group = story.topic.clone();
    group_that_left(story, |story| {
        let group = story.topic.clone();
        let members = groups(story, &["--describe", "--members", "--group", &group])?;
        let mut lines = members.lines().map(super::fields);
        let found = lines.any(|line| line.contains(&"member") && line.contains(&"2"));
        ensure!(found, "no member with 2 partitions: {members}");
        let state = groups(story, &["--describe", "--state", "--group", &group])?;
        holds(&state, "Stable")
    })?;
    write(story)?;
    let listed = groups(story, &["--list"])?;
    ensure!(
        listed.lines().any(|line| line == group),
        "not listed: {listed}"
    );
    let described = groups(story, &["--describe", "--group", &group])?;
    // 2.0.0 leaves the group out.
    let first = if story.old() {
        vec![group.as_str()]
    } else {
        vec![group.as_str(), &group]
    };
    for partition in ["0", "1"] {
        let line = line_of(&described, &[&first[..], &[partition]].concat())?;
        let numbers = line.get(first.len() + 1..).unwrap_or_default();
        ensure!(
            numbers.starts_with(&["10", "20", "10"]),
            "not 10 of 20 read: {described}"
        );
    }
    Ok(())
}

pub(super) fn reset(story: &mut Story<'_>) -> Result<()> {
    let group = story.topic.clone();
    group_that_left(story, |_| Ok(()))?;
    let reset = |story: &mut Story<'_>, how: &[&str], expected: i64| {
        let which = [
            "--reset-offsets",
            "--group",
            &group,
            "--topic",
            &group,
            "--execute",
        ];
        groups(story, &[&which, how].concat())?;
        committed(story, expected)
    };
    reset(story, &["--to-earliest"], 0)?;
    reset(story, &["--to-offset", "7"], 7)?;
    reset(story, &["--shift-by", "-3"], 4)?;
    reset(story, &["--to-latest"], EACH)?;
    reset(story, &["--to-datetime", "2001-01-01T00:00:00.000"], 0)
}

pub(super) fn delete_offsets(story: &mut Story<'_>) -> Result<()> {
    let group = story.topic.clone();
    group_that_left(story, |_| Ok(()))?;
    groups(
        story,
        &["--delete-offsets", "--group", &group, "--topic", &group],
    )?;
    let left = story.wire.committed(&group, &group, PARTITIONS)?;
    ensure!(left.is_empty(), "committed still: {left:?}");
    Ok(())
}

pub(super) fn delete(story: &mut Story<'_>) -> Result<()> {
    let group = story.topic.clone();
    group_that_left(story, |story| {
        let group = story.topic.clone();
        let refused = groups(story, &["--delete", "--group", &group]);
        let listed = groups(story, &["--list"])?;
        ensure!(
            listed.lines().any(|line| line == group),
            "deleted with a member: {refused:?}"
        );
        Ok(())
    })?;
    groups(story, &["--delete", "--group", &group])?;
    let listed = groups(story, &["--list"])?;
    ensure!(
        !listed.lines().any(|line| line == group),
        "still listed: {listed}"
    );
    Ok(())
}

pub(super) fn all_kinds(story: &mut Story<'_>) -> Result<()> {
    let group = story.topic.clone();
    group_that_left(story, |_| Ok(()))?;
    let listed = story.run("org.apache.kafka.tools.GroupsCommand", &["--list"])?;
    let line = line_of(&listed, &[&group])?;
    ensure!(line.contains(&"Classic"), "not a classic group: {listed}");
    Ok(())
}
