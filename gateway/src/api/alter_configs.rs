//! AlterConfigs, versions 0 to 2: what is not named goes back to its default. Kafka replaced it by
//! [IncrementalAlterConfigs](super::incremental_alter_configs) (KIP-339).
use kop_store::TopicConfig;
use kop_wire::kafka_protocol::{
    messages::{
        AlterConfigsRequest, AlterConfigsResponse, alter_configs_request::AlterableConfig,
        alter_configs_response::AlterConfigsResourceResponse,
    },
    protocol::StrBytes,
};

use super::{
    Call,
    configs::{self, Changed},
    error::Refusal,
};

pub(super) async fn handle(call: &Call, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let changes = request.resources.into_iter().map(|resource| {
        let (kind, name) = (resource.resource_type, resource.resource_name);
        (kind, name, resource.configs)
    });
    let (only, changes) = (request.validate_only, changes.collect());
    let changed = configs::change_all(call, only, changes, |_, all| wanted(all)).await;
    let response = |changed: Changed| {
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(changed.kind)
            .with_resource_name(changed.name);
        match changed.result {
            Ok(()) => response.with_error_message(None),
            Err(Refusal { code, message }) => response
                .with_error_code(call.refuse(code))
                .with_error_message(message.map(StrBytes::from_string)),
        }
    };
    AlterConfigsResponse::default().with_responses(changed.into_iter().map(response).collect())
}

fn wanted(configs: &[AlterableConfig]) -> Result<TopicConfig, Refusal> {
    configs::each_once(configs.iter().map(|config| &*config.name))?;
    let mut wanted = TopicConfig::new();
    for AlterableConfig { name, value, .. } in configs {
        let value = value.as_deref().ok_or_else(|| configs::no_value(name))?;
        wanted.set(name, value)?;
    }
    Ok(wanted)
}
