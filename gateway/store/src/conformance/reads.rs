//! Promises of reading.
use bytes::Bytes;
use kop_wire::{Batch, BatchBuilder, Compression, Offset, Record, Timestamp, TopicName};

use super::{
    PLENTY, append, batch_at, batch_of, create, fresh_partition, open, read_from, soon, values,
};
use crate::{
    CONSUMER_OFFSETS, Catalog, Partition, ReadError, ReadLimit, TimestampedOffset, TruncateError,
};

/// Records with everything that a record may have.
fn varied(first: i64) -> Vec<Record> {
    let bytes = |text: &'static [u8]| Some(Bytes::from_static(text));
    let header = |name: &'static str, value| (Bytes::from_static(name.as_bytes()), value);
    let mut records = vec![
        Record {
            value: bytes(b"only a value"),
            ..Record::default()
        },
        Record {
            key: bytes(b"key"),
            value: bytes(b"value"),
            ..Record::default()
        },
        Record {
            key: bytes(b"tombstone"),
            ..Record::default()
        },
        Record {
            key: bytes(b""),
            value: bytes(b""),
            ..Record::default()
        },
        Record {
            key: bytes(b"\xff\x00\xfe"),
            value: bytes(b"\x00\xff"),
            ..Record::default()
        },
        Record {
            value: bytes(b"headers"),
            headers: vec![
                header("text", bytes(b"plain")),
                header("binary", bytes(b"\xff\x00\xc3\x28")),
                header("null", None),
                header("empty", bytes(b"")),
                header("repeated", bytes(b"1")),
                header("repeated", bytes(b"2")),
            ],
            ..Record::default()
        },
    ];
    for (n, record) in (0_i64..).zip(&mut records) {
        record.offset = Offset(first + n);
        record.timestamp = Timestamp(1_700_000_000_000 + 7 * n);
    }
    records
}

fn packed(records: &[Record], compression: Compression) -> Batch {
    let mut builder = BatchBuilder::new(compression);
    for record in records {
        builder.push(record.clone());
    }
    builder.build().expect("small records fit")
}

pub(super) async fn records_come_back_as_they_were<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    let mut sent = Vec::new();
    for (n, compression) in (0_i64..).zip(Compression::ALL) {
        let records = varied(6 * n);
        assert_eq!(
            append(&partition, packed(&records, compression)).await,
            Offset(6 * n)
        );
        sent.extend(records);
    }
    assert_eq!(read_from(&partition, Offset(0)).await, sent);
    assert_eq!(read_from(&partition, Offset(8)).await, sent.split_off(8));
}

pub(super) async fn keyed_records_of_the_group_log_come_back<C: Catalog>(catalog: &C) {
    let name = TopicName::new(CONSUMER_OFFSETS).expect("a legal name");
    if soon("find", catalog.find(&name))
        .await
        .expect("the store is up")
        .is_none()
    {
        create(catalog, &name, 50).await;
    }
    let partition = open(catalog, &name, 49).await;
    let start = partition.watermarks().high;
    let mut sent = vec![
        Record {
            key: Some(Bytes::from_static(b"\x00\x01\x00\x05group")),
            value: Some(Bytes::from_static(b"\x00\x03\xff")),
            ..Record::default()
        },
        Record {
            key: Some(Bytes::from_static(b"\x00\x02gone")),
            ..Record::default()
        },
    ];
    for record in &mut sent {
        record.timestamp = Timestamp(1_700_000_000_000);
    }
    let base = append(&partition, packed(&sent, Compression::None)).await;
    assert!(base >= start);
    for (n, record) in (0_i64..).zip(&mut sent) {
        record.offset = base + n;
    }
    assert_eq!(read_from(&partition, base).await, sent);
}

pub(super) async fn a_large_batch_comes_back<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    let mut builder = BatchBuilder::new(Compression::None);
    for n in 0_u8..9 {
        builder.push(Record {
            timestamp: Timestamp(1_700_000_000_000),
            value: Some(Bytes::from(vec![n; 100_000])),
            ..Record::default()
        });
    }
    append(&partition, builder.build().expect("below a megabyte")).await;
    append(&partition, batch_of("behind")).await;
    let lengths: Vec<_> = read_from(&partition, Offset(0))
        .await
        .iter()
        .map(|record| record.value.as_ref().map_or(0, Bytes::len))
        .collect();
    assert_eq!(lengths, [vec![100_000; 9], vec![6]].concat());
}

pub(super) async fn a_read_begins_with_the_batch_that_holds_its_offset<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    append(&partition, batch_at(&[1, 2, 3])).await;
    append(&partition, batch_at(&[4, 5, 6])).await;
    for from in 0..6 {
        let fetched = soon("read", partition.read(Offset(from), PLENTY))
            .await
            .expect("in range");
        let first = Batch::split(Bytes::from(fetched.chunks.concat())).next();
        let first = first.expect("not at the end").expect("a whole batch");
        let range = first.header().base_offset..=first.header().last_offset();
        assert!(range.contains(&Offset(from)), "{from} is not in {range:?}");
        assert_eq!(
            read_from(&partition, Offset(from)).await.len() as i64,
            6 - from
        );
    }
}

pub(super) async fn a_read_keeps_its_limit<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    for n in 0..4 {
        append(&partition, batch_of(&n.to_string().repeat(1_000))).await;
    }
    let read = |max_bytes, at_least_one| {
        let limit = ReadLimit {
            max_bytes,
            at_least_one,
        };
        let partition = &partition;
        async move {
            let read = partition.read(Offset(0), limit);
            let fetched = soon("read", read).await.expect("in range");
            Batch::split(Bytes::from(fetched.chunks.concat())).count()
        }
    };
    assert_eq!(
        read(1, true).await,
        1,
        "the first batch comes even where it alone is too large"
    );
    assert_eq!(read(1, false).await, 0);
    assert_eq!(read(2_500, false).await, 2);
    assert_eq!(read(2_500, true).await, 2);
}

pub(super) async fn reads_outside_of_the_log_are_refused<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    append(&partition, batch_at(&[1, 2])).await;
    let at_end = soon("read", partition.read(Offset(2), PLENTY))
        .await
        .expect("the end is in range");
    assert!(at_end.is_empty());
    for outside in [-1, 3] {
        let read = soon("read", partition.read(Offset(outside), PLENTY)).await;
        assert!(
            matches!(
                read,
                Err(ReadError::OutOfRange {
                    log_start: Offset(0),
                    high: Offset(2)
                })
            ),
            "{read:?}"
        );
    }
}

pub(super) async fn whoever_waits_for_records_is_woken<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    let waiter = partition.clone();
    let ((), base) = soon("waiting", async {
        tokio::join!(
            waiter.advanced(Offset(0)),
            append(&partition, batch_of("awaited"))
        )
    })
    .await;
    assert_eq!(base, Offset(0));
    assert_eq!(waiter.watermarks().high, Offset(1));
    soon("waiting for what is there", waiter.advanced(Offset(0))).await;
}

pub(super) async fn times_are_found_exactly<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    append(&partition, batch_at(&[1_000, 3_000, 2_000])).await;
    append(&partition, batch_at(&[2_500])).await;
    append(&partition, batch_at(&[1_500, 5_000])).await;
    let cases = [
        (0, Some((0, 1_000))),
        (1_000, Some((0, 1_000))),
        (1_001, Some((1, 3_000))),
        (3_000, Some((1, 3_000))),
        (3_001, Some((5, 5_000))),
        (5_000, Some((5, 5_000))),
        (5_001, None),
    ];
    for (time, expected) in cases {
        let found = soon("offset_at", partition.offset_at(Timestamp(time))).await;
        let expected = expected.map(|(offset, timestamp)| TimestampedOffset {
            offset: Offset(offset),
            timestamp: Timestamp(timestamp),
        });
        assert_eq!(found.expect("the store is up"), expected, "at {time}");
    }
}

pub(super) async fn the_newest_record_is_found<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    let newest = async || {
        let found = soon("newest", partition.newest()).await;
        let found = found.expect("the store is up");
        found.map(|TimestampedOffset { offset, timestamp }| (offset.0, timestamp.0))
    };
    assert_eq!(newest().await, None);
    append(&partition, batch_at(&[-1])).await;
    assert_eq!(newest().await, None, "a record without a time");
    append(&partition, batch_at(&[1_000, 3_000, 3_000])).await;
    assert_eq!(newest().await, Some((2, 3_000)));
    append(&partition, batch_at(&[3_000, 2_000])).await;
    assert_eq!(newest().await, Some((2, 3_000)), "the first of them");
    let mut compressed = BatchBuilder::new(Compression::Zstd);
    for time in [2_000, 9_000, 1_000] {
        compressed.push(Record {
            timestamp: Timestamp(time),
            ..Record::default()
        });
    }
    append(&partition, compressed.build().expect("small records fit")).await;
    assert_eq!(newest().await, Some((7, 9_000)));
}

pub(super) async fn sizes_are_those_of_the_batches<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    let bytes = async || {
        soon("stored_bytes", partition.stored_bytes())
            .await
            .expect("up")
    };
    let empty = bytes().await;
    let batch = batch_of(&"x".repeat(10_000));
    for _ in 0..10 {
        append(&partition, batch.clone()).await;
    }
    let grown = bytes().await - empty;
    let sent = 10 * batch.bytes().len() as u64;
    assert!(
        (sent..sent + sent / 10).contains(&grown),
        "{grown} of {sent}"
    );
}

pub(super) async fn what_is_truncated_is_no_longer_read<C: Catalog>(catalog: &C) {
    let partition = fresh_partition(catalog).await;
    append(&partition, batch_at(&[1, 2, 3])).await;
    append(&partition, batch_at(&[4, 5])).await;
    let truncate = |offset| {
        let partition = &partition;
        async move { soon("truncate", partition.truncate_before(Offset(offset))).await }
    };
    truncate(4).await.expect("in range");
    let newest = soon("newest", partition.newest()).await;
    assert_eq!(
        newest.expect("up").map(|found| found.offset),
        Some(Offset(4))
    );
    assert_eq!(partition.watermarks().log_start, Offset(4));
    let below = soon("read", partition.read(Offset(3), PLENTY)).await;
    assert!(matches!(
        below,
        Err(ReadError::OutOfRange {
            log_start: Offset(4),
            ..
        })
    ));
    assert_eq!(
        values(&read_from(&partition, Offset(4)).await),
        ["value 1 at 5"]
    );
    let found = soon("offset_at", partition.offset_at(Timestamp(0))).await;
    assert_eq!(
        found.expect("the store is up").map(|found| found.offset),
        Some(Offset(4))
    );

    truncate(2).await.expect("the log begins later already");
    assert_eq!(partition.watermarks().log_start, Offset(4));
    assert!(matches!(
        truncate(6).await,
        Err(TruncateError::OutOfRange { .. })
    ));
    truncate(5).await.expect("all of it");
    assert_eq!(append(&partition, batch_of("next")).await, Offset(5));
    assert_eq!(values(&read_from(&partition, Offset(5)).await), ["next"]);
}
