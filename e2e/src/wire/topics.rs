//! Topics and their settings.

use super::{DEADLINE, Wire, good, only, text, topic_name};
use crate::wait::until;
use anyhow::{Context, Result};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    create_topics_request as create, describe_configs_request as configs,
    metadata_request as metadata,
};

/// Kafka's resource type for the configuration of a topic.
const TOPIC: i8 = 2;

impl Wire {
    /// Makes a topic with settings, and waits until all of its partitions are served.
    ///
    /// # Errors
    /// The server refuses.
    pub fn create(
        &mut self,
        topic: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<()> {
        let settings = settings.iter().map(|(name, value)| {
            create::CreatableTopicConfig::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
        });
        let wanted = create::CreatableTopic::default()
            .with_name(topic_name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(settings.collect());
        let request = create::CreateTopicsRequest::default()
            .with_topics(vec![wanted])
            .with_timeout_ms(30_000);
        self.ask(4, &request, |answer| good(only(&answer.topics)?.error_code))
            .with_context(|| format!("create {topic}"))?;
        until("leaders of all partitions", DEADLINE, || {
            Ok((self.partitions(topic)? == Some(partitions)).then_some(()))
        })?;
        for partition in 0..partitions {
            self.stored(topic, partition)?; // by leaders who know that they are
        }
        Ok(())
    }

    /// How many partitions with leaders the topic has; `None` if there is no such topic. Does not
    /// create it.
    ///
    /// # Errors
    /// Another answer.
    pub fn partitions(&mut self, topic: &str) -> Result<Option<i32>> {
        let wanted = metadata::MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
        let request = metadata::MetadataRequest::default()
            .with_topics(Some(vec![wanted]))
            .with_allow_auto_topic_creation(false);
        let answer = self.server()?.call(8, &request)?;
        let answer = only(&answer.topics)?;
        if answer.error_code == ResponseError::UnknownTopicOrPartition.code() {
            return Ok(None);
        }
        good(answer.error_code)?;
        let led = answer
            .partitions
            .iter()
            .filter(|partition| partition.error_code == 0);
        Ok(Some(i32::try_from(led.count())?))
    }

    /// The id of a broker.
    ///
    /// # Errors
    /// The server does not know any.
    pub fn broker(&mut self) -> Result<i32> {
        let request = metadata::MetadataRequest::default().with_topics(Some(Vec::new()));
        self.ask(8, &request, |answer| Ok(only(&answer.brokers)?.node_id.0))
    }

    /// How many brokers the server knows.
    ///
    /// # Errors
    /// It is gone.
    pub fn brokers(&mut self) -> Result<usize> {
        let request = metadata::MetadataRequest::default().with_topics(Some(Vec::new()));
        self.ask(8, &request, |answer| Ok(answer.brokers.len()))
    }

    /// The value of a topic's setting as it is in force.
    ///
    /// # Errors
    /// No such topic or setting.
    pub fn setting(&mut self, topic: &str, name: &str) -> Result<String> {
        let wanted = configs::DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configuration_keys(Some(vec![text(name)]));
        let request = configs::DescribeConfigsRequest::default().with_resources(vec![wanted]);
        self.ask(3, &request, |answer| {
            let answer = only(&answer.results)?;
            good(answer.error_code)?;
            let mut entries = answer.configs.iter();
            let entry = entries.find(|entry| entry.name.as_str() == name);
            let entry = entry.with_context(|| format!("{topic} has no setting {name}"))?;
            Ok(entry.value.as_ref().context("a value")?.to_string())
        })
    }
}
