//! One look at all partitions of a fetch.
use bytes::Bytes;
use futures::future::join_all;
use kop_store::{Fetched, Partition as _, ReadError, ReadLimit, Watermarks};

use kop_wire::Offset;
use tokio::time::Instant;

use super::Wanted;
use crate::{
    api::{Call, error::Refusal, target::Target},
    budget::Share,
};

/// Partitions read at a time for one request.
const AT_ONCE: usize = 8;
/// What is read of each partition while the memory for answers is used up.
const SCARCE: usize = 64 << 10;

/// How much the client wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of all partitions worth answering for.
    pub(super) min_bytes: usize,
    /// Bytes of all partitions at the most, but for a first batch that is larger.
    pub(super) max_bytes: usize,
}

/// What a look is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// The partition that has grown, or gone.
    pub(super) woken: Option<usize>,
    /// When records that have not come yet are left for another fetch.
    pub(super) until: Instant,
}

/// What a look found.
pub(super) struct Records {
    /// In the order of the partitions wanted.
    pub(super) partitions: Vec<Result<Found, Refusal>>,
    /// Bytes of all partitions.
    pub(super) bytes: usize,
    /// The memory that the bytes are accounted to.
    pub(super) held: Option<Share>,
}

/// A partition's records and the watermarks they were read under.
pub(super) struct Found {
    pub(super) watermarks: Watermarks,
    pub(super) chunks: Vec<Bytes>,
    /// Where the log ends, if the client has records that are not in the log (KIP-595).
    pub(super) diverging: Option<EpochEnd>,
}

/// A leader's epoch, and where its records end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EpochEnd {
    pub(super) epoch: i32,
    pub(super) end: Offset,
}

impl Records {
    /// Whether waiting longer would be of no use to the client.
    pub(super) fn suffice(&self, limits: Limits) -> bool {
        let special = |found: &Result<Found, Refusal>| {
            found.as_ref().is_ok_and(|f| f.diverging.is_some()) || found.is_err()
        };
        self.bytes >= limits.min_bytes || self.partitions.iter().any(special)
    }
}

/// Reads what is there, in the order in which the client names the partitions. A partition whose end
/// the client has reached is looked at only if it has been `woken`, which may mean that it is gone.
pub(super) async fn read(call: &Call, wanted: &[Wanted], limits: Limits, look: Look) -> Records {
    let mut partitions: Vec<Result<Found, Refusal>> = wanted.iter().map(at_its_end).collect();
    let behind: Vec<usize> = wanted
        .iter()
        .zip(&partitions)
        .enumerate()
        .filter(|(at, (wanted, found))| {
            let behind = |found: &Found| {
                found.watermarks.high != wanted.asked.offset || look.woken == Some(*at)
            };
            found
                .as_ref()
                .is_ok_and(|found| found.diverging.is_none() && behind(found))
        })
        .map(|(at, _)| at)
        .collect();
    if behind.is_empty() {
        return Records {
            partitions,
            bytes: 0,
            held: None,
        };
    }
    let (mut held, max_bytes) = memory(call, limits.max_bytes);
    let mut bytes = 0;
    let mut store = |at: usize, found: Result<Found, Refusal>, bytes: &mut usize| {
        if let Some(slot) = partitions.get_mut(at) {
            *slot = found;
            if let Ok(found) = slot {
                *bytes += found.chunks.iter().map(Bytes::len).sum::<usize>();
            }
        }
    };
    for wave in behind.chunks(AT_ONCE) {
        let left = max_bytes.saturating_sub(bytes);
        if left == 0 {
            break;
        }
        let fair = left / wave.len();
        let first = wave.first();
        let reads = wave.iter().map(|at| {
            // Only the very first may be larger than what is allowed (KIP-74).
            let at_least_one = bytes == 0 && Some(at) == first;
            one(call, (wanted, *at), look, limit(fair, at_least_one))
        });
        for (at, found) in wave.iter().zip(join_all(reads).await) {
            store(*at, found, &mut bytes);
        }
    }
    // Where every batch was larger than its share of the whole, one is sent all the same.
    for at in behind {
        if bytes > 0 {
            break;
        }
        let found = one(call, (wanted, at), look, limit(max_bytes, true)).await;
        store(at, found, &mut bytes);
    }
    if let Some(held) = &mut held {
        held.shrink(bytes);
    }
    Records {
        partitions,
        bytes,
        held,
    }
}

/// The partition as it is where nothing is to be read.
fn at_its_end(wanted: &Wanted) -> Result<Found, Refusal> {
    let target = wanted.target.as_ref().map_err(Refusal::clone)?;
    let watermarks = target.partition.watermarks();
    let epoch = target.epoch;
    // The last record of the client's is of a later leader.
    let diverges = wanted.asked.last_fetched_epoch > epoch;
    Ok(Found {
        watermarks,
        chunks: Vec::new(),
        diverging: diverges.then_some(EpochEnd {
            epoch,
            end: watermarks.high,
        }),
    })
}

/// Memory for an answer: as much as is wanted, or some of it, or hardly any.
fn memory(call: &Call, wanted: usize) -> (Option<Share>, usize) {
    let budget = &call.gateway.fetch_memory;
    for size in [wanted, wanted / 8] {
        if let Some(share) = budget.try_take(size) {
            return (Some(share), size);
        }
    }
    (None, SCARCE.min(wanted))
}

fn limit(max_bytes: usize, at_least_one: bool) -> ReadLimit {
    ReadLimit {
        max_bytes,
        at_least_one,
    }
}

async fn one(
    call: &Call,
    (wanted, at): (&[Wanted], usize),
    look: Look,
    limit: ReadLimit,
) -> Result<Found, Refusal> {
    let wanted = wanted.get(at).expect("the index of one of them");
    let Target {
        id,
        partition,
        epoch,
    } = wanted.target.as_ref().map_err(Refusal::clone)?;
    let asked = &wanted.asked;
    let limit = ReadLimit {
        max_bytes: asked.max_bytes.min(limit.max_bytes),
        ..limit
    };
    let failed = |error| call.unread(id, error);
    let (reads, key) = (&call.gateway.late_reads, (id.clone(), asked.offset));
    let begin = || {
        let (partition, offset) = (partition.clone(), asked.offset);
        async move {
            let read = partition.read(offset, limit).await;
            (partition, read)
        }
    };
    let read = match reads.get(key, look.until, begin).await {
        // It may be of an earlier topic of the name.
        Some((of, _)) if of.is_over() && !partition.is_over() => return at_its_end(wanted),
        Some((_, read)) => read,
        None => return at_its_end(wanted),
    };
    match read {
        Ok(Fetched { chunks, watermarks }) => Ok(Found {
            watermarks,
            chunks,
            diverging: None,
        }),
        // The client has records that are not in the log, and wants to be told where that ends.
        Err(ReadError::OutOfRange { high, .. })
            if asked.last_fetched_epoch >= 0 && asked.offset > high =>
        {
            Ok(Found {
                watermarks: partition.watermarks(),
                chunks: Vec::new(),
                diverging: Some(EpochEnd {
                    epoch: *epoch,
                    end: partition.end().await.map_err(failed)?,
                }),
            })
        }
        Err(error) => Err(failed(error)),
    }
}
