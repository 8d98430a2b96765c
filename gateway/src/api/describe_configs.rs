//! DescribeConfigs, versions 1 to 4 (KIP-226, KIP-569): what is in force, under Kafka's names.
//!
//! Only settings are told that the gateway keeps, with the values it keeps; all of them are read-only,
//! because they come from its configuration. How long a topic on Pulsar keeps its records is the
//! namespace's business there, so nothing is said about it. Documentation is not sent.
use std::fmt::Display;

use kop_config::{Config, RawConfig, StoreConfig};
use kop_store::{Catalog as _, TopicClass};
use kop_wire::{
    TopicName,
    kafka_protocol::{
        ResponseError,
        messages::{
            DescribeConfigsRequest, DescribeConfigsResponse,
            describe_configs_request::DescribeConfigsResource,
            describe_configs_response::{
                DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
            },
        },
        protocol::StrBytes,
    },
};

use super::{Call, error::Refusal};
use crate::store::OFFSETS_PARTITIONS;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Whether someone set it for this gateway, or it is what a gateway does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Static = 4,
    Default = 5,
}

#[derive(Debug, Clone, Copy)]
enum Type {
    Boolean = 1,
    Text = 2,
    Int = 3,
    Long = 5,
    List = 7,
}

/// One setting as it stands.
struct Setting {
    name: &'static str,
    value: String,
    kind: Type,
    source: Source,
    /// The broker's setting that a topic's comes from.
    from: Option<&'static str>,
}

/// This gateway's configuration next to that of a gateway which was told nothing but its store.
struct Configured<'a> {
    config: &'a Config,
    default: Option<Config>,
}

impl<'a> Configured<'a> {
    fn new(config: &'a Config) -> Self {
        let store = match &config.store {
            StoreConfig::Embedded { .. } => RawConfig::default(),
            StoreConfig::Pulsar(pulsar) => RawConfig {
                pulsar: Some(pulsar.service_url.clone()),
                pulsar_admin: Some(pulsar.admin_url.clone()),
                ..RawConfig::default()
            },
        };
        Self {
            config,
            default: store.validate().ok(),
        }
    }

    fn setting<T: Display + PartialEq>(
        &self,
        name: &'static str,
        kind: Type,
        value: impl Fn(&Config) -> T,
    ) -> Setting {
        let now = value(self.config);
        let is_default = self
            .default
            .as_ref()
            .map(value)
            .is_some_and(|usual| usual == now);
        Setting {
            source: if is_default {
                Source::Default
            } else {
                Source::Static
            },
            ..always(name, kind, &now.to_string())
        }
    }
}

pub(super) async fn handle(
    call: &Call,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let synonyms = request.include_synonyms;
    let mut results = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let answer = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone())
            .with_error_message(None);
        results.push(match settings(call, &resource).await {
            Ok(settings) => {
                let asked = |setting: &Setting| match &resource.configuration_keys {
                    Some(keys) => keys.iter().any(|key| **key == *setting.name),
                    None => true,
                };
                let told = settings.into_iter().filter(asked);
                answer.with_configs(told.map(|setting| told_as(setting, synonyms)).collect())
            }
            Err(Refusal { code, message }) => answer
                .with_error_code(call.refuse(code))
                .with_error_message(message.map(StrBytes::from_string)),
        });
    }
    DescribeConfigsResponse::default().with_results(results)
}

async fn settings(call: &Call, asked: &DescribeConfigsResource) -> Result<Vec<Setting>, Refusal> {
    let config = &call.gateway.config;
    match asked.resource_type {
        TOPIC => {
            let name = TopicName::new(&asked.resource_name).map_err(|error| {
                Refusal::new(ResponseError::InvalidTopicException, error.to_string())
            })?;
            let found = call.gateway.store.find(&name).await?;
            found.ok_or(ResponseError::UnknownTopicOrPartition)?;
            Ok(of_topic(config, TopicClass::of(&name)))
        }
        // Without a name it asks for what was changed on all brokers at run time: nothing can be.
        BROKER if asked.resource_name.is_empty() => Ok(Vec::new()),
        BROKER if *asked.resource_name == *config.node_id.to_string() => Ok(of_broker(call)),
        BROKER => {
            let why = format!(
                "this is broker {}, not {:?}",
                config.node_id, &*asked.resource_name
            );
            Err(Refusal::new(ResponseError::InvalidRequest, why))
        }
        other => {
            let why = format!("resources of type {other} have no configuration here");
            Err(Refusal::new(ResponseError::InvalidRequest, why))
        }
    }
}

fn of_topic(config: &Config, class: TopicClass) -> Vec<Setting> {
    let configured = Configured::new(config);
    let mut settings = vec![
        always("compression.type", Type::Text, "producer"),
        Setting {
            from: Some("message.max.bytes"),
            ..configured.setting("max.message.bytes", Type::Int, |c| c.limits.message_bytes)
        },
        always("message.timestamp.type", Type::Text, "CreateTime"),
        always("min.insync.replicas", Type::Int, "1"),
    ];
    if matches!(config.store, StoreConfig::Embedded { .. }) {
        let policy = if class.is_internal() {
            "compact"
        } else {
            "delete"
        };
        settings.extend([
            always("cleanup.policy", Type::List, policy),
            always("retention.bytes", Type::Long, "-1"),
            always("retention.ms", Type::Long, "-1"),
        ]);
    }
    settings.sort_unstable_by_key(|setting| setting.name);
    settings
}

fn of_broker(call: &Call) -> Vec<Setting> {
    let config = &call.gateway.config;
    let advertised: Vec<_> = config
        .listeners
        .iter()
        .zip(&call.gateway.advertised)
        .map(|(listener, at)| format!("{}://{at}", listener.name))
        .collect();
    let offsets_partitions = OFFSETS_PARTITIONS.to_string();
    let configured = Configured::new(config);
    let mut settings = vec![
        Setting {
            source: Source::Static,
            ..always("advertised.listeners", Type::Text, &advertised.join(","))
        },
        configured.setting("auto.create.topics.enable", Type::Boolean, |c| {
            c.auto_create_topics
        }),
        configured.setting("broker.id", Type::Int, |c| c.node_id),
        configured.setting("connections.max.idle.ms", Type::Long, |c| {
            c.limits.connection_idle.as_millis()
        }),
        always("default.replication.factor", Type::Int, "1"),
        configured.setting("group.initial.rebalance.delay.ms", Type::Int, |c| {
            c.groups.initial_rebalance_delay.as_millis()
        }),
        configured.setting("group.max.session.timeout.ms", Type::Int, |c| {
            c.groups.max_session_timeout.as_millis()
        }),
        configured.setting("group.max.size", Type::Int, |c| c.groups.max_size),
        configured.setting("group.min.session.timeout.ms", Type::Int, |c| {
            c.groups.min_session_timeout.as_millis()
        }),
        configured.setting("max.connections", Type::Int, |c| c.limits.connections),
        configured.setting("message.max.bytes", Type::Int, |c| c.limits.message_bytes),
        configured.setting("node.id", Type::Int, |c| c.node_id),
        configured.setting("offset.metadata.max.bytes", Type::Int, |c| {
            c.groups.offset_metadata_bytes
        }),
        configured.setting("offsets.retention.check.interval.ms", Type::Long, |c| {
            c.groups.offsets_retention_check_interval.as_millis()
        }),
        configured.setting("offsets.retention.minutes", Type::Int, |c| {
            c.groups.offsets_retention.as_secs() / 60
        }),
        configured.setting("num.partitions", Type::Int, |c| c.default_partitions),
        always(
            "offsets.topic.num.partitions",
            Type::Int,
            &offsets_partitions,
        ),
        configured.setting("socket.request.max.bytes", Type::Int, |c| {
            c.limits.request_bytes
        }),
    ];
    settings.sort_unstable_by_key(|setting| setting.name);
    settings
}

/// A setting that no configuration changes.
fn always(name: &'static str, kind: Type, value: &str) -> Setting {
    Setting {
        name,
        value: value.to_owned(),
        kind,
        source: Source::Default,
        from: None,
    }
}

fn told_as(setting: Setting, synonyms: bool) -> DescribeConfigsResourceResult {
    let Setting {
        name,
        value,
        kind,
        source,
        from,
    } = setting;
    let value = Some(StrBytes::from_string(value));
    let synonym = DescribeConfigsSynonym::default()
        .with_name(StrBytes::from_static_str(from.unwrap_or(name)))
        .with_value(value.clone())
        .with_source(source as i8);
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(value)
        .with_read_only(true)
        .with_config_source(source as i8)
        .with_synonyms(if synonyms { vec![synonym] } else { Vec::new() })
        .with_config_type(kind as i8)
        .with_documentation(None)
}
