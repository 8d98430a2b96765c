//! Entries of compacted topics. The bytes in `tests/compacted` are what brokers of Pulsar 4.2.4 gave a reader
//! of the compacted topic, of batches that a gateway had written.
use super::*;

/// A batch of `b`, `e` and `d`, of which the first record is still there, and one of `a`, `e` and `g`, of
/// which the first has gone.
const FIRST_KEPT: &[u8] = include_bytes!("../../../tests/compacted/first-kept.bin");
const FIRST_GONE: &[u8] = include_bytes!("../../../tests/compacted/first-gone.bin");

fn read(bytes: &'static [u8]) -> (Span, Placed) {
    let entry = pulsar_client::protocol::entry::parse(Bytes::from_static(bytes)).unwrap();
    let index = entry.broker.unwrap().index;
    let span = Span::of(&entry.metadata, index).unwrap();
    let mut placed = decode(false, &entry.metadata, &entry.payload, span).unwrap();
    assert_eq!(placed.len(), 1);
    (span, placed.remove(0))
}

fn kept(placed: &Placed) -> Vec<(i64, Bytes, Bytes)> {
    let records = placed.batch.records().unwrap();
    let kept = records.into_iter().map(|record| {
        assert_eq!(record.headers, [(Bytes::from("h"), None)]);
        (record.offset.0, record.key.unwrap(), record.value.unwrap())
    });
    kept.collect()
}

#[test]
fn what_compaction_left_of_a_batch_has_its_offsets() {
    let (span, placed) = read(FIRST_KEPT);
    assert_eq!((span.base, span.end), (6, 9));
    assert_eq!(placed.header().offsets(), 3);
    assert_eq!(kept(&placed), [(6, "b".into(), "3".into())]);

    let (span, placed) = read(FIRST_GONE);
    assert_eq!((span.base, span.end), (12, 15));
    assert_eq!((placed.base, placed.header().offsets()), (Offset(12), 3));
    // The codec is the producer's, though a compacted topic's entries are not compressed.
    assert_eq!(placed.header().compression(), Compression::Lz4);
    let expected = [(13, "e".into(), "2".into()), (14, "g".into(), "1".into())];
    assert_eq!(kept(&placed), expected);
}

#[test]
fn a_damaged_compacted_entry_is_an_error_or_another_record_but_never_a_panic() {
    for at in 0..FIRST_GONE.len() {
        for byte in [0, 1, 0x7f, 0xff] {
            let mut bytes = FIRST_GONE.to_vec();
            bytes[at] = byte;
            if let Ok(entry) = pulsar_client::protocol::entry::parse(bytes.into())
                && let Ok(span) = Span::of(&entry.metadata, entry.broker.and_then(|b| b.index))
                && span.end - span.base < 1000
            {
                drop(decode(false, &entry.metadata, &entry.payload, span));
            }
        }
    }
}

/// Pulsar's compaction takes a message without payload for a deletion.
#[test]
fn only_deletions_have_no_payload_in_a_compacted_topic() {
    let named = |name: &'static str| vec![(Bytes::from(name), Some(Bytes::from("1")))];
    let record = |key: Option<&'static str>, value: Option<&'static str>, headers| Record {
        timestamp: Timestamp(5),
        key: key.map(Bytes::from),
        value: value.map(Bytes::from),
        headers,
        ..Record::default()
    };
    let records = [
        record(Some("k"), Some(""), Vec::new()),
        record(Some("k"), None, Vec::new()),
        record(Some(""), Some(""), named("other")),
        record(Some("k"), Some("v"), Vec::new()),
        // What looks like our own mark is a header.
        record(Some("k"), Some("\0"), named("kop.empty")),
        record(Some("k"), Some(""), named("kop.empty")),
    ];
    let stamp = Stamp {
        compacted: true,
        ..STAMP
    };
    for codec in [Compression::None, Compression::Zstd] {
        let batch = batch_of(&records, codec, None);
        let entry = encode(Layout::Pulsar, &batch, stamp).unwrap();
        assert_eq!(entry.metadata.compression, None);
        let payloads = batch::messages(entry.payload.clone(), entry.messages)
            .map(|message| message.unwrap().payload.is_empty());
        let expected = [false, true, false, false, false, false];
        assert_eq!(payloads.collect::<Vec<_>>(), expected);
        let placed = decoded(false, &entry, 7);
        assert_eq!(placed[0].header().compression(), codec);
        let back = without_offsets(placed[0].batch.records().unwrap());
        assert_eq!(back, records);
    }
}
