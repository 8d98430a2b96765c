//! Fetches that wait until there is enough to answer, or until their time is up.
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use kop_store::Partition as _;
use tokio::time::{Instant, sleep_until};

use super::{
    READING, Wanted,
    read::{Limits, Look, Records, read},
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
    let mut look = Look {
        woken: None,
        until: deadline + READING,
    };
    loop {
        let records = read(call, wanted, limits, look).await;
        let stopping = *draining.borrow_and_update();
        if records.suffice(limits) || stopping || Instant::now() >= deadline {
            return records;
        }
        let some = records.bytes > 0;
        let advanced = FuturesUnordered::new();
        for (at, (wanted, found)) in wanted.iter().zip(&records.partitions).enumerate() {
            if let (Ok(target), Ok(found)) = (&wanted.target, found) {
                let advanced_past = target.partition.advanced(found.watermarks.high);
                advanced.push(advanced_past.map(move |()| at));
            }
        }
        // What was read too early is read again: holding it would hold its memory.
        drop(records);
        let waiting = Instant::now();
        look.woken = first(advanced, deadline, &mut draining).await;
        if some && look.woken.is_some() {
            sleep_until(deadline.min(Instant::now() + BETWEEN_LOOKS)).await;
        }
        call.note_wait(waiting.elapsed());
        if look.woken.is_none() {
            return read(call, wanted, limits, look).await;
        }
    }
}

/// Waits for one of the partitions to grow or to go, and tells which; `None` where the time was up, or
/// the gateway stops.
async fn first<F: Future<Output = usize>>(
    mut advanced: FuturesUnordered<F>,
    deadline: Instant,
    draining: &mut tokio::sync::watch::Receiver<bool>,
) -> Option<usize> {
    tokio::select! {
        Some(at) = advanced.next() => Some(at),
        () = sleep_until(deadline) => None,
        _ = draining.changed() => None,
    }
}
