//! Configurations of topics and of the gateway, as three APIs describe and change them.
use std::collections::{HashMap, HashSet};

use kop_config::{Config, RawConfig, StoreConfig};
use kop_store::{
    Catalog as _, ConfigureError, Topic, TopicClass, TopicConfig,
    topic_config::{OPTIONS, OptionSpec, TopicOption, ValueType},
};
use kop_wire::{
    TopicName,
    kafka_protocol::{ResponseError, protocol::StrBytes},
};
use tracing::info;

use super::{Call, error::Refusal};
use crate::store::topic_defaults;

#[cfg(test)]
mod documented;

/// Kafka's number for topics.
pub(super) const TOPIC: i8 = 2;
/// Kafka's number for brokers.
pub(super) const BROKER: i8 = 4;

/// How often a change that someone else forestalls is tried again.
const ATTEMPTS: usize = 10;

/// Where a value comes from, in Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Set for the topic.
    Topic = 1,
    /// Set for this gateway when it was started.
    Static = 4,
    /// What a gateway does by itself.
    Default = 5,
}

/// Kafka's number of a type.
pub(super) fn type_code(kind: ValueType) -> i8 {
    match kind {
        ValueType::Boolean => 1,
        ValueType::String => 2,
        ValueType::Int => 3,
        ValueType::Long => 5,
        ValueType::Double => 6,
        ValueType::List => 7,
    }
}

/// A topic's option as it stands.
pub(super) struct TopicSetting {
    pub(super) spec: &'static OptionSpec,
    pub(super) value: String,
    /// What was set for the topic, if anything was.
    pub(super) set: Option<String>,
    /// What holds where nothing is set, and whether someone decided it for this gateway.
    pub(super) default: (String, Source),
    pub(super) read_only: bool,
}

impl TopicSetting {
    pub(super) fn source(&self) -> Source {
        match self.set {
            Some(_) => Source::Topic,
            None => self.default.1,
        }
    }
}

/// All options of a topic of that name with that configuration.
pub(super) fn of_topic(call: &Call, name: &TopicName, config: &TopicConfig) -> Vec<TopicSetting> {
    let class = TopicClass::of(name);
    let defaults = topic_defaults(&call.gateway.config);
    let usual = topic_defaults(&unconfigured(&call.gateway.config));
    let all = OPTIONS.iter().map(|spec| {
        let default = defaults.value(spec.option, class);
        let source = match default == usual.value(spec.option, class) {
            true => Source::Default,
            false => Source::Static,
        };
        TopicSetting {
            spec,
            value: config.value(spec.option, &defaults, class).to_string(),
            set: config.get(spec.option).map(ToString::to_string),
            default: (default.to_string(), source),
            read_only: spec.fixed.is_some() || class.is_internal(),
        }
    });
    // Where Pulsar's namespace decides, its decision is not known here.
    let is_retention = |option| {
        matches!(
            option,
            TopicOption::RetentionMs | TopicOption::RetentionBytes
        )
    };
    let elsewhere = matches!(call.gateway.config.store, StoreConfig::Pulsar(_))
        && !config.iter().any(|(spec, _)| is_retention(spec.option));
    let all = all.filter(|setting| !(elsewhere && is_retention(setting.spec.option)));
    // What cannot be honoured by this store at all has no value here.
    let supports = |setting: &TopicSetting| {
        let pair = [(setting.spec.name, &*setting.default.0)];
        let config = TopicConfig::of(pair);
        config.is_ok_and(|config| call.gateway.store.supports(&config).is_ok())
    };
    all.filter(|setting| setting.set.is_some() || supports(setting))
        .collect()
}

/// The configuration of a gateway that was told nothing but its store.
pub(super) fn unconfigured(config: &Config) -> Config {
    let store = match &config.store {
        StoreConfig::Embedded { .. } => RawConfig::default(),
        StoreConfig::Pulsar(pulsar) => RawConfig {
            pulsar: Some(pulsar.service_url.clone()),
            pulsar_admin: Some(pulsar.admin_url.clone()),
            ..RawConfig::default()
        },
    };
    store.validate().unwrap_or_else(|_| config.clone())
}

/// The topic that a resource names, as another gateway may have configured it just now.
pub(super) async fn topic(call: &Call, name: &str) -> Result<Topic, Refusal> {
    let name = TopicName::new(name)
        .map_err(|error| Refusal::new(ResponseError::InvalidTopicException, error.to_string()))?;
    let found = call.gateway.store.find_anew(&name).await?;
    found.ok_or_else(|| ResponseError::UnknownTopicOrPartition.into())
}

async fn change_one(
    call: &Call,
    (kind, name): (i8, &str),
    validate_only: bool,
    wanted: impl Fn(&TopicConfig) -> Result<TopicConfig, Refusal>,
) -> Result<(), Refusal> {
    match kind {
        TOPIC => {}
        BROKER => {
            let why = "a gateway is configured when it is started: by flags, environment or file";
            return Err(Refusal::new(ResponseError::InvalidConfig, why));
        }
        other => {
            let why = format!("resources of type {other} have no configuration here");
            return Err(Refusal::new(ResponseError::InvalidRequest, why));
        }
    }
    for _ in 0..ATTEMPTS {
        let topic = topic(call, name).await?;
        if TopicClass::of(&topic.name).is_internal() {
            let why = format!("{} is configured by the gateway", topic.name);
            return Err(Refusal::new(ResponseError::InvalidConfig, why));
        }
        let to = wanted(&topic.config)?;
        to.check()?;
        let store = &call.gateway.store;
        store.supports(&to)?;
        if validate_only || to == topic.config {
            return Ok(());
        }
        let told: Vec<_> = to
            .iter()
            .map(|(spec, value)| format!("{}={value}", spec.name))
            .collect();
        match store.configure(&topic.name, &topic.config, to).await {
            Ok(_) => {
                call.gateway.cluster.topic_changed(&topic.name);
                info!(topic = %topic.name, config = told.join(" "), peer = %call.peer, "topic configured");
                return Ok(());
            }
            Err(ConfigureError::Changed(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let why = "the configuration was changed by others all the time";
    Err(Refusal::new(ResponseError::RequestTimedOut, why))
}

/// A resource that a request names, and what became of its change.
pub(super) struct Changed {
    pub(super) kind: i8,
    pub(super) name: StrBytes,
    pub(super) result: Result<(), Refusal>,
}

/// Makes the changes of a request, or checks only that they could be made. `wanted` gives a resource's
/// configuration after its change, from what is set before.
pub(super) async fn change_all<C>(
    call: &Call,
    validate_only: bool,
    changes: Vec<(i8, StrBytes, C)>,
    wanted: impl Fn(&TopicConfig, &C) -> Result<TopicConfig, Refusal>,
) -> Vec<Changed> {
    let mut times = HashMap::new();
    for (kind, name, _) in &changes {
        *times.entry((*kind, name.clone())).or_insert(0_usize) += 1;
    }
    let mut all = Vec::with_capacity(changes.len());
    for (kind, name, change) in changes {
        // Of a resource that stands there twice, one answer is given.
        let result = match times.remove(&(kind, name.clone())) {
            Some(1) => {
                let wanted = |now: &TopicConfig| wanted(now, &change);
                change_one(call, (kind, &name), validate_only, wanted).await
            }
            Some(_) => {
                let twice = Refusal::new(ResponseError::InvalidRequest, "resource is named twice");
                Err(twice)
            }
            None => continue,
        };
        all.push(Changed { kind, name, result });
    }
    all
}

/// Refuses a request that names an option of a resource twice.
pub(super) fn each_once<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            let why = format!("configuration {name} is named twice");
            return Err(Refusal::new(ResponseError::InvalidRequest, why));
        }
    }
    Ok(())
}

/// What is answered for an option without a value.
pub(super) fn no_value(name: &str) -> Refusal {
    let why = format!("null value is not supported for configuration {name}");
    Refusal::new(ResponseError::InvalidConfig, why)
}
