//! The layout of `__consumer_offsets`, as `KoP` has it: each record is a Pulsar message, keyed by the
//! record's key, whose value is a Kafka batch with the record.
//!
//! Where `KoP` keys all commits of a group alike, so that Pulsar's compaction keeps only the last
//! one, each record here has its own key.
use bytes::Bytes;
use kop_wire::{
    Batch, BatchBuilder, BatchHeader, Compression, Offset, Record, compression::MAX_OUTPUT,
};
use pulsar_client::protocol::{MessageMetadata, batch};

use super::{DecodeError, EncodeError, Outgoing, Placed, Span, Stamp, gap, pulsar};

pub(super) fn encode(kafka: &Batch, stamp: Stamp) -> Result<Outgoing, EncodeError> {
    let records = kafka.records()?;
    let mut messages = batch::BatchBuilder::new();
    for record in &records {
        let mut inner = BatchBuilder::new(Compression::None);
        inner.push(record.clone());
        let outer = Record {
            headers: Vec::new(),
            value: Some(Bytes::new()),
            ..record.clone()
        };
        messages.push(pulsar::message(&outer, None), inner.build()?.bytes());
    }
    let count = messages.count();
    pulsar::without_gaps(kafka.header(), count)?;
    let key = records.first().and_then(|record| record.key.clone());
    let mut metadata = pulsar::batch_metadata(key, count, stamp);
    metadata.properties = pulsar::batch_properties(kafka.header());
    Ok(Outgoing {
        metadata,
        payload: messages.build(),
        messages: count,
        checksum: true,
    })
}

pub(super) fn decode(
    metadata: &MessageMetadata,
    payload: &Bytes,
    span: Span,
) -> Result<Vec<Placed>, DecodeError> {
    let mut log = Unpacked {
        placed: Vec::new(),
        covered: span.base,
        budget: MAX_OUTPUT,
    };
    if metadata.is_batch() {
        let messages = batch::messages(payload.clone(), metadata.messages());
        for (offset, message) in (span.base..).zip(messages) {
            let message = message?;
            let keyed = message.metadata.partition_key.is_some();
            if keyed && !message.metadata.compacted_out() {
                log.message(offset, message.payload)?;
            }
        }
    } else if metadata.partition_key.is_some() {
        log.message(span.base, payload.clone())?;
    }
    log.placed.extend(gap(log.covered, span.end)?);
    Ok(log.placed)
}

/// Records as they are found. `KoP` writes several into one message; those share its offset, each in
/// a batch of its own.
struct Unpacked {
    placed: Vec<Placed>,
    /// Offsets before this one are taken care of.
    covered: i64,
    /// Bytes that may still be unpacked.
    budget: usize,
}

impl Unpacked {
    fn message(&mut self, offset: i64, value: Bytes) -> Result<(), DecodeError> {
        for batch in Batch::split(value) {
            let batch = batch?;
            for record in batch.iter()? {
                let offset = Offset(offset);
                self.record(batch.header(), Record { offset, ..record? })?;
            }
        }
        Ok(())
    }

    /// A record of a batch. What belongs to a transaction, or ends one, still does: whoever reads the log
    /// has to know.
    fn record(&mut self, from: &BatchHeader, record: Record) -> Result<(), DecodeError> {
        let size = record.key.as_ref().map_or(0, Bytes::len)
            + record.value.as_ref().map_or(0, Bytes::len)
            + record.headers.len()
            + 64;
        self.budget = self.budget.checked_sub(size).ok_or(DecodeError::TooLarge)?;
        let base = record.offset;
        self.placed.extend(gap(self.covered, base.0)?);
        self.covered = base.0 + 1;
        let mut builder = BatchBuilder::new(Compression::None).base_offset(base);
        if from.is_transactional() || from.is_control() {
            builder = builder
                .producer(from.producer_id, from.producer_epoch, -1)
                .transactional(from.is_transactional())
                .control(from.is_control());
        }
        builder.push_at(record);
        self.placed.push(Placed {
            base,
            batch: builder.build()?,
        });
        Ok(())
    }
}
