//! Having Pulsar act on what is set for a topic: its retention, and whether it is compacted.
//!
//! The order keeps records whatever fails in between. Before a topic is known to be compacted, compaction's
//! cursor stands in every partition, so that nothing goes that was not compacted; and only when it is
//! known, what was compacted may go.
use std::{error::Error, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kop_store::{TopicConfig, UnsupportedConfig, topic_config::TopicOption};
use tokio::time::{sleep, timeout};

use crate::{
    admin::AdminError,
    bounds::{self, Start},
    compaction, config,
    entry::Layout,
    log_start,
    naming::PulsarTopic,
    shared::Shared,
    topics::Known,
};

/// Partitions that are looked at at once.
const AT_ONCE: usize = 16;
/// How long brokers may take to act on a policy, and how often they are asked whether they do.
const PATIENCE: Duration = Duration::from_secs(30);
const ASKED_AGAIN: Duration = Duration::from_millis(100);

/// A topic whose configuration changes.
#[derive(Clone, Copy)]
pub(crate) struct Change<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) known: &'a Known,
    pub(crate) from: &'a TopicConfig,
    pub(crate) to: &'a TopicConfig,
}

/// Why Pulsar does not act on a configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyError {
    /// It cannot.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedConfig),
    /// Whether it does is not known.
    #[error("policies of the topic")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl From<AdminError> for PolicyError {
    fn from(error: AdminError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl Change<'_> {
    fn begins_to_compact(self) -> bool {
        config::compacts(self.to) && !config::compacts(self.from)
    }

    fn ends_to_compact(self) -> bool {
        config::compacts(self.from) && !config::compacts(self.to)
    }

    /// What has to be in force before the configuration is told to anybody.
    pub(crate) async fn before(self) -> Result<(), PolicyError> {
        if self.begins_to_compact() {
            return self.begin_to_compact().await;
        }
        if self.ends_to_compact() {
            self.check_that_nothing_is_lost().await?;
            let Self { shared, known, .. } = self;
            let unset = shared.admin.set_compaction_threshold(&known.pulsar, None);
            self.allowed(unset.await)?;
        }
        self.retain().await
    }

    /// What may be in force only when the configuration is known.
    pub(crate) async fn after(self) -> Result<(), PolicyError> {
        if self.begins_to_compact() {
            return self.retain().await;
        }
        if self.ends_to_compact() {
            self.each_partition(|partition| self.forget(partition))
                .await?;
        }
        Ok(())
    }

    async fn forget(self, partition: PulsarTopic) -> Result<(), PolicyError> {
        match self.shared.admin.forget_compaction(&partition).await {
            Ok(()) | Err(AdminError::NotFound(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn retain(self) -> Result<(), PolicyError> {
        let Self {
            shared,
            known,
            from,
            to,
        } = self;
        let retention = config::retention(to);
        if retention == config::retention(from) {
            return Ok(());
        }
        let set = shared.admin.set_topic_retention(&known.pulsar, retention);
        set.await.map_err(|error| {
            retention_refused(to, &error).map_or_else(|| error.into(), PolicyError::Unsupported)
        })
    }

    async fn begin_to_compact(self) -> Result<(), PolicyError> {
        let Self {
            shared, known, to, ..
        } = self;
        if known.layout(shared.options.entry_format) != Layout::Pulsar {
            let reason = "Pulsar cannot see the keys of records that are stored in the entry format \
                          kafka; a topic that is made with this policy has the format pulsar";
            return Err(compaction::unsupported(to, reason.to_owned()).into());
        }
        let threshold = Some(compaction::THRESHOLD);
        let set = shared
            .admin
            .set_compaction_threshold(&known.pulsar, threshold);
        self.allowed(set.await)?;
        let followed = self.each_partition(|partition| self.follow(partition));
        let followed = timeout(PATIENCE, followed).await;
        followed.unwrap_or_else(|late| Err(PolicyError::Unavailable(late.into())))
    }

    /// Waits until compaction has its cursor, and notes where the log begins: what retention removed before
    /// is not what compaction leaves out.
    async fn follow(self, partition: PulsarTopic) -> Result<(), PolicyError> {
        let admin = &self.shared.admin;
        while !admin
            .internal_stats(&partition)
            .await?
            .is_followed_by_compaction()
        {
            sleep(ASKED_AGAIN).await;
        }
        let start = self.start(&partition).await?.log(false);
        if start > 0 {
            let recorded = log_start::record(admin, &partition, start).await?;
            if let Some(log) = self.shared.slot(&partition).get() {
                log.deleted_before(recorded);
            }
        }
        Ok(())
    }

    /// A topic that is no longer compacted begins with the entries that Pulsar still has.
    async fn check_that_nothing_is_lost(self) -> Result<(), PolicyError> {
        self.each_partition(|partition| self.check_start(partition))
            .await
    }

    async fn check_start(self, partition: PulsarTopic) -> Result<(), PolicyError> {
        let start = self.start(&partition).await?;
        if start.stored > start.deleted {
            let reason = "records would be lost that only compaction still keeps";
            return Err(compaction::unsupported(self.to, reason.to_owned()).into());
        }
        Ok(())
    }

    async fn start(self, partition: &PulsarTopic) -> Result<Start, PolicyError> {
        let bounds = bounds::ask(&self.shared.admin, partition).await;
        let bounds = bounds.map_err(|error| PolicyError::Unavailable(error.into()))?;
        Ok(bounds.start)
    }

    fn allowed(self, answer: Result<(), AdminError>) -> Result<(), PolicyError> {
        answer.map_err(|error| {
            compaction::refused(self.to, &error).map_or_else(|| error.into(), Into::into)
        })
    }

    async fn each_partition<F>(
        self,
        act: impl Fn(PulsarTopic) -> F + Send,
    ) -> Result<(), PolicyError>
    where
        F: Future<Output = Result<(), PolicyError>> + Send,
    {
        let count = i32::try_from(self.known.topic.partitions).unwrap_or(i32::MAX);
        let partitions: Vec<_> = (0..count)
            .filter_map(|index| self.known.partition(index))
            .collect();
        stream::iter(partitions)
            .map(act)
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }
}

/// Pulsar's refusal to give a topic that retention, if it is one.
fn retention_refused(config: &TopicConfig, error: &AdminError) -> Option<UnsupportedConfig> {
    if config::compacts(config) {
        return compaction::refused(config, error);
    }
    let AdminError::Refused {
        status: 405 | 412 | 422,
        reason,
    } = error
    else {
        return None;
    };
    let is_retention = |option| {
        matches!(
            option,
            TopicOption::RetentionMs | TopicOption::RetentionBytes
        )
    };
    let (spec, value) = config.iter().find(|(spec, _)| is_retention(spec.option))?;
    Some(UnsupportedConfig {
        name: spec.name,
        value: value.to_string(),
        reason: format!("pulsar answered: {reason}"),
    })
}
