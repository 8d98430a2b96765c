//! `entryFormat=kafka`: the client's batch, byte for byte, behind Pulsar metadata that says so.
use bytes::Bytes;
use kop_wire::{Batch, Offset};
use pulsar_client::protocol::{KeyValue, MessageMetadata};

use super::{DecodeError, Outgoing, Placed, Span, Stamp, gap};

/// The property by which such an entry is known, and its value.
const FORMAT: (&str, &[u8]) = ("entry.format", b"kafka");

/// Whether an entry holds Kafka batches as they came.
pub(super) fn is(metadata: &MessageMetadata) -> bool {
    metadata
        .property(FORMAT.0)
        .is_some_and(|value| value == FORMAT.1)
}

pub(super) fn encode(batch: &Batch, stamp: Stamp) -> Outgoing {
    let messages = batch.header().last_offset_delta.max(0).saturating_add(1);
    let metadata = MessageMetadata {
        producer_name: String::new(),
        sequence_id: stamp.sequence_id,
        publish_time: stamp.now,
        properties: vec![KeyValue::new(FORMAT.0.as_bytes(), FORMAT.1)],
        num_messages_in_batch: Some(messages),
        ..MessageMetadata::default()
    };
    Outgoing {
        metadata,
        payload: batch.bytes().clone(),
        messages: messages.unsigned_abs(),
        checksum: false,
    }
}

/// `KoP` may have put several batches into one entry; their offsets follow on each other.
pub(super) fn decode(payload: &Bytes, span: Span) -> Result<Vec<Placed>, DecodeError> {
    let mut placed = Vec::new();
    let mut next = span.base;
    for batch in Batch::split(payload.clone()) {
        let batch = batch?;
        let base = next;
        next = next.saturating_add(batch.header().offsets());
        if next > span.end {
            return Err(DecodeError::Index {
                index: span.end - 1,
                messages: u32::try_from(span.end - span.base).unwrap_or(u32::MAX),
            });
        }
        placed.push(Placed {
            base: Offset(base),
            batch,
        });
    }
    placed.extend(gap(next, span.end)?);
    Ok(placed)
}
