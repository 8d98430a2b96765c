//! Records to bytes.
use bytes::{BufMut, Bytes, BytesMut};

use super::{CommittedOffset, GroupMetadata};
use crate::{GroupId, Name};

const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
const VALUE_FOR_KOP: i16 = 1;
/// The first version that holds `group.instance.id`.
const VALUE_WITH_INSTANCES: i16 = 3;

pub(super) fn offset_key(group: &GroupId, topic: &Name, partition: i32) -> Bytes {
    let mut out = BytesMut::with_capacity(10 + group.as_str().len() + topic.as_str().len());
    out.put_i16(OFFSET_KEY);
    text(&mut out, group.as_str());
    text(&mut out, topic.as_str());
    out.put_i32(partition);
    out.freeze()
}

pub(super) fn group_key(group: &GroupId) -> Bytes {
    let mut out = BytesMut::with_capacity(4 + group.as_str().len());
    out.put_i16(GROUP_KEY);
    text(&mut out, group.as_str());
    out.freeze()
}

pub(super) fn offset_value(committed: &CommittedOffset) -> Bytes {
    let CommittedOffset {
        offset,
        leader_epoch: _,
        metadata,
        commit_timestamp,
        expire_timestamp,
    } = committed;
    let mut out = BytesMut::with_capacity(28 + metadata.as_str().len());
    out.put_i16(VALUE_FOR_KOP);
    out.put_i64(*offset);
    text(&mut out, metadata.as_str());
    out.put_i64(*commit_timestamp);
    out.put_i64(expire_timestamp.unwrap_or(-1));
    out.freeze()
}

pub(super) fn group_value(group: &GroupMetadata) -> Bytes {
    let GroupMetadata {
        protocol_type,
        generation,
        protocol,
        leader,
        state_timestamp,
        members,
    } = group;
    let newer = state_timestamp.is_some() || members.iter().any(|m| m.instance.is_some());
    let mut out = BytesMut::new();
    out.put_i16(if newer {
        VALUE_WITH_INSTANCES
    } else {
        VALUE_FOR_KOP
    });
    text(&mut out, protocol_type.as_str());
    out.put_i32(*generation);
    nullable_text(&mut out, protocol.as_ref().map(Name::as_str));
    nullable_text(&mut out, leader.as_ref().map(crate::MemberId::as_str));
    if newer {
        out.put_i64(state_timestamp.unwrap_or(-1));
    }
    out.put_i32(length(members.len()));
    for member in members {
        text(&mut out, member.member.as_str());
        if newer {
            let instance = member.instance.as_ref().map(crate::InstanceId::as_str);
            nullable_text(&mut out, instance);
        }
        text(&mut out, member.client_id.as_str());
        text(&mut out, member.client_host.as_str());
        out.put_i32(member.rebalance_timeout_ms);
        out.put_i32(member.session_timeout_ms);
        bytes(&mut out, &member.subscription);
        bytes(&mut out, &member.assignment);
    }
    out.freeze()
}

fn text(out: &mut BytesMut, text: &str) {
    let length = i16::try_from(text.len()).expect("names are no longer than 32767 bytes");
    out.put_i16(length);
    out.put_slice(text.as_bytes());
}

fn nullable_text(out: &mut BytesMut, value: Option<&str>) {
    match value {
        Some(value) => text(out, value),
        None => out.put_i16(-1),
    }
}

fn bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_i32(length(bytes.len()));
    out.put_slice(bytes);
}

fn length(length: usize) -> i32 {
    i32::try_from(length).expect("the group's limits keep its record far below 2 GiB")
}
