//! FindCoordinator, versions 0 to 6: a group is coordinated by who leads its part of the groups' log.
//!
//! Version 1 names the kind of key; 4 asks for several at once (KIP-699). Transactions and share
//! groups are not served: their coordinators are refused, not hidden, so that a client fails instead
//! of asking for ever. A group's log that is this gateway's is read while the client connects.
use kop_config::HostPort;
use kop_coordinator::GroupId;
use kop_wire::kafka_protocol::{
    ResponseError,
    messages::{
        BrokerId, FindCoordinatorRequest, FindCoordinatorResponse,
        find_coordinator_response::Coordinator,
    },
    protocol::StrBytes,
};

use super::{Call, error::Refusal};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(super) async fn handle(
    call: &Call,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if call.version >= 4 {
        let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
        for key in request.coordinator_keys {
            let found = find(call, request.key_type, key).await;
            coordinators.push(found);
        }
        return FindCoordinatorResponse::default().with_coordinators(coordinators);
    }
    let Coordinator {
        node_id,
        host,
        port,
        error_code,
        error_message,
        ..
    } = find(call, request.key_type, request.key).await;
    FindCoordinatorResponse::default()
        .with_error_code(error_code)
        .with_error_message(error_message)
        .with_node_id(node_id)
        .with_host(host)
        .with_port(port)
}

async fn find(call: &Call, key_type: i8, key: StrBytes) -> Coordinator {
    let coordinator = Coordinator::default().with_key(key.clone());
    match check(call, key_type, &key).await {
        Ok((node, HostPort { host, port })) => coordinator
            .with_node_id(node)
            .with_host(StrBytes::from_string(host))
            .with_port(i32::from(port)),
        Err(Refusal { code, message }) => coordinator
            .with_node_id((-1).into())
            .with_port(-1)
            .with_error_code(call.refuse(code))
            .with_error_message(message.map(StrBytes::from_string)),
    }
}

async fn check(call: &Call, key_type: i8, key: &StrBytes) -> Result<(BrokerId, HostPort), Refusal> {
    match key_type {
        GROUP => {
            let group = GroupId::new(key)
                .map_err(|error| Refusal::new(ResponseError::InvalidGroupId, error.to_string()))?;
            let node = call.gateway.coordination.coordinator(&group).await?;
            let node = BrokerId(node);
            let found = call
                .brokers()
                .into_iter()
                .find(|(member, _)| *member == node);
            // It left just now.
            found.ok_or_else(|| ResponseError::CoordinatorNotAvailable.into())
        }
        TRANSACTION => Err(Refusal::new(
            ResponseError::InvalidRequest,
            "transactions are not served",
        )),
        _ => Err(Refusal::new(
            ResponseError::InvalidRequest,
            format!("coordinators of kind {key_type} are not served"),
        )),
    }
}
