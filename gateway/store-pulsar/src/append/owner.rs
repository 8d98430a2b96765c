//! How a writer comes to own its partition, and learns what was written before it did.
use std::sync::Arc;

use kop_store::AppendError;

use super::{Append, Asked, Writer, history::History};
use crate::{
    bounds::{self, Anchor},
    log::{Gone, Life, Log},
    metrics::Metrics,
    ownership,
};

impl Writer {
    /// Sees to it that the partition is owned.
    pub(super) async fn own(&mut self) -> Result<(), AppendError> {
        if self.owned.is_some() {
            return Ok(());
        }
        let mut life = self.log.life();
        tokio::select! {
            biased;
            // Another gateway is to have it now: nobody fights for the name.
            _ = life.wait_for(|life| *life != Life::Serving) => Err(AppendError::NotOwner),
            // Boxed, as all that is seldom done: the task of an idle partition holds no room for it.
            taken = Box::pin(self.take()) => taken,
        }
    }

    /// Wins the partition, or wins it again.
    async fn take(&mut self) -> Result<(), AppendError> {
        if self.log.is_group_log() {
            return Err(AppendError::NotOwner);
        }
        self.log
            .check_existence()
            .await
            .map_err(|gone| match gone {
                Gone::Deleted => AppendError::Deleted,
                Gone::Unknown(error) => AppendError::Unavailable(error.into()),
            })?;
        let taken = ownership::take(&self.log.shared.client, &self.log.topic).await;
        let owned = match taken {
            Ok(owned) => owned,
            Err(error) => {
                if matches!(error, ownership::TakeError::Deleted) {
                    self.log.end(Life::Deleted);
                }
                return Err(error.into());
            }
        };
        let Log { shared, topic, .. } = &*self.log;
        Metrics::add(&shared.metrics.owners_taken);
        shared.owned_before.note(topic);
        if !shared.is_alone() && !self.history.is_interrupted() {
            // Others may have written before us. What is empty is known to be if nobody can have anything
            // on its way to it.
            let untouched = self.untouched && self.is_first_owner() && {
                let bounds = bounds::ask(&shared.admin, topic).await?;
                bounds.is_untouched()
            };
            self.history = History::beside_others(untouched);
        }
        self.owned = Some(owned);
        Ok(())
    }

    /// Whether this gateway has led the partition since before the topic was made.
    fn is_first_owner(&self) -> bool {
        let Log {
            shared, origin, id, ..
        } = &*self.log;
        let made = origin.birth.and_then(|birth| birth.view);
        let led = shared.views.get().and_then(|views| views.led_since(id));
        led.zip(made).is_some_and(|(led, made)| led <= made)
    }

    /// Reads what was written without us, or before us, up to a barrier.
    pub(super) async fn read_history(&mut self) -> Result<(), AppendError> {
        let end = match self.settled {
            Some(end) => end,
            None => self.barrier().await?,
        };
        let last = self.anchor.map(|anchor| anchor.position);
        self.history
            .read(&self.log, (last, end))
            .await
            .map_err(|error| AppendError::Unavailable(error.into()))
    }

    /// Writes a barrier and answers the end of the records before it.
    async fn barrier(&mut self) -> Result<i64, AppendError> {
        let Some(owned) = &mut self.owned else {
            return Err(AppendError::NotOwner);
        };
        Metrics::add(&self.log.shared.metrics.barriers);
        let marker = match owned.barrier().await {
            Ok(marker) => marker,
            Err(error) => {
                self.owned = None;
                return Err(AppendError::Unavailable(error.into()));
            }
        };
        let anchor = match self.anchor {
            // Nothing stands in between.
            Some(anchor) if marker.follows(anchor.position) => Anchor {
                position: marker,
                index: anchor.index + 1,
            },
            _ => {
                let found = bounds::end_before(&self.log.shared.admin, &self.log.topic, marker);
                let found = found.await?;
                self.end = found.1;
                found.0
            }
        };
        self.anchor = Some(anchor);
        self.settled = Some(self.end);
        Ok(self.end)
    }

    /// Refuses an append whose partition could not be owned, and those that wait behind it: each would wait
    /// as long again.
    pub(super) fn refuse_waiting(&mut self, first: Append, error: AppendError) {
        let again: Box<dyn Fn() -> AppendError> = match &error {
            AppendError::Deleted => Box::new(|| AppendError::Deleted),
            AppendError::NotOwner => Box::new(|| AppendError::NotOwner),
            AppendError::Unusable(why) => {
                let why = why.clone();
                Box::new(move || AppendError::Unusable(why.clone()))
            }
            error => {
                let why: Arc<str> = error.to_string().into();
                Box::new(move || AppendError::Unavailable(why.as_ref().into()))
            }
        };
        self.refuse(first, error);
        while let Ok(asked) = self.inbox.try_recv() {
            if let Asked::Append(append) = asked {
                self.refuse(*append, again());
            }
        }
    }
}
