use super::*;

fn config(pairs: &[(&str, &str)]) -> Result<TopicConfig, ConfigError> {
    TopicConfig::of(pairs.iter().copied())
}

fn set(name: &str, value: &str) -> Result<String, ConfigError> {
    let config = config(&[(name, value)])?;
    let (spec, value) = config.iter().next().unwrap();
    assert_eq!(spec.name, name);
    Ok(value.to_string())
}

fn user(config: &TopicConfig) -> TopicSettings {
    config.settings(&TopicDefaults::default(), TopicClass::UserData)
}

#[test]
fn every_row_has_a_legal_default_and_stands_in_its_order() {
    for spec in OPTIONS {
        assert_eq!(
            spec.default_value().to_string(),
            spec.default,
            "{}",
            spec.name
        );
        assert_eq!(spec.option.spec().name, spec.name);
        assert!(!spec.doc.is_empty());
    }
    assert!(OPTIONS.is_sorted_by(|a, b| a.name < b.name && a.option < b.option));
}

#[test]
fn values_are_read_as_kafka_reads_them() {
    for (name, given, kept) in [
        ("retention.ms", "-1", "-1"),
        ("retention.ms", " 60000 ", "60000"),
        ("retention.ms", "9223372036854775807", "9223372036854775807"),
        ("retention.bytes", "0", "0"),
        ("segment.bytes", "52428800", "52428800"),
        ("max.message.bytes", "2147483647", "2147483647"),
        ("min.cleanable.dirty.ratio", "1", "1.0"),
        ("min.cleanable.dirty.ratio", "0.01", "0.01"),
        ("cleanup.policy", "compact", "compact"),
        ("cleanup.policy", "delete, compact", "delete,compact"),
        ("cleanup.policy", "compact,delete,compact", "compact,delete"),
        ("message.timestamp.type", "LogAppendTime", "LogAppendTime"),
        ("min.insync.replicas", "1", "1"),
        ("compression.type", "producer", "producer"),
        ("preallocate", "FALSE", "false"),
    ] {
        assert_eq!(set(name, given).as_deref(), Ok(kept), "{name}={given}");
    }
    for (name, given) in [
        ("retention.ms", "-2"),
        ("retention.ms", "a week"),
        ("retention.ms", "9223372036854775808"),
        ("retention.ms", ""),
        ("max.message.bytes", "2147483648"),
        ("segment.bytes", "13"),
        ("min.cleanable.dirty.ratio", "1.1"),
        ("min.cleanable.dirty.ratio", "NaN"),
        ("cleanup.policy", ""),
        ("cleanup.policy", "compact;delete"),
        ("message.timestamp.type", "logappendtime"),
        ("min.insync.replicas", "0"),
    ] {
        let refused = set(name, given);
        assert!(
            matches!(refused, Err(ConfigError::Invalid { .. })),
            "{name}={given}: {refused:?}"
        );
    }
}

#[test]
fn what_is_not_honoured_is_refused_by_name() {
    for (name, value, why) in [
        ("min.insync.replicas", "2", "only 1"),
        ("compression.type", "gzip", "only producer"),
        ("unclean.leader.election.enable", "true", "only false"),
        ("file.delete.delay.ms", "1", "gives space back"),
        ("retention.millis", "1", "unknown"),
    ] {
        let message = set(name, value).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains(why), "{message}");
    }
    // What cannot have been set can be unset, as tools that copy configurations do.
    let mut config = TopicConfig::new();
    config
        .unset("leader.replication.throttled.replicas")
        .unwrap();
    assert!(config.unset("retention.millis").is_err());
}

#[test]
fn what_real_programs_set_is_taken() {
    let programs: [&[(&str, &str)]; 5] = [
        // Kafka Streams: repartition, changelog, windowed changelog, versioned store.
        &[
            ("cleanup.policy", "delete"),
            ("message.timestamp.type", "CreateTime"),
            ("retention.ms", "-1"),
            ("segment.bytes", "52428800"),
        ],
        &[
            ("cleanup.policy", "compact"),
            ("message.timestamp.type", "CreateTime"),
        ],
        &[
            ("cleanup.policy", "compact,delete"),
            ("retention.ms", "172800000"),
        ],
        &[
            ("cleanup.policy", "compact"),
            ("min.compaction.lag.ms", "3600000"),
        ],
        // Connect, Schema Registry.
        &[("cleanup.policy", "compact"), ("min.insync.replicas", "1")],
    ];
    for program in programs {
        config(program).unwrap();
    }
}

#[test]
fn settings_are_what_was_set_and_else_the_defaults() {
    let settings = user(&TopicConfig::new());
    assert!(settings.deletes && !settings.compacts && !settings.log_append_time);
    assert_eq!(settings.retention_ms, Some(604_800_000));
    assert_eq!(settings.retention_bytes, None);
    assert_eq!(settings.max_message_bytes, 1_048_588);
    let defaults = TopicDefaults {
        retention_ms: -1,
        max_message_bytes: 7,
    };
    let given = config(&[
        ("retention.bytes", "5"),
        ("cleanup.policy", "compact,delete"),
    ])
    .unwrap();
    let settings = given.settings(&defaults, TopicClass::UserData);
    assert!(settings.deletes && settings.compacts);
    assert_eq!(
        (settings.retention_ms, settings.retention_bytes),
        (None, Some(5))
    );
    assert_eq!(settings.max_message_bytes, 7);
    let internal = TopicConfig::new().settings(&defaults, TopicClass::GroupLog);
    assert!(internal.compacts && !internal.deletes);
}

#[test]
fn lists_grow_and_shrink_from_what_holds() {
    let policy = |config: &TopicConfig| config.get(TopicOption::CleanupPolicy).unwrap().to_string();
    let mut config = TopicConfig::new();
    config.append("cleanup.policy", "compact").unwrap();
    assert_eq!(policy(&config), "delete,compact", "the default was delete");
    config.append("cleanup.policy", "compact,delete").unwrap();
    assert_eq!(policy(&config), "delete,compact");
    config.subtract("cleanup.policy", "delete").unwrap();
    assert_eq!(policy(&config), "compact");
    let nothing = config.subtract("cleanup.policy", "compact");
    assert!(
        matches!(nothing, Err(ConfigError::Invalid { .. })),
        "{nothing:?}"
    );
    assert_eq!(policy(&config), "compact");
    let number = config.append("retention.ms", "1");
    assert_eq!(number, Err(ConfigError::NotAList("retention.ms")));
    config.unset("cleanup.policy").unwrap();
    assert!(config.is_empty());
}

#[test]
fn contradictions_are_found() {
    let lag = config(&[
        ("min.compaction.lag.ms", "11"),
        ("max.compaction.lag.ms", "10"),
    ]);
    assert_eq!(lag, Err(ConfigError::CompactionLag { min: 11, max: 10 }));
    config(&[
        ("min.compaction.lag.ms", "10"),
        ("max.compaction.lag.ms", "10"),
    ])
    .unwrap();
}
