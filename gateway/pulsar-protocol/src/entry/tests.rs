use proptest::prelude::*;

use super::*;
use crate::KeyValue;

fn metadata() -> MessageMetadata {
    MessageMetadata {
        producer_name: "p".to_owned(),
        sequence_id: 7,
        publish_time: 1_700_000_000_000,
        properties: vec![KeyValue::new("entry.format", "kafka")],
        partition_key: Some(Bytes::from_static(b"not \xff text")),
        num_messages_in_batch: Some(5),
        ..MessageMetadata::default()
    }
}

fn encoded(checksum: bool) -> Bytes {
    let broker = BrokerEntryMetadata {
        broker_timestamp: Some(1),
        index: Some(42),
    };
    let payload = [Bytes::from_static(b"pay"), Bytes::from_static(b"load")];
    encode(Some(&broker), &metadata(), &payload, checksum)
}

#[test]
fn an_entry_comes_back_as_it_was_made() {
    for checksum in [true, false] {
        let entry = parse(encoded(checksum)).unwrap();
        assert_eq!(entry.broker.unwrap().index, Some(42));
        assert_eq!(entry.metadata, metadata());
        assert_eq!(entry.metadata.property("entry.format").unwrap(), "kafka");
        assert_eq!(entry.metadata.property("nothing"), None);
        assert_eq!(entry.payload, b"payload".as_slice());
    }
}

#[test]
fn the_checksum_covers_metadata_and_payload_and_not_what_the_broker_put_before_it() {
    let good = encoded(true);
    let broker = 2
        + 4
        + BrokerEntryMetadata {
            broker_timestamp: Some(1),
            index: Some(42),
        }
        .encoded_len();
    for at in broker + 6..good.len() {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1;
        assert!(
            matches!(parse(bytes.into()), Err(EntryError::Checksum { .. })),
            "byte {at}"
        );
    }
    let mut bytes = good.to_vec();
    bytes[broker - 1] ^= 1;
    assert_eq!(parse(bytes.into()).unwrap().broker.unwrap().index, Some(43));
}

#[test]
fn an_entry_cut_off_in_its_head_is_an_error() {
    let good = encoded(false);
    let head = good.len() - b"payload".len();
    for length in 0..head {
        assert!(parse(good.slice(..length)).is_err(), "{length} bytes");
    }
}

#[test]
fn a_batch_of_one_is_a_batch_and_messages_count_at_least_one() {
    let of = |count| MessageMetadata {
        num_messages_in_batch: count,
        ..MessageMetadata::default()
    };
    assert!(!of(None).is_batch());
    assert!(of(Some(1)).is_batch());
    let counts = [None, Some(0), Some(-5), Some(9)].map(|count| of(count).messages());
    assert_eq!(counts, [1, 1, 1, 9]);
}

proptest! {
    #[test]
    fn any_bytes_are_an_entry_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(bytes.into());
    }

    #[test]
    fn sizes_that_lie_are_errors(size: u32, at in 0..3_usize) {
        let mut bytes = encoded(true).to_vec();
        let place = [2, 14, 20][at];
        bytes[place..place + 4].copy_from_slice(&size.to_be_bytes());
        let _ = parse(bytes.into());
    }
}
