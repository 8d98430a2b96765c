//! JoinGroup, versions 0 to 9: a member takes part in a rebalance and waits for its end.
//!
//! Version 1 adds the rebalance timeout, before it the session timeout serves as both. From 4 on a
//! new member is first given an id (KIP-394). Version 5 adds the group instance id (KIP-345), 7 the
//! protocol type in the answer, 9 lets a leader skip the assignment (KIP-814).
use kop_coordinator::{GroupError, Join, Joined, MemberId, Name, Protocol, Reply, Request};
use kop_wire::kafka_protocol::{
    messages::{JoinGroupRequest, JoinGroupResponse, join_group_response::JoinGroupResponseMember},
    protocol::StrBytes,
};
use uuid::Uuid;

use super::{Call, error::Refusal, groups};

/// Characters of a client id that become part of a member id.
const CLIENT_ID_IN_MEMBER_ID: usize = 256;

pub(super) async fn handle(call: &Call, request: JoinGroupRequest) -> JoinGroupResponse {
    let asked_as = request.member_id.clone();
    let outcome = join(call, request).await;
    match outcome {
        Ok(Ok(joined)) => joined_response(call, joined),
        Ok(Err(error)) => {
            let member = match &error {
                GroupError::MemberIdRequired(id) => StrBytes::from_string(id.to_string()),
                // It is no member any more.
                GroupError::GroupFull => StrBytes::default(),
                _ => asked_as,
            };
            refused_response(call, &error.into(), member)
        }
        Err(refusal) => refused_response(call, &refusal, asked_as),
    }
}

async fn join(
    call: &Call,
    request: JoinGroupRequest,
) -> Result<Result<Joined, GroupError>, Refusal> {
    let group = groups::group(&request.group_id)?;
    let timeout = |ms: i32| u64::try_from(ms).unwrap_or(0);
    let session_timeout_ms = timeout(request.session_timeout_ms);
    let rebalance_timeout_ms = match request.rebalance_timeout_ms {
        ..0 => session_timeout_ms,
        ms => timeout(ms),
    };
    let client_id = call.client_id.as_deref().unwrap_or_default();
    let instance = groups::instance(request.group_instance_id.as_ref())?;
    let prefix = instance
        .as_ref()
        .map_or(client_id, |instance| instance.as_str());
    let protocols = request.protocols.into_iter().map(|protocol| {
        Ok(Protocol {
            name: Name::new(&protocol.name)?,
            metadata: protocol.metadata,
        })
    });
    let join = Join {
        group,
        member: groups::member(&request.member_id)?,
        fresh_member: fresh_member_id(prefix)?,
        instance,
        client_id: Name::new(client_id)?,
        client_host: Name::new(&format!("/{}", call.peer.ip()))?,
        protocol_type: Name::new(&request.protocol_type)?,
        protocols: protocols.collect::<Result<_, Refusal>>()?,
        session_timeout_ms,
        rebalance_timeout_ms,
        requires_member_id: call.version >= 4,
        may_skip_assignment: call.version >= 9,
    };
    match groups::ask_and_wait(call, Request::Join(join)).await? {
        Reply::Join(result) => Ok(result),
        other => Err(groups::misdirected(&other)),
    }
}

/// The client's or instance's own name, for people, and something nobody else has.
fn fresh_member_id(prefix: &str) -> Result<MemberId, Refusal> {
    let prefix: String = prefix.chars().take(CLIENT_ID_IN_MEMBER_ID).collect();
    Ok(MemberId::new(&format!("{prefix}-{}", Uuid::new_v4()))?)
}

fn joined_response(call: &Call, joined: Joined) -> JoinGroupResponse {
    let Joined {
        generation,
        protocol_type,
        protocol,
        leader,
        member,
        members,
        skip_assignment,
    } = joined;
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let members = members.into_iter().map(|listed| {
        let instance = listed.instance.filter(|_| call.version >= 5);
        JoinGroupResponseMember::default()
            .with_member_id(text(listed.member.as_str()))
            .with_group_instance_id(instance.map(|id| text(id.as_str())))
            .with_metadata(listed.metadata)
    });
    let protocol_type = (call.version >= 7).then(|| text(protocol_type.as_str()));
    JoinGroupResponse::default()
        .with_generation_id(generation)
        .with_protocol_type(protocol_type)
        .with_protocol_name(Some(text(protocol.as_str())))
        .with_leader(text(leader.as_str()))
        .with_skip_assignment(skip_assignment)
        .with_member_id(text(member.as_str()))
        .with_members(members.collect())
}

fn refused_response(call: &Call, refusal: &Refusal, member: StrBytes) -> JoinGroupResponse {
    // Before version 7 there is no null where a protocol's name should be.
    let protocol = (call.version < 7).then(StrBytes::default);
    JoinGroupResponse::default()
        .with_error_code(call.refuse(refusal.code))
        .with_generation_id(-1)
        .with_protocol_name(protocol)
        .with_member_id(member)
}
