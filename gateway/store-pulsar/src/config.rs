//! Topic configurations on Pulsar: which are honoured, and where they are kept.
//!
//! What is set through Kafka stands in properties of the partitioned topic, and what Pulsar has to act on
//! is made a policy of the topic, too: its retention, and whether it is compacted.
use std::collections::BTreeMap;

use kop_store::{
    TopicClass, TopicConfig, TopicDefaults, UnsupportedConfig,
    topic_config::{ConfigValue, TopicOption},
};

use crate::admin::Retention;

/// What the names of the properties begin with; Kafka's name of the option follows.
const PROPERTY: &str = "kafkaConfig.";
/// What is said of options that a broker's or the namespace's settings decide on.
const LEDGERS: &str = "Pulsar removes records ledger by ledger, as its brokers are set up";

/// Whether all that is set there is honoured on Pulsar.
///
/// # Errors
/// The first option that is not, and why.
pub fn supports(config: &TopicConfig, defaults: &TopicDefaults) -> Result<(), UnsupportedConfig> {
    for (spec, value) in config.iter() {
        let reason = match spec.option {
            _ if spec.fixed.is_some() => continue,
            TopicOption::RetentionMs
            | TopicOption::RetentionBytes
            | TopicOption::DeleteRetentionMs
            | TopicOption::MessageTimestampAfterMaxMs
            | TopicOption::MessageTimestampBeforeMaxMs => continue,
            TopicOption::MaxMessageBytes if bytes(value) <= limit(defaults) => continue,
            TopicOption::MaxMessageBytes => {
                "Pulsar takes messages up to its brokers' maxMessageSize; the gateway's limit is all \
                 that is relied on"
            }
            TopicOption::CleanupPolicy if !(is(value, "compact") && is(value, "delete")) => {
                continue;
            }
            TopicOption::CleanupPolicy => {
                "of a topic that is compacted Pulsar keeps the newest record of each key for ever,                  whatever its age"
            }
            TopicOption::MessageTimestampType if value.to_string() == spec.default => continue,
            TopicOption::MessageTimestampType => "records on Pulsar have their producer's time",
            _ => LEDGERS,
        };
        return Err(UnsupportedConfig {
            name: spec.name,
            value: value.to_string(),
            reason: reason.to_owned(),
        });
    }
    Ok(())
}

/// The largest batch that the gateway takes where nothing is set.
fn limit(defaults: &TopicDefaults) -> i64 {
    bytes(&defaults.value(TopicOption::MaxMessageBytes, TopicClass::UserData))
}

fn is(policy: &ConfigValue, word: &str) -> bool {
    matches!(policy, ConfigValue::Words(words) if words.contains(&word))
}

/// Whether a configuration asks for compaction.
pub(crate) fn compacts(config: &TopicConfig) -> bool {
    config
        .get(TopicOption::CleanupPolicy)
        .is_some_and(|policy| is(policy, "compact"))
}

fn bytes(value: &ConfigValue) -> i64 {
    match value {
        ConfigValue::Number(bytes) => *bytes,
        _ => i64::MAX,
    }
}

/// What is set, by a topic's properties. A property that this version did not write counts for nothing.
pub(crate) fn of_properties(properties: &BTreeMap<String, String>) -> TopicConfig {
    let mut config = TopicConfig::new();
    for (name, value) in properties {
        let Some(name) = name.strip_prefix(PROPERTY) else {
            continue;
        };
        // Empty stands for what was set once and is no longer.
        if !value.is_empty()
            && let Err(error) = config.set(name, value)
        {
            tracing::warn!(%error, "topic property is not understood");
        }
    }
    config
}

/// The properties that keep a configuration; those of options that `before` had and it has not are empty.
pub(crate) fn properties(before: &TopicConfig, now: &TopicConfig) -> BTreeMap<String, String> {
    let property = |name: &str| format!("{PROPERTY}{name}");
    let gone = before
        .iter()
        .map(|(spec, _)| (property(spec.name), String::new()));
    let kept = now
        .iter()
        .map(|(spec, value)| (property(spec.name), value.to_string()));
    gone.chain(kept).collect()
}

/// The retention policy that a configuration asks for; `None` where the namespace decides. Of the two
/// limits one that is not set is none. Pulsar counts minutes and megabytes, so both are rounded up.
///
/// Of a compacted topic, Pulsar removes what has been compacted once it is as old as deletions are to be
/// kept, and nothing by size.
pub(crate) fn retention(config: &TopicConfig) -> Option<Retention> {
    if compacts(config) {
        let option = TopicOption::DeleteRetentionMs;
        let default = option.spec().default_value();
        let time = config.get(option).unwrap_or(&default);
        return Some(Retention {
            retention_time_in_minutes: rounded_up(Some(time), 60_000),
            retention_size_in_mb: -1,
        });
    }
    let (time, size) = (
        config.get(TopicOption::RetentionMs),
        config.get(TopicOption::RetentionBytes),
    );
    if time.is_none() && size.is_none() {
        return None;
    }
    Some(Retention {
        retention_time_in_minutes: rounded_up(time, 60_000),
        retention_size_in_mb: rounded_up(size, 1024 * 1024),
    })
}

/// A limit in Pulsar's unit, at least 1, because 0 would switch retention off; −1 for no limit.
fn rounded_up(limit: Option<&ConfigValue>, unit: i64) -> i64 {
    let Some(ConfigValue::Number(limit @ 0..)) = limit else {
        return -1;
    };
    let units = limit / unit + i64::from(limit % unit > 0);
    // Pulsar counts in 32 bits: four thousand years, two petabytes.
    i32::try_from(units.max(1)).map_or(-1, i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> TopicConfig {
        TopicConfig::of(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn what_is_set_is_read_back_from_the_properties() {
        let set = config(&[("retention.ms", "5"), ("max.message.bytes", "100")]);
        let kept = properties(&TopicConfig::new(), &set);
        assert_eq!(kept["kafkaConfig.retention.ms"], "5");
        assert_eq!(of_properties(&kept), set);
        let changed = config(&[("max.message.bytes", "200")]);
        let mut merged = kept;
        merged.extend(properties(&set, &changed));
        merged.insert("kafkaConfig.no.such.option".to_owned(), "1".to_owned());
        merged.insert("other".to_owned(), "1".to_owned());
        assert_eq!(of_properties(&merged), changed);
    }

    #[test]
    fn limits_are_rounded_up_and_never_off() {
        let of = |pairs: &[(&str, &str)]| {
            let retention = retention(&config(pairs))?;
            Some((
                retention.retention_time_in_minutes,
                retention.retention_size_in_mb,
            ))
        };
        assert_eq!(of(&[("max.message.bytes", "1")]), None);
        assert_eq!(of(&[("retention.ms", "-1")]), Some((-1, -1)));
        assert_eq!(of(&[("delete.retention.ms", "60000")]), None);
        assert_eq!(of(&[("retention.ms", "0")]), Some((1, -1)));
        assert_eq!(of(&[("retention.ms", "60001")]), Some((2, -1)));
        assert_eq!(of(&[("retention.bytes", "1048576")]), Some((-1, 1)));
        let both = [("retention.ms", "600000"), ("retention.bytes", "1048577")];
        assert_eq!(of(&both), Some((10, 2)));
        let far = [("retention.ms", "9223372036854775807")];
        assert_eq!(of(&far), Some((-1, -1)));
    }

    #[test]
    fn what_was_compacted_goes_as_soon_as_deletions_may() {
        let of = |pairs: &[(&str, &str)]| retention(&config(pairs)).unwrap();
        let minutes = |minutes| Retention {
            retention_time_in_minutes: minutes,
            retention_size_in_mb: -1,
        };
        let compact = ("cleanup.policy", "compact");
        assert_eq!(of(&[compact]), minutes(24 * 60));
        let others = [("retention.ms", "60000"), ("retention.bytes", "1")];
        assert_eq!(of(&[compact, others[0], others[1]]), minutes(24 * 60));
        assert_eq!(of(&[compact, ("delete.retention.ms", "60001")]), minutes(2));
        assert_eq!(of(&[compact, ("delete.retention.ms", "0")]), minutes(1));
    }

    #[test]
    fn what_pulsar_cannot_do_is_refused() {
        let defaults = TopicDefaults::default();
        let takes = |pairs: &[(&str, &str)]| supports(&config(pairs), &defaults).is_ok();
        assert!(takes(&[
            ("retention.ms", "-1"),
            ("cleanup.policy", "delete")
        ]));
        assert!(takes(&[
            ("max.message.bytes", "1000"),
            ("min.insync.replicas", "1"),
            ("cleanup.policy", "compact")
        ]));
        for refused in [
            ("cleanup.policy", "compact,delete"),
            ("cleanup.policy", "delete,compact"),
            ("max.message.bytes", "1048589"),
            ("message.timestamp.type", "LogAppendTime"),
            ("segment.bytes", "52428800"),
        ] {
            assert!(!takes(&[refused]), "{refused:?}");
        }
    }
}
