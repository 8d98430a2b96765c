//! Heartbeat, versions 0 to 4: a member says that it is alive, and learns of rebalances.
//!
//! Version 3 adds the group instance id (KIP-345).
use kop_coordinator::{Heartbeat, Reply, Request};
use kop_wire::kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{Call, error::Refusal, groups};

pub(super) async fn handle(call: &Call, request: HeartbeatRequest) -> HeartbeatResponse {
    let response = HeartbeatResponse::default();
    match beat(call, &request).await {
        Ok(()) => response,
        Err(refusal) => response.with_error_code(call.refuse(refusal.code)),
    }
}

async fn beat(call: &Call, request: &HeartbeatRequest) -> Result<(), Refusal> {
    let member = groups::identity(
        &request.group_id,
        request.generation_id,
        &request.member_id,
        request.group_instance_id.as_ref(),
    )?;
    match groups::ask(call, Request::Heartbeat(Heartbeat { member })).await? {
        Reply::Heartbeat(result) => Ok(result?),
        other => Err(groups::misdirected(&other)),
    }
}
