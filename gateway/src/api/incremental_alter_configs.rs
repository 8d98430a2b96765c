//! IncrementalAlterConfigs, versions 0 and 1 (KIP-339): options are set, unset, added to and taken from;
//! what is not named stays. The changes of one resource are made together or not at all.
use kop_store::TopicConfig;
use kop_wire::kafka_protocol::{
    ResponseError,
    messages::{
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
        incremental_alter_configs_request::AlterableConfig,
        incremental_alter_configs_response::AlterConfigsResourceResponse,
    },
    protocol::StrBytes,
};

use super::{
    Call,
    configs::{self, Changed},
    error::Refusal,
};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(super) async fn handle(
    call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let changes = request.resources.into_iter().map(|resource| {
        let (kind, name) = (resource.resource_type, resource.resource_name);
        (kind, name, resource.configs)
    });
    let (only, changes) = (request.validate_only, changes.collect());
    let wanted = |now: &TopicConfig, changes: &Vec<_>| wanted(now.clone(), changes);
    let changed = configs::change_all(call, only, changes, wanted).await;
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
    IncrementalAlterConfigsResponse::default()
        .with_responses(changed.into_iter().map(response).collect())
}

fn wanted(mut config: TopicConfig, changes: &[AlterableConfig]) -> Result<TopicConfig, Refusal> {
    configs::each_once(changes.iter().map(|change| &*change.name))?;
    for change in changes {
        let name = &*change.name;
        let value = change.value.as_deref();
        let value = || value.ok_or_else(|| configs::no_value(name));
        match change.config_operation {
            SET => config.set(name, value()?)?,
            DELETE => config.unset(name)?,
            APPEND => config.append(name, value()?)?,
            SUBTRACT => config.subtract(name, value()?)?,
            other => {
                let why = format!("{name}: operation {other} is not known");
                return Err(Refusal::new(ResponseError::InvalidRequest, why));
            }
        }
    }
    Ok(config)
}
