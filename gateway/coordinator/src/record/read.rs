//! Bytes to records. The bytes come from a log that others may have written: nothing is believed.
use bytes::Bytes;

use super::{CommittedOffset, GroupMetadata, MemberMetadata, Record, RecordError};
use crate::{GroupId, InstanceId, MemberId, Name};

/// The first value versions (of offsets and of groups) in the flexible encoding.
const FLEXIBLE: i16 = 4;
const NEWEST: i16 = 4;

pub(super) fn record(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, RecordError> {
    let mut key = Input::fixed(key);
    match key.i16()? {
        0 | 1 => {
            let group = GroupId::new(key.text()?).map_err(|_| RecordError::Length)?;
            let topic = name(key.text()?)?;
            let partition = key.i32()?;
            let value = value.map(offset).transpose()?;
            Ok(Some(Record::Offset {
                group,
                topic,
                partition,
                value,
            }))
        }
        2 => {
            let group = GroupId::new(key.text()?).map_err(|_| RecordError::Length)?;
            let value = value.map(group_metadata).transpose()?;
            Ok(Some(Record::Group { group, value }))
        }
        _ => Ok(None),
    }
}

fn offset(bytes: &[u8]) -> Result<CommittedOffset, RecordError> {
    let (version, mut input) = Input::value(bytes)?;
    let offset = input.i64()?;
    let leader_epoch = if version >= 3 { input.i32()? } else { -1 };
    let metadata = name(input.text()?)?;
    let commit_timestamp = input.i64()?;
    let expire_timestamp = match version {
        // −1 is Kafka's way of saying that the commit names no time of its own.
        1 => Some(input.i64()?).filter(|at| *at >= 0),
        _ => None,
    };
    Ok(CommittedOffset {
        offset,
        leader_epoch,
        metadata,
        commit_timestamp,
        expire_timestamp,
    })
}

fn group_metadata(bytes: &[u8]) -> Result<GroupMetadata, RecordError> {
    let (version, mut input) = Input::value(bytes)?;
    let protocol_type = name(input.text()?)?;
    let generation = input.i32()?;
    let protocol = input.nullable_text()?.map(name).transpose()?;
    let leader = input.nullable_text()?.map(member_id).transpose()?;
    let state_timestamp = match version {
        2.. => Some(input.i64()?).filter(|at| *at >= 0),
        _ => None,
    };
    let count = input.count()?;
    let mut members = Vec::new();
    for _ in 0..count {
        members.push(member(version, &mut input)?);
    }
    Ok(GroupMetadata {
        protocol_type,
        generation,
        protocol,
        leader,
        state_timestamp,
        members,
    })
}

fn member(version: i16, input: &mut Input<'_>) -> Result<MemberMetadata, RecordError> {
    let member = member_id(input.text()?)?;
    let instance = match version {
        3.. => input.nullable_text()?,
        _ => None,
    };
    let instance = instance
        .map(|id| InstanceId::new(id).map_err(|_| RecordError::Length))
        .transpose()?;
    let client_id = name(input.text()?)?;
    let client_host = name(input.text()?)?;
    let rebalance = match version {
        1.. => Some(input.i32()?),
        _ => None,
    };
    let session_timeout_ms = input.i32()?;
    let subscription = Bytes::copy_from_slice(input.bytes()?);
    let assignment = Bytes::copy_from_slice(input.bytes()?);
    input.skip_tags()?;
    Ok(MemberMetadata {
        member,
        instance,
        client_id,
        client_host,
        rebalance_timeout_ms: rebalance.unwrap_or(session_timeout_ms),
        session_timeout_ms,
        subscription,
        assignment,
    })
}

fn name(text: &str) -> Result<Name, RecordError> {
    Name::new(text).map_err(|_| RecordError::Length)
}

fn member_id(text: &str) -> Result<MemberId, RecordError> {
    MemberId::new(text).map_err(|_| RecordError::Length)
}

/// What is left to read, in one of Kafka's two encodings of lengths.
struct Input<'a> {
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> Input<'a> {
    fn fixed(rest: &'a [u8]) -> Self {
        Self {
            rest,
            flexible: false,
        }
    }

    fn value(bytes: &'a [u8]) -> Result<(i16, Self), RecordError> {
        let mut input = Self::fixed(bytes);
        let version = input.i16()?;
        if !(0..=NEWEST).contains(&version) {
            return Err(RecordError::Version(version));
        }
        input.flexible = version >= FLEXIBLE;
        Ok((version, input))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(RecordError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(RecordError::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn i16(&mut self) -> Result<i16, RecordError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    fn i32(&mut self) -> Result<i32, RecordError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, RecordError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn varint(&mut self) -> Result<u32, RecordError> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RecordError::Length)
    }

    /// A length that is one more than itself in the flexible encoding, where 0 is null.
    fn compact_length(&mut self) -> Result<Option<usize>, RecordError> {
        let length = self.varint()?.checked_sub(1);
        length
            .map(|length| usize::try_from(length).map_err(|_| RecordError::Length))
            .transpose()
    }

    fn nullable_text(&mut self) -> Result<Option<&'a str>, RecordError> {
        let length = if self.flexible {
            self.compact_length()?
        } else {
            match self.i16()? {
                -1 => None,
                length => Some(usize::try_from(length).map_err(|_| RecordError::Length)?),
            }
        };
        let Some(length) = length else {
            return Ok(None);
        };
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| RecordError::Text)?;
        Ok(Some(text))
    }

    fn text(&mut self) -> Result<&'a str, RecordError> {
        self.nullable_text()?.ok_or(RecordError::Null)
    }

    fn bytes(&mut self) -> Result<&'a [u8], RecordError> {
        let length = self.count()?;
        self.take(length)
    }

    fn count(&mut self) -> Result<usize, RecordError> {
        if self.flexible {
            self.compact_length()?.ok_or(RecordError::Null)
        } else {
            usize::try_from(self.i32()?).map_err(|_| RecordError::Length)
        }
    }

    /// Tagged fields, of which none means anything here.
    fn skip_tags(&mut self) -> Result<(), RecordError> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let size = self.varint()?;
            self.take(usize::try_from(size).map_err(|_| RecordError::Length)?)?;
        }
        Ok(())
    }
}
