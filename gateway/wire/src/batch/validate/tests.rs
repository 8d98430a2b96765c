use bytes::{BufMut as _, Bytes};
use proptest::prelude::*;

use super::*;
use crate::{
    BatchBuilder, Compression, Offset, Record,
    batch::{
        header::{attributes, magic},
        record::{put_varint, put_varlong},
    },
    compression,
};

fn record(timestamp: i64, key: Option<&'static str>, value: &'static str) -> Record {
    Record {
        offset: Offset(0),
        timestamp: Timestamp(timestamp),
        key: key.map(Bytes::from),
        value: Some(Bytes::from(value)),
        headers: vec![(Bytes::from("h"), None)],
    }
}

fn batch(codec: Compression, records: impl IntoIterator<Item = Record>) -> Batch {
    let mut builder = BatchBuilder::new(codec);
    for record in records {
        builder.push(record);
    }
    builder.build().unwrap()
}

/// A batch around anything, its header in order.
fn around(codec: Compression, count: i32, max_timestamp: i64, payload: &[u8]) -> Batch {
    let payload = compression::compress(codec, payload).unwrap();
    raw(codec, count, max_timestamp, &payload)
}

/// The same with a payload that is compressed already.
fn raw(codec: Compression, count: i32, max_timestamp: i64, payload: &[u8]) -> Batch {
    let mut checked = Vec::new();
    checked.put_i16(attributes(
        codec,
        TimestampType::Create,
        (false, false),
        false,
    ));
    checked.put_i32(count - 1);
    checked.put_i64(0);
    checked.put_i64(max_timestamp);
    checked.put_i64(-1);
    checked.put_i16(-1);
    checked.put_i32(-1);
    checked.put_i32(count);
    checked.put_slice(payload);
    let mut bytes = Vec::new();
    bytes.put_i64(0);
    bytes.put_i32(i32::try_from(checked.len() + 9).unwrap());
    bytes.put_i32(-1);
    bytes.put_i8(magic());
    bytes.put_u32(crc32c::crc32c(&checked));
    bytes.put_slice(&checked);
    Batch::parse(bytes.into()).unwrap()
}

/// A record written out field by field: key and value "k" and "v", no headers.
fn written(offset_delta: i32) -> Vec<u8> {
    let mut body = vec![0];
    put_varlong(&mut body, 5);
    put_varint(&mut body, offset_delta);
    body.extend([2, b'k', 2, b'v', 0]);
    with_length(&body)
}

fn with_length(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_varint(&mut bytes, i32::try_from(body.len()).unwrap());
    bytes.extend(body);
    bytes
}

fn check(batch: Batch) -> Result<Batch, InvalidRecords> {
    Validator::default().check(batch, &RecordRules::default())
}

#[test]
fn sound_records_pass_as_they_are() {
    let mut validator = Validator::default();
    for codec in Compression::ALL {
        let sent = batch(codec, (0..100).map(|n| record(1_000 + n, Some("k"), "v")));
        let kept = validator.check(sent.clone(), &RecordRules::default());
        let kept = kept.unwrap();
        assert_eq!(kept, sent);
        assert_eq!(kept.bytes().as_ptr(), sent.bytes().as_ptr(), "not copied");
    }
}

#[test]
fn what_is_not_well_formed_is_refused_in_every_codec() {
    let body = |tail: &[u8]| with_length(&[&[0, 0, 0], tail].concat());
    let cases: [(&str, i32, Vec<u8>); 13] = [
        ("cut short", 2, written(0)),
        ("cut short", 1, written(0)[..4].to_vec()),
        (
            "bytes behind the last record",
            1,
            [written(0), written(1)].concat(),
        ),
        (
            "bytes behind the last record",
            1,
            [written(0), vec![0]].concat(),
        ),
        ("offset does not follow the one before", 1, written(1)),
        (
            "offset does not follow the one before",
            2,
            [written(0), written(0)].concat(),
        ),
        (
            "offset does not follow the one before",
            3,
            [written(0), written(2), written(1)].concat(),
        ),
        ("record length is negative", 1, vec![1]),
        ("bytes behind the headers", 1, body(&[1, 1, 0, 0])),
        ("more headers than bytes", 1, body(&[1, 1, 8, 1, 1])),
        ("header without a name", 1, body(&[1, 1, 2, 1, 1])),
        ("negative length", 1, body(&[3, 1, 0])),
        (
            "number without an end",
            1,
            body(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80]),
        ),
    ];
    for (expected, count, payload) in cases {
        for codec in Compression::ALL {
            match check(around(codec, count, 5, &payload)) {
                Err(InvalidRecords::Batch(BatchError::Record(found))) => {
                    assert_eq!(found, expected, "{codec:?}");
                }
                other => panic!("{expected}, {codec:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_record_may_be_larger_than_what_is_decoded_at_a_time() {
    let mut body = vec![0, 10, 0];
    let value = vec![7; 3_000_000];
    body.push(1);
    put_varint(&mut body, 3_000_000);
    body.extend(&value);
    body.push(0);
    for codec in Compression::ALL {
        assert!(check(around(codec, 1, 5, &with_length(&body))).is_ok());
    }
}

#[test]
fn the_max_timestamp_is_made_right_as_kafka_does() {
    for codec in Compression::ALL {
        let sent = around(codec, 2, 77, &[written(0), written(1)].concat());
        let kept = check(sent.clone()).unwrap();
        assert_eq!(kept.header().max_timestamp, Timestamp(5));
        assert_eq!(kept.records().unwrap(), sent.records().unwrap());
        // Header and checksum agree with the bytes.
        assert_eq!(Batch::parse(kept.bytes().clone()).unwrap(), kept);
    }
}

#[test]
fn records_that_break_the_rules_are_named() {
    let rules = RecordRules {
        keyed: true,
        earliest: Some(Timestamp(10)),
        latest: Some(Timestamp(20)),
    };
    let records = [
        record(10, Some("k"), "v"),
        record(15, None, "v"),
        record(21, Some("k"), "v"),
        record(9, Some("k"), "v"),
        record(-1, Some("k"), "v"),
        record(20, Some("k"), "v"),
    ];
    for codec in Compression::ALL {
        let sent = batch(codec, records.clone());
        let Err(InvalidRecords::Faults(faults)) = Validator::default().check(sent, &rules) else {
            panic!("taken");
        };
        let expected = [
            (1, RecordFault::NoKey),
            (2, RecordFault::Timestamp(Timestamp(21))),
            (3, RecordFault::Timestamp(Timestamp(9))),
        ];
        assert_eq!(faults, expected);
    }
    let many = batch(Compression::Zstd, (0..5_000).map(|_| record(0, None, "")));
    match Validator::default().check(many, &rules) {
        Err(InvalidRecords::Faults(faults)) => assert_eq!(faults.len(), MOST_FAULTS),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_decompression_bomb_ends_at_the_limit() {
    // One record that claims everything, and many small ones.
    let zeros = vec![0; MAX_OUTPUT / 4];
    let mut one = Vec::new();
    put_varint(&mut one, i32::MAX);
    for codec in Compression::ALL {
        if codec == Compression::None {
            continue;
        }
        let mut validator = Validator::default();
        for payload in [[&*one, &zeros].concat(), zeros.clone()] {
            let bomb = around(codec, i32::MAX, 0, &payload);
            assert!(bomb.bytes().len() < zeros.len() / 20, "{codec:?}");
            assert!(validator.check(bomb, &RecordRules::default()).is_err());
        }
        // It goes on working.
        let sent = batch(codec, [record(1, None, "v")]);
        assert!(validator.check(sent, &RecordRules::default()).is_ok());
    }
}

#[test]
fn more_than_the_limit_is_told_from_damage() {
    let zeros = vec![0; 12 << 20];
    let mut payload = Vec::new();
    for n in 0..10 {
        let mut body = vec![0, 0];
        put_varint(&mut body, n);
        body.push(1);
        put_varint(&mut body, i32::try_from(zeros.len()).unwrap());
        body.extend(&zeros);
        body.push(0);
        payload.extend(with_length(&body));
    }
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let found = check(around(codec, 10, 0, &payload));
        assert!(
            matches!(
                found,
                Err(InvalidRecords::Batch(BatchError::Compression(
                    CompressionError::TooLarge { .. }
                )))
            ),
            "{codec:?}: {found:?}"
        );
    }
}

#[test]
fn compressed_data_without_its_end_is_damaged() {
    let sound = batch(
        Compression::None,
        (0..50).map(|n| record(n, Some("k"), "v")),
    );
    let payload = sound.payload();
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let whole = compression::compress(codec, &payload).unwrap();
        for cut in 1..6 {
            let short = raw(codec, 50, 49, &whole[..whole.len() - cut]);
            let found = check(short);
            assert!(
                matches!(
                    found,
                    Err(InvalidRecords::Batch(BatchError::Compression(
                        CompressionError::Damaged { .. }
                    )))
                ),
                "{codec:?} without {cut}: {found:?}"
            );
        }
    }
}

/// KafkaJS with npm's lz4js writes such frames; Java's consumers take none of them.
#[test]
fn lz4_blocks_that_depend_on_each_other_are_refused() {
    use std::io::Write as _;
    let frame = |mode| {
        let info = lz4_flex::frame::FrameInfo::new().block_mode(mode);
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&written(0)).unwrap();
        encoder.finish().unwrap()
    };
    use lz4_flex::frame::BlockMode::{Independent, Linked};
    assert!(check(raw(Compression::Lz4, 1, 5, &frame(Independent))).is_ok());
    let found = check(raw(Compression::Lz4, 1, 5, &frame(Linked)));
    let message = format!("{:?}", found.unwrap_err());
    assert!(message.contains("depend"), "{message}");
}

proptest! {
    /// Whatever is let in can be read, with the offsets that were promised.
    #[test]
    fn what_passes_can_be_read(
        values in proptest::collection::vec(proptest::option::of(0_usize..300), 1..20),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        codec in 0_usize..5,
        inside in any::<bool>(),
    ) {
        let codec = Compression::ALL[codec];
        let records = values.iter().map(|size| Record {
            value: size.map(|size| Bytes::from(vec![1; size])),
            ..Record::default()
        });
        let count = i32::try_from(values.len()).unwrap();
        let mut payload = batch(Compression::None, records).payload().to_vec();
        let spoil = |bytes: &mut Vec<u8>| for (at, value) in &damage {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        };
        let sent = if inside {
            spoil(&mut payload);
            around(codec, count, 0, &payload)
        } else {
            let mut compressed = compression::compress(codec, &payload).unwrap().into_owned();
            spoil(&mut compressed);
            raw(codec, count, 0, &compressed)
        };
        let read = sent.records();
        match check(sent) {
            Ok(kept) => {
                let offsets: Vec<_> = kept.records().unwrap().iter().map(|r| r.offset.0).collect();
                prop_assert_eq!(offsets, (0..i64::from(count)).collect::<Vec<_>>());
                let newest = read.unwrap().iter().map(|r| r.timestamp).max().unwrap();
                prop_assert_eq!(kept.header().max_timestamp, newest.max(Timestamp::NONE));
            }
            Err(InvalidRecords::Batch(_)) => {
                prop_assert!(!damage.is_empty());
                prop_assert!(read.is_err(), "{:?}", read);
            }
            Err(error) => panic!("{error}"),
        }
    }
}
