//! The door for fuzz targets: entries as they come from a broker, and batches on their way to one.
//! Built with the feature `fuzzing` only.
use bytes::Bytes;
use kop_wire::{Batch, Offset, Timestamp, TimestampType};
use pulsar_client::protocol::{CompressionType, compression, entry::Entry};

use crate::{
    append::history::snapshot::{Snapshot, seal},
    entry::{Layout, Placed, Span, Stamp, decode, encode, producer_batches},
};

/// Payloads that claim to unpack to more are not unpacked: that the limit holds is for the codecs'
/// own target to show, and a large one would only take time here.
const UNPACKED: usize = 1024 * 1024;

/// Makes Kafka batches of an entry, as of a topic of records or of `__consumer_offsets`.
///
/// # Panics
/// Where the batches do not cover exactly the entry's offsets, or cannot be read by a client.
pub fn entry_to_batches(entry: &Entry, group_log: bool) {
    let Entry {
        broker,
        metadata,
        payload,
    } = entry;
    let Ok(span) = Span::of(metadata, broker.and_then(|broker| broker.index)) else {
        return;
    };
    let codec = CompressionType::try_from(metadata.compression.unwrap_or_default());
    let size = metadata.uncompressed_size() as usize;
    if codec.is_ok_and(|codec| compression::decompress(codec, payload, size, UNPACKED).is_err()) {
        return;
    }
    // Who wrote it is found without unpacking; what else is wrong with it shows below.
    let _ = producer_batches(metadata, payload, span);
    if let Ok(placed) = decode(group_log, metadata, payload, span) {
        let mut next = span.base;
        for batch in &placed {
            assert_eq!(batch.base, Offset(next), "batches follow on each other");
            next = batch.header().last_offset().0.saturating_add(1);
            as_a_client_reads(batch);
        }
        assert_eq!(next, span.end, "every offset of the entry is covered");
    }
}

/// Reads the snapshot of a log's producers that stands beside an entry's messages.
///
/// # Panics
/// Where a snapshot that was read is written as another one.
pub fn producer_snapshot(bytes: &[u8]) {
    let parsed = Snapshot::parse(bytes);
    let mut sealed = bytes.to_vec();
    seal(&mut sealed);
    let sealed = Snapshot::parse(&sealed);
    if let (Ok(parsed), Ok(sealed)) = (&parsed, &sealed) {
        assert_eq!(parsed, sealed, "a good CRC is given again");
    }
    for Snapshot { since, last, state } in parsed.into_iter().chain(sealed) {
        let written = Snapshot::encode(since, last, &state);
        let again = Snapshot::parse(&written).expect("what was written can be read");
        assert_eq!((again.since, again.last, again.state), (since, last, state));
    }
}

fn as_a_client_reads(placed: &Placed) {
    let bytes = Bytes::from(placed.chunks().concat());
    let batch = Batch::parse_stored(bytes).expect("a batch that was placed is one");
    assert_eq!(batch.header().base_offset, placed.base);
    // Batches in `kafka` entries are passed on as they came, whatever their records are like.
    let Ok(records) = batch.iter() else { return };
    let ends = batch.header().last_offset();
    for record in records.map_while(Result::ok) {
        assert!((placed.base..=ends).contains(&record.offset));
    }
}

/// Writes a producer's batch in each layout and reads it back as an entry that the broker has given
/// its place.
///
/// # Panics
/// Where a record is not what it was.
pub fn batch_to_entry_and_back(batch: &Batch) {
    let Ok(records) = batch.records() else { return };
    let header = batch.header();
    if header.timestamp_type() == TimestampType::LogAppend && header.max_timestamp < Timestamp::NONE
    {
        // A time before 1970 that no clock of a broker said: the batch has no room for it.
        return;
    }
    // The coordinator, which alone writes its log, gives every record a key.
    let of_group_log = records.iter().all(|record| record.key.is_some());
    let group_log = of_group_log.then_some(Layout::GroupLog);
    for layout in [Layout::Kafka, Layout::Pulsar].into_iter().chain(group_log) {
        let stamp = Stamp {
            compacted: false,
            sequence_id: 7,
            now: 1_700_000_000_000,
        };
        let Ok(outgoing) = encode(layout, batch, stamp) else {
            continue;
        };
        // The index is that of the entry's last message; the first one is to be 42.
        let index = 41 + u64::from(outgoing.messages);
        let span = Span::of(&outgoing.metadata, Some(index)).expect("there is room for it");
        assert_eq!(span.base, 42);
        let group_log = layout == Layout::GroupLog;
        let placed = decode(group_log, &outgoing.metadata, &outgoing.payload, span)
            .expect("what was written can be read");
        let read = placed.iter().flat_map(|placed| {
            let bytes = Bytes::from(placed.chunks().concat());
            Batch::parse_stored(bytes)
                .and_then(|batch| batch.records())
                .expect("records that were read before")
        });
        let there: Vec<_> = read
            .map(|mut record| {
                record.offset = record.offset + -span.base;
                record
            })
            .collect();
        let wanted = records.iter().map(|record| {
            let mut record = record.clone();
            record.offset = Offset(record.offset - batch.header().base_offset);
            record
        });
        assert!(there.iter().cloned().eq(wanted), "{layout:?}: {there:?}");
    }
}
