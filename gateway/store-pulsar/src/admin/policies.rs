//! What is in force in a namespace or for a topic.
use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};

use super::{Admin, AdminError, Retention, found, null_is_default, parse};
use crate::naming::PulsarTopic;

/// A namespace's own policies, as far as a gateway depends on them. What is `None` is as the brokers'
/// settings say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct NamespacePolicies {
    #[serde(default)]
    pub(crate) retention_policies: Option<Retention>,
    /// Seconds.
    #[serde(default)]
    pub(crate) message_ttl_in_seconds: Option<i64>,
    #[serde(default)]
    pub(crate) inactive_topic_policies: Option<InactiveTopics>,
    #[serde(default, rename = "deduplicationEnabled")]
    pub(crate) deduplication: Option<bool>,
    #[serde(default, rename = "autoTopicCreationOverride")]
    pub(crate) auto_topic_creation: Option<AutoTopicCreation>,
    /// Whether messages that are not encrypted are refused.
    #[serde(default, deserialize_with = "null_is_default")]
    pub(crate) encryption_required: bool,
    /// Whether producers without a schema are refused where a topic has one.
    #[serde(default, deserialize_with = "null_is_default")]
    pub(crate) schema_validation_enforced: bool,
}

/// What becomes of topics that nobody uses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InactiveTopics {
    /// Whether they are deleted.
    #[serde(default)]
    pub(crate) delete_while_inactive: bool,
    /// After how long.
    #[serde(default)]
    pub(crate) max_inactive_duration_seconds: i64,
}

/// Whether brokers make a topic that a client asks for, and which kind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AutoTopicCreation {
    #[serde(default, rename = "allowAutoTopicCreation")]
    pub(crate) allowed: bool,
    /// `partitioned` or `non-partitioned`.
    #[serde(default)]
    pub(crate) topic_type: Option<String>,
}

impl Admin {
    /// The version of the broker that answers.
    pub(crate) async fn version(&self) -> Result<String, AdminError> {
        let text = self.call(Method::GET, "brokers/version", None).await?;
        Ok(String::from_utf8_lossy(&text)
            .trim()
            .trim_matches('"')
            .to_owned())
    }

    /// The namespaces of a tenant, as `tenant/namespace`. Only its administrators may see them.
    pub(crate) async fn namespaces(&self, tenant: &str) -> Result<Vec<String>, AdminError> {
        self.json(&format!("namespaces/{tenant}")).await
    }

    /// A namespace's policies; `None` where there is no such namespace.
    pub(crate) async fn policies(
        &self,
        namespace: &str,
    ) -> Result<Option<NamespacePolicies>, AdminError> {
        found(self.json(&format!("namespaces/{namespace}")).await)
    }

    /// What is in force for a topic, wherever it was set: on the topic, its namespace or the brokers.
    pub(crate) async fn applied<T: DeserializeOwned>(
        &self,
        topic: &PulsarTopic,
        policy: &str,
    ) -> Result<Option<T>, AdminError> {
        let path = format!("persistent/{}/{policy}?applied=true", topic.path());
        let body = self.call(Method::GET, &path, None).await?;
        if body.is_empty() {
            return Ok(None);
        }
        parse(&path, &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespaces_policies_are_read_whatever_else_they_hold() {
        let json = r#"{"auth_policies":{"namespace_auth":{}},"replication_clusters":["standalone"],
            "retention_policies":{"retentionTimeInMinutes":-1,"retentionSizeInMB":5},
            "message_ttl_in_seconds":60,"deduplicationEnabled":null,"encryption_required":null,
            "autoTopicCreationOverride":{"allowAutoTopicCreation":true,"topicType":"partitioned",
            "defaultNumPartitions":4},"inactive_topic_policies":{"inactiveTopicDeleteMode":
            "delete_when_no_subscriptions","maxInactiveDurationSeconds":60,
            "deleteWhileInactive":true}}"#;
        let policies: NamespacePolicies = serde_json::from_str(json).unwrap();
        assert_eq!(policies.message_ttl_in_seconds, Some(60));
        assert!(!policies.encryption_required);
        assert!(
            policies
                .inactive_topic_policies
                .unwrap()
                .delete_while_inactive
        );
        let creation = policies.auto_topic_creation.unwrap();
        assert_eq!(creation.topic_type.as_deref(), Some("partitioned"));
        let empty: NamespacePolicies = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, NamespacePolicies::default());
    }
}
