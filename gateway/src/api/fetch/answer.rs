//! The answer to a fetch, written around the records.
use bytes::{BufMut as _, Bytes, BytesMut};
use kop_store::Watermarks;
use kop_wire::{Offset, kafka_protocol::protocol::StrBytes};
use uuid::Uuid;

use super::{
    TopicRef,
    contents::Contents,
    read::{EpochEnd, Found},
    session::{Asked, News},
};
use crate::{
    api::{Answer, Body, Call, Reply, answer::UnwritableAnswer, error::Refusal},
    budget::Share,
};

/// Records up to this size are copied in between: a piece of their own costs more.
const SMALL: usize = 512;
/// First version with compact lengths and tagged fields.
const FLEXIBLE: i16 = 12;

/// All topics of a fetch.
pub(in crate::api) struct FetchAnswer {
    error: i16,
    /// The session that the answer belongs to; 0 where there is none.
    session: i32,
    topics: Vec<(TopicRef, Vec<PartitionAnswer>)>,
    /// Whether the client reads committed records only, and is told of aborted ones.
    committed: bool,
    held: Option<Share>,
}

/// One partition of it.
pub(super) struct PartitionAnswer {
    index: i32,
    error: i16,
    watermarks: Option<Watermarks>,
    chunks: Vec<Bytes>,
    contents: Contents,
    diverging: Option<EpochEnd>,
}

impl PartitionAnswer {
    pub(super) fn new(call: &Call, asked: &Asked, found: Result<Found, Refusal>) -> Self {
        let index = asked.index;
        match found {
            Ok(Found {
                watermarks,
                chunks,
                diverging,
            }) => {
                let contents = Contents::of(&chunks);
                let Contents { records, bytes, .. } = contents;
                call.gateway.metrics.records.fetched(records, bytes);
                Self {
                    index,
                    error: 0,
                    watermarks: Some(watermarks),
                    chunks,
                    contents,
                    diverging,
                }
            }
            Err(refusal) => Self {
                index,
                error: call.refuse(refusal.code),
                watermarks: None,
                chunks: Vec::new(),
                contents: Contents::default(),
                diverging: None,
            },
        }
    }

    /// What a session has to know of it.
    pub(super) fn news(&self) -> News {
        News {
            watermarks: self.watermarks,
            records: self.contents.bytes > 0,
            more: self
                .watermarks
                .zip(self.contents.next)
                .is_some_and(|(Watermarks { high, .. }, next)| next < high),
            diverging: self.diverging.is_some(),
        }
    }
}

impl FetchAnswer {
    /// An answer that says nothing but what is wrong.
    pub(super) fn refused(error: i16) -> Self {
        Self {
            error,
            session: 0,
            topics: Vec::new(),
            committed: false,
            held: None,
        }
    }

    /// An answer of these partitions. Those of one topic that follow each other are told together.
    pub(super) fn new(
        session: i32,
        partitions: impl Iterator<Item = (TopicRef, PartitionAnswer)>,
        committed: bool,
        held: Option<Share>,
    ) -> Self {
        let mut topics: Vec<(TopicRef, Vec<PartitionAnswer>)> = Vec::new();
        for (topic, partition) in partitions {
            match topics.last_mut() {
                Some((last, partitions)) if *last == topic => partitions.push(partition),
                _ => topics.push((topic, vec![partition])),
            }
        }
        Self {
            error: 0,
            session,
            topics,
            committed,
            held,
        }
    }
}

impl Answer for FetchAnswer {
    fn into_reply(self, version: i16) -> Result<Reply, UnwritableAnswer> {
        let mut writer = Writer {
            version,
            chunks: Vec::new(),
            head: BytesMut::new(),
        };
        writer.answer((self.error, self.session), self.topics, self.committed);
        writer.chunks.push(writer.head.freeze());
        Ok(Reply::Answered(Body {
            header_version: i16::from(version >= FLEXIBLE),
            chunks: writer.chunks,
            held: self.held,
        }))
    }
}

struct Writer {
    version: i16,
    /// What is complete.
    chunks: Vec<Bytes>,
    /// What is being written.
    head: BytesMut,
}

impl Writer {
    fn answer(
        &mut self,
        (error, session): (i16, i32),
        topics: Vec<(TopicRef, Vec<PartitionAnswer>)>,
        committed: bool,
    ) {
        // No throttling.
        self.head.put_i32(0);
        if self.version >= 7 {
            self.head.put_i16(error);
            self.head.put_i32(session);
        }
        self.length(Some(topics.len()));
        for (topic, partitions) in topics {
            match topic {
                TopicRef::Name(name) => self.text(&name),
                TopicRef::Id(id) => self.uuid(id),
            }
            self.length(Some(partitions.len()));
            for partition in partitions {
                self.partition(partition, committed);
            }
            self.no_tags();
        }
        self.no_tags();
    }

    fn partition(&mut self, partition: PartitionAnswer, committed: bool) {
        let PartitionAnswer {
            index,
            error,
            watermarks,
            chunks,
            diverging,
            ..
        } = partition;
        let watermarks = watermarks.unwrap_or(Watermarks {
            log_start: Offset(-1),
            last_stable: Offset(-1),
            high: Offset(-1),
        });
        self.head.put_i32(index);
        self.head.put_i16(error);
        self.head.put_i64(watermarks.high.0);
        self.head.put_i64(watermarks.last_stable.0);
        if self.version >= 5 {
            self.head.put_i64(watermarks.log_start.0);
        }
        // No transaction was ever aborted; who reads everything is not told at all.
        self.length(committed.then_some(0));
        if self.version >= 11 {
            // No other replica to read from.
            self.head.put_i32(-1);
        }
        self.records(chunks);
        match diverging {
            Some(end) => self.diverging(end),
            None => self.no_tags(),
        }
    }

    /// The one tagged field, 0: an epoch and the offset where it ends, and no tagged fields in it.
    fn diverging(&mut self, EpochEnd { epoch, end }: EpochEnd) {
        if self.version >= FLEXIBLE {
            self.head.put_slice(&[1, 0, 13]);
            self.head.put_i32(epoch);
            self.head.put_i64(end.0);
            self.head.put_u8(0);
        }
    }

    fn records(&mut self, chunks: Vec<Bytes>) {
        let size = chunks.iter().map(Bytes::len).sum::<usize>();
        self.length(Some(size));
        if size <= SMALL {
            chunks.iter().for_each(|chunk| self.head.put_slice(chunk));
            return;
        }
        self.chunks.push(self.head.split().freeze());
        self.chunks.extend(chunks);
    }

    fn text(&mut self, text: &StrBytes) {
        if self.version >= FLEXIBLE {
            self.varint(text.len() + 1);
        } else {
            self.head
                .put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        }
        self.head.put_slice(text.as_bytes());
    }

    fn uuid(&mut self, id: Uuid) {
        self.head.put_slice(id.as_bytes());
    }

    /// The length of an array or of bytes; `None` where there is none.
    fn length(&mut self, length: Option<usize>) {
        if self.version >= FLEXIBLE {
            self.varint(length.map_or(0, |length| length + 1));
        } else {
            let length = length.map_or(-1, |length| i32::try_from(length).unwrap_or(i32::MAX));
            self.head.put_i32(length);
        }
    }

    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.head
                .put_u8(u8::try_from(value & 0x7f).unwrap_or(0x7f) | 0x80);
            value >>= 7;
        }
        self.head.put_u8(u8::try_from(value).unwrap_or(0x7f));
    }

    fn no_tags(&mut self) {
        if self.version >= FLEXIBLE {
            self.head.put_u8(0);
        }
    }
}
