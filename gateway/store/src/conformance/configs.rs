//! Promises of topic configurations.
use bytes::Bytes;
use kop_wire::{Batch, Offset, TimestampType};

use super::{PLENTY, append, batch_at, create, fresh_name, open, sequenced, soon};
use crate::{
    Catalog, ConfigureError, CreateError, NewTopic, Partition, Topic, TopicConfig,
    topic_config::OPTIONS,
};

/// What every engine that takes configurations takes.
const SIZE: (&str, &str) = ("max.message.bytes", "100000");
const BOUND: (&str, &str) = ("message.timestamp.after.max.ms", "60000");
const LOG_TIME: (&str, &str) = ("message.timestamp.type", "LogAppendTime");

fn config(pairs: &[(&str, &str)]) -> TopicConfig {
    TopicConfig::of(pairs.iter().copied()).expect("legal")
}

async fn create_with<C: Catalog>(catalog: &C, config: TopicConfig) -> Topic {
    let new = NewTopic {
        name: fresh_name(),
        partitions: 2,
        config,
    };
    soon("create", catalog.create(new))
        .await
        .expect("the topic is new")
}

pub(super) async fn what_is_not_honoured_is_refused<C: Catalog>(catalog: &C) {
    let others = [
        ("cleanup.policy", "compact"),
        ("flush.messages", "1"),
        ("flush.ms", "1"),
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.bytes", "1"),
        ("retention.ms", "1"),
    ];
    let candidates = OPTIONS.iter().map(|spec| (spec.name, spec.default));
    let candidates = candidates.chain(others).map(|pair| config(&[pair]));
    for config in candidates.filter(|config| catalog.supports(config).is_err()) {
        let unsupported = catalog.supports(&config).expect_err("as before");
        let new = NewTopic {
            name: fresh_name(),
            partitions: 1,
            config: config.clone(),
        };
        let name = new.name.clone();
        match soon("create", catalog.create(new)).await {
            Err(CreateError::Unsupported(why)) => assert_eq!(why, unsupported),
            other => panic!("{config:?}: {other:?}"),
        }
        create(catalog, &name, 1).await;
        let nothing = TopicConfig::new();
        let configured = catalog.configure(&name, &nothing, config.clone());
        match soon("configure", configured).await {
            Err(ConfigureError::Unsupported(why)) => assert_eq!(why, unsupported),
            other => panic!("{config:?}: {other:?}"),
        }
        soon("delete", catalog.delete(&name))
            .await
            .expect("the topic exists");
    }
}

pub(super) async fn what_is_set_holds_and_is_told<C: Catalog>(catalog: &C) {
    let set = config(&[SIZE]);
    let topic = create_with(catalog, set.clone()).await;
    assert_eq!(topic.config, set);
    let found = soon("find", catalog.find(&topic.name)).await;
    assert_eq!(found.expect("the store is up"), Some(topic.clone()));
    let listed = soon("list", catalog.list()).await.expect("the store is up");
    assert!(listed.contains(&topic));
    let partition = open(catalog, &topic.name, 1).await;
    assert_eq!(partition.settings().max_message_bytes, 100_000);

    let changed = config(&[("max.message.bytes", "50000")]);
    let configured = catalog.configure(&topic.name, &set, changed.clone());
    let expected = Topic {
        config: changed.clone(),
        ..topic.clone()
    };
    let configured = soon("configure", configured).await;
    assert_eq!(configured.expect("as it was"), expected);
    let found = soon("find", catalog.find(&topic.name)).await;
    assert_eq!(found.expect("the store is up"), Some(expected));
    assert_eq!(partition.settings().max_message_bytes, 50_000);

    let grown = soon("grow", catalog.grow(&topic.name, 3)).await;
    assert_eq!(grown.expect("it has 2").config, changed);
    let new = open(catalog, &topic.name, 2).await;
    assert_eq!(new.settings().max_message_bytes, 50_000);

    let unset = catalog.configure(&topic.name, &changed, TopicConfig::new());
    soon("configure", unset).await.expect("as it was");
    for partition in [&partition, &new] {
        assert_ne!(partition.settings().max_message_bytes, 50_000);
    }
}

pub(super) async fn a_change_is_made_from_what_is_set<C: Catalog>(catalog: &C) {
    let (before, after) = (config(&[SIZE]), config(&[BOUND]));
    let missing = fresh_name();
    let missing = catalog.configure(&missing, &before, after.clone());
    let missing = soon("configure", missing).await;
    assert!(
        matches!(missing, Err(ConfigureError::Unknown(_))),
        "{missing:?}"
    );
    let topic = create_with(catalog, before.clone()).await;
    for stale in [TopicConfig::new(), after.clone()] {
        let configured = catalog.configure(&topic.name, &stale, after.clone());
        let configured = soon("configure", configured).await;
        assert!(
            matches!(configured, Err(ConfigureError::Changed(_))),
            "{configured:?}"
        );
    }
    let found = soon("find", catalog.find(&topic.name)).await;
    let found = found.expect("the store is up").expect("it is there");
    assert_eq!(found.config, before);
}

pub(super) async fn the_log_gives_its_own_time<C: Catalog>(catalog: &C) {
    let topic = create_with(catalog, config(&[LOG_TIME])).await;
    let partition = open(catalog, &topic.name, 0).await;
    let sent = batch_at(&[1000, 2000]);
    let appended = soon("append", partition.append(sent.clone())).await;
    let time = appended
        .expect("the batch is fine")
        .log_append_time
        .expect("the log's clock");
    assert!(time.0 > 1_600_000_000_000, "{time} is no time of today");

    let fetched = soon("read", partition.read(Offset(0), PLENTY)).await;
    let bytes = Bytes::from(fetched.expect("in range").chunks.concat());
    let stored = Batch::parse(bytes).expect("one batch, its checksum right");
    assert_eq!(stored.header().timestamp_type(), TimestampType::LogAppend);
    assert_eq!(stored.header().max_timestamp, time);
    let (stored, sent) = (stored.records(), sent.records());
    for (record, before) in stored.expect("whole").iter().zip(sent.expect("whole")) {
        assert_eq!(record.timestamp, time, "consumers see the log's time");
        assert_eq!((&record.key, &record.value), (&before.key, &before.value));
    }
    let found = soon("offset", partition.offset_at(time)).await;
    let found = found.expect("the store is up").expect("there is one");
    assert_eq!((found.offset, found.timestamp), (Offset(0), time));

    // A repeated batch answers when it was written, not when it was repeated.
    let first = soon("append", partition.append(sequenced(7, 0, 0, 1))).await;
    let again = soon("append", partition.append(sequenced(7, 0, 0, 1))).await;
    let (first, again) = (first.expect("in order"), again.expect("repeated"));
    assert!(again.duplicate);
    assert_eq!(again.log_append_time, first.log_append_time);

    let back = catalog.configure(&topic.name, &topic.config, TopicConfig::new());
    soon("configure", back).await.expect("as it was");
    let created = soon("append", partition.append(batch_at(&[3000]))).await;
    assert_eq!(created.expect("fine").log_append_time, None);
    append(&partition, batch_at(&[4000])).await;
}
