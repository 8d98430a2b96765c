//! Groups without members that commit rising offsets all the time.

use super::leaders::Leaders;
use crate::chaos::course::Phase;
use crate::chaos::{Course, PARTITIONS, TOPIC};
use crate::random::Random;
use crate::wire::{Connection, is_lost, text};
use anyhow::{Result, bail, ensure};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::OffsetCommitRequest;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use std::time::Duration;

/// Between two commits.
const PACE: Duration = Duration::from_millis(50);

/// Commits 1, 2, 3… in each partition until nothing breaks any more.
///
/// # Errors
/// An answer that no client should get, or none at all.
pub fn commit(course: &Course, group: &str, random: Random) -> Result<()> {
    let actor = format!("group {group}");
    course.progress(&actor);
    let mut leaders = Leaders::new(course, random);
    let mut offset = 0;
    while course.phase() == Phase::Running {
        let Some(mut connection) = leaders.coordinator(group)? else {
            continue;
        };
        let ended = commit_on(course, &actor, group, &mut offset, &mut connection);
        match ended {
            Ok(()) => {}
            Err(error) if is_lost(&error) => course.count("connections of groups lost"),
            Err(error) => return Err(error.context(actor)),
        }
        course.wait(PACE);
    }
    course.done(&actor);
    Ok(())
}

/// Commits until the coordinator is to be asked for anew.
fn commit_on(
    course: &Course,
    actor: &str,
    group: &str,
    offset: &mut i64,
    connection: &mut Connection,
) -> Result<()> {
    while course.phase() == Phase::Running {
        *offset += 1;
        let answer = connection.call(8, &request(group, *offset))?;
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let mut codes: Vec<i16> = partitions.map(|partition| partition.error_code).collect();
        ensure!(codes.len() == PARTITIONS, "{answer:?}");
        codes.dedup();
        match codes.as_slice() {
            [0] => {
                let mut commits = course.commits();
                for partition in 0..PARTITIONS {
                    commits.acknowledged(group, partition, *offset);
                }
                drop(commits);
                course.progress(actor);
            }
            [code] => {
                let error = ResponseError::try_from_code(*code);
                ensure!(error.is_some_and(|e| e.is_retriable()), "told {error:?}");
                course.count(&format!("groups told {:?}", error));
                return Ok(());
            }
            _ => bail!("half a commit: {codes:?}"),
        }
        course.wait(PACE);
    }
    Ok(())
}

fn request(group: &str, offset: i64) -> OffsetCommitRequest {
    let partition = |index| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
    };
    let topic = OffsetCommitRequestTopic::default()
        .with_name(text(TOPIC).into())
        .with_partitions((0..PARTITIONS as i32).map(partition).collect());
    OffsetCommitRequest::default()
        .with_group_id(text(group).into())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic])
}
