//! SyncGroup, versions 0 to 5: the leader hands in the assignment, every member gets its own.
//!
//! Version 3 adds the group instance id (KIP-345), version 5 lets both sides name the protocol, so
//! that a member that holds a wrong one is told.
use kop_coordinator::{MemberId, Name, Reply, Request, Sync, Synced};
use kop_wire::kafka_protocol::{
    messages::{SyncGroupRequest, SyncGroupResponse},
    protocol::StrBytes,
};

use super::{Call, error::Refusal, groups};

pub(super) async fn handle(call: &Call, request: SyncGroupRequest) -> SyncGroupResponse {
    let response = SyncGroupResponse::default();
    match sync(call, request).await {
        Ok(Synced {
            protocol_type,
            protocol,
            assignment,
        }) => {
            let text = |name: Option<Name>| name.map(|n| StrBytes::from_string(n.to_string()));
            response
                .with_protocol_type(text(protocol_type))
                .with_protocol_name(text(protocol))
                .with_assignment(assignment)
        }
        Err(refusal) => response.with_error_code(call.refuse(refusal.code)),
    }
}

async fn sync(call: &Call, request: SyncGroupRequest) -> Result<Synced, Refusal> {
    let member = groups::identity(
        &request.group_id,
        request.generation_id,
        &request.member_id,
        request.group_instance_id.as_ref(),
    )?;
    let name = |text: Option<StrBytes>| text.map(|text| Name::new(&text)).transpose();
    let assignments = request
        .assignments
        .into_iter()
        .map(|assigned| Ok((MemberId::new(&assigned.member_id)?, assigned.assignment)));
    let sync = Sync {
        member,
        protocol_type: name(request.protocol_type)?,
        protocol: name(request.protocol_name)?,
        assignments: assignments.collect::<Result<_, Refusal>>()?,
    };
    match groups::ask_and_wait(call, Request::Sync(sync)).await? {
        Reply::Sync(result) => Ok(result?),
        other => Err(groups::misdirected(&other)),
    }
}
