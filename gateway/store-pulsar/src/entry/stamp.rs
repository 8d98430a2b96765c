//! What an entry tells of idempotent producers, without unpacking its records.
use bytes::Bytes;
use kop_wire::{BatchHeader, Offset, Timestamp};
use pulsar_client::protocol::MessageMetadata;

use super::{DecodeError, Span, decompress, kafka, pulsar};

/// Headers of an entry's batches, their base offsets true. Entries of Pulsar's own producers, and
/// batches without a producer id, give none. In the headers of `pulsar` entries, only offsets,
/// producer and sequence are those of the batch that came in.
pub(crate) fn producer_batches(
    metadata: &MessageMetadata,
    payload: &Bytes,
    span: Span,
) -> Result<Vec<BatchHeader>, DecodeError> {
    if metadata.marker_type.is_some() || metadata.is_encrypted() || metadata.is_chunk() {
        return Ok(Vec::new());
    }
    if kafka::is(metadata) {
        let placed = kafka::decode(&decompress(metadata, payload)?, span)?;
        return Ok(placed
            .iter()
            .map(super::Placed::header)
            .filter(|header| header.producer_id >= 0)
            .collect());
    }
    let Some((producer_id, producer_epoch, base_sequence)) = pulsar::producer(metadata)? else {
        return Ok(Vec::new());
    };
    let count = i32::try_from(span.end - span.base).unwrap_or(i32::MAX);
    let time = i64::try_from(metadata.publish_time).map_or(Timestamp::NONE, Timestamp);
    Ok(vec![BatchHeader {
        base_offset: Offset(span.base),
        leader_epoch: super::LEADER_EPOCH,
        crc: 0,
        attributes: pulsar::attributes(metadata)?,
        last_offset_delta: count - 1,
        base_timestamp: time,
        max_timestamp: time,
        producer_id,
        producer_epoch,
        base_sequence,
        record_count: count,
    }])
}
