//! Changing what is kept with a topic, and its retention.
use std::collections::BTreeMap;

use reqwest::Method;

use super::{Admin, AdminError, Body, Retention};
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
        let path = format!("persistent/{}/retention", topic.path());
        match retention {
            Some(retention) => {
                let body = Body::typed("application/json", &retention)?;
                self.call(Method::POST, &path, Some(body)).await.map(drop)
            }
            None => self.call(Method::DELETE, &path, None).await.map(drop),
        }
    }
}
