//! Fetches that wait until there is enough to answer, or until their time is up.
use std::time::Duration;

use futures::{StreamExt as _, stream::FuturesUnordered};
use kop_store::Partition as _;
use tokio::time::{Instant, sleep_until};

use super::{
    Wanted,
    read::{Limits, Records, read},
};
use crate::api::Call;

/// Pause between two looks of a client that wants more than what has come: without it, every small
/// append would have all be read again.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Reads until the limits are met, something is wrong, or the deadline has come.
pub(super) async fn records(
    call: &Call,
    wanted: &[Wanted],
    limits: Limits,
    deadline: Instant,
) -> Records {
    let mut draining = call.gateway.draining.clone();
    loop {
        let records = read(call, wanted, limits).await;
        let stopping = *draining.borrow_and_update();
        if records.suffice(limits) || stopping || Instant::now() >= deadline {
            return records;
        }
        let some = records.bytes > 0;
        let advanced: FuturesUnordered<_> = wanted
            .iter()
            .zip(&records.partitions)
            .filter_map(|(wanted, found)| {
                Some((wanted.target.as_ref().ok()?, found.as_ref().ok()?))
            })
            .map(|(target, found)| target.partition.advanced(found.watermarks.high))
            .collect();
        // What was read too early is read again: holding it would hold its memory.
        drop(records);
        if !advances(advanced, deadline, &mut draining).await {
            return read(call, wanted, limits).await;
        }
        if some {
            sleep_until(deadline.min(Instant::now() + BETWEEN_LOOKS)).await;
        }
    }
}

/// Waits for one of the partitions to grow; false where the time was up, or the gateway stops.
async fn advances<F: Future<Output = ()>>(
    mut advanced: FuturesUnordered<F>,
    deadline: Instant,
    draining: &mut tokio::sync::watch::Receiver<bool>,
) -> bool {
    tokio::select! {
        Some(()) = advanced.next() => true,
        () = sleep_until(deadline) => false,
        _ = draining.changed() => false,
    }
}
