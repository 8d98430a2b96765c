//! What a log asks of Pulsar: whether it is still there, where it ends, and whether it is still ours.
use std::{
    sync::{Arc, MutexGuard, PoisonError, Weak, atomic::Ordering},
    time::Duration,
};

use kop_store::AppendError;
use pulsar_client::Producer;
use tokio::time::Instant;

use super::{Life, Log};
use crate::{
    admin::AdminError,
    bounds::{self, BoundsError},
};

/// How long a proof of ownership holds. Brokers give a silent holder of a name five seconds, and the
/// gateways look for longer than a second whether one of them is silent, before another takes over.
const PROVED_FOR: Duration = Duration::from_secs(2);
/// How long a broker may take to say whether it still has a producer.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(5);

/// That this process owned the partition at a moment.
pub(super) struct Proof {
    holder: Weak<Producer>,
    at: Instant,
}

/// Why a partition is not opened again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Gone {
    /// The topic was deleted.
    #[error("topic deleted")]
    Deleted,
    /// Whether it was is not known.
    #[error(transparent)]
    Unknown(#[from] AdminError),
}

impl Log {
    /// Whether the topic is still there, and not one that was made anew; else the partition ends.
    pub(crate) async fn check_existence(&self) -> Result<(), Gone> {
        let there = self.origin.exists(&self.shared.admin).await?;
        if there && (self.origin.has_id() || !self.is_anew().await?) {
            return Ok(());
        }
        self.end(Life::Deleted);
        Err(Gone::Deleted)
    }

    /// Whether what Pulsar holds now cannot be this log. By that a topic is known again that has no id.
    async fn is_anew(&self) -> Result<bool, AdminError> {
        let bounds = match bounds::ask(&self.shared.admin, &self.topic).await {
            Ok(bounds) => bounds,
            Err(BoundsError::Admin(error)) => return Err(error),
            // Nothing is known then, as before.
            Err(BoundsError::Unnumbered(_) | BoundsError::Changing) => return Ok(false),
        };
        let newest = self.state().seen.back().copied();
        Ok(bounds.are_of_another(self.high(), newest))
    }

    /// The end with all that others have written, asked of Pulsar.
    pub(crate) async fn ask_end(&self) -> Result<i64, BoundsError> {
        let bounds = bounds::ask(&self.shared.admin, &self.topic).await?;
        let end = bounds.end().max(self.high());
        self.end.fetch_max(end, Ordering::Relaxed);
        Ok(end)
    }

    /// Whether the log is known to reach so far.
    pub(crate) fn is_known_to_reach(&self, offset: i64) -> bool {
        offset <= self.high().max(self.end.load(Ordering::Relaxed))
    }

    /// Whoever holds the name was asked for an entry at `asked`, and has its receipt by now.
    pub(crate) fn proved(&self, holder: Weak<Producer>, asked: Instant) {
        *self.proof() = Some(Proof { holder, at: asked });
    }

    fn proof(&self) -> MutexGuard<'_, Option<Proof>> {
        self.proof.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Proves that this process has owned the partition since the log was opened, unless that was proved
    /// a moment ago.
    pub(crate) async fn confirm(&self) -> Result<(), AppendError> {
        let (holder, age) = match &*self.proof() {
            Some(proof) => (proof.holder.upgrade(), proof.at.elapsed()),
            None => return Err(AppendError::NotOwner),
        };
        let holder = holder.ok_or(AppendError::NotOwner)?;
        if holder.has_ended() || self.is_over() {
            return Err(AppendError::NotOwner);
        }
        if age < PROVED_FOR {
            return Ok(());
        }
        let asked = Instant::now();
        if let Err(cause) = holder.confirm(CONFIRMED_WITHIN).await {
            return Err(AppendError::Unavailable(cause.into()));
        }
        if self.is_over() {
            return Err(AppendError::NotOwner);
        }
        self.proved(Arc::downgrade(&holder), asked);
        Ok(())
    }
}
