//! Topic configurations, under Kafka's names: what is known, what it may be, what holds.
//!
//! Pure. A [`TopicConfig`] holds only what someone set for a topic and only values that are legal and
//! honoured; [`TopicSettings`] is that together with the defaults, as an engine acts on it. The
//! [table](OPTIONS) says what each option means here. An option that Kafka has and nobody here would
//! honour is refused by name, with the reason, and so is one that nobody knows.
use std::collections::BTreeMap;

use crate::TopicClass;

mod settings;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub use settings::{TopicDefaults, TopicSettings};
pub use table::{OPTIONS, OptionSpec, TopicOption};
pub use value::{ConfigValue, ValueType};

/// What was set for one topic; everything else is as [`TopicDefaults`] and the [table](OPTIONS) say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicConfig {
    values: BTreeMap<TopicOption, ConfigValue>,
}

/// Why a topic configuration is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Kafka has no such topic option either.
    #[error("unknown topic configuration {0}")]
    Unknown(String),
    /// The value is out of its range, or not of its type.
    #[error("invalid value {value} for configuration {name}: it is {expected}")]
    Invalid {
        /// The option.
        name: &'static str,
        /// The value as given.
        value: String,
        /// What it has to be.
        expected: String,
    },
    /// Nothing here does what the option promises.
    #[error("topic configuration {name} is not supported: {reason}")]
    NotHonoured {
        /// The option.
        name: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// Only one value is true here.
    #[error("topic configuration {name}={value} is not supported, only {only}: {reason}")]
    Only {
        /// The option.
        name: &'static str,
        /// The value as given.
        value: String,
        /// The value that holds.
        only: &'static str,
        /// Why the others do not.
        reason: &'static str,
    },
    /// Something is to be added to, or taken from, an option that is no list.
    #[error("configuration {0} is not a list")]
    NotAList(&'static str),
    /// Two options contradict each other.
    #[error(
        "min.compaction.lag.ms ({min}) must be less than or equal to max.compaction.lag.ms ({max})"
    )]
    CompactionLag {
        /// `min.compaction.lag.ms`.
        min: i64,
        /// `max.compaction.lag.ms`.
        max: i64,
    },
}

/// An option that one engine cannot honour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("topic configuration {name}={value} is not supported: {reason}")]
pub struct UnsupportedConfig {
    /// The option.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Why it cannot be honoured.
    pub reason: String,
}

impl TopicConfig {
    /// Nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The configuration that pairs of names and values make.
    ///
    /// # Errors
    /// The first pair that is not taken, or options that contradict each other.
    pub fn of<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::new();
        for (name, value) in pairs {
            config.set(name, value)?;
        }
        config.check()?;
        Ok(config)
    }

    /// Sets an option.
    ///
    /// # Errors
    /// There is no such option, it is not honoured, or not with that value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let spec = table::find(name)?;
        self.values.insert(spec.option, spec.parse(value)?);
        Ok(())
    }

    /// Forgets what was set for an option, so that its default holds. Whether anything was set does not
    /// matter.
    ///
    /// # Errors
    /// Kafka has no such option.
    pub fn unset(&mut self, name: &str) -> Result<(), ConfigError> {
        match table::find(name) {
            Ok(spec) => {
                self.values.remove(&spec.option);
                Ok(())
            }
            // It cannot have been set.
            Err(ConfigError::NotHonoured { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Adds elements, separated by commas, to a list option; what it holds already is not added again.
    /// Where nothing was set, the default is added to.
    ///
    /// # Errors
    /// There is no such option, it is no list, or does not take such an element.
    pub fn append(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        self.change_list(name, value, |list, more| {
            let new: Vec<_> = more.into_iter().filter(|m| !list.contains(m)).collect();
            list.extend(new);
        })
    }

    /// Takes elements, separated by commas, out of a list option; those that it does not hold do not
    /// matter. Where nothing was set, they are taken out of the default.
    ///
    /// # Errors
    /// There is no such option, it is no list, or nothing would be left of one that needs an element.
    pub fn subtract(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        self.change_list(name, value, |list, less| list.retain(|e| !less.contains(e)))
    }

    fn change_list(
        &mut self,
        name: &str,
        value: &str,
        change: impl FnOnce(&mut Vec<String>, Vec<String>),
    ) -> Result<(), ConfigError> {
        let spec = table::find(name)?;
        if spec.kind != ValueType::List {
            return Err(ConfigError::NotAList(spec.name));
        }
        let now = self.get(spec.option).map(ToString::to_string);
        let mut list = value::elements(now.as_deref().unwrap_or(spec.default));
        change(&mut list, value::elements(value));
        self.set(name, &list.join(","))
    }

    /// What was set for an option.
    #[must_use]
    pub fn get(&self, option: TopicOption) -> Option<&ConfigValue> {
        self.values.get(&option)
    }

    /// What was set, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static OptionSpec, &ConfigValue)> {
        self.values
            .iter()
            .map(|(option, value)| (option.spec(), value))
    }

    /// Whether nothing was set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Checks what no option can be checked for alone.
    ///
    /// # Errors
    /// Two options contradict each other.
    pub fn check(&self) -> Result<(), ConfigError> {
        let settings = self.settings(&TopicDefaults::default(), TopicClass::UserData);
        let (min, max) = (
            settings.min_compaction_lag_ms,
            settings.max_compaction_lag_ms,
        );
        if min > max {
            return Err(ConfigError::CompactionLag { min, max });
        }
        Ok(())
    }

    /// An option's value, set or by default.
    #[must_use]
    pub fn value(
        &self,
        option: TopicOption,
        defaults: &TopicDefaults,
        class: TopicClass,
    ) -> ConfigValue {
        let set = self.get(option).cloned();
        set.unwrap_or_else(|| defaults.value(option, class))
    }

    /// What holds for the topic.
    #[must_use]
    pub fn settings(&self, defaults: &TopicDefaults, class: TopicClass) -> TopicSettings {
        TopicSettings::of(|option| self.value(option, defaults, class))
    }
}
