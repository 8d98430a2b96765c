//! Tools that look at the server.

use super::{Story, holds};
use anyhow::{Result, ensure};

pub(super) fn settings(story: &mut Story<'_>) -> Result<()> {
    let broker = story.wire.broker()?.to_string();
    let which = [
        "--entity-type",
        "brokers",
        "--entity-name",
        &broker,
        "--describe",
        "--all",
    ];
    let out = story.run("kafka.admin.ConfigCommand", &which)?;
    holds(&out, "message.max.bytes=")
}

pub(super) fn elect(story: &mut Story<'_>) -> Result<()> {
    let topic = story.topic.clone();
    story.wire.create(&topic, 1, &[])?;
    let which = [
        "--election-type",
        "preferred",
        "--topic",
        &topic,
        "--partition",
        "0",
    ];
    let out = story.run("org.apache.kafka.tools.LeaderElectionCommand", &which)?;
    holds(&out, "Valid replica already elected for partitions")?;
    holds(&out, &format!("{topic}-0"))
}

pub(super) fn reassign(story: &mut Story<'_>) -> Result<()> {
    let class = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
    holds(
        &story.run(class, &["--list"])?,
        "No partition reassignments found.",
    )
}

pub(super) fn log_dirs(story: &mut Story<'_>) -> Result<()> {
    let topic = story.topic.clone();
    story.wire.create(&topic, 1, &[])?;
    story
        .wire
        .produce(&topic, 0, &[(None, Some("x".repeat(1000)))])?;
    let class = story.class(
        "org.apache.kafka.tools.LogDirsCommand",
        "kafka.admin.LogDirsCommand",
    );
    let out = story.run(class, &["--describe", "--topic-list", &topic])?;
    let json = out
        .lines()
        .find(|line| line.starts_with('{'))
        .unwrap_or_default();
    let found: serde_json::Value = serde_json::from_str(json)?;
    // In the directory of its leader.
    let brokers = found.get("brokers").and_then(|brokers| brokers.as_array());
    let mut brokers = brokers.into_iter().flatten();
    let partition = brokers.find_map(|broker| broker.pointer("/logDirs/0/partitions/0"));
    let name = partition.and_then(|p| p.get("partition")?.as_str());
    let size = partition.and_then(|p| p.get("size")?.as_i64());
    ensure!(
        name == Some(&format!("{topic}-0")) && size >= Some(1000),
        "not there: {out}"
    );
    Ok(())
}

pub(super) fn cluster(story: &mut Story<'_>) -> Result<()> {
    let server = story.tools.bootstrap().to_owned();
    let class = "org.apache.kafka.tools.ClusterTool";
    let id = story
        .tools
        .output(class, &["cluster-id", "--bootstrap-server", &server])?;
    holds(&id, "Cluster ID: ")?;
    let all = story
        .tools
        .output(class, &["list-endpoints", "--bootstrap-server", &server])?;
    let first = server.split(',').next().unwrap_or_default();
    let (host, port) = first.split_once(':').unwrap_or_default();
    let broker = story.wire.broker()?.to_string();
    super::line_of(&all, &[&broker, host, port]).map(drop)
}

pub(super) fn api_versions(story: &mut Story<'_>) -> Result<()> {
    let class = story.class(
        "org.apache.kafka.tools.BrokerApiVersionsCommand",
        "kafka.admin.BrokerApiVersionsCommand",
    );
    let out = story.run(class, &[])?;
    holds(&out, "Produce(0): 0 to ")?;
    holds(&out, "Fetch(1): ")
}
