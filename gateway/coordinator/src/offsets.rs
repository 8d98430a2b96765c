//! Committed offsets: who may commit, and what is answered.
use crate::classic::Turn;
use crate::hard::{GroupOffsets, Hard};
use crate::{
    CommitOffsets, CommittedOffset, FetchOffsets, FetchedOffset, GroupError, Name, OffsetToCommit,
    Record, Wanted,
};

/// Turns a commit that its group allows into records, and says how each offset fared.
pub(crate) fn commit(
    hard: &Hard,
    turn: &mut Turn<'_>,
    commit: CommitOffsets,
) -> Vec<Result<(), GroupError>> {
    let known = hard.offsets(turn.group);
    let mut room = turn
        .config
        .max_offsets_per_group
        .saturating_sub(known.map_or(0, GroupOffsets::len));
    let expire = commit.retention_ms.map(|ms| turn.now.saturating_add(ms));
    let expire = expire.map(|at| i64::try_from(at).unwrap_or(i64::MAX));
    let mut outcomes = Vec::with_capacity(commit.offsets.len());
    for offset in commit.offsets {
        let is_new = known.is_none_or(|known| known.get(&offset.topic, offset.partition).is_none());
        let outcome = if is_new && room == 0 {
            Err(GroupError::TooManyOffsets)
        } else {
            record(turn, offset, expire)
        };
        if let Ok(record) = outcome {
            room = room.saturating_sub(usize::from(is_new));
            turn.out.records.push(record);
            turn.out.counts.committed_offsets += 1;
            outcomes.push(Ok(()));
        } else {
            outcomes.push(outcome.map(|_| ()));
        }
    }
    outcomes
}

fn record(
    turn: &Turn<'_>,
    offset: OffsetToCommit,
    expire_timestamp: Option<i64>,
) -> Result<Record, GroupError> {
    let OffsetToCommit {
        topic,
        partition,
        offset,
        metadata,
    } = offset;
    // Kafka says bytes and counts UTF-16 units.
    let most = turn.config.max_offset_metadata_bytes;
    if metadata.len() > most && metadata.encode_utf16().count() > most {
        return Err(GroupError::OffsetMetadataTooLarge);
    }
    let metadata = Name::new(&metadata).map_err(|_| GroupError::OffsetMetadataTooLarge)?;
    let commit_timestamp = i64::try_from(turn.now).unwrap_or(i64::MAX);
    Ok(Record::Offset {
        group: turn.group.clone(),
        topic,
        partition,
        value: Some(CommittedOffset {
            offset,
            leader_epoch: -1,
            metadata,
            commit_timestamp,
            expire_timestamp,
        }),
    })
}

/// What the log has of a group's offsets.
pub(crate) fn fetch(hard: &Hard, fetch: FetchOffsets) -> Vec<FetchedOffset> {
    let known = hard.offsets(&fetch.group);
    match fetch.wanted {
        Wanted::All => known
            .into_iter()
            .flat_map(GroupOffsets::iter)
            .map(|(topic, partition, committed)| FetchedOffset {
                topic: topic.clone(),
                partition,
                committed: Some(committed.clone()),
            })
            .collect(),
        Wanted::These(wanted) => wanted
            .into_iter()
            .map(|(topic, partition)| FetchedOffset {
                committed: known
                    .and_then(|known| known.get(&topic, partition))
                    .cloned(),
                topic,
                partition,
            })
            .collect(),
    }
}
