//! Topic configurations over the wire.
use kop_wire::{
    BatchBuilder, Compression, TimestampType,
    kafka_protocol::{
        ResponseError,
        messages::{
            AlterConfigsRequest, CreateTopicsRequest, DescribeConfigsRequest,
            IncrementalAlterConfigsRequest, alter_configs_request,
            create_topics_request::{CreatableTopic, CreatableTopicConfig},
            describe_configs_request::DescribeConfigsResource,
            describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult},
            incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
        },
    },
};

use crate::client::{Client, Gateway, batch, built, fetch, text};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn topic_with(name: &str, configs: &[(&str, Option<&str>)]) -> CreatableTopic {
    let config = |(name, value): &(&str, Option<&str>)| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(value.map(text))
    };
    CreatableTopic::default()
        .with_name(text(name).into())
        .with_num_partitions(1)
        .with_replication_factor(1)
        .with_configs(configs.iter().map(config).collect())
}

async fn create_with(client: &mut Client, name: &str, configs: &[(&str, Option<&str>)]) -> i16 {
    let request = CreateTopicsRequest::default().with_topics(vec![topic_with(name, configs)]);
    client.call(7, &request).await.topics[0].error_code
}

fn resource(kind: i8, name: &str, changes: &[(i8, &str, Option<&str>)]) -> AlterConfigsResource {
    let change = |(operation, name, value): &(i8, &str, Option<&str>)| {
        AlterableConfig::default()
            .with_config_operation(*operation)
            .with_name(text(name))
            .with_value(value.map(text))
    };
    AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(changes.iter().map(change).collect())
}

/// Changes resources and gives the code and message for each.
async fn change(
    client: &mut Client,
    validate_only: bool,
    resources: Vec<AlterConfigsResource>,
) -> Vec<(i16, String)> {
    let request = IncrementalAlterConfigsRequest::default()
        .with_validate_only(validate_only)
        .with_resources(resources);
    let mut answers = Vec::new();
    for response in client.call(1, &request).await.responses {
        let message = response.error_message.unwrap_or_default().to_string();
        answers.push((response.error_code, message));
    }
    answers
}

async fn changed(client: &mut Client, topic: &str, changes: &[(i8, &str, Option<&str>)]) {
    let answers = change(client, false, vec![resource(TOPIC, topic, changes)]).await;
    assert_eq!(answers, [(0, String::new())]);
}

async fn described(client: &mut Client, kind: i8, name: &str) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true)
        .with_include_documentation(true);
    client.call(4, &request).await.results.remove(0)
}

async fn one(client: &mut Client, topic: &str, option: &str) -> DescribeConfigsResourceResult {
    let described = described(client, TOPIC, topic).await;
    let mut found = described.configs.into_iter();
    found.find(|config| &*config.name == option).unwrap()
}

/// Value and source.
async fn value(client: &mut Client, topic: &str, option: &str) -> (String, i8) {
    let config = one(client, topic, option).await;
    (config.value.unwrap().to_string(), config.config_source)
}

const TOPIC_SOURCE: i8 = 1;
const STATIC_SOURCE: i8 = 4;
const DEFAULT_SOURCE: i8 = 5;

#[tokio::test]
async fn what_is_set_for_a_topic_is_told_with_its_source() {
    let gateway = Gateway::with("max-message-bytes = 5000").await;
    let mut client = gateway.client().await;
    let configs = [
        ("message.timestamp.type", Some("LogAppendTime")),
        ("compression.type", Some("producer")),
        ("segment.bytes", Some("14")),
        ("segment.bytes", Some("52428800")),
    ];
    let topics = vec![topic_with("a", &configs)];
    let request = CreateTopicsRequest::default().with_topics(topics);
    for validate_only in [true, false] {
        let request = request.clone().with_validate_only(validate_only);
        let made = client.call(5, &request).await.topics.remove(0);
        assert_eq!(made.error_code, 0, "{:?}", made.error_message);
        let configs = made.configs.unwrap();
        let told = |name: &str| {
            let config = configs.iter().find(|config| &*config.name == name);
            let config = config.unwrap();
            let value = config.value.clone().unwrap().to_string();
            (value, config.config_source, config.read_only)
        };
        assert_eq!(
            told("message.timestamp.type"),
            ("LogAppendTime".to_owned(), TOPIC_SOURCE, false)
        );
        assert_eq!(
            told("segment.bytes"),
            ("52428800".to_owned(), TOPIC_SOURCE, false)
        );
        assert_eq!(
            told("min.insync.replicas"),
            ("1".to_owned(), DEFAULT_SOURCE, true)
        );
        assert_eq!(
            told("max.message.bytes"),
            ("5000".to_owned(), STATIC_SOURCE, false)
        );
    }

    changed(&mut client, "a", &[(SET, "max.message.bytes", Some("400"))]).await;
    let config = one(&mut client, "a", "max.message.bytes").await;
    assert_eq!(config.value.as_deref(), Some("400"));
    assert_eq!(
        (config.config_source, config.config_type),
        (TOPIC_SOURCE, 3)
    );
    assert!(config.documentation.unwrap().contains("largest"));
    let synonyms: Vec<_> = config
        .synonyms
        .iter()
        .map(|synonym| (&*synonym.name, synonym.value.as_deref(), synonym.source))
        .collect();
    assert_eq!(
        synonyms,
        [
            ("max.message.bytes", Some("400"), TOPIC_SOURCE),
            ("message.max.bytes", Some("5000"), STATIC_SOURCE),
        ]
    );
    let broker = described(&mut client, BROKER, "0").await;
    let names: Vec<_> = broker.configs.iter().map(|config| &*config.name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "each once: {names:?}");
    assert!(broker.configs.iter().all(|config| config.read_only));
}

#[tokio::test]
async fn options_are_set_unset_added_to_and_taken_from() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("a", 1).await;
    let policy = "cleanup.policy";
    assert_eq!(
        value(&mut client, "a", policy).await,
        ("delete".to_owned(), DEFAULT_SOURCE)
    );
    type Round<'a> = (&'a [(i8, &'a str, Option<&'a str>)], &'a str, i8);
    let rounds: [Round<'_>; 5] = [
        (&[(APPEND, policy, Some("compact"))], "delete,compact", 1),
        (&[(SUBTRACT, policy, Some("delete"))], "compact", 1),
        (&[(SET, policy, Some("delete"))], "delete", 1),
        (&[(DELETE, policy, None)], "delete", 5),
        (&[(DELETE, policy, None)], "delete", 5),
    ];
    for (changes, expected, source) in rounds {
        changed(&mut client, "a", changes).await;
        let now = value(&mut client, "a", policy).await;
        assert_eq!(now, (expected.to_owned(), source));
    }
    // All changes of a resource or none; each resource by itself; nothing where it is only tried.
    let (good, bad) = (
        (SET, "retention.ms", Some("9")),
        (SET, "retention.ms", Some("-9")),
    );
    client.create("b", 1).await;
    let resources = vec![
        resource(TOPIC, "a", &[(SET, "segment.ms", Some("5")), bad]),
        resource(TOPIC, "b", &[good]),
        resource(TOPIC, "missing", &[good]),
    ];
    for validate_only in [true, false] {
        let answers = change(&mut client, validate_only, resources.clone()).await;
        let codes: Vec<_> = answers.iter().map(|(code, _)| *code).collect();
        let invalid = ResponseError::InvalidConfig.code();
        let unknown = ResponseError::UnknownTopicOrPartition.code();
        assert_eq!(codes, [invalid, 0, unknown]);
        assert!(answers[0].1.contains("retention.ms"), "{answers:?}");
        let source = if validate_only {
            DEFAULT_SOURCE
        } else {
            TOPIC_SOURCE
        };
        assert_eq!(value(&mut client, "b", "retention.ms").await.1, source);
        assert_eq!(
            value(&mut client, "a", "segment.ms").await.1,
            DEFAULT_SOURCE
        );
    }
}

#[tokio::test]
async fn the_older_api_replaces_everything() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    let set = [("segment.ms", Some("5")), ("retention.ms", Some("9"))];
    assert_eq!(create_with(&mut client, "a", &set).await, 0);
    let config = alter_configs_request::AlterableConfig::default()
        .with_name(text("max.message.bytes"))
        .with_value(Some(text("77")));
    let resource = alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("a"))
        .with_configs(vec![config]);
    for version in 0..=2 {
        let request = AlterConfigsRequest::default().with_resources(vec![resource.clone()]);
        let answer = client.call(version, &request).await.responses.remove(0);
        assert_eq!((answer.error_code, answer.error_message), (0, None));
    }
    let now = value(&mut client, "a", "max.message.bytes").await;
    assert_eq!(now, ("77".to_owned(), TOPIC_SOURCE));
    for option in ["segment.ms", "retention.ms"] {
        assert_eq!(value(&mut client, "a", option).await.1, DEFAULT_SOURCE);
    }
}

#[tokio::test]
async fn what_cannot_be_honoured_is_refused_by_name() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    client.create("a", 1).await;
    let invalid = ResponseError::InvalidConfig.code();
    let request = ResponseError::InvalidRequest.code();
    for (name, given) in [
        ("compression.type", Some("gzip")),
        ("min.insync.replicas", Some("2")),
        ("file.delete.delay.ms", Some("1")),
        ("no.such.option", Some("1")),
        ("retention.ms", Some("soon")),
        ("retention.ms", None),
        ("cleanup.policy", Some("")),
    ] {
        assert_eq!(
            create_with(&mut client, "b", &[(name, given)]).await,
            invalid
        );
        let refused = vec![resource(TOPIC, "a", &[(SET, name, given)])];
        let (code, message) = change(&mut client, false, refused).await.remove(0);
        assert_eq!(code, invalid, "{name}={given:?}");
        assert!(message.contains(name), "{message}");
    }
    let retention = (SET, "retention.ms", Some("1"));
    let refusals = [
        (resource(TOPIC, "a", &[retention, retention]), request),
        (
            resource(TOPIC, "a", &[(4, "retention.ms", Some("1"))]),
            request,
        ),
        (
            resource(TOPIC, "a", &[(APPEND, "retention.ms", Some("1"))]),
            invalid,
        ),
        (
            resource(BROKER, "0", &[(SET, "log.retention.ms", Some("1"))]),
            invalid,
        ),
        (resource(8, "0", &[]), request),
        (
            resource(TOPIC, "missing", &[retention]),
            ResponseError::UnknownTopicOrPartition.code(),
        ),
        (
            resource(TOPIC, "a b", &[retention]),
            ResponseError::InvalidTopicException.code(),
        ),
    ];
    for (resource, expected) in refusals {
        let answers = change(&mut client, false, vec![resource.clone()]).await;
        assert_eq!(answers[0].0, expected, "{resource:?}: {}", answers[0].1);
    }
    let twice = resource(TOPIC, "a", &[retention]);
    let answers = change(&mut client, false, vec![twice.clone(), twice]).await;
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].0, request);
    assert_eq!(
        value(&mut client, "a", "retention.ms").await.1,
        DEFAULT_SOURCE
    );
}

#[tokio::test]
async fn batches_are_as_large_as_the_topic_allows() {
    let gateway = Gateway::with("max-message-bytes = 1024").await;
    let mut client = gateway.client().await;
    client.create("a", 1).await;
    let large = batch(&[&"x".repeat(2000)]);
    let too_large = ResponseError::MessageTooLarge.code();
    assert_eq!(client.produce("a", 0, &large).await.error_code, too_large);
    changed(
        &mut client,
        "a",
        &[(SET, "max.message.bytes", Some("3000"))],
    )
    .await;
    assert_eq!(client.produce("a", 0, &large).await.error_code, 0);
    changed(&mut client, "a", &[(SET, "max.message.bytes", Some("100"))]).await;
    let answer = client.produce("a", 0, &batch(&[&"x".repeat(50)])).await;
    assert_eq!(answer.error_code, too_large);
}

#[tokio::test]
async fn a_log_that_keeps_its_own_time_tells_it() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    let config = [("message.timestamp.type", Some("LogAppendTime"))];
    assert_eq!(create_with(&mut client, "a", &config).await, 0);
    let sent = built(BatchBuilder::new(Compression::Lz4), &["one", "two"]);
    let answer = client.produce("a", 0, &sent).await;
    assert_eq!(answer.error_code, 0);
    let time = answer.log_append_time_ms;
    assert!(time > 1_600_000_000_000, "{time}");
    let fetched = client.fetch(&fetch("a", 0, 0)).await;
    let stored = kop_wire::Batch::parse(fetched.records.unwrap()).unwrap();
    assert_eq!(stored.header().timestamp_type(), TimestampType::LogAppend);
    assert_eq!(stored.header().compression(), Compression::Lz4);
    for record in stored.records().unwrap() {
        assert_eq!(record.timestamp.0, time);
    }
    let found = client.list_offsets(7, "a", time).await;
    assert_eq!((found.offset, found.timestamp), (0, time));
}

#[tokio::test]
async fn configurations_survive_a_restart() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client().await;
    let set = [("max.message.bytes", Some("100"))];
    assert_eq!(create_with(&mut client, "a", &set).await, 0);
    changed(&mut client, "a", &[(SET, "segment.ms", Some("5"))]).await;
    let gateway = Gateway::on(gateway.stop().await, "").await;
    let mut client = gateway.client().await;
    for (option, expected) in [("max.message.bytes", "100"), ("segment.ms", "5")] {
        let now = value(&mut client, "a", option).await;
        assert_eq!(now, (expected.to_owned(), TOPIC_SOURCE));
    }
}
