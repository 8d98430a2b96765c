//! Looking again at topics that another gateway has changed.
use std::sync::Arc;

use kop_store::{CatalogError, Topic};
use kop_wire::TopicName;

use crate::{
    PulsarStore,
    admin::AdminError,
    log::{Gone, Log},
    naming::{PulsarTopic, split_partition},
    shared::Shared,
};

impl PulsarStore {
    /// Forgets what is remembered of a topic that somebody else may have changed. Where partitions of it
    /// are open it is looked at at once: their settings become what is set now, and partitions of a topic
    /// that is gone, or was made anew, end. Answers the topic then; `None` where none are open or there is
    /// no such topic any more.
    ///
    /// # Errors
    /// Where Pulsar does not answer. What was remembered is forgotten in any case.
    pub async fn look_anew(&self, name: &TopicName) -> Result<Option<Topic>, CatalogError> {
        let Shared {
            topics,
            admin,
            naming,
            ..
        } = &**self.shared();
        let pulsar = naming.topic(name);
        topics.forget(&pulsar);
        let open = self.open_logs_of(&pulsar);
        if open.is_empty() {
            return Ok(None);
        }
        let looked = async {
            let known = topics.find(admin, naming, name).await?;
            let same = |log: &Arc<Log>| known.as_ref().is_some_and(|known| log.origin.is_of(known));
            for log in open.iter().filter(|log| !same(log)) {
                match log.check_existence().await {
                    Ok(()) | Err(Gone::Deleted) => {}
                    Err(Gone::Unknown(error)) => return Err(error),
                }
            }
            Ok::<_, AdminError>(known)
        };
        let known = looked
            .await
            .map_err(|error| CatalogError::Unavailable(error.into()))?;
        Ok(known.map(|known| known.topic))
    }

    /// The Kafka names of all topics that have open partitions; what is remembered of any topic is
    /// forgotten.
    #[must_use]
    pub fn forget_topics(&self) -> Vec<TopicName> {
        let shared = self.shared();
        shared.topics.forget_all();
        let full = |log: Arc<Log>| shared.naming.kafka_name(home(&log)).ok();
        let mut names: Vec<TopicName> = shared.open_logs().into_iter().filter_map(full).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn open_logs_of(&self, topic: &PulsarTopic) -> Vec<Arc<Log>> {
        let mut logs = self.shared().open_logs();
        logs.retain(|log| home(log) == topic.as_str() || log.topic == *topic);
        logs
    }
}

/// The topic that a partition is one of.
fn home(log: &Log) -> &str {
    let full = log.topic.as_str();
    split_partition(full).map_or(full, |(topic, _)| topic)
}
