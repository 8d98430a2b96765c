//! DescribeConfigs, versions 1 to 4 (KIP-226, KIP-569): what is in force, under Kafka's names.
//!
//! Only settings are told that the gateway keeps, with the values it keeps. Those of the gateway itself
//! are read-only, because they come from its configuration.
use kop_wire::kafka_protocol::{
    ResponseError,
    messages::{
        DescribeConfigsRequest, DescribeConfigsResponse,
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::{
            DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
        },
    },
    protocol::StrBytes,
};

use super::{
    Call,
    configs::{self, BROKER, Source, TOPIC, TopicSetting, type_code},
    error::Refusal,
};

mod broker;

/// One setting as it stands.
struct Setting {
    name: &'static str,
    value: String,
    kind: i8,
    source: Source,
    read_only: bool,
    doc: Option<&'static str>,
    /// Under which names it is set where, the one that holds first.
    synonyms: Vec<(&'static str, String, Source)>,
}

pub(super) async fn handle(
    call: &Call,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let (synonyms, docs) = (request.include_synonyms, request.include_documentation);
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
                let told = told.map(|setting| told_as(setting, synonyms, docs));
                answer.with_configs(told.collect())
            }
            Err(Refusal { code, message }) => answer
                .with_error_code(call.refuse(code))
                .with_error_message(message.map(StrBytes::from_string)),
        });
    }
    DescribeConfigsResponse::default().with_results(results)
}

async fn settings(call: &Call, asked: &DescribeConfigsResource) -> Result<Vec<Setting>, Refusal> {
    let node_id = call.gateway.config.node_id;
    match asked.resource_type {
        TOPIC => {
            let topic = configs::topic(call, &asked.resource_name).await?;
            let settings = configs::of_topic(call, &topic.name, &topic.config);
            Ok(settings.into_iter().map(Setting::from).collect())
        }
        // Without a name it asks for what was changed on all brokers at run time: nothing can be.
        BROKER if asked.resource_name.is_empty() => Ok(Vec::new()),
        BROKER if *asked.resource_name == *node_id.to_string() => Ok(broker::settings(call)),
        BROKER => {
            let why = format!("this is broker {node_id}, not {:?}", &*asked.resource_name);
            Err(Refusal::new(ResponseError::InvalidRequest, why))
        }
        other => {
            let why = format!("resources of type {other} have no configuration here");
            Err(Refusal::new(ResponseError::InvalidRequest, why))
        }
    }
}

impl From<TopicSetting> for Setting {
    fn from(setting: TopicSetting) -> Self {
        let source = setting.source();
        let TopicSetting {
            spec,
            value,
            set,
            default,
            read_only,
        } = setting;
        let mut synonyms = Vec::new();
        synonyms.extend(set.map(|set| (spec.name, set, Source::Topic)));
        synonyms.push((spec.broker_name, default.0, default.1));
        Self {
            name: spec.name,
            value,
            kind: type_code(spec.kind),
            source,
            read_only,
            doc: Some(spec.doc),
            synonyms,
        }
    }
}

fn told_as(setting: Setting, synonyms: bool, docs: bool) -> DescribeConfigsResourceResult {
    let synonym = |(name, value, source): (&'static str, String, Source)| {
        DescribeConfigsSynonym::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_string(value)))
            .with_source(source as i8)
    };
    let synonyms = match synonyms {
        true => setting.synonyms.into_iter().map(synonym).collect(),
        false => Vec::new(),
    };
    let doc = setting.doc.filter(|_| docs);
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(setting.name))
        .with_value(Some(StrBytes::from_string(setting.value)))
        .with_read_only(setting.read_only)
        .with_config_source(setting.source as i8)
        .with_synonyms(synonyms)
        .with_config_type(setting.kind)
        .with_documentation(doc.map(StrBytes::from_static_str))
}
