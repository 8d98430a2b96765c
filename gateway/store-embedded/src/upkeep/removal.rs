//! Removing what was deleted or truncated, a little at a time.
use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use kop_store::Cause;
use kop_wire::Offset;
use uuid::Uuid;

use super::{
    counted::{Counted, sized},
    space::Space,
};
use crate::{
    format::{self, LogId},
    keyspaces::Keyspaces,
};

/// Batches of one write.
const AT_ONCE: usize = 500;

/// What is to be removed. It is noted in the store before, so that a restart does it again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Removal {
    /// All of a deleted topic.
    Topic { topic: Uuid, partitions: u32 },
    /// The batches of a log that end at or before an offset.
    Before { log: LogId, offset: Offset },
}

pub(super) fn remove(
    keyspaces: &Keyspaces,
    removal: Removal,
    counted: &mut HashMap<LogId, Counted>,
    space: &mut Space,
    stop: &AtomicBool,
) -> Result<(), Cause> {
    let (topic, partitions) = match removal {
        Removal::Before { log, offset } => {
            let mut nobody = Counted::default();
            let counted = counted.get_mut(&log).unwrap_or(&mut nobody);
            return remove_batches(keyspaces, (log, offset), counted, space, stop);
        }
        Removal::Topic { topic, partitions } => (topic, partitions),
    };
    let logs = (0..partitions).map(|partition| LogId { topic, partition });
    for log in logs.clone() {
        counted.remove(&log);
        let all = (log, Offset(i64::MAX));
        remove_batches(keyspaces, all, &mut Counted::default(), space, stop)?;
    }
    if stop.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut writes = keyspaces.database.batch();
    for log in logs {
        writes.remove(&keyspaces.meta, log.start_key());
        writes.remove(&keyspaces.meta, log.producers_key());
        writes.remove(&keyspaces.meta, log.cleaned_key());
    }
    writes.remove(&keyspaces.meta, format::removed_key(topic));
    Ok(keyspaces.commit(writes, None)?)
}

fn remove_batches(
    keyspaces: &Keyspaces,
    (log, before): (LogId, Offset),
    counted: &mut Counted,
    space: &mut Space,
    stop: &AtomicBool,
) -> Result<(), Cause> {
    let mut from = Offset(0);
    while !stop.load(Ordering::Relaxed) {
        let mut writes = keyspaces.database.batch();
        for batch in sized(keyspaces, log, from, before).take(AT_ONCE) {
            let (key, held) = batch?;
            if key.end() > before {
                break;
            }
            from = key.end();
            writes.remove(&keyspaces.batches, key.encode());
            counted.without(&key, held.bytes);
            space.freed(held);
        }
        let is_more = writes.len() >= AT_ONCE;
        space.note(keyspaces, &mut writes);
        keyspaces.commit(writes, None)?;
        if !is_more {
            break;
        }
    }
    Ok(())
}
