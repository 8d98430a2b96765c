//! Offsets of topics that are deleted: whoever makes a topic of the same name begins anew, and so must
//! its readers.
use std::time::Duration;

use futures::{StreamExt as _, stream};
use kop_coordinator::{Name, Reply};
use kop_store::Catalog;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::{ASKED_AT_ONCE, Coordination, CoordinationError, Question, put};

/// How long one shard may take, most of which is for reading its log.
const SHARD_TIME: Duration = Duration::from_secs(30);
/// Pause before a shard is asked again that still reads its log.
const ASK_AGAIN: Duration = Duration::from_millis(100);

impl<C: Catalog> Coordination<C> {
    /// Removes all offsets that groups have committed for a topic that is gone, by the name it has in
    /// records. Shards that nobody has asked for anything yet read their logs for it. Where one cannot
    /// do so its offsets stay until they expire, which a line of the log tells.
    pub(crate) async fn forget_topic(&self, topic: &Name) {
        let partitions = match self.existing_partitions().await {
            Ok(Some(partitions)) => i32::try_from(partitions).unwrap_or(i32::MAX),
            Ok(None) => return,
            Err(cause) => {
                warn!(%topic, %cause, "offsets of a deleted topic stay");
                return;
            }
        };
        let mut forgotten = stream::iter(0..partitions)
            .map(|index| async move { (index, self.forget_in(index, topic).await) })
            .buffer_unordered(ASKED_AT_ONCE);
        let (mut offsets, mut of_others) = (0, 0);
        while let Some((partition, forgotten)) = forgotten.next().await {
            match forgotten {
                Ok(count) => offsets += count,
                Err(CoordinationError::NotCoordinator) => of_others += 1,
                Err(cause) => {
                    warn!(%topic, partition, %cause, "offsets of a deleted topic stay in a shard");
                }
            }
        }
        if offsets > 0 {
            info!(%topic, offsets, "offsets of a deleted topic removed");
        }
        if of_others > 0 {
            let shards = of_others;
            info!(%topic, shards, "other gateways coordinate groups whose offsets of a deleted topic expire only");
        }
    }

    async fn forget_in(&self, index: i32, topic: &Name) -> Result<usize, CoordinationError> {
        let forgotten = timeout(SHARD_TIME, async {
            loop {
                match put(self.shard(index)?, Question::ForgetTopic(topic.clone())).await {
                    Ok(Reply::ForgetTopic(count)) => return Ok(count),
                    Err(CoordinationError::Loading) => sleep(ASK_AGAIN).await,
                    // Its owner does.
                    Err(CoordinationError::NotCoordinator) => return Ok(0),
                    Err(error) => return Err(error),
                    Ok(_) => return Err(CoordinationError::Unavailable),
                }
            }
        });
        forgotten
            .await
            .unwrap_or(Err(CoordinationError::Unavailable))
    }
}
