//! Which topic options this engine honours.
use kop_store::{
    TopicConfig, UnsupportedConfig,
    topic_config::{ConfigValue, TopicOption},
};

use crate::{Durability, writer::MAX_BATCH};

/// Whether all that is set there is honoured.
///
/// # Errors
/// The first option that is not, and why.
pub fn supports(config: &TopicConfig, durability: Durability) -> Result<(), UnsupportedConfig> {
    for (spec, value) in config.iter() {
        let reason = match (spec.option, value) {
            (TopicOption::MaxMessageBytes, ConfigValue::Number(bytes))
                if usize::try_from(*bytes).is_ok_and(|bytes| bytes > MAX_BATCH) =>
            {
                format!("batches of more than {MAX_BATCH} bytes are not stored")
            }
            // The largest number asks for nothing.
            (TopicOption::FlushMessages | TopicOption::FlushMs, ConfigValue::Number(bound))
                if durability == Durability::Os && *bound < i64::MAX =>
            {
                "with the durability os, the operating system decides when records go to the disk"
                    .to_owned()
            }
            _ => continue,
        };
        return Err(UnsupportedConfig {
            name: spec.name,
            value: value.to_string(),
            reason,
        });
    }
    Ok(())
}
