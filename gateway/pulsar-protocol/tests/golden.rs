//! Entries as a Pulsar 3.0.7 broker delivered them, written by Pulsar's Java client 4.2.4: in
//! `tests/golden`, with the broker's metadata before them.
//!
//! `batch-CODEC.bin`: four messages; the third has a key of bytes, the last one no value.
//! `single-CODEC.bin`: one message, not batched. `chunk-N.bin`: a message of 150 bytes in three.
use std::path::Path;

use bytes::Bytes;
use pulsar_protocol::{CompressionType, batch, compression, entry};

const CODECS: [(&str, CompressionType); 5] = [
    ("none", CompressionType::None),
    ("lz4", CompressionType::Lz4),
    ("zlib", CompressionType::Zlib),
    ("zstd", CompressionType::Zstd),
    ("snappy", CompressionType::Snappy),
];

fn golden(name: &str) -> entry::Entry {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let bytes = std::fs::read(path).expect("a golden file");
    entry::parse(bytes.into()).expect("an entry with a right checksum")
}

fn decompressed(entry: &entry::Entry) -> Bytes {
    let size = entry.metadata.uncompressed_size() as usize;
    compression::decompress(entry.metadata.compression(), &entry.payload, size, 100_000)
        .expect("a payload of the size that the entry says")
}

/// How often the writer repeated a message's words: small payloads are not compressed.
fn times(codec: CompressionType, often: usize) -> usize {
    if codec == CompressionType::None {
        3
    } else {
        often
    }
}

#[test]
fn batches_of_the_java_client_are_read() {
    for (number, (name, codec)) in (0..).zip(CODECS) {
        let entry = golden(&format!("batch-{name}.bin"));
        assert_eq!(entry.broker.unwrap().index, Some(number * 5 + 3), "{name}");
        assert_eq!(entry.metadata.compression(), codec);
        assert!(entry.metadata.is_batch());
        assert_eq!(entry.metadata.messages(), 4);
        assert_eq!(
            entry.metadata.producer_name,
            format!("java-{}", name.to_uppercase())
        );
        let messages: Vec<_> = batch::messages(decompressed(&entry), 4)
            .collect::<Result<_, _>>()
            .unwrap();
        for (n, message) in messages.iter().enumerate() {
            assert_eq!(
                message.metadata.property("n").unwrap(),
                n.to_string().as_bytes()
            );
            assert_eq!(message.metadata.event_time(), 1000 + n as u64);
            let value = format!("value-{n}-").repeat(times(codec, 800));
            let value = if n == 3 { "" } else { &value };
            assert_eq!(message.payload, value.as_bytes(), "{name} {n}");
            assert_eq!(message.metadata.null_value(), n == 3);
        }
        let keys: Vec<_> = messages
            .iter()
            .map(|message| message.metadata.partition_key.as_deref())
            .collect();
        assert_eq!(
            keys,
            [None, Some(&b"key-1"[..]), Some(b"AP8H"), Some(b"key-3")]
        );
        assert!(messages[2].metadata.partition_key_b64_encoded());
        assert_eq!(
            messages[3].metadata.ordering_key.as_deref(),
            Some(&b"order"[..])
        );
    }
}

#[test]
fn single_messages_of_the_java_client_are_read() {
    for (number, (name, codec)) in (0..).zip(CODECS) {
        let entry = golden(&format!("single-{name}.bin"));
        assert_eq!(entry.broker.unwrap().index, Some(number * 5 + 4), "{name}");
        assert_eq!(entry.metadata.compression(), codec);
        assert!(!entry.metadata.is_batch());
        assert_eq!(entry.metadata.partition_key.as_deref(), Some(&b"alone"[..]));
        assert_eq!(entry.metadata.event_time(), 5);
        assert_eq!(entry.metadata.property("x").unwrap(), "y");
        assert_eq!(
            decompressed(&entry),
            "alone-".repeat(times(codec, 1000)).as_bytes()
        );
    }
}

#[test]
fn chunks_of_the_java_client_are_told_from_messages() {
    let mut whole = Vec::new();
    for number in 0..3 {
        let entry = golden(&format!("chunk-{number}.bin"));
        assert!(entry.metadata.is_chunk());
        assert_eq!(entry.metadata.chunk_id(), number);
        assert_eq!(entry.metadata.num_chunks_from_msg(), 3);
        assert_eq!(entry.metadata.total_chunk_msg_size(), 150);
        whole.extend_from_slice(&entry.payload);
    }
    assert_eq!(whole, [b'c'; 150]);
}
