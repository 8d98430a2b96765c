use proptest::prelude::*;

use super::*;
use crate::Compression;

/// One record, key "k", value "v", one header "h" without a value, written down by hand from Kafka's
/// documentation of the format.
fn golden() -> Vec<u8> {
    let mut bytes = vec![
        0, 0, 0, 0, 0, 0, 0, 42, // base offset
        0, 0, 0, 61, // length
        0, 0, 0, 7, // leader epoch
        2, // magic
        0, 0, 0, 0, // checksum, below
        0, 0, // attributes
        0, 0, 0, 0, // last offset delta
        0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 0x00, // base timestamp
        0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 0x00, // max timestamp
        0, 0, 0, 0, 0, 0, 0, 9, // producer id
        0, 3, // producer epoch
        0, 0, 0, 5, // base sequence
        0, 0, 0, 1,  // record count
        22, // record length 11
        0,  // attributes
        0,  // timestamp delta
        0,  // offset delta
        2, b'k', // key
        2, b'v', // value
        2,    // one header
        2, b'h', // its name
        1,    // its value: null
    ];
    // Bitwise CRC-32C, so that the table-driven one is not checked against itself.
    let mut crc = u32::MAX;
    for byte in &bytes[21..] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    bytes[17..21].copy_from_slice(&(!crc).to_be_bytes());
    bytes
}

fn golden_record() -> Record {
    Record {
        offset: Offset(42),
        timestamp: Timestamp(0x018b_cfe5_6800),
        key: Some(Bytes::from_static(b"k")),
        value: Some(Bytes::from_static(b"v")),
        headers: vec![(Bytes::from_static(b"h"), None)],
    }
}

#[test]
fn a_known_batch_is_read() {
    let batch = Batch::parse(golden().into()).unwrap();
    let header = batch.header();
    assert_eq!(header.base_offset, Offset(42));
    assert_eq!(header.leader_epoch, 7);
    assert_eq!(
        (
            header.producer_id,
            header.producer_epoch,
            header.base_sequence
        ),
        (9, 3, 5)
    );
    assert_eq!((header.offsets(), header.record_count), (1, 1));
    assert_eq!(header.compression(), Compression::None);
    assert!(!header.is_transactional() && !header.is_control());
    assert_eq!(batch.records().unwrap(), [golden_record()]);
}

#[test]
fn the_same_batch_is_written() {
    let mut builder = BatchBuilder::new(Compression::None)
        .base_offset(Offset(42))
        .leader_epoch(7)
        .producer(9, 3, 5);
    builder.push(golden_record());
    assert_eq!(builder.build().unwrap().bytes()[..], golden()[..]);
}

#[test]
fn a_placed_batch_differs_in_offset_and_epoch_only() {
    let batch = Batch::parse(golden().into()).unwrap();
    let [head, rest] = batch.place(Offset(1_000), 8);
    assert_eq!(
        rest.as_ptr(),
        batch.bytes()[PLACE_LEN..].as_ptr(),
        "the payload is shared"
    );
    let placed = Batch::parse([head, rest].concat().into()).unwrap();
    let expected = BatchHeader {
        base_offset: Offset(1_000),
        leader_epoch: 8,
        ..*batch.header()
    };
    assert_eq!(*placed.header(), expected);
}

#[test]
fn flipped_bits_behind_the_head_break_the_checksum() {
    for at in CRC_FROM..golden().len() {
        let mut bytes = golden();
        bytes[at] ^= 0x10;
        assert!(
            Batch::parse(bytes.into()).is_err(),
            "bit flipped in byte {at}"
        );
    }
}

#[test]
fn a_batch_is_exactly_one() {
    let whole = golden();
    let cut = Bytes::from(whole[..whole.len() - 1].to_vec());
    assert!(matches!(
        Batch::parse(cut),
        Err(BatchError::Truncated {
            needed: 73,
            found: 72
        })
    ));
    let two = Bytes::from(whole.repeat(2));
    assert!(matches!(
        Batch::parse(two.clone()),
        Err(BatchError::Trailing(73))
    ));
    assert_eq!(Batch::split(two).map(Result::unwrap).count(), 2);
}

#[test]
fn splitting_ends_at_the_first_error() {
    let mut bytes = golden().repeat(3);
    bytes[73 + 16] = 9;
    let found: Vec<_> = Batch::split(bytes.into()).collect();
    assert!(matches!(found[..], [Ok(_), Err(BatchError::Magic(9))]));
}

#[test]
fn old_formats_are_named() {
    let mut message_set = golden();
    message_set[8..12].copy_from_slice(&20_i32.to_be_bytes());
    message_set[16] = 1;
    assert!(matches!(
        Batch::parse(message_set.into()),
        Err(BatchError::Magic(1))
    ));
}

#[test]
fn a_producers_batch_has_a_record_for_every_offset() {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(Record::default());
    builder.push_at(Record {
        offset: Offset(5),
        ..Record::default()
    });
    let batch = builder.build().unwrap();
    assert!(matches!(
        Batch::parse(batch.bytes().clone()),
        Err(BatchError::Count {
            record_count: 2,
            last_offset_delta: 5
        })
    ));
    let stored = Batch::parse_stored(batch.bytes().clone()).unwrap();
    let offsets: Vec<_> = stored.records().unwrap().iter().map(|r| r.offset).collect();
    assert_eq!(offsets, [Offset(0), Offset(5)]);
}

#[test]
fn an_empty_batch_covers_a_gap() {
    let batch = BatchBuilder::new(Compression::Zstd)
        .base_offset(Offset(10))
        .empty_until(4)
        .build()
        .unwrap();
    assert_eq!(batch.header().offsets(), 5);
    assert_eq!(batch.header().last_offset(), Offset(14));
    assert_eq!(batch.records().unwrap(), []);
    assert!(Batch::parse_stored(batch.bytes().clone()).is_ok());
    assert!(matches!(
        Batch::parse(batch.bytes().clone()),
        Err(BatchError::Count { .. })
    ));
}

#[test]
fn what_does_not_fit_into_a_batch_is_refused() {
    assert!(matches!(
        BatchBuilder::new(Compression::None).build(),
        Err(BuildError::Empty)
    ));
    let mut falling = BatchBuilder::new(Compression::None);
    falling.push(Record::default());
    falling.push_at(Record::default());
    assert!(matches!(
        falling.build(),
        Err(BuildError::Offset(Offset(0)))
    ));
}

#[test]
fn log_append_time_is_every_records_time() {
    let mut builder = BatchBuilder::new(Compression::None).log_append_time(true);
    builder.push(Record {
        timestamp: Timestamp(5),
        ..Record::default()
    });
    builder.push(Record {
        timestamp: Timestamp(9),
        ..Record::default()
    });
    let batch = builder.build().unwrap();
    assert_eq!(batch.header().timestamp_type(), TimestampType::LogAppend);
    let times: Vec<_> = batch
        .records()
        .unwrap()
        .iter()
        .map(|r| r.timestamp)
        .collect();
    assert_eq!(times, [Timestamp(9), Timestamp(9)]);
}

#[test]
fn a_header_count_cannot_claim_much_memory() {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(golden_record());
    let bytes = builder.build().unwrap().bytes().to_vec();
    let headers_at = bytes.len() - 4;
    assert_eq!(bytes[headers_at], 2);
    // Same length, another count: 60 headers in 3 bytes.
    let mut claimed = bytes;
    claimed[headers_at] = 120;
    let batch = Batch::parse_stored(claimed.into()).unwrap();
    assert!(matches!(
        batch.records(),
        Err(BatchError::Record("more headers than bytes"))
    ));
}

#[test]
fn too_many_records_are_not_unpacked() {
    let mut bytes = golden();
    let count = i32::try_from(MAX_RECORDS).unwrap() + 1;
    bytes[23..27].copy_from_slice(&count.to_be_bytes());
    bytes[57..61].copy_from_slice(&count.to_be_bytes());
    let batch = Batch::parse_stored(bytes.into()).unwrap();
    assert!(matches!(batch.records(), Err(BatchError::TooManyRecords(found)) if found == count));
}

fn bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let header = (bytes(), proptest::option::of(bytes()));
    let record = (
        1_i64..1000,
        any::<i64>(),
        proptest::option::of(bytes()),
        proptest::option::of(bytes()),
        proptest::collection::vec(header, 0..3),
    );
    proptest::collection::vec(record, 1..30).prop_map(|records| {
        let mut offset = Offset(0);
        let place = |(step, timestamp, key, value, headers)| {
            offset = offset + step;
            Record {
                offset,
                timestamp: Timestamp(timestamp),
                key,
                value,
                headers,
            }
        };
        records.into_iter().map(place).collect()
    })
}

proptest! {
    #[test]
    fn records_come_back_as_they_were(records in records(), base in 0_i64..2) {
        for compression in Compression::ALL {
            let mut builder = BatchBuilder::new(compression)
                .base_offset(Offset(base))
                .transactional(true)
                .producer(1, 2, 3);
            for record in &records {
                builder.push_at(record.clone());
            }
            let built = builder.build().unwrap();
            let read = Batch::parse_stored(built.bytes().clone()).unwrap();
            prop_assert_eq!(&read, &built);
            prop_assert_eq!(read.header().compression(), compression);
            prop_assert!(read.header().is_transactional());
            prop_assert_eq!(read.records().unwrap(), records.clone());
        }
    }

    #[test]
    fn damaged_batches_never_panic(
        records in records(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        for compression in Compression::ALL {
            let mut builder = BatchBuilder::new(compression);
            for record in &records {
                builder.push_at(record.clone());
            }
            let mut bytes = builder.build().unwrap().bytes().to_vec();
            for (at, value) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            if let Ok(batch) = Batch::parse_stored(bytes.clone().into()) {
                let _ = batch.records();
                let _ = batch.place(Offset(1), 1);
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            for batch in Batch::split(bytes.into()).flatten() {
                let _ = batch.records();
            }
        }
    }

    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let noise = Bytes::from(noise);
        let _ = Batch::parse(noise.clone());
        let _ = Batch::split(noise).count();
    }
}

#[test]
fn a_delete_horizon_stands_in_the_header_and_changes_no_record() {
    let record = |time: i64| Record {
        timestamp: Timestamp(time),
        key: Some(Bytes::from_static(b"k")),
        ..Record::default()
    };
    for horizon in [None, Some(Timestamp(5_000)), Some(Timestamp(0))] {
        let mut builder = BatchBuilder::new(Compression::None).delete_horizon(horizon);
        builder.push(record(1_000)).push(record(900));
        let batch = builder.build().unwrap();
        let read = Batch::parse(batch.bytes().clone()).unwrap();
        assert_eq!(read.header().delete_horizon(), horizon);
        assert_eq!(read.header().max_timestamp, Timestamp(1_000));
        let times: Vec<_> = read
            .records()
            .unwrap()
            .iter()
            .map(|r| r.timestamp.0)
            .collect();
        assert_eq!(times, [1_000, 900]);
    }
}
