//! Entries whose bytes cannot even be taken apart. A reader ends at one; another goes on behind it.
//!
//! What offsets such an entry takes its bytes do not say, but the broker does, which reads more leniently.
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    admin::{AdminError, Position},
    entry::Span,
    log::Log,
};

/// How often an unreadable entry is told of: whoever writes one may write many.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The offsets of a damaged entry; `None` where the broker does not make sense of it either.
pub(crate) async fn span(log: &Log, position: Position) -> Result<Option<Span>, AdminError> {
    let facts = match log.shared.admin.entry(&log.topic, position).await {
        Ok(facts) => facts,
        Err(AdminError::Malformed { .. } | AdminError::Refused { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(facts.and_then(|facts| {
        let (base, end) = (facts.base()?, facts.index?.checked_add(1)?);
        (base >= 0).then_some(Span { base, end })
    }))
}

/// Says that an entry cannot be read, now and then.
pub(crate) fn tell(log: &Log, position: Position, why: &(dyn std::fmt::Display + Sync)) {
    static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    if told.is_none_or(|told| now.duration_since(told) >= TOLD_EVERY) {
        *told = Some(now);
        tracing::warn!(topic = %log.topic, %position, %why, "entry passed over");
    }
}
