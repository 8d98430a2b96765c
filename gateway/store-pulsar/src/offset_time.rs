//! The first record of a given time or later.
//!
//! Timestamps are the applications' and need not rise, so nothing less than reading tells which
//! record is the first by offset. Batches whose largest timestamp is earlier are passed over without
//! being unpacked.
use std::sync::Arc;

use kop_store::{ReadError, TimestampedOffset};
use kop_wire::Timestamp;

use crate::{log::Log, read::Scan};

/// Looks from the log's first record on.
pub(crate) async fn first_at(
    log: &Arc<Log>,
    time: Timestamp,
) -> Result<Option<TimestampedOffset>, ReadError> {
    let end = log.high();
    let start = log.log_start();
    if start >= end {
        return Ok(None);
    }
    let mut scan = Scan::open(Arc::clone(log), start).await?;
    while scan.position() < end {
        for placed in scan.next().await? {
            let header = placed.batch.header();
            if header.record_count == 0 || header.max_timestamp < time {
                continue;
            }
            let shift = placed.base - header.base_offset;
            let records = placed
                .batch
                .iter()
                .map_err(|error| ReadError::Unreadable(error.to_string()))?;
            for record in records {
                let record = record.map_err(|error| ReadError::Unreadable(error.to_string()))?;
                if record.timestamp >= time {
                    let offset = record.offset + shift;
                    let timestamp = record.timestamp;
                    return Ok(Some(TimestampedOffset { offset, timestamp }));
                }
            }
        }
    }
    Ok(None)
}
