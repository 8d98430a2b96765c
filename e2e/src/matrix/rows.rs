//! The rows of the matrix. Each is a story of one client and the stories' own [`Wire`]: what the
//! client writes is looked at as it is stored, what it reads was put there without it.

use super::client::{Client, How, Record};
use crate::wire::{Batch, Wire};
use anyhow::{Context, Result, ensure};
use kafka_protocol::records::Compression;
use std::collections::{BTreeMap, BTreeSet};

mod admin;
mod group;

/// What a row is told with.
#[derive(Debug)]
pub struct Story<'a> {
    /// The client under test.
    pub client: &'a mut dyn Client,
    /// The stories' own.
    pub wire: Wire,
    /// A topic of this row alone, not yet there; also the name for its group.
    pub topic: String,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name in the code.
    pub id: &'static str,
    /// Its name for readers.
    pub title: &'static str,
    /// Fails unless the client and the server do as Kafka's would.
    pub tell: fn(&mut Story<'_>) -> Result<()>,
}

const fn row(id: &'static str, title: &'static str, tell: fn(&mut Story<'_>) -> Result<()>) -> Row {
    Row { id, title, tell }
}

/// All rows, in the order of the table.
pub const ROWS: &[Row] = &[
    row("produce", "produce", produce),
    row("consume", "consume from the beginning", consume),
    row(
        "group",
        "group: two members join and leave",
        group::two_members,
    ),
    row("resume", "commit and resume", group::commit_and_resume),
    row("keys", "keys", keys),
    row("null-keys", "null keys", null_keys),
    row("headers", "headers", headers),
    row("tombstones", "null values (tombstones)", tombstones),
    row("none", "uncompressed", |story| {
        codec(story, "none", Compression::None)
    }),
    row("gzip", "gzip", |story| {
        codec(story, "gzip", Compression::Gzip)
    }),
    row("snappy", "snappy", |story| {
        codec(story, "snappy", Compression::Snappy)
    }),
    row("lz4", "lz4", |story| codec(story, "lz4", Compression::Lz4)),
    row("zstd", "zstd", |story| {
        codec(story, "zstd", Compression::Zstd)
    }),
    row("idempotent", "idempotent produce", idempotent),
    row("create", "create a topic", admin::create),
    row("describe", "describe a topic", admin::describe),
    row("settings", "describe its settings", admin::settings),
    row("alter", "alter its settings", admin::alter),
    row("delete", "delete a topic", admin::delete),
];

/// Titles of the rows, for the table.
#[must_use]
pub fn titles() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.title).collect()
}

const PARTITIONS: i32 = 3;

fn produce(story: &mut Story<'_>) -> Result<()> {
    let written: Vec<Record> = (0..60)
        .map(|n| Record::value(format!("grüße-{n} ✓")))
        .collect();
    write_and_look(story, &written, How::PLAIN).map(drop)
}

fn consume(story: &mut Story<'_>) -> Result<()> {
    let topic = &story.topic;
    story.wire.create(topic, PARTITIONS, &[])?;
    let mut written = Vec::new();
    for partition in 0..PARTITIONS {
        for batch in 0..3 {
            let records: Vec<_> = (0..10)
                .map(|n| {
                    (
                        Some(format!("k{n}")),
                        Some(format!("ü-{partition}-{batch}-{n}")),
                    )
                })
                .collect();
            let first = story.wire.produce(topic, partition, &records)?;
            written.extend((first..).zip(records).map(|(offset, (key, value))| Record {
                key,
                value,
                headers: Vec::new(),
                place: Some((partition, offset)),
            }));
        }
    }
    let read = story.client.consume(topic, written.len())?;
    same(&written, &read)?;
    in_order(&read)
}

fn keys(story: &mut Story<'_>) -> Result<()> {
    let written: Vec<Record> = (0..30)
        .map(|n| Record::keyed(&format!("schlüssel-{}", n % 7), Some(&format!("v{n}"))))
        .collect();
    let stored = write_and_look(story, &written, How::PLAIN)?;
    let mut homes: BTreeMap<Option<String>, BTreeSet<i32>> = BTreeMap::new();
    for record in stored {
        let (partition, _) = record.place.context("what is stored has a place")?;
        homes.entry(record.key).or_default().insert(partition);
    }
    let scattered = homes.iter().find(|(_, partitions)| partitions.len() > 1);
    ensure!(
        scattered.is_none(),
        "a key in several partitions: {scattered:?}"
    );
    read_back(story, &written)
}

fn null_keys(story: &mut Story<'_>) -> Result<()> {
    let written: Vec<Record> = (0..20).map(|n| Record::value(format!("v{n}"))).collect();
    write_and_look(story, &written, How::PLAIN)?;
    read_back(story, &written)
}

fn headers(story: &mut Story<'_>) -> Result<()> {
    let with = |value: &str, headers: &[(&str, &str)]| Record {
        headers: headers
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        ..Record::keyed("k", Some(value))
    };
    let written = [
        with("two", &[("colour", "grün"), ("origin", "here")]),
        with("none", &[]),
        with("twice", &[("via", "a"), ("via", "b")]),
    ];
    write_and_look(story, &written, How::PLAIN)?;
    read_back(story, &written)
}

fn tombstones(story: &mut Story<'_>) -> Result<()> {
    let written = [
        Record::keyed("kept", Some("value")),
        Record::keyed("gone", Some("value")),
        Record::keyed("empty", Some("")),
        Record::keyed("gone", None),
    ];
    write_and_look(story, &written, How::PLAIN)?;
    read_back(story, &written)
}

fn codec(story: &mut Story<'_>, name: &'static str, codec: Compression) -> Result<()> {
    let written: Vec<Record> = (0..60)
        .map(|n| {
            Record::keyed(
                &format!("k{n}"),
                Some(&format!("{n} {}", "to compress ".repeat(20))),
            )
        })
        .collect();
    let how = How {
        codec: name,
        ..How::PLAIN
    };
    story.wire.create(&story.topic, PARTITIONS, &[])?;
    story.client.produce(&story.topic, &written, how)?;
    let mut count = 0;
    for batch in all_stored(story)? {
        let found = batch.header.compression;
        ensure!(found == codec, "stored as {found:?}: {:?}", batch.header);
        count += usize::try_from(batch.header.record_count)?;
    }
    ensure!(
        count == written.len(),
        "{count} records of {} stored",
        written.len()
    );
    read_back(story, &written)
}

fn idempotent(story: &mut Story<'_>) -> Result<()> {
    let written: Vec<Record> = (0..60).map(|n| Record::value(format!("v{n}"))).collect();
    let how = How {
        idempotent: true,
        ..How::PLAIN
    };
    write_and_look(story, &written, how)?;
    let mut next: BTreeMap<(i64, i32), i32> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        for batch in story.wire.stored(&story.topic, partition)? {
            let header = batch.header;
            ensure!(
                header.producer_id >= 0,
                "stored without a producer id: {header:?}"
            );
            let expected = next.entry((header.producer_id, partition)).or_default();
            ensure!(
                header.base_sequence == *expected,
                "not the sequence {expected}: {header:?}"
            );
            *expected += header.record_count;
        }
    }
    Ok(())
}

/// The client writes; what is stored then is just that, each record at the place that it was told.
fn write_and_look(story: &mut Story<'_>, written: &[Record], how: How) -> Result<Vec<Record>> {
    story.wire.create(&story.topic, PARTITIONS, &[])?;
    let places = story.client.produce(&story.topic, written, how)?;
    let mut stored = Vec::new();
    for partition in 0..PARTITIONS {
        for batch in story.wire.stored(&story.topic, partition)? {
            ensure!(
                !batch.records.is_empty(),
                "not uncompressed: {:?}",
                batch.header
            );
            stored.extend(
                batch
                    .records
                    .iter()
                    .map(|record| as_read(partition, record)),
            );
        }
    }
    let last_of_each_name = |record: &Record| {
        let mut record = record.clone();
        let named: BTreeMap<_, _> = record.headers.into_iter().collect();
        record.headers = named.into_iter().collect();
        record
    };
    let mut comparable: Vec<Record> = written.iter().map(last_of_each_name).collect();
    if !places.is_empty() {
        ensure!(
            places.len() == written.len(),
            "{} places told",
            places.len()
        );
        for (record, place) in comparable.iter_mut().zip(places) {
            record.place = Some(place);
        }
    }
    same(&comparable, &stored).context("what is stored")?;
    Ok(stored)
}

/// The client reads what it has written.
fn read_back(story: &mut Story<'_>, written: &[Record]) -> Result<()> {
    let read = story.client.consume(&story.topic, written.len())?;
    same(written, &read).context("what the client reads back")
}

fn all_stored(story: &mut Story<'_>) -> Result<Vec<Batch>> {
    let mut batches = Vec::new();
    for partition in 0..PARTITIONS {
        batches.extend(story.wire.stored(&story.topic, partition)?);
    }
    Ok(batches)
}

fn as_read(partition: i32, record: &kafka_protocol::records::Record) -> Record {
    let text = |bytes: &bytes::Bytes| String::from_utf8_lossy(bytes).into_owned();
    let headers = record.headers.iter().map(|(name, value)| {
        (
            name.to_string(),
            value.as_ref().map(text).unwrap_or_default(),
        )
    });
    let mut headers: Vec<_> = headers.collect();
    headers.sort();
    Record {
        key: record.key.as_ref().map(text),
        value: record.value.as_ref().map(text),
        headers,
        place: Some((partition, record.offset)),
    }
}

/// Both hold the same records, each once. A place counts where both know it.
fn same(expected: &[Record], found: &[Record]) -> Result<()> {
    let known = |records: &[Record]| records.iter().all(|record| record.place.is_some());
    let with_places = known(expected) && known(found);
    let sorted = |records: &[Record]| {
        let mut records = records.to_vec();
        for record in records.iter_mut().filter(|_| !with_places) {
            record.place = None;
        }
        records.sort();
        records
    };
    let (expected, found) = (sorted(expected), sorted(found));
    let difference = expected.iter().zip(&found).find(|(e, f)| e != f);
    ensure!(
        difference.is_none() && expected.len() == found.len(),
        "{} records, not {}; expected and found first differ in {difference:?}",
        found.len(),
        expected.len(),
    );
    Ok(())
}

/// Offsets rise in each partition, in the order of reading.
fn in_order(read: &[Record]) -> Result<()> {
    let mut last: BTreeMap<i32, i64> = BTreeMap::new();
    for (partition, offset) in read.iter().filter_map(|record| record.place) {
        let before = last.insert(partition, offset);
        ensure!(
            before < Some(offset),
            "{offset} read after {before:?} in partition {partition}"
        );
    }
    Ok(())
}
