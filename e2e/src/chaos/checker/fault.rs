//! What must not be.

use super::MessageId;
use crate::chaos::record::Identity;
use std::error::Error;
use std::fmt::{self, Display, Formatter};

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the text of each says what its fields are")]
pub enum Fault {
    /// Two that should say the same of an offset do not.
    Contradiction {
        partition: usize,
        offset: i64,
        promised: Option<Identity>,
        read: Option<Identity>,
        now: Option<Identity>,
    },
    /// A read brought an offset before the one it was to go on from.
    ReadBackwards {
        partition: usize,
        offset: i64,
        next: i64,
    },
    /// An offset that nobody has read though all was read: lost, if it was promised.
    Unread {
        partition: usize,
        offset: i64,
        promised: Option<Identity>,
    },
    /// A record that nobody sent.
    Strange {
        partition: usize,
        offset: i64,
        record: Identity,
    },
    /// A record that stands before already, or behind its successor.
    Doubled {
        partition: usize,
        offset: i64,
        record: Identity,
        due: u32,
    },
    /// A record whose predecessor is not before it.
    Skipped {
        partition: usize,
        offset: i64,
        record: Identity,
        due: u32,
    },
    /// Two records are said to be stored in one place.
    StoredTwice {
        partition: usize,
        at: MessageId,
        records: [Identity; 2],
    },
    /// A record that is said to be stored is not there, or not in the order of storing.
    StoredAndLost {
        partition: usize,
        at: MessageId,
        record: Identity,
        offsets: Vec<i64>,
        behind: i64,
    },
    /// A group's committed offset is lower than it was.
    WentBack {
        group: String,
        partition: usize,
        was: i64,
        is: i64,
    },
    /// There is no such partition or offset.
    NoSuchPlace { partition: usize, offset: i64 },
}

impl Display for Fault {
    #[expect(clippy::too_many_lines, reason = "a text for each of them")]
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let or_nothing =
            |record: &Option<Identity>| record.map_or("nothing".to_owned(), |r| r.to_string());
        match self {
            Self::Contradiction {
                partition,
                offset,
                promised,
                read,
                now,
            } => write!(
                f,
                "offset {offset} of partition {partition} is said to hold {} now; promised there was {}, \
                 read there was {}",
                or_nothing(now),
                or_nothing(promised),
                or_nothing(read)
            ),
            Self::ReadBackwards {
                partition,
                offset,
                next,
            } => write!(
                f,
                "partition {partition}: offset {offset} came where {next} was due"
            ),
            Self::Unread {
                partition,
                offset,
                promised,
            } => write!(
                f,
                "lost: nobody has read offset {offset} of partition {partition}, which was promised to be {}",
                or_nothing(promised)
            ),
            Self::Strange {
                partition,
                offset,
                record,
            } => write!(
                f,
                "offset {offset} of partition {partition} holds {record}, which nobody sent"
            ),
            Self::Doubled {
                partition,
                offset,
                record,
                due,
            } => write!(
                f,
                "doubled or out of order: offset {offset} of partition {partition} holds {record} where \
                 {due} was due"
            ),
            Self::Skipped {
                partition,
                offset,
                record,
                due,
            } => write!(
                f,
                "lost or out of order: offset {offset} of partition {partition} holds {record} where \
                 {due} was due"
            ),
            Self::StoredTwice {
                partition,
                at,
                records: [one, other],
            } => write!(
                f,
                "{one} and {other} are both said to be stored at {at:?} of partition {partition}"
            ),
            Self::StoredAndLost {
                partition,
                at,
                record,
                offsets,
                behind,
            } => write!(
                f,
                "{record} is stored at {at:?} of partition {partition}, and read at {offsets:?}: none \
                 behind {behind}, where the one stored before it stands"
            ),
            Self::WentBack {
                group,
                partition,
                was,
                is,
            } => write!(
                f,
                "{group} had committed {was} in partition {partition}, and {is} is said now"
            ),
            Self::NoSuchPlace { partition, offset } => {
                write!(f, "there is no offset {offset} of partition {partition}")
            }
        }
    }
}

impl Error for Fault {}
