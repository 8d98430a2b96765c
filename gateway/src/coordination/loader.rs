//! A shard's log back into its state.
use bytes::{Bytes, BytesMut};
use kop_coordinator::{Groups, Record};
use kop_store::{Partition, ReadError, ReadLimit};
use kop_wire::{Batch, BatchError, Offset};
use tracing::{debug, warn};

/// Bytes read at a time.
const READ: ReadLimit = ReadLimit {
    max_bytes: 1024 * 1024,
    at_least_one: true,
};

/// Why a log could not be replayed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("read the group log")]
    Read(#[from] ReadError),
    #[error("batch at offset {at} of the group log")]
    Batch {
        at: Offset,
        #[source]
        cause: BatchError,
    },
    #[error("the group log has nothing at {at}, before its end at {high}")]
    Hole { at: Offset, high: Offset },
}

/// What was found in a log.
#[derive(Debug, Default)]
struct Found {
    records: u64,
    foreign: u64,
    unreadable: u64,
    transactional: u64,
}

/// Replays everything the log has by now.
pub(super) async fn load<P: Partition>(
    partition: &P,
    groups: &mut Groups,
) -> Result<(), LoadError> {
    let marks = partition.watermarks();
    let high = marks.high;
    let mut at = marks.log_start;
    let mut found = Found::default();
    while at < high {
        let chunks = match partition.read(at, READ).await {
            Ok(fetched) => fetched.chunks,
            // Retention has taken away what was about to be read.
            Err(ReadError::OutOfRange { log_start, .. }) if log_start > at => {
                at = log_start;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let next = replay(groups, at, chunks, &mut found)?;
        if next <= at {
            return Err(LoadError::Hole { at, high });
        }
        at = next;
    }
    let Found {
        records,
        foreign,
        unreadable,
        transactional,
    } = found;
    debug!(records, foreign, "group log replayed");
    if unreadable > 0 || transactional > 0 {
        warn!(
            unreadable,
            transactional, "records of the group log were left out"
        );
    }
    Ok(())
}

/// Replays the batches from `from` on, and says where the next read begins.
fn replay(
    groups: &mut Groups,
    from: Offset,
    chunks: Vec<Bytes>,
    found: &mut Found,
) -> Result<Offset, LoadError> {
    let mut next = from;
    for batch in Batch::split(joined(chunks)) {
        let batch = batch.map_err(|cause| LoadError::Batch { at: next, cause })?;
        let header = batch.header();
        next = next.max(header.base_offset + header.offsets());
        if header.is_control() || header.is_transactional() {
            found.transactional += 1;
            continue;
        }
        let records = batch
            .records()
            .map_err(|cause| LoadError::Batch { at: next, cause })?;
        for record in records.into_iter().filter(|record| record.offset >= from) {
            replay_one(groups, &record, found);
        }
    }
    Ok(next)
}

fn replay_one(groups: &mut Groups, record: &kop_wire::Record, found: &mut Found) {
    let key = record.key.as_deref().unwrap_or_default();
    match Record::decode(key, record.value.as_deref()) {
        Ok(Some(decoded)) => {
            groups.replay(&decoded, record.timestamp.0);
            found.records += 1;
        }
        Ok(None) => found.foreign += 1,
        Err(cause) => {
            debug!(offset = record.offset.0, %cause, "unreadable record in the group log");
            found.unreadable += 1;
        }
    }
}

fn joined(chunks: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(chunks) {
        Ok([only]) => only,
        Err(chunks) => {
            let mut all = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
            for chunk in &chunks {
                all.extend_from_slice(chunk);
            }
            all.freeze()
        }
    }
}

#[cfg(test)]
mod tests {
    use kop_coordinator::{CommittedOffset, GroupConfig, GroupId, Name, TopicNames};
    use kop_wire::{BatchBuilder, Compression, Timestamp};

    use super::*;

    /// A batch in which the group commits an offset for partition 0.
    fn commit(builder: BatchBuilder, offset: i64) -> Bytes {
        let record = Record::Offset {
            group: GroupId::new("g").unwrap(),
            topic: Name::new("t").unwrap(),
            partition: 0,
            value: Some(CommittedOffset {
                offset,
                leader_epoch: -1,
                metadata: Name::new("").unwrap(),
                commit_timestamp: 0,
                expire_timestamp: None,
            }),
        };
        let (key, value) = record.encode();
        let mut builder = builder;
        builder.push(kop_wire::Record {
            timestamp: Timestamp(0),
            key: Some(key),
            value,
            ..kop_wire::Record::default()
        });
        builder.build().unwrap().bytes().clone()
    }

    /// Whether a transaction committed or was aborted is not in the log, so what it wrote counts for
    /// nothing: a group may read again, and skips nothing.
    #[test]
    fn offsets_committed_in_transactions_are_left_out_and_counted() {
        let at = |base| BatchBuilder::new(Compression::None).base_offset(Offset(base));
        let marker = at(2).producer(7, 0, -1).transactional(true).control(true);
        let log = [
            commit(at(0), 5),
            commit(at(1).producer(7, 0, 0).transactional(true), 9),
            commit(marker, 11),
        ];
        let (mut groups, mut without) = (groups(), groups());
        let mut found = Found::default();
        let next = replay(&mut groups, Offset(0), log.to_vec(), &mut found).unwrap();
        assert_eq!(next, Offset(3));
        assert_eq!((found.records, found.transactional), (1, 2));
        let only_plain = vec![commit(at(0), 5)];
        replay(&mut without, Offset(0), only_plain, &mut Found::default()).unwrap();
        assert_eq!(groups.hard(), without.hard());
    }

    fn groups() -> Groups {
        Groups::new(GroupConfig::default(), TopicNames::verbatim())
    }
}
