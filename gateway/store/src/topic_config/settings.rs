//! What holds for a topic: what was set, and the defaults.
use super::{ConfigValue, TopicOption};
use crate::TopicClass;

/// Defaults that are the gateway's to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicDefaults {
    /// `retention.ms`; −1 keeps records for ever.
    pub retention_ms: i64,
    /// `max.message.bytes`.
    pub max_message_bytes: usize,
}

impl Default for TopicDefaults {
    /// Kafka's: seven days, and a mebibyte with its overhead.
    fn default() -> Self {
        Self {
            retention_ms: 7 * 24 * 60 * 60 * 1000,
            max_message_bytes: 1_048_588,
        }
    }
}

impl TopicDefaults {
    /// The value of an option that a topic of this class did not set.
    #[must_use]
    pub fn value(&self, option: TopicOption, class: TopicClass) -> ConfigValue {
        let limit = i64::try_from(self.max_message_bytes).unwrap_or(i64::MAX);
        match option {
            TopicOption::CleanupPolicy if class.is_internal() => {
                ConfigValue::Words(vec!["compact"])
            }
            TopicOption::RetentionMs => ConfigValue::Number(self.retention_ms),
            TopicOption::MaxMessageBytes => ConfigValue::Number(limit.min(i64::from(i32::MAX))),
            other => other.spec().default_value(),
        }
    }
}

/// What holds for one topic, in the form in which it is acted on. Options that hold whatever they are
/// do not stand here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopicSettings {
    /// Records go by age and size (`cleanup.policy`).
    pub deletes: bool,
    /// Of each key the newest record stays (`cleanup.policy`).
    pub compacts: bool,
    /// `retention.ms`; `None` keeps records for ever.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`, of each partition; `None` for no limit.
    pub retention_bytes: Option<u64>,
    /// `delete.retention.ms`, 0 or more.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`, 0 or more.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`, 1 or more.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`, from 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// `max.message.bytes`.
    pub max_message_bytes: usize,
    /// Timestamps are those of the log's clock (`message.timestamp.type`).
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`, 0 or more.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`, 0 or more.
    pub timestamp_after_max_ms: i64,
}

impl TopicSettings {
    pub(super) fn of(value: impl Fn(TopicOption) -> ConfigValue) -> Self {
        let number = |option: TopicOption| match value(option) {
            ConfigValue::Number(number) => number,
            // The table's types are those of its values.
            _ => 0,
        };
        let has = |option, word: &str| match value(option) {
            ConfigValue::Word(is) => is == word,
            ConfigValue::Words(are) => are.contains(&word),
            _ => false,
        };
        let ratio = match value(TopicOption::MinCleanableDirtyRatio) {
            ConfigValue::Ratio(ratio) => ratio,
            _ => 0.0,
        };
        let retention_ms = number(TopicOption::RetentionMs);
        Self {
            deletes: has(TopicOption::CleanupPolicy, "delete"),
            compacts: has(TopicOption::CleanupPolicy, "compact"),
            retention_ms: (retention_ms >= 0).then_some(retention_ms),
            retention_bytes: u64::try_from(number(TopicOption::RetentionBytes)).ok(),
            delete_retention_ms: number(TopicOption::DeleteRetentionMs),
            min_compaction_lag_ms: number(TopicOption::MinCompactionLagMs),
            max_compaction_lag_ms: number(TopicOption::MaxCompactionLagMs),
            min_cleanable_dirty_ratio: ratio,
            max_message_bytes: usize::try_from(number(TopicOption::MaxMessageBytes)).unwrap_or(0),
            log_append_time: has(TopicOption::MessageTimestampType, "LogAppendTime"),
            timestamp_before_max_ms: number(TopicOption::MessageTimestampBeforeMaxMs),
            timestamp_after_max_ms: number(TopicOption::MessageTimestampAfterMaxMs),
        }
    }
}

impl Default for TopicSettings {
    /// Those of a topic for which nothing was set, by Kafka's defaults.
    fn default() -> Self {
        super::TopicConfig::new().settings(&TopicDefaults::default(), TopicClass::UserData)
    }
}
