//! Changing what is kept with a topic, its retention and its compaction.
use std::collections::BTreeMap;

use reqwest::Method;
use serde::Serialize;

use super::{Admin, AdminError, Body, COMPACTION, Retention};
use crate::naming::PulsarTopic;

impl Admin {
    /// Adds properties to those of a topic (of a partitioned one as a whole, or of one partition); the
    /// ones of the same names are replaced, its others stay.
    pub(crate) async fn set_properties(
        &self,
        topic: &PulsarTopic,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), AdminError> {
        let path = format!("persistent/{}/properties", topic.path());
        let body = Body::typed("application/json", properties)?;
        self.call(Method::PUT, &path, Some(body)).await.map(drop)
    }

    /// Gives a topic a retention of its own, or has its namespace decide again. Brokers take over a while
    /// later, and need topic policies to be on (`topicLevelPoliciesEnabled`, as it is unless switched off).
    pub(crate) async fn set_topic_retention(
        &self,
        topic: &PulsarTopic,
        retention: Option<Retention>,
    ) -> Result<(), AdminError> {
        self.set_topic_policy(topic, "retention", retention).await
    }

    /// Has Pulsar compact a topic whenever so many bytes have been added to it, or no more. As with the
    /// retention, brokers take over a while later.
    pub(crate) async fn set_compaction_threshold(
        &self,
        topic: &PulsarTopic,
        bytes: Option<u64>,
    ) -> Result<(), AdminError> {
        self.set_topic_policy(topic, "compactionThreshold", bytes)
            .await
    }

    /// Gives a topic a policy of its own, or has its namespace decide again.
    async fn set_topic_policy<T: Serialize>(
        &self,
        topic: &PulsarTopic,
        policy: &str,
        value: Option<T>,
    ) -> Result<(), AdminError> {
        let path = format!("persistent/{}/{policy}", topic.path());
        match value {
            Some(value) => {
                let body = Body::typed("application/json", &value)?;
                self.call(Method::POST, &path, Some(body)).await.map(drop)
            }
            None => self.call(Method::DELETE, &path, None).await.map(drop),
        }
    }

    /// Removes compaction's subscription of one partition, and with it what compaction has left.
    pub(crate) async fn forget_compaction(&self, topic: &PulsarTopic) -> Result<(), AdminError> {
        let path = format!(
            "persistent/{}/subscription/{COMPACTION}?force=true",
            topic.path()
        );
        self.call(Method::DELETE, &path, None).await.map(drop)
    }
}
