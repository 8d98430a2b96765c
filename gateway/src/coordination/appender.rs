//! Records of a shard to its log.
use kop_coordinator::Record;
use kop_store::{AppendError, Partition};
use kop_wire::{Batch, BatchBuilder, BuildError, Compression, Offset, Timestamp};

/// Bytes after which a batch is closed. A record that is larger goes alone.
const BATCH_BYTES: usize = 512 * 1024;

/// Why records were not appended.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("records do not fit a batch")]
    Build(#[from] BuildError),
    #[error("append to the group log")]
    Append(#[from] AppendError),
}

/// Appends records in order and returns when all are durable. Where it fails, a first part of them
/// may have been written.
pub(super) async fn append<P: Partition>(
    partition: &P,
    timestamp: Timestamp,
    records: &[Record],
) -> Result<(), WriteError> {
    let mut rest = records;
    while !rest.is_empty() {
        let (batch, taken) = first_batch(timestamp, rest)?;
        partition.append(batch).await?;
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok(())
}

fn first_batch(timestamp: Timestamp, records: &[Record]) -> Result<(Batch, usize), BuildError> {
    let mut builder = BatchBuilder::new(Compression::None);
    let mut taken = 0;
    for record in records {
        let (key, value) = record.encode();
        let size = key.len() + value.as_ref().map_or(0, bytes::Bytes::len);
        if taken > 0 && builder.size() + size > BATCH_BYTES {
            break;
        }
        builder.push(kop_wire::Record {
            offset: Offset(0),
            timestamp,
            key: Some(key),
            value,
            headers: Vec::new(),
        });
        taken += 1;
    }
    Ok((builder.build()?, taken))
}
