//! `kafka-topics.sh`, and `kafka-configs.sh` of topics.

use super::{PATIENCE, Story, holds};
use crate::wait::until;
use anyhow::{Result, ensure};

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const SETTING: &str = "max.message.bytes";

pub(super) fn create(story: &mut Story<'_>) -> Result<()> {
    let topic = story.topic.clone();
    let create = ["--create", "--topic", &topic, "--partitions", "3"];
    story.run(TOPICS, &create)?;
    ensure!(
        story.wire.partitions(&topic)? == Some(3),
        "not 3 partitions"
    );
    let again = story.run(TOPICS, &create);
    ensure!(
        again.is_err_and(|e| format!("{e:#}").contains("already exists")),
        "created twice"
    );
    story.run(TOPICS, &[&create[..], &["--if-not-exists"]].concat())?;
    let listed = story.run(TOPICS, &["--list"])?;
    ensure!(
        listed.lines().any(|line| line == topic),
        "not listed: {listed}"
    );
    let described = story.run(TOPICS, &["--describe", "--topic", &topic])?;
    holds(&described, "PartitionCount: 3")?;
    holds(&described, "Partition: 2\tLeader: ")
}

pub(super) fn grow(story: &mut Story<'_>) -> Result<()> {
    let topic = story.topic.clone();
    story.wire.create(&topic, 3, &[])?;
    story.run(TOPICS, &["--alter", "--topic", &topic, "--partitions", "5"])?;
    // One of several gateways may not have heard of it yet.
    until("5 partitions", PATIENCE, || {
        Ok((story.wire.partitions(&topic)? == Some(5)).then_some(()))
    })?;
    let fewer = story.run(TOPICS, &["--alter", "--topic", &topic, "--partitions", "4"]);
    ensure!(fewer.is_err(), "the topic shrank");
    Ok(())
}

pub(super) fn delete(story: &mut Story<'_>) -> Result<()> {
    let topic = story.topic.clone();
    story.wire.create(&topic, 3, &[])?;
    story.run(TOPICS, &["--delete", "--topic", &topic])?;
    until("the end of the topic", PATIENCE, || {
        Ok(story.wire.partitions(&topic)?.is_none().then_some(()))
    })
}

pub(super) fn settings(story: &mut Story<'_>) -> Result<()> {
    let topic = story.topic.clone();
    story.wire.create(&topic, 1, &[])?;
    let before = story.wire.setting(&topic, SETTING)?;
    let of_topic = ["--entity-type", "topics", "--entity-name", &topic];
    let mut configs = |more: &[&str]| story.run(CONFIGS, &[&of_topic, more].concat());
    holds(
        &configs(&["--describe", "--all"])?,
        &format!("{SETTING}={before} "),
    )?;
    configs(&["--alter", "--add-config", "max.message.bytes=2000"])?;
    holds(&configs(&["--describe"])?, "max.message.bytes=2000 ")?;
    configs(&["--alter", "--delete-config", SETTING])?;
    let after = story.wire.setting(&topic, SETTING)?;
    ensure!(after == before, "{after}, not {before} again");
    Ok(())
}
