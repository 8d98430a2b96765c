//! Record batches and their codecs.
use bytes::Bytes;
use kop_store_pulsar::fuzzing;
use kop_wire::{
    Batch, BatchBuilder, Compression, Offset, Record, RecordRules, Timestamp, TimestampType,
    Validator,
    compression::{self as codecs, CompressionError, compress, decompress},
};

/// Most that payloads are unpacked to here, in bytes. The gateway allows more; that a limit holds shows
/// with any.
const UNPACKED: usize = 1024 * 1024;

/// Where a batch's checksum stands, and where the bytes that it covers begin.
const CRC: std::ops::Range<usize> = 17..21;

/// A batch with its checksum made right: no mutation would ever hit it.
fn with_right_checksum(bytes: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    let crc = bytes.get(CRC.end..).map(crc32c::crc32c);
    if let (Some(crc), Some(place)) = (crc, bytes.get_mut(CRC)) {
        place.copy_from_slice(&crc.to_be_bytes());
    }
    bytes.into()
}

/// Why there are no records.
enum Unread {
    /// They unpack to more than [`UNPACKED`].
    Large,
    Damaged,
}

fn records(batch: &Batch) -> Result<Vec<Record>, Unread> {
    match decompress(batch.header().compression(), &batch.payload(), UNPACKED) {
        Ok(_) => batch.records().map_err(|_| Unread::Damaged),
        Err(CompressionError::TooLarge { .. }) => Err(Unread::Large),
        Err(CompressionError::Damaged { .. }) => Err(Unread::Damaged),
    }
}

/// What a producer sends, and what a log holds: batches one behind the other.
pub fn record_batch(bytes: &[u8]) {
    // As it came: hardly ever with the right checksum.
    let _ = Batch::parse(Bytes::copy_from_slice(bytes));
    let mut size = 0;
    for batch in Batch::split(Bytes::copy_from_slice(bytes)).map_while(Result::ok) {
        size += batch.bytes().len();
        // Records of a log may lack offsets; they are read one by one.
        let unpacked = decompress(batch.header().compression(), &batch.payload(), UNPACKED);
        if unpacked.is_ok()
            && let Ok(records) = batch.iter()
        {
            let count = records.map_while(Result::ok).count();
            assert!(count <= usize::try_from(batch.header().record_count).unwrap_or(0));
        }
        placed(&batch);
    }
    assert!(size <= bytes.len(), "batches share no bytes");
    if let Ok(batch) = Batch::parse(with_right_checksum(bytes)) {
        match records(&batch) {
            Ok(records) => {
                checked(&batch, Some(&records));
                rebuilt(&batch, &records);
            }
            Err(Unread::Damaged) => checked(&batch, None),
            Err(Unread::Large) => {}
        }
    }
}

/// What a broker takes can be read, and what can be read it takes if the offsets follow each other.
fn checked(batch: &Batch, records: Option<&[Record]>) {
    let mut validator = Validator::default();
    let taken = validator.check(batch.clone(), &RecordRules::default());
    // What is kept from one batch to the next makes no difference.
    let again = validator.check(batch.clone(), &RecordRules::default());
    assert_eq!(taken.is_ok(), again.is_ok());
    let Some(records) = records else {
        assert!(taken.is_err(), "taken, and cannot be read");
        return;
    };
    let header = batch.header();
    let following = (0..)
        .zip(records)
        .all(|(at, record)| record.offset == header.base_offset + at);
    assert_eq!(taken.is_ok(), following);
    if let Ok(taken) = taken {
        if header.timestamp_type() == TimestampType::Create {
            let newest = records.iter().map(|record| record.timestamp).max();
            assert_eq!(
                Some(taken.header().max_timestamp),
                newest.max(Some(Timestamp::NONE))
            );
        }
        assert_eq!(
            taken.records().expect("what was taken can be read"),
            records
        );
    }
}

/// A broker gives the batch its place and changes nothing else.
fn placed(batch: &Batch) {
    let place = (Offset(1 << 40), 7);
    let there = Bytes::from(batch.place(place.0, place.1).concat());
    let there = Batch::parse_stored(there).expect("a batch at another place is one");
    let (mut header, payload) = (*batch.header(), batch.payload());
    (header.base_offset, header.leader_epoch) = place;
    assert_eq!((there.header(), there.payload()), (&header, payload));
}

/// The records come back from a batch made of them.
fn rebuilt(batch: &Batch, records: &[Record]) {
    let header = batch.header();
    let mut builder = BatchBuilder::new(header.compression())
        .base_offset(header.base_offset)
        .log_append_time(header.timestamp_type() == TimestampType::LogAppend);
    for record in records {
        builder.push_at(record.clone());
    }
    let Ok(again) = builder.build() else {
        // Offsets at the very end of the numbers.
        assert!(header.base_offset.0 > i64::MAX - (1 << 32) || header.base_offset.0 < 0);
        return;
    };
    let again = Batch::parse(again.bytes().clone()).expect("what was built can be read");
    assert_eq!(again.records().expect("records of our own"), records);
}

/// A codec's number, and bytes that it packs and bytes that it unpacks.
pub fn compression(bytes: &[u8]) {
    let Some((number, bytes)) = bytes.split_first() else {
        return;
    };
    let Some(codec) = Compression::of_attributes(i16::from(*number)) else {
        return;
    };
    if let Ok(unpacked) = decompress(codec, &Bytes::copy_from_slice(bytes), UNPACKED) {
        assert!(unpacked.len() <= UNPACKED);
    }
    let packed = compress(codec, bytes).expect("compressing into memory does not fail");
    let packed = Bytes::from(packed.into_owned());
    let unpacked = decompress(codec, &packed, codecs::MAX_OUTPUT).expect("what was packed");
    assert_eq!(unpacked, bytes);
    if let Some(less) = bytes.len().checked_sub(1) {
        assert!(decompress(codec, &packed, less).is_err(), "the limit holds");
    }
}

/// A producer's batch on its way through Pulsar, in each layout.
pub fn batch_to_pulsar(bytes: &[u8]) {
    if let Ok(batch) = Batch::parse(with_right_checksum(bytes))
        && records(&batch).is_ok()
    {
        fuzzing::batch_to_entry_and_back(&batch);
    }
}
