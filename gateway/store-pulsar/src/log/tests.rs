use bytes::Bytes;
use kop_store::{PartitionId, TopicClass, TopicDefaults};
use kop_wire::{Batch, BatchBuilder, Compression, Record, TopicName};
use pulsar_client::{Client, ClientOptions, Entry, EntryId};

use super::*;
use crate::{
    EntryFormat, PulsarOptions,
    admin::{Admin, PartitionedTopic},
    entry::Stamp,
    naming::Naming,
    topics::describe,
};

const PLENTY: ReadLimit = ReadLimit {
    max_bytes: 1 << 20,
    at_least_one: true,
};

/// A log that begins and ends at `high`, of a Pulsar that nobody talks to.
pub(crate) fn log(class: TopicClass, high: i64) -> Log {
    with_appends(class, high, mpsc::unbounded_channel().0)
}

/// The same, with a place for its appends.
pub(crate) fn with_appends(
    class: TopicClass,
    high: i64,
    appends: mpsc::UnboundedSender<Asked>,
) -> Log {
    let metadata = PartitionedTopic::default();
    log_of(("t", &metadata), (class, EntryFormat::Kafka), high, appends)
}

fn log_of(
    (name, metadata): (&str, &PartitionedTopic),
    (class, format): (TopicClass, EntryFormat),
    high: i64,
    appends: mpsc::UnboundedSender<Asked>,
) -> Log {
    drop(rustls::crypto::ring::default_provider().install_default());
    let options = PulsarOptions {
        service_url: "pulsar://127.0.0.1:1".to_owned(),
        admin_url: "http://127.0.0.1:1".to_owned(),
        authentication: None,
        ca_file: None,
        tenant: "public".to_owned(),
        namespace: "default".to_owned(),
        metadata_namespace: "__kafka".to_owned(),
        entry_format: EntryFormat::Kafka,
        offsets_partitions: 1,
        tail_cache_bytes: 64 << 20,
        read_ahead_bytes: 128 << 20,
        node_name: "test".to_owned(),
        topic_defaults: TopicDefaults::default(),
        unused_open: PulsarOptions::UNUSED_OPEN,
    };
    let client = Client::new(ClientOptions::new(options.service_url.clone()));
    let admin = Admin::new(&options.admin_url, None, None).unwrap();
    let naming = Naming::new("public", "default", "__kafka");
    let name = TopicName::new(name).unwrap();
    let topic = naming.topic(&name);
    let known = describe(&naming, &name, topic.clone(), metadata);
    let shared = Arc::new(Shared::new(options, client, admin));
    let live = shared.topics.live.of(&known, &TopicDefaults::default());
    let bounds = nothing_from(high);
    let layout = Layout::of(class, format);
    let id = PartitionId {
        topic: name,
        index: 0,
    };
    Log::new(
        (id, topic),
        (known.origin(), live),
        layout,
        shared,
        appends,
        bounds,
    )
}

/// Bounds of a log in which nothing is left before `high`.
pub(crate) fn nothing_from(high: i64) -> Bounds {
    Bounds {
        start: Start {
            stored: high,
            deleted: 0,
        },
        high,
        last: None,
        first: None,
        behind_unnumbered: false,
        begins: None,
    }
}

pub(crate) fn batch(values: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    for value in values {
        let value = Some(Bytes::from((*value).to_owned()));
        builder.push(Record {
            key: Some(Bytes::from("k")),
            value,
            ..Record::default()
        });
    }
    builder.build().unwrap()
}

fn at(entry: u64) -> Position {
    Position { ledger: 1, entry }
}

fn span(base: i64, end: i64) -> Span {
    Span { base, end }
}

fn written(log: &Log, entry: u64, base: i64, values: &[&str]) {
    let batch = batch(values);
    let span = span(base, base + batch.header().offsets());
    log.written(
        at(entry),
        Placed {
            base: Offset(base),
            batch,
        },
        span,
    );
}

fn observed(log: &Log, entry: u64, base: i64, values: &[&str]) {
    let batch = batch(values);
    let outgoing = entry::encode(
        log.layout,
        &batch,
        Stamp {
            sequence_id: 0,
            now: 1,
            compacted: false,
        },
    )
    .unwrap();
    log.observed(&Entry {
        id: EntryId { ledger: 1, entry },
        index: Some((base + batch.header().offsets() - 1).unsigned_abs()),
        broker_timestamp: None,
        metadata: outgoing.metadata,
        payload: outgoing.payload,
    });
}

fn held(log: &Log, from: i64) -> Vec<(i64, i64)> {
    match log.lookup(from, PLENTY) {
        Lookup::Held(batches) => batches
            .iter()
            .map(|p| (p.base.0, p.batch.header().offsets()))
            .collect(),
        Lookup::AtEnd | Lookup::OutOfRange | Lookup::Stored => Vec::new(),
    }
}

#[test]
fn what_is_written_is_read_from_memory_at_once() {
    let log = log(TopicClass::UserData, 0);
    written(&log, 0, 0, &["a", "b"]);
    written(&log, 1, 2, &["c"]);
    assert_eq!(held(&log, 0), [(0, 2), (2, 1)]);
    assert!(matches!(log.lookup(3, PLENTY), Lookup::AtEnd));
    assert!(matches!(log.lookup(4, PLENTY), Lookup::OutOfRange));
    assert_eq!(log.watermarks().high, Offset(3));
}

#[test]
fn an_entry_that_comes_by_receipt_and_by_the_tail_is_held_once() {
    let log = log(TopicClass::UserData, 0);
    written(&log, 0, 0, &["a"]);
    observed(&log, 0, 0, &["a"]);
    observed(&log, 1, 1, &["b"]);
    written(&log, 1, 1, &["b"]);
    assert_eq!(held(&log, 0), [(0, 1), (1, 1)]);
    assert_eq!(log.shared.metrics.snapshot().offset_mismatches, 0);
}

#[test]
fn a_receipt_ahead_of_the_tail_raises_the_end_and_is_held_when_the_tail_has_come_there() {
    let log = log(TopicClass::UserData, 0);
    written(&log, 1, 1, &["ours"]);
    assert_eq!(log.high(), 2);
    assert!(matches!(log.lookup(0, PLENTY), Lookup::Stored));
    observed(&log, 0, 0, &["theirs"]);
    observed(&log, 1, 1, &["ours"]);
    assert_eq!(held(&log, 0), [(0, 1), (1, 1)]);
}

#[test]
fn offsets_that_no_reader_is_given_are_covered_once_a_record_follows() {
    let log = log(TopicClass::UserData, 4);
    observed(&log, 9, 7, &["x"]);
    assert_eq!(held(&log, 4), [(4, 3), (7, 1)]);
    assert_eq!(held(&log, 5), [(4, 3), (7, 1)]);
}

#[test]
fn a_group_log_without_a_tail_begins_anew_behind_what_it_missed() {
    let log = log(TopicClass::GroupLog, 3);
    written(&log, 0, 3, &["a"]);
    written(&log, 2, 5, &["b"]);
    assert!(matches!(log.lookup(3, PLENTY), Lookup::Stored));
    assert_eq!(held(&log, 5), [(5, 1)]);
}

#[test]
fn an_entry_seen_with_other_offsets_is_counted() {
    let log = log(TopicClass::UserData, 0);
    written(&log, 0, 0, &["a"]);
    observed(&log, 0, 1, &["a"]);
    assert!(log.shared.metrics.snapshot().offset_mismatches > 0);
}

#[test]
fn what_was_trimmed_is_out_of_range() {
    let log = log(TopicClass::UserData, 0);
    written(&log, 0, 0, &["a", "b"]);
    log.begins(Start {
        stored: 1,
        deleted: 0,
    });
    assert!(matches!(log.lookup(0, PLENTY), Lookup::OutOfRange));
    assert_eq!(log.watermarks().log_start, Offset(1));
}

#[test]
fn what_was_trimmed_of_a_compacted_log_is_read_from_what_compaction_left() {
    let policy = (
        "kafkaConfig.cleanup.policy".to_owned(),
        "compact".to_owned(),
    );
    let metadata = PartitionedTopic {
        partitions: 1,
        properties: [policy].into(),
    };
    for (name, format, compacts) in [
        ("t", EntryFormat::Pulsar, true),
        // Pulsar does not see these keys, and this topic is no client's to configure.
        ("t", EntryFormat::Kafka, false),
        ("__transaction_state", EntryFormat::Pulsar, false),
    ] {
        let class = TopicClass::of(&TopicName::new(name).unwrap());
        let appends = mpsc::unbounded_channel().0;
        let log = log_of((name, &metadata), (class, format), 9, appends);
        assert_eq!(log.compacts(), compacts);
        log.begins(Start {
            stored: 5,
            deleted: 2,
        });
        let begins = if compacts { 2 } else { 9 };
        assert_eq!(log.watermarks().log_start, Offset(begins));
        assert!(matches!(log.lookup(1, PLENTY), Lookup::OutOfRange));
        let stored = matches!(log.lookup(2, PLENTY), Lookup::Stored);
        assert_eq!(stored, compacts);
    }
}

#[test]
fn what_was_deleted_is_out_of_range_and_its_batch_is_still_found() {
    let log = log(TopicClass::UserData, 0);
    written(&log, 0, 0, &["a", "b"]);
    log.deleted_before(1);
    assert!(matches!(log.lookup(0, PLENTY), Lookup::OutOfRange));
    assert_eq!(held(&log, 1), [(0, 2)]);
    assert_eq!(log.around(1).0.map(|point| point.base), Some(0));
    // What Pulsar still holds does not bring it back.
    log.begins(Start {
        stored: 0,
        deleted: 0,
    });
    assert_eq!(log.watermarks().log_start, Offset(1));
    assert_eq!(log.stored_start(), 0);
}

#[test]
fn a_deleted_partition_stays_deleted() {
    let log = log(TopicClass::UserData, 0);
    written(&log, 0, 0, &["a"]);
    log.end(Life::Deleted);
    log.end(Life::Closing);
    assert!(log.is_deleted());
    assert!(held(&log, 0).is_empty());
}
