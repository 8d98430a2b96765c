//! Which topic options are honoured on Pulsar.
use kop_store::{
    TopicClass, TopicConfig, TopicDefaults, UnsupportedConfig, topic_config::TopicOption,
};

/// Options and values that say how things are on Pulsar. Nothing has to be kept of them.
const AS_IT_IS: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("message.timestamp.type", "CreateTime"),
];

/// Whether all that is set there holds on Pulsar.
pub(crate) fn supports(
    config: &TopicConfig,
    defaults: &TopicDefaults,
) -> Result<(), UnsupportedConfig> {
    for (spec, value) in config.iter() {
        let is_limit = spec.option == TopicOption::MaxMessageBytes
            && *value == defaults.value(spec.option, TopicClass::UserData);
        let value = value.to_string();
        if spec.fixed.is_some() || is_limit || AS_IT_IS.contains(&(spec.name, &value)) {
            continue;
        }
        return Err(UnsupportedConfig {
            name: spec.name,
            value,
            reason: "topics on Pulsar are not configured through Kafka yet; Pulsar's topic and \
                     namespace policies hold"
                .to_owned(),
        });
    }
    Ok(())
}
