//! What is set for a topic is what Pulsar does, and what other gateways find.
use serde_json::{Value, json};

use super::*;

fn config(pairs: &[(&str, &str)]) -> TopicConfig {
    TopicConfig::of(pairs.iter().copied()).unwrap()
}

/// Waits until Pulsar itself says that a topic has that retention policy, or none of its own.
async fn has_retention(name: &TopicName, expected: Value) {
    // Policies stand with the partitioned topic.
    let url = admin_url(name, "retention").replace("-partition-0/", "/");
    let http = reqwest::Client::new();
    let told = async {
        loop {
            let answer = http.get(&url).send().await.unwrap();
            assert!(answer.status().is_success(), "{answer:?}");
            let body = answer.bytes().await.unwrap();
            let found = serde_json::from_slice(&body).unwrap_or(Value::Null);
            if found == expected {
                return;
            }
            // Brokers learn of policies a little later.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let told = timeout(DEADLINE, told).await;
    assert!(told.is_ok(), "{name} never had {expected}");
}

fn retention(minutes: i32, megabytes: i32) -> Value {
    json!({"retentionTimeInMinutes": minutes, "retentionSizeInMB": megabytes})
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_is_a_policy_of_the_topic() {
    let options = options(EntryFormat::Pulsar);
    let first = store(&options).await;
    let name = TopicName::new(&format!("real-{}", Uuid::new_v4())).unwrap();
    let new = |config| NewTopic {
        name: name.clone(),
        partitions: 2,
        config,
    };
    let set = config(&[("retention.ms", "90000"), ("max.message.bytes", "5000")]);
    let topic = first.create(new(set.clone())).await.unwrap();
    assert_eq!(topic.config, set);
    has_retention(&name, retention(2, -1)).await;

    // Another gateway finds what was set, and changes it.
    let second = store(&options).await;
    let found = second.find(&name).await.unwrap().unwrap();
    assert_eq!(found.config, set);
    let changed = config(&[("retention.ms", "90000"), ("retention.bytes", "3000000")]);
    let topic = second.configure(&name, &set, changed.clone()).await;
    assert_eq!(topic.unwrap().config, changed);
    has_retention(&name, retention(2, 3)).await;

    // The first one is told that it did not know, and goes on from what is.
    assert!(matches!(
        first.configure(&name, &set, TopicConfig::new()).await,
        Err(ConfigureError::Changed(_))
    ));
    first
        .configure(&name, &changed, TopicConfig::new())
        .await
        .unwrap();
    has_retention(&name, Value::Null).await;

    // For ever, and gone with the topic.
    let forever = config(&[("retention.ms", "-1")]);
    first
        .configure(&name, &TopicConfig::new(), forever)
        .await
        .unwrap();
    has_retention(&name, retention(-1, -1)).await;
    first.delete(&name).await.unwrap();
    let topic = first.create(new(TopicConfig::new())).await.unwrap();
    assert_eq!(topic.config, TopicConfig::new());
    has_retention(&name, Value::Null).await;
    first.close().await;
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_acts_on_what_another_one_has_set() {
    let options = options(EntryFormat::Kafka);
    let first = store(&options).await;
    let name = new_topic(&first).await;
    let partition = open(&first, &name).await;
    assert_ne!(partition.settings().max_message_bytes, 1234);
    let second = store(&options).await;
    let smaller = config(&[("max.message.bytes", "1234")]);
    let nothing = TopicConfig::new();
    second.configure(&name, &nothing, smaller).await.unwrap();
    let heard = async {
        // Clients keep asking for the topic.
        while partition.settings().max_message_bytes != 1234 {
            first.find(&name).await.unwrap().unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(DEADLINE, heard).await.unwrap();
    first.close().await;
    second.close().await;
}
