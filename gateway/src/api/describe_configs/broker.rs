//! The gateway's own settings, under the names that Kafka's brokers have for them.
use std::fmt::Display;

use kop_config::Config;
use kop_store::{TopicConfig, topic_config::ValueType};
use kop_wire::TopicName;

use super::Setting;
use crate::{
    api::{
        Call,
        configs::{self, Source, type_code},
    },
    store::OFFSETS_PARTITIONS,
};

/// This gateway's configuration next to that of a gateway which was told nothing but its store.
struct Configured<'a> {
    config: &'a Config,
    default: Config,
}

impl Configured<'_> {
    fn setting<T: Display + PartialEq>(
        &self,
        name: &'static str,
        kind: ValueType,
        value: impl Fn(&Config) -> T,
    ) -> Setting {
        let now = value(self.config);
        let source = match value(&self.default) == now {
            true => Source::Default,
            false => Source::Static,
        };
        setting(name, kind, &now.to_string(), source)
    }
}

/// All of them, by name.
pub(super) fn settings(call: &Call) -> Vec<Setting> {
    let config = &call.gateway.config;
    let advertised: Vec<_> = config
        .listeners
        .iter()
        .zip(&call.gateway.advertised)
        .map(|(listener, at)| format!("{}://{at}", listener.name))
        .collect();
    let offsets_partitions = OFFSETS_PARTITIONS.to_string();
    let configured = Configured {
        config,
        default: configs::unconfigured(config),
    };
    let always = |name, kind, value: &str| setting(name, kind, value, Source::Default);
    use ValueType::{Boolean, Int, Long, String};
    let mut settings = vec![
        setting(
            "advertised.listeners",
            String,
            &advertised.join(","),
            Source::Static,
        ),
        configured.setting("auto.create.topics.enable", Boolean, |c| {
            c.auto_create_topics
        }),
        configured.setting("broker.id", Int, |c| c.node_id),
        configured.setting("connections.max.idle.ms", Long, |c| {
            c.limits.connection_idle.as_millis()
        }),
        always("default.replication.factor", Int, "1"),
        configured.setting("group.initial.rebalance.delay.ms", Int, |c| {
            c.groups.initial_rebalance_delay.as_millis()
        }),
        configured.setting("group.max.session.timeout.ms", Int, |c| {
            c.groups.max_session_timeout.as_millis()
        }),
        configured.setting("group.max.size", Int, |c| c.groups.max_size),
        configured.setting("group.min.session.timeout.ms", Int, |c| {
            c.groups.min_session_timeout.as_millis()
        }),
        configured.setting("max.connections", Int, |c| c.limits.connections),
        configured.setting("node.id", Int, |c| c.node_id),
        configured.setting("offset.metadata.max.bytes", Int, |c| {
            c.groups.offset_metadata_bytes
        }),
        configured.setting("offsets.retention.check.interval.ms", Long, |c| {
            c.groups.offsets_retention_check_interval.as_millis()
        }),
        configured.setting("offsets.retention.minutes", Int, |c| {
            c.groups.offsets_retention.as_secs() / 60
        }),
        configured.setting("num.partitions", Int, |c| c.default_partitions),
        always("offsets.topic.num.partitions", Int, &offsets_partitions),
        configured.setting("socket.request.max.bytes", Int, |c| c.limits.request_bytes),
    ];
    settings.extend(topic_defaults(call));
    settings.sort_unstable_by_key(|setting| setting.name);
    settings
}

/// What holds for topics that do not say.
fn topic_defaults(call: &Call) -> impl Iterator<Item = Setting> {
    let any = TopicName::new("any").expect("letters");
    let settings = configs::of_topic(call, &any, &TopicConfig::new());
    settings.into_iter().map(|topic| {
        let (value, source) = topic.default;
        Setting {
            doc: Some(topic.spec.doc),
            ..setting(topic.spec.broker_name, topic.spec.kind, &value, source)
        }
    })
}

fn setting(name: &'static str, kind: ValueType, value: &str, source: Source) -> Setting {
    Setting {
        name,
        value: value.to_owned(),
        kind: type_code(kind),
        source,
        read_only: true,
        doc: None,
        synonyms: vec![(name, value.to_owned(), source)],
    }
}
