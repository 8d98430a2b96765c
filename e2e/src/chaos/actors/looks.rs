//! Those who look: at what groups have committed, and at what gateways say of themselves.

use super::leaders::Leaders;
use crate::chaos::{Course, PARTITIONS, TOPIC};
use crate::clients::curl;
use crate::random::Random;
use crate::wire::{Connection, is_lost, text};
use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::OffsetFetchRequest;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use std::time::Duration;

const PACE: Duration = Duration::from_millis(100);
const MISMATCHES: &str = "kop_pulsar_offset_mismatches_total";

/// Asks for the offsets of the groups, of whoever coordinates them and of everybody else, until the run
/// is over.
///
/// # Errors
/// One has gone back, or somebody is silent.
pub fn look_at_commits(course: &Course, groups: &[String], mut random: Random) -> Result<()> {
    let actor = "looks at commits";
    course.progress(actor);
    let mut leaders = Leaders::new(course, random.split());
    while !course.is_over() {
        for group in groups {
            let connection = if random.once_in(4) {
                let anyone = random.below(course.gateways.len() as u64) as usize;
                let address = course.gateways.get(anyone).context("a gateway")?;
                Connection::connect(address).ok()
            } else {
                leaders.coordinator(group)?
            };
            if let Some(mut connection) = connection {
                look(course, group, &mut connection).with_context(|| group.clone())?;
            }
        }
        course.wait(PACE);
    }
    Ok(())
}

fn look(course: &Course, group: &str, connection: &mut Connection) -> Result<()> {
    let topic = OffsetFetchRequestTopic::default()
        .with_name(text(TOPIC).into())
        .with_partition_indexes((0..PARTITIONS as i32).collect());
    let request = OffsetFetchRequest::default()
        .with_group_id(text(group).into())
        .with_topics(Some(vec![topic]));
    let floor = course.commits().floor(group);
    let answer = match connection.call(7, &request) {
        Ok(answer) => answer,
        Err(error) if is_lost(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    if answer.error_code != 0 {
        return Ok(());
    }
    let topic = answer.topics.first().context("the topic")?;
    ensure!(topic.partitions.len() == PARTITIONS, "{topic:?}");
    let mut commits = course.commits();
    for partition in &topic.partitions {
        if partition.error_code == 0 {
            let index = usize::try_from(partition.partition_index)?;
            commits.seen(group, &floor, index, partition.committed_offset)?;
        }
    }
    drop(commits);
    course.progress("looks at commits");
    Ok(())
}

/// What a gateway's metrics say of offsets that were not the expected ones; nothing where it is down.
///
/// # Errors
/// There were some, or the metric is not told.
pub fn look_at_metrics(admin: &str) -> Result<()> {
    let Some(text) = curl(&[&format!("http://{admin}/metrics")])? else {
        return Ok(());
    };
    let line = text.lines().find(|line| line.starts_with(MISMATCHES));
    let line = line.with_context(|| format!("no {MISMATCHES}"))?;
    ensure!(line.ends_with(" 0"), "{line}");
    Ok(())
}
