//! Batches whose header and checksum are right and whose records are not.
use bytes::{BufMut as _, Bytes, BytesMut};
use kop_wire::{Batch, BatchBuilder, Compression, Record, compression::compress};

use crate::client::{Gateway, batch, built, fetch, framed, produce, values};

/// The same batch with other records behind its header, its length and checksum made right.
fn with_payload(batch: &Batch, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::from(&batch.bytes()[..61]);
    bytes.put_slice(payload);
    let length = i32::try_from(bytes.len() - 12).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    seal(bytes)
}

/// Bitwise CRC-32C, so that the gateway's is not checked against itself.
fn seal(mut bytes: BytesMut) -> Bytes {
    let mut crc = u32::MAX;
    for byte in &bytes[21..] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
        }
    }
    bytes[17..21].copy_from_slice(&(!crc).to_be_bytes());
    bytes.freeze()
}

#[tokio::test]
async fn damaged_records_are_refused_whatever_their_checksum_says() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    for codec in Compression::ALL {
        let good = built(BatchBuilder::new(codec), &["one", "two"]);
        let plain = batch(&["one", "two"]).payload();
        let compressed = |payload: &[u8]| compress(codec, payload).unwrap().into_owned();
        let swapped = [&plain[10..], &plain[..10]].concat();
        let mut flagged = BytesMut::from(&good.bytes()[..]);
        flagged[7] = 1;
        for (what, bytes) in [
            (
                "one record short",
                with_payload(&good, &compressed(&plain[..10])),
            ),
            (
                "bytes behind",
                with_payload(&good, &compressed(&[&plain[..], &[0]].concat())),
            ),
            ("order", with_payload(&good, &compressed(&swapped))),
            ("noise", with_payload(&good, &[0x55; 40])),
            ("base offset", flagged.freeze()),
        ] {
            let response = client.call(9, &produce("orders", 0, bytes)).await;
            let answer = &response.responses[0].partition_responses[0];
            assert_eq!(answer.error_code, 87, "{what}, {codec:?}");
            assert!(answer.error_message.is_some(), "{what}");
            // The batch as a whole is to blame, not one of its records.
            assert_eq!(answer.record_errors, [], "{what}");
        }
        let unknown = {
            let mut bytes = BytesMut::from(&good.bytes()[..]);
            bytes[22] = bytes[22] & !7 | 5;
            seal(bytes)
        };
        let response = client.call(9, &produce("orders", 0, unknown)).await;
        assert_eq!(response.responses[0].partition_responses[0].error_code, 76);
    }
    assert_eq!(client.list_offsets(4, "orders", -1).await.offset, 0);
}

#[tokio::test]
async fn a_decompression_bomb_is_refused_and_others_are_served() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let zeros = vec![0; 120 << 20];
    // A record of 128 MiB, as far as its length says.
    let head = [0x80, 0x80, 0x80, 0x80, 0x01];
    for codec in [Compression::Gzip, Compression::Zstd] {
        let good = built(BatchBuilder::new(codec), &["one"]);
        let claim = [&head, &zeros[..]].concat();
        let bomb = compress(codec, &claim).unwrap();
        assert!(bomb.len() < 1 << 20);
        let request = produce("orders", 0, with_payload(&good, &bomb));
        let response = client.call(9, &request).await;
        let answer = &response.responses[0].partition_responses[0];
        // A producer that has many records in it makes smaller batches of them.
        assert_eq!(answer.error_code, 10, "{codec:?}");
        assert_eq!(client.produce("orders", 0, &good).await.error_code, 0);
    }
}

#[tokio::test]
async fn large_compressed_batches_keep_their_order() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let mut noise = 1_u32;
    let mut numbers = Vec::new();
    for n in 0..20_u32 {
        // Large ones, which are checked elsewhere, and small ones in turn.
        let size = if n % 2 == 0 { 200_000 } else { 10 };
        let value: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.to_be_bytes()[0]
        })
        .take(size)
        .collect();
        let mut builder = BatchBuilder::new(Compression::Lz4);
        builder.push(Record {
            value: Some(value.into()),
            ..Record::default()
        });
        let sent = builder.build().unwrap();
        let request = produce("orders", 0, sent.bytes().clone());
        numbers.push(client.send(9, &request).await);
    }
    for (n, number) in numbers.into_iter().enumerate() {
        let response = client
            .receive::<kop_wire::kafka_protocol::messages::ProduceRequest>(9, number)
            .await;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (0, i64::try_from(n).unwrap())
        );
    }
}

#[tokio::test]
async fn a_wrong_max_timestamp_is_corrected() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("orders", 1).await;
    let sent = batch(&["a"]);
    let mut bytes = BytesMut::from(&sent.bytes()[..]);
    bytes[35..43].copy_from_slice(&5_000_i64.to_be_bytes());
    let response = client.call(9, &produce("orders", 0, seal(bytes))).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    let data = client.fetch(&fetch("orders", 0, 0)).await;
    // `values` checks the checksum too.
    assert_eq!(values(&data), [(0, "a".to_owned())]);
    let stored = Batch::parse(data.records.unwrap()).unwrap();
    assert_eq!(stored.header().max_timestamp.0, 1_000);
}

#[tokio::test]
async fn a_produce_request_of_an_old_version_closes_the_connection() {
    let gateway = Gateway::start().await;
    for version in 0..=2 {
        let mut client = gateway.client().await;
        // No client id, acks 1, a second's time, no topics.
        let mut frame = BytesMut::new();
        frame.put_slice(&[0, 0, 0, version, 0, 0, 0, 1, 0xff, 0xff]);
        frame.put_slice(&[0, 1, 0, 0, 3, 0xe8, 0, 0, 0, 0]);
        client.send_bytes(&framed(&frame)).await;
        client.closed().await;
    }
}
