use kop_wire::{BatchBuilder, Compression, Record, Timestamp};
use proptest::prelude::*;
use pulsar_client::protocol::{KeyValue, SingleMessageMetadata, batch};

use super::*;

mod compacted;
mod kop;

const STAMP: Stamp = Stamp {
    compacted: false,
    sequence_id: 77,
    now: 1_700_000_000_000,
};

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

/// Bytes that are text as often as not.
fn header_value() -> impl Strategy<Value = Option<Bytes>> {
    prop::option::weighted(
        0.9,
        prop_oneof!["[a-z]{0,8}".prop_map(Bytes::from), bytes()],
    )
}

fn record() -> impl Strategy<Value = Record> {
    let name = prop_oneof![
        "[a-z]{0,3}".prop_map(Bytes::from),
        Just(Bytes::from_static(b"kop.headers")),
        Just(Bytes::from_static(b"kop.timestamp")),
        Just(Bytes::from_static(b"kop.empty")),
    ];
    (
        prop_oneof![Just(-1i64), Just(0), 1i64..2_000_000_000_000, any::<i64>()],
        prop::option::of(bytes()),
        prop::option::of(bytes()),
        prop::collection::vec((name, header_value()), 0..4),
    )
        .prop_map(|(timestamp, key, value, headers)| Record {
            offset: Offset(0),
            timestamp: Timestamp(timestamp),
            key,
            value,
            headers,
        })
}

fn codec() -> impl Strategy<Value = Compression> {
    prop::sample::select(Compression::ALL.to_vec())
}

fn batch_of(records: &[Record], codec: Compression, producer: Option<(i64, i16, i32)>) -> Batch {
    let mut builder = BatchBuilder::new(codec);
    if let Some((id, epoch, sequence)) = producer {
        builder = builder.producer(id, epoch, sequence);
    }
    for record in records {
        builder.push(record.clone());
    }
    builder.build().unwrap()
}

fn span(base: i64, messages: u32) -> Span {
    Span {
        base,
        end: base + i64::from(messages),
    }
}

fn without_offsets(records: Vec<Record>) -> Vec<Record> {
    records
        .into_iter()
        .map(|record| Record {
            offset: Offset(0),
            ..record
        })
        .collect()
}

fn decoded(group_log: bool, entry: &Outgoing, base: i64) -> Vec<Placed> {
    decode(
        group_log,
        &entry.metadata,
        &entry.payload,
        span(base, entry.messages),
    )
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_batch_comes_back_as_it_was_in_both_formats(
        records in prop::collection::vec(record(), 1..6),
        codec in codec(),
        producer in prop::option::of((0i64..i64::MAX, 0i16..i16::MAX, 0i32..i32::MAX)),
        base in 0i64..1 << 40,
    ) {
        // A batch's timestamps are relative to the first one and must not overflow.
        let records: Vec<Record> = records.into_iter().map(|mut r| {
            r.timestamp.0 = r.timestamp.0.clamp(-1 << 60, 1 << 60);
            r
        }).collect();
        let batch = batch_of(&records, codec, producer);
        let compacted = Stamp { compacted: true, ..STAMP };
        for (layout, stamp) in
            [(Layout::Kafka, STAMP), (Layout::Pulsar, STAMP), (Layout::Pulsar, compacted)]
        {
            let entry = encode(layout, &batch, stamp).unwrap();
            prop_assert_eq!(entry.messages as usize, records.len());
            prop_assert_eq!(entry.metadata.messages(), entry.messages);
            let placed = decoded(false, &entry, base);
            prop_assert_eq!(placed.len(), 1);
            let header = placed[0].header();
            prop_assert_eq!(header.base_offset, Offset(base));
            prop_assert_eq!(header.offsets(), records.len() as i64);
            prop_assert_eq!(header.compression(), codec);
            let expected = producer.unwrap_or((-1, -1, -1));
            prop_assert_eq!(
                (header.producer_id, header.producer_epoch, header.base_sequence), expected
            );
            let back = without_offsets(placed[0].batch.records().unwrap());
            prop_assert_eq!(&back, &records);
            let bytes: Vec<u8> = placed[0].chunks().concat();
            let whole = Batch::parse(bytes.into()).unwrap();
            prop_assert_eq!(whole.header().base_offset, Offset(base));

            let stamps =
                producer_batches(&entry.metadata, &entry.payload, span(base, entry.messages))
                    .unwrap();
            prop_assert_eq!(stamps.len(), usize::from(producer.is_some()));
            if let Some(stamp) = stamps.first() {
                prop_assert_eq!(stamp.base_offset, Offset(base));
                prop_assert_eq!(
                    (stamp.producer_id, stamp.producer_epoch, stamp.base_sequence), expected
                );
                prop_assert_eq!(stamp.offsets(), records.len() as i64);
            }
        }
    }

    #[test]
    fn records_of_a_group_log_come_back_each_at_its_offset(
        records in prop::collection::vec(record(), 1..6),
        base in 0i64..1 << 40,
    ) {
        let records: Vec<Record> = records.into_iter().map(|mut r| {
            r.timestamp.0 = r.timestamp.0.clamp(-1 << 60, 1 << 60);
            r.key = Some(r.key.unwrap_or_default());
            r
        }).collect();
        let batch = batch_of(&records, Compression::None, None);
        let entry = encode(Layout::GroupLog, &batch, STAMP).unwrap();
        let placed = decoded(true, &entry, base);
        prop_assert_eq!(placed.len(), records.len());
        for (i, (placed, record)) in placed.iter().zip(&records).enumerate() {
            prop_assert_eq!(placed.base, Offset(base + i as i64));
            let back = without_offsets(placed.batch.records().unwrap());
            prop_assert_eq!(&back, &vec![record.clone()]);
        }
    }

    #[test]
    fn damaged_payloads_are_errors_or_other_records_but_never_panics(
        records in prop::collection::vec(record(), 1..4),
        layout in prop::sample::select(vec![Layout::Kafka, Layout::Pulsar, Layout::GroupLog]),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let records: Vec<Record> = records.into_iter().map(|mut r| {
            r.timestamp.0 = r.timestamp.0.clamp(-1 << 60, 1 << 60);
            r
        }).collect();
        let entry = encode(layout, &batch_of(&records, Compression::None, None), STAMP).unwrap();
        let mut payload = entry.payload.to_vec();
        let at = at.index(payload.len());
        payload[at] = byte;
        let payload = Bytes::from(payload);
        for group_log in [false, true] {
            let span = span(5, entry.messages);
            if let Ok(placed) = decode(group_log, &entry.metadata, &payload, span) {
                for placed in placed {
                    drop(placed.batch.records());
                }
            }
            drop(producer_batches(&entry.metadata, &payload, span));
        }
    }
}

fn record_with(key: Option<&'static str>, value: Option<&'static str>) -> Record {
    Record {
        timestamp: Timestamp(1_600_000_000_000),
        key: key.map(Bytes::from),
        value: value.map(Bytes::from),
        headers: vec![(Bytes::from("trace"), Some(Bytes::from("a1")))],
        ..Record::default()
    }
}

#[test]
fn a_pulsar_client_finds_key_value_headers_and_time_where_it_looks_for_them() {
    let batch = batch_of(
        &[record_with(Some("k"), Some("v")), record_with(None, None)],
        Compression::None,
        None,
    );
    let entry = encode(Layout::Pulsar, &batch, STAMP).unwrap();
    assert!(entry.checksum);
    assert_eq!(entry.metadata.num_messages_in_batch, Some(2));
    assert_eq!(entry.metadata.publish_time, STAMP.now);
    let messages: Vec<_> = batch::messages(entry.payload, 2)
        .collect::<Result<_, _>>()
        .unwrap();
    let [first, second] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    assert_eq!(
        first.metadata.partition_key.as_deref(),
        Some(b"aw==".as_slice())
    );
    assert_eq!(first.metadata.partition_key_b64_encoded, Some(true));
    assert_eq!(
        first.metadata.ordering_key.as_deref(),
        Some(b"k".as_slice())
    );
    assert_eq!(first.metadata.event_time, Some(1_600_000_000_000));
    assert_eq!(first.metadata.properties, [KeyValue::new("trace", "a1")]);
    assert_eq!(&*first.payload, b"v");
    assert_eq!(second.metadata.partition_key, None);
    assert_eq!(second.metadata.null_value, Some(true));
    assert!(second.payload.is_empty());
}

#[test]
fn what_its_producer_compressed_is_stored_compressed() {
    let value: &'static str = "value ".repeat(200).leak();
    for (codec, stored) in [
        (Compression::Gzip, CompressionType::Zlib),
        (Compression::Snappy, CompressionType::Snappy),
        (Compression::Lz4, CompressionType::Lz4),
        (Compression::Zstd, CompressionType::Zstd),
    ] {
        let batch = batch_of(&[record_with(None, Some(value))], codec, None);
        let entry = encode(Layout::Pulsar, &batch, STAMP).unwrap();
        assert_eq!(entry.metadata.compression, Some(stored as i32));
        assert!(entry.payload.len() < 400, "{}", entry.payload.len());
        let placed = decoded(false, &entry, 0);
        assert_eq!(placed[0].header().compression(), codec);
        assert_eq!(
            placed[0].batch.records().unwrap()[0].value,
            Some(Bytes::from(value))
        );
    }
}

#[test]
fn what_a_pulsar_producer_wrote_is_read_with_key_properties_and_time() {
    let mut messages = batch::BatchBuilder::new();
    let metadata = SingleMessageMetadata {
        properties: vec![KeyValue::new("kop.headers", "mine")],
        partition_key: Some(Bytes::from("plain")),
        ..SingleMessageMetadata::default()
    };
    messages.push(metadata, b"one");
    let gone = SingleMessageMetadata {
        compacted_out: Some(true),
        ..Default::default()
    };
    messages.push(gone, b"");
    let metadata = MessageMetadata {
        publish_time: 123,
        num_messages_in_batch: Some(2),
        ..MessageMetadata::default()
    };
    let placed = decode(false, &metadata, &messages.build(), span(40, 2)).unwrap();
    let records = placed[0].batch.records().unwrap();
    assert_eq!(
        records,
        [Record {
            offset: Offset(40),
            timestamp: Timestamp(123),
            key: Some(Bytes::from("plain")),
            value: Some(Bytes::from("one")),
            headers: vec![(Bytes::from("kop.headers"), Some(Bytes::from("mine")))],
        }]
    );
    assert_eq!(placed[0].header().offsets(), 2);
}

#[test]
fn a_single_compressed_message_of_a_pulsar_producer_is_read() {
    let value = Bytes::from("value ".repeat(100));
    let metadata = MessageMetadata {
        publish_time: 9,
        event_time: Some(7),
        compression: Some(CompressionType::Zstd as i32),
        uncompressed_size: Some(600),
        ..MessageMetadata::default()
    };
    let payload = compression::compress(CompressionType::Zstd, &value);
    let placed = decode(false, &metadata, &payload, span(3, 1)).unwrap();
    let records = placed[0].batch.records().unwrap();
    assert_eq!(records[0].value, Some(value));
    assert_eq!(records[0].timestamp, Timestamp(7));
    assert_eq!(records[0].offset, Offset(3));
}

#[test]
fn several_batches_in_one_kafka_entry_follow_on_each_other() {
    let record = record_with(None, Some("x"));
    let two = batch_of(&[record.clone(), record.clone()], Compression::None, None);
    let one = batch_of(&[record], Compression::None, None);
    let mut entry = encode(Layout::Kafka, &two, STAMP).unwrap();
    entry.metadata.num_messages_in_batch = Some(3);
    entry.payload = [two.bytes().clone(), one.bytes().clone()].concat().into();
    let placed = decode(false, &entry.metadata, &entry.payload, span(10, 3)).unwrap();
    assert_eq!(
        placed.iter().map(|p| p.base.0).collect::<Vec<_>>(),
        [10, 12]
    );
    let more_than_numbered = decode(false, &entry.metadata, &entry.payload, span(10, 2));
    assert!(matches!(more_than_numbered, Err(DecodeError::Index { .. })));
}

#[test]
fn a_group_log_message_of_several_records_gives_each_of_them() {
    let records = [
        record_with(Some("a"), Some("1")),
        record_with(Some("b"), Some("2")),
    ];
    let inner = batch_of(&records, Compression::None, None);
    let mut messages = batch::BatchBuilder::new();
    messages.push(SingleMessageMetadata::default(), b"");
    let keyed = SingleMessageMetadata {
        partition_key: Some(Bytes::from("group")),
        ..SingleMessageMetadata::default()
    };
    messages.push(keyed, inner.bytes());
    let metadata = MessageMetadata {
        num_messages_in_batch: Some(2),
        ..MessageMetadata::default()
    };
    let placed = decode(true, &metadata, &messages.build(), span(4, 2)).unwrap();
    assert_eq!(
        placed.iter().map(|p| p.base.0).collect::<Vec<_>>(),
        [4, 5, 5]
    );
    assert_eq!(placed[0].header().record_count, 0);
    let keys: Vec<_> = placed[1..]
        .iter()
        .map(|p| p.batch.records().unwrap()[0].key.clone().unwrap())
        .collect();
    assert_eq!(keys, ["a", "b"]);
}

#[test]
fn what_a_transaction_wrote_into_a_group_log_still_says_so() {
    let record = |key: &'static str| Record {
        key: Some(Bytes::from(key)),
        value: Some(Bytes::from("v")),
        ..Record::default()
    };
    let mut messages = batch::BatchBuilder::new();
    let mut push = |builder: BatchBuilder, key| {
        let mut builder = builder;
        builder.push(record(key));
        let keyed = SingleMessageMetadata {
            partition_key: Some(Bytes::from("group")),
            ..SingleMessageMetadata::default()
        };
        messages.push(keyed, builder.build().unwrap().bytes());
    };
    let plain = || BatchBuilder::new(Compression::None);
    push(plain().producer(7, 2, 0).transactional(true), "commit");
    push(plain(), "plain");
    let marker = plain().producer(7, 2, -1).transactional(true).control(true);
    push(marker, "marker");
    let metadata = MessageMetadata {
        num_messages_in_batch: Some(3),
        ..MessageMetadata::default()
    };
    let placed = decode(true, &metadata, &messages.build(), span(4, 3)).unwrap();
    let seen: Vec<_> = placed
        .iter()
        .map(|placed| {
            let header = placed.header();
            let (base, id) = (header.base_offset.0, header.producer_id);
            (base, id, header.is_transactional(), header.is_control())
        })
        .collect();
    let expected = [
        (4, 7, true, false),
        (5, -1, false, false),
        (6, 7, true, true),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn chunks_and_ciphertexts_are_refused_with_the_reason() {
    let chunk = MessageMetadata {
        num_chunks_from_msg: Some(2),
        ..MessageMetadata::default()
    };
    assert!(matches!(
        decode(false, &chunk, &Bytes::new(), span(0, 1)),
        Err(DecodeError::Chunked)
    ));
    let secret = MessageMetadata {
        encryption_keys: vec![pulsar_client::EncryptionKeys::default()],
        ..MessageMetadata::default()
    };
    let refused = decode(false, &secret, &Bytes::new(), span(0, 1));
    assert!(matches!(refused, Err(DecodeError::Encrypted)));
}

#[test]
fn a_property_named_like_ours_is_a_pulsar_clients_own_unless_ours_stands_beside_it() {
    let named = |name: &str, value: &str| {
        KeyValue::new(name.as_bytes().to_vec(), value.as_bytes().to_vec())
    };
    let mut metadata = MessageMetadata {
        properties: vec![named("kop.producer", "nobody")],
        ..MessageMetadata::default()
    };
    let told = producer_batches(&metadata, &Bytes::new(), span(0, 1)).unwrap();
    assert_eq!(told, []);
    let placed = decode(false, &metadata, &Bytes::from("value"), span(0, 1)).unwrap();
    let records = placed[0].batch.records().unwrap();
    assert_eq!(records[0].headers.len(), 1);
    metadata.properties.push(named("kop.attributes", "0"));
    assert!(producer_batches(&metadata, &Bytes::new(), span(0, 1)).is_err());
}

#[test]
fn an_entry_without_an_index_has_no_offsets() {
    let metadata = MessageMetadata::default();
    assert!(matches!(
        Span::of(&metadata, None),
        Err(DecodeError::NoIndex)
    ));
    assert_eq!(Span::of(&metadata, Some(4)).unwrap(), span(4, 1));
    let batch = MessageMetadata {
        num_messages_in_batch: Some(9),
        ..MessageMetadata::default()
    };
    assert!(matches!(
        Span::of(&batch, Some(4)),
        Err(DecodeError::Index { .. })
    ));
    assert!(matches!(
        Span::of(&batch, Some(u64::MAX)),
        Err(DecodeError::Index { .. })
    ));
}

#[test]
fn a_gap_is_covered_by_a_batch_without_records() {
    let placed = gap(5, 9).unwrap().unwrap();
    let header = placed.header();
    assert_eq!(
        (header.base_offset, header.offsets(), header.record_count),
        (Offset(5), 4, 0)
    );
    assert!(gap(5, 5).unwrap().is_none());
    assert!(gap(0, 1 << 40).is_err());
}
