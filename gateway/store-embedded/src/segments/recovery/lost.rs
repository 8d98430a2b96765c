//! What the index points to and the disk has lost: with [`Durability::Os`](crate::Durability::Os) a power cut
//! may leave the one and not the other.
use kop_store::Cause;

use crate::{
    format::{self, BatchKey, LogId, Pointer, Stored},
    frame::Place,
    keyspaces::{Keyspaces, Unloaded},
    segments::{
        Kind, Unread,
        scan::{Scan, Step},
    },
};

/// Where the first frame stood that is lost, if the last one of a log is that was written to of late.
pub(super) fn from(keyspaces: &Keyspaces, indexed: Place) -> Result<Option<Place>, Cause> {
    let mut recent = keyspaces.segments.numbers(Kind::Appended);
    recent.retain(|number| *number <= indexed.segment);
    let from = recent.iter().rev().nth(1).or(recent.last());
    let Some(from) = from.copied() else {
        return Ok(None);
    };
    for log in logs(keyspaces)? {
        let Some((key, pointer)) = last(keyspaces, log)? else {
            continue;
        };
        if !recent.contains(&pointer.segment) || pointer.segment < from {
            continue;
        }
        let value = pointer.encode();
        match keyspaces.batch(log, &key.encode(), value.as_slice().into()) {
            Err(Unloaded::Segment(Unread::Damaged(place))) => {
                return first_broken(keyspaces, from, place).map(Some);
            }
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
    }
    Ok(None)
}

/// Takes out of the index what was appended from a place on.
pub(super) fn forget(keyspaces: &Keyspaces, from: Place) -> Result<(), Cause> {
    let appended = keyspaces.segments.numbers(Kind::Appended);
    let mut writes = keyspaces.database.batch();
    let batches = &keyspaces.batches;
    for log in logs(keyspaces)? {
        for item in batches.prefix(log.prefix()).rev() {
            let (key, value) = item.into_inner()?;
            match Stored::of(value.into())? {
                Stored::At(pointer) if appended.contains(&pointer.segment) => {
                    if pointer.place() < from {
                        break;
                    }
                    writes.remove(batches, key);
                }
                // It was moved, and is on the disk.
                _ => {}
            }
        }
    }
    let dropped = writes.len();
    writes.insert(batches, format::INDEXED, format::indexed_value(from));
    keyspaces.commit(writes, Some(fjall::PersistMode::SyncAll))?;
    tracing::error!(batches = dropped, "lost");
    Ok(())
}

fn logs(keyspaces: &Keyspaces) -> Result<Vec<LogId>, Cause> {
    let mut logs = Vec::new();
    for item in keyspaces.meta.prefix(format::TOPICS) {
        let (key, value) = item.into_inner()?;
        let topic = format::topic_of(&key, &value)?;
        let of_topic = (0..topic.partitions).map(|partition| LogId {
            topic: topic.id,
            partition,
        });
        logs.extend(of_topic);
    }
    Ok(logs)
}

/// The last batch of a log, if it stands in a segment.
fn last(keyspaces: &Keyspaces, log: LogId) -> Result<Option<(BatchKey, Pointer)>, Cause> {
    let Some(item) = keyspaces.batches.prefix(log.prefix()).next_back() else {
        return Ok(None);
    };
    let (key, value) = item.into_inner()?;
    Ok(match Stored::of(value.into())? {
        Stored::At(pointer) => Some((BatchKey::decode(&key)?, pointer)),
        Stored::Here(_) => None,
    })
}

/// Where the first frame stands that is not whole, from a segment on; `known` is one.
fn first_broken(keyspaces: &Keyspaces, from: u32, known: Place) -> Result<Place, Cause> {
    let segments = &keyspaces.segments;
    for number in segments.numbers(Kind::Appended) {
        if number < from || number > known.segment {
            continue;
        }
        let mut scan = Scan::open(segments, number, 0)?;
        while let Some(Step::Whole(_)) = scan.step()? {}
        let at = Place {
            segment: number,
            position: scan.position(),
        };
        // An earlier segment ends where it ends, unless something else stands there.
        if number == known.segment || scan.step()?.is_some() {
            return Ok(at.min(known));
        }
    }
    Ok(known)
}
