//! What the real `KoP` wrote, as bytes in `tests/kop`: recorded by `UPDATE=1 ./test kop`, together with
//! what Kafka's client had written, and what it was told of commits.
use std::fmt::Write as _;

use pulsar_client::protocol::entry::{self, Entry};

use super::*;

/// Name, recorded entries, and the records in them.
const FORMATS: [(&str, &str, &str); 3] = [
    (
        "pulsar",
        include_str!("../../../tests/kop/pulsar.entries"),
        include_str!("../../../tests/kop/pulsar.records"),
    ),
    (
        "kafka",
        include_str!("../../../tests/kop/kafka.entries"),
        include_str!("../../../tests/kop/kafka.records"),
    ),
    (
        "mixed_kafka",
        include_str!("../../../tests/kop/mixed_kafka.entries"),
        include_str!("../../../tests/kop/mixed_kafka.records"),
    ),
];
const CONSUMER_OFFSETS: &str = include_str!("../../../tests/kop/consumer_offsets.entries");
const GROUP_RECORDS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/kop/consumer_offsets.records"
);

/// The entries of a file, each with the topic that it stood in.
fn entries(text: &str) -> impl Iterator<Item = (&str, Entry)> {
    text.lines().map(|line| {
        let mut fields = line.split(' ');
        let topic = fields.next().unwrap();
        let hex = fields.nth(2).unwrap();
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
        (topic, entry::parse(bytes.into()).unwrap())
    })
}

fn placed(group_log: bool, entry: &Entry) -> Vec<Placed> {
    let index = entry.broker.as_ref().and_then(|broker| broker.index);
    let span = Span::of(&entry.metadata, index).unwrap();
    decode(group_log, &entry.metadata, &entry.payload, span).unwrap()
}

fn records_of(group_log: bool, entry: &Entry) -> Vec<Record> {
    let placed = placed(group_log, entry);
    let batches = placed.iter().map(|placed| {
        let bytes = placed.chunks().concat();
        Batch::parse(bytes.into()).unwrap().records().unwrap()
    });
    batches.flatten().collect()
}

fn hex(bytes: Option<&Bytes>) -> String {
    let Some(bytes) = bytes else {
        return "-".to_owned();
    };
    bytes.iter().fold("x".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A record as the files have it.
fn line(record: &Record) -> String {
    let (offset, time) = (record.offset.0, record.timestamp.0);
    let (key, value) = (hex(record.key.as_ref()), hex(record.value.as_ref()));
    let mut line = format!("{offset} {time} {key} {value}");
    for (name, value) in &record.headers {
        write!(line, " {}={}", hex(Some(name)), hex(value.as_ref())).unwrap();
    }
    line
}

#[test]
fn what_kafka_clients_wrote_through_kop_is_read_to_the_byte() {
    for (format, recorded, expected) in FORMATS {
        let mut lines = Vec::new();
        for (_, entry) in entries(recorded) {
            lines.extend(records_of(false, &entry).iter().map(line));
        }
        assert!(lines.len() >= 40, "{format}");
        assert_eq!(lines, expected.lines().collect::<Vec<_>>(), "{format}");
    }
}

#[test]
fn kop_finds_in_our_messages_what_it_finds_in_its_own() {
    for (_, kop) in entries(FORMATS[0].1) {
        let records = without_offsets(records_of(false, &kop));
        let batch = batch_of(&records, Compression::None, None);
        let ours = encode(Layout::Pulsar, &batch, STAMP).unwrap();
        let fields = |metadata: &MessageMetadata| {
            (
                metadata.num_messages_in_batch,
                metadata.partition_key.clone(),
                metadata.partition_key_b64_encoded,
                metadata.ordering_key.clone(),
                metadata.marker_type,
                metadata.txnid_most_bits,
                metadata.compression.unwrap_or_default(),
            )
        };
        assert_eq!(fields(&ours.metadata), fields(&kop.metadata));
        let messages = |payload: &Bytes| -> Vec<_> {
            batch::messages(payload.clone(), ours.messages)
                .map(|message| {
                    let message = message.unwrap();
                    let metadata = message.metadata;
                    (
                        metadata.partition_key.clone(),
                        metadata.partition_key_b64_encoded(),
                        metadata.ordering_key.clone(),
                        metadata.properties.clone(),
                        metadata.event_time(),
                        metadata.null_value(),
                        message.payload,
                    )
                })
                .collect()
        };
        assert_eq!(messages(&ours.payload), messages(&kop.payload));
    }
}

#[test]
fn a_batch_is_written_for_kop_as_it_writes_it_itself() {
    for (format, recorded, _) in &FORMATS[1..] {
        for (_, kop) in entries(recorded) {
            let batch = Batch::parse(kop.payload.clone()).unwrap();
            let ours = encode(Layout::Kafka, &batch, STAMP).unwrap();
            // The eight bytes of the base offset are the reader's to fill in.
            assert_eq!(ours.payload[8..], kop.payload[8..], "{format}");
            let fields = |metadata: &MessageMetadata| {
                let MessageMetadata {
                    num_messages_in_batch,
                    properties,
                    compression,
                    ..
                } = metadata.clone();
                (num_messages_in_batch, properties, compression.unwrap_or(0))
            };
            assert_eq!(fields(&ours.metadata), fields(&kop.metadata), "{format}");
        }
    }
}

/// The records are also what `kop-coordinator` has to make sense of: its tests read the same file.
#[test]
fn records_of_kops_groups_are_found() {
    let mut found = String::new();
    for (topic, entry) in entries(CONSUMER_OFFSETS) {
        for record in records_of(true, &entry) {
            writeln!(found, "{topic} {}", line(&record)).unwrap();
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(GROUP_RECORDS, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(GROUP_RECORDS).unwrap());
}

#[test]
fn kop_finds_in_our_group_log_what_it_finds_in_its_own() {
    for (_, entry) in entries(CONSUMER_OFFSETS) {
        for record in without_offsets(records_of(true, &entry)) {
            let outer = batch_of(std::slice::from_ref(&record), Compression::None, None);
            let ours = encode(Layout::GroupLog, &outer, STAMP).unwrap();
            let messages: Vec<_> = batch::messages(ours.payload, ours.messages)
                .map(Result::unwrap)
                .collect();
            let [message] = messages.as_slice() else {
                panic!("{messages:?}")
            };
            // It leaves out what has no key, and takes the value for Kafka's batches.
            assert!(message.metadata.partition_key.is_some());
            let inner = Batch::parse(message.payload.clone()).unwrap();
            assert_eq!(inner.records().unwrap(), [record]);
        }
    }
}
