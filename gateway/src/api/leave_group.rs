//! LeaveGroup, versions 0 to 5: members leave before their sessions run out.
//!
//! Up to version 2 a member leaves by itself, from 3 on several may be made to, static ones by their
//! instance id alone (KIP-345); each then has a result of its own. Version 5 adds a reason.
use kop_coordinator::{Leave, Leaving, Reply, Request};
use kop_wire::kafka_protocol::messages::{
    LeaveGroupRequest, LeaveGroupResponse, leave_group_request::MemberIdentity,
    leave_group_response::MemberResponse,
};

use super::{Call, error::Refusal, groups};

pub(super) async fn handle(call: &Call, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let leaving = if call.version >= 3 {
        request.members.clone()
    } else {
        vec![MemberIdentity::default().with_member_id(request.member_id.clone())]
    };
    let response = LeaveGroupResponse::default();
    let results = match leave(call, &request, &leaving).await {
        Ok(results) => results,
        Err(refusal) => return response.with_error_code(call.refuse(refusal.code)),
    };
    let mut codes = results.into_iter().map(|result| match result {
        Ok(()) => 0,
        Err(refusal) => call.refuse(refusal.code),
    });
    if call.version < 3 {
        return response.with_error_code(codes.next().unwrap_or(0));
    }
    let members = leaving.into_iter().zip(codes).map(|(member, code)| {
        MemberResponse::default()
            .with_member_id(member.member_id)
            .with_group_instance_id(member.group_instance_id)
            .with_error_code(code)
    });
    response.with_members(members.collect())
}

async fn leave(
    call: &Call,
    request: &LeaveGroupRequest,
    leaving: &[MemberIdentity],
) -> Result<Vec<Result<(), Refusal>>, Refusal> {
    let group = groups::group(&request.group_id)?;
    let members = leaving.iter().map(|member| {
        Ok(Leaving {
            member: groups::member(&member.member_id)?,
            instance: groups::instance(member.group_instance_id.as_ref())?,
        })
    });
    let leave = Leave {
        group,
        members: members.collect::<Result<_, Refusal>>()?,
    };
    match groups::ask(call, Request::Leave(leave)).await? {
        Reply::Leave(results) => {
            let results = results?.into_iter();
            Ok(results
                .map(|result| result.map_err(Refusal::from))
                .collect())
        }
        other => Err(groups::misdirected(&other)),
    }
}
