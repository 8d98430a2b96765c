//! What the coordinator reads: its own log, and members' subscriptions.
use std::collections::BTreeMap;

use bytes::Buf as _;
use kop_coordinator::{
    Command, GroupConfig, Groups, Record, Reply, Ticket, TimerChange, TopicNames, fuzzing,
};

/// A record's key and value: `[key length u16][key][value length u16, ffff for none][value]`, one
/// behind the other. The length of the last one may be larger than what is there.
fn records(mut bytes: &[u8]) -> Vec<(&[u8], Option<&[u8]>)> {
    let mut records = Vec::new();
    while let Ok(length) = bytes.try_get_u16() {
        let key = part(&mut bytes, length);
        let value = match bytes.try_get_u16() {
            Ok(u16::MAX) | Err(_) => None,
            Ok(length) => Some(part(&mut bytes, length)),
        };
        records.push((key, value));
    }
    records
}

fn part<'a>(bytes: &mut &'a [u8], length: u16) -> &'a [u8] {
    let (part, rest) = bytes.split_at(usize::from(length).min(bytes.len()));
    *bytes = rest;
    part
}

/// A partition of `__consumer_offsets`, read and replayed.
pub fn group_log(bytes: &[u8]) {
    let mut groups = Groups::new(GroupConfig::default(), TopicNames::verbatim());
    for (key, value) in records(bytes) {
        if let Ok(Some(record)) = Record::decode(key, value) {
            written_and_read(&record);
            groups.replay(&record, -1);
        }
    }
    // Members get their time, then it runs out for all of them, and later that of their offsets.
    let mut now = 1;
    let mut output = groups.resume(now);
    let mut timers = BTreeMap::new();
    for _ in 0..1_000 {
        for record in &output.records {
            groups.replay(record, i64::try_from(now).expect("a short time"));
        }
        for change in output.timers {
            match change {
                TimerChange::Set(timer, at) => timers.insert(timer, at),
                TimerChange::Cancel(timer) => timers.remove(&timer),
            };
        }
        let Some((timer, at)) = timers.iter().min_by_key(|(_, at)| **at) else {
            break;
        };
        now = now.max(*at);
        let timer = timer.clone();
        timers.remove(&timer);
        output = groups.handle(now, Command::Timer(timer));
    }
    let listed = groups.handle(now, Command::ListGroups(Ticket(1)));
    assert!(matches!(
        listed.replies.as_slice(),
        [(Ticket(1), Reply::ListGroups(_))]
    ));
}

/// What is written says what was read; only what the written version has no room for is lost, once.
fn written_and_read(record: &Record) {
    let once = again(record);
    assert_eq!(once.group(), record.group());
    assert_eq!(again(&once), once);
}

fn again(record: &Record) -> Record {
    let (key, value) = record.encode();
    let read = Record::decode(&key, value.as_deref());
    read.expect("what was written can be read")
        .expect("and is known")
}

/// The topics in a member's subscription, as another decoder finds them too.
pub fn subscription(bytes: &[u8]) {
    let topics = fuzzing::subscribed_topics(bytes);
    if let Some(topics) = topics {
        let size: usize = topics.iter().map(|topic| 2 + topic.as_str().len()).sum();
        assert!(size + 6 <= bytes.len());
    }
}
