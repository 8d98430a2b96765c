//! Whether and when Pulsar compacts topics.
use kop_store::{TopicConfig, UnsupportedConfig, topic_config::TopicOption};

use crate::{admin::AdminError, config, version};

/// Bytes that are added to a topic before it is compacted again. Pulsar writes all that it keeps anew each
/// time, so it is not to be less; a topic that never grows so large is never compacted. It is the size by
/// which Kafka compacts `__consumer_offsets`.
pub(crate) const THRESHOLD: u64 = 100 * 1024 * 1024;

/// The first brokers whose compaction is relied on.
const FIRST: version::Version = (4, 0, 0);

/// Whether the brokers compact topics so that records keep their offsets.
///
/// # Errors
/// The configuration asks for it, and they do not.
pub(crate) fn check(config: &TopicConfig, brokers: Option<&str>) -> Result<(), UnsupportedConfig> {
    if !config::compacts(config) || brokers.and_then(version::parse) >= Some(FIRST) {
        return Ok(());
    }
    let found = brokers.map_or_else(
        || "what these are they do not tell".to_owned(),
        |version| format!("these are of {version}"),
    );
    Err(unsupported(
        config,
        format!(
            "records keep their offsets when brokers of Pulsar 4.0 or newer compact a topic; {found}"
        ),
    ))
}

/// The refusal of a configuration's cleanup policy.
pub(crate) fn unsupported(config: &TopicConfig, reason: String) -> UnsupportedConfig {
    let option = TopicOption::CleanupPolicy;
    let spec = option.spec();
    UnsupportedConfig {
        name: spec.name,
        value: config
            .get(option)
            .map_or_else(|| spec.default.to_owned(), ToString::to_string),
        reason,
    }
}

/// Pulsar's refusal to compact a topic, if it is one.
pub(crate) fn refused(config: &TopicConfig, error: &AdminError) -> Option<UnsupportedConfig> {
    let reason = match error {
        AdminError::Forbidden { .. } => error.to_string(),
        AdminError::Refused {
            status: 405 | 412 | 422,
            reason,
        } => format!("pulsar answered: {reason}"),
        _ => return None,
    };
    Some(unsupported(config, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_that_lose_indexes_or_do_not_tell_what_they_are_compact_nothing() {
        let compact = TopicConfig::of([("cleanup.policy", "compact")]).unwrap();
        for brokers in ["4.0.0", "4.0.8", "4.2.4-SNAPSHOT", "5.1"] {
            assert_eq!(check(&compact, Some(brokers)), Ok(()));
        }
        for brokers in [Some("3.0.7"), Some("3.3.9"), Some("dev"), None] {
            let why = check(&compact, brokers).unwrap_err();
            assert_eq!((why.name, &*why.value), ("cleanup.policy", "compact"));
            assert!(why.reason.contains("4.0 or newer"), "{why:?}");
            let others = TopicConfig::of([("cleanup.policy", "delete")]).unwrap();
            assert_eq!(check(&others, brokers), Ok(()));
        }
    }

    #[test]
    fn what_pulsar_does_not_allow_is_refused_by_name_and_other_trouble_is_not() {
        let compact = TopicConfig::of([("cleanup.policy", "compact")]).unwrap();
        let reason = || "no right".to_owned();
        let forbidden = AdminError::Forbidden {
            status: 403,
            reason: reason(),
        };
        let off = AdminError::Refused {
            status: 405,
            reason: reason(),
        };
        for error in [forbidden, off] {
            let why = refused(&compact, &error).unwrap();
            assert_eq!((why.name, &*why.value), ("cleanup.policy", "compact"));
            assert!(why.reason.contains("no right"), "{why:?}");
        }
        let trouble = AdminError::Refused {
            status: 500,
            reason: reason(),
        };
        assert_eq!(refused(&compact, &trouble), None);
    }
}
