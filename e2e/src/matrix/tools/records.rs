//! Tools that look at records, or delete them.

use super::{Story, line_of};
use anyhow::{Context, Result, ensure};

/// Writes 10 records to partition 1 of 2.
fn ten(story: &mut Story<'_>) -> Result<()> {
    story.wire.create(&story.topic, 2, &[])?;
    let records: Vec<_> = (0..10).map(|n| (None, Some(format!("v{n}")))).collect();
    story.wire.produce(&story.topic, 1, &records).map(drop)
}

/// What `kafka-get-offsets.sh` says of the two partitions for a time as Kafka numbers it.
fn get(story: &mut Story<'_>, time: &str) -> Result<Vec<String>> {
    let topic = story.topic.clone();
    let more = ["--topic", &topic, "--time", time];
    let out = if story.old() {
        let server = story.tools.bootstrap().to_owned();
        let arguments = [&["--broker-list", &server], &more[..]].concat();
        story
            .tools
            .output("kafka.tools.GetOffsetShell", &arguments)?
    } else {
        story.run("org.apache.kafka.tools.GetOffsetShell", &more)?
    };
    let mut lines: Vec<String> = out.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

fn expect(story: &mut Story<'_>, time: &str, offsets: [&str; 2]) -> Result<()> {
    let expected: Vec<String> = (0..)
        .zip(offsets)
        .map(|(p, o)| format!("{}:{p}:{o}", story.topic))
        .collect();
    let found = get(story, time)?;
    ensure!(
        found == expected,
        "time {time}: {found:?}, not {expected:?}"
    );
    Ok(())
}

pub(super) fn offsets(story: &mut Story<'_>) -> Result<()> {
    ten(story)?;
    expect(story, "-1", ["0", "10"])?;
    expect(story, "-2", ["0", "0"])?;
    if story.old() {
        return Ok(());
    }
    // By time: from 2001 on the first record; of the largest timestamp, which all ten have, the first.
    let by_time = get(story, "978307200000")?;
    ensure!(
        by_time.contains(&format!("{}:1:0", story.topic)),
        "by time: {by_time:?}"
    );
    let largest = get(story, "-3")?;
    ensure!(
        largest.contains(&format!("{}:1:0", story.topic)),
        "largest timestamp: {largest:?}"
    );
    Ok(())
}

pub(super) fn delete(story: &mut Story<'_>) -> Result<()> {
    ten(story)?;
    let wanted = format!(
        r#"{{"version": 1, "partitions": [{{"topic": "{}", "partition": 1, "offset": 4}}]}}"#,
        story.topic
    );
    std::fs::write(&story.file, wanted)?;
    let file = story.file.display().to_string();
    let class = story.class(
        "org.apache.kafka.tools.DeleteRecordsCommand",
        "kafka.admin.DeleteRecordsCommand",
    );
    let out = story.run(class, &["--offset-json-file", &file])?;
    ensure!(out.contains("low_watermark: 4"), "not 4: {out}");
    expect(story, "-2", ["0", "4"])?;
    expect(story, "-1", ["0", "10"])
}

pub(super) fn producers(story: &mut Story<'_>) -> Result<()> {
    let (topic, server) = (story.topic.clone(), story.tools.bootstrap().to_owned());
    story.wire.create(&topic, 1, &[])?;
    let arguments = [
        "--bootstrap-server",
        &server,
        "--topic",
        &topic,
        "--command-property",
        "enable.idempotence=true",
    ];
    let ended = story.tools.run(
        "org.apache.kafka.tools.ConsoleProducer",
        &arguments,
        "a\nb\nc\n",
    )?;
    ensure!(ended.status == 0, "{ended:?}");
    let stored = story.wire.stored(&topic, 0)?;
    let id = stored
        .first()
        .context("a batch")?
        .header
        .producer_id
        .to_string();
    let which = ["describe-producers", "--topic", &topic, "--partition", "0"];
    let out = story.run("org.apache.kafka.tools.TransactionsCommand", &which)?;
    // ProducerId, ProducerEpoch, LatestCoordinatorEpoch, LastSequence, …
    let line = line_of(&out, &[&id, "0"])?;
    ensure!(line.get(3) == Some(&"2"), "not sequence 2: {out}");
    Ok(())
}
