//! The group log of the real `KoP`: recorded by `UPDATE=1 ./test kop`, with what its clients were told.
use std::collections::BTreeSet;

use bytes::Bytes;

use super::*;
use crate::hard::Hard;

/// Lines `TOPIC OFFSET TIMESTAMP KEY VALUE`.
const RECORDS: &str = include_str!("../../../../store-pulsar/tests/kop/consumer_offsets.records");
/// Lines `GROUP TOPIC PARTITION OFFSET TEXT`.
const COMMITTED: &str =
    include_str!("../../../../store-pulsar/tests/kop/consumer_offsets.committed");

fn bytes(text: &str) -> Option<Bytes> {
    let hex = text.strip_prefix('x')?;
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    Some((0..hex.len()).step_by(2).map(byte).collect())
}

/// Each record with its timestamp, key and value.
fn records() -> impl Iterator<Item = (i64, Bytes, Option<Bytes>)> {
    RECORDS.lines().map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let timestamp = fields[2].parse().unwrap();
        (timestamp, bytes(fields[3]).unwrap(), bytes(fields[4]))
    })
}

#[test]
fn what_kop_wrote_is_written_back_the_same() {
    let mut kinds = BTreeSet::new();
    for (_, key, value) in records() {
        let record = Record::decode(&key, value.as_deref()).unwrap().unwrap();
        kinds.insert(match &record {
            Record::Offset { value, .. } => ("offset", value.is_some()),
            Record::Group { value, .. } => ("group", value.is_some()),
        });
        assert_eq!(record.encode(), (key, value), "{record:?}");
    }
    assert!(kinds.contains(&("offset", true)), "{kinds:?}");
    assert!(kinds.contains(&("group", true)), "{kinds:?}");
}

#[test]
fn groups_stand_where_kop_told_their_clients() {
    let mut hard = Hard::default();
    for (timestamp, key, value) in records() {
        let record = Record::decode(&key, value.as_deref()).unwrap().unwrap();
        hard.replay(&record, timestamp);
    }
    let mut found = 0;
    for line in COMMITTED.lines() {
        let fields: Vec<&str> = line.splitn(5, ' ').collect();
        let [group, topic, partition, offset, text] = fields[..] else {
            panic!("{line}")
        };
        let stored = name(&format!("persistent://public/default/{topic}"));
        let committed = hard
            .offsets(&group_id(group))
            .and_then(|offsets| offsets.get(&stored, partition.parse().unwrap()))
            .unwrap_or_else(|| panic!("nothing for {line}"));
        assert_eq!(committed.offset.to_string(), offset, "{line}");
        assert_eq!(committed.metadata.as_str(), text, "{line}");
        assert!(committed.expire_timestamp > Some(committed.commit_timestamp));
        found += 1;
    }
    assert!(found > 5);
    // Its member left, so the group is empty and keeps its commits.
    let left = hard.group(&group_id("pulsar-read")).unwrap();
    assert_eq!(
        (left.members.len(), left.protocol_type.as_str()),
        (0, "consumer")
    );
}

#[test]
fn members_of_kops_groups_are_read_with_their_assignments() {
    let mut joined = 0;
    for (_, key, value) in records() {
        let record = Record::decode(&key, value.as_deref()).unwrap().unwrap();
        let Record::Group {
            value: Some(generation),
            ..
        } = record
        else {
            continue;
        };
        for member in &generation.members {
            assert_eq!(generation.leader.as_ref(), Some(&member.member));
            assert_eq!(member.session_timeout_ms, 10_000);
            assert!(!member.assignment.is_empty() && !member.subscription.is_empty());
            joined += 1;
        }
    }
    assert!(joined >= 9, "{joined}");
}
