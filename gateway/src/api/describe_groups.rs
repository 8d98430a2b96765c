//! DescribeGroups, versions 0 to 6: who is in a group and what each was assigned.
//!
//! Version 3 tells what the client may do with the group: everything, as there are no permissions
//! (KIP-430). Version 4 adds the group instance id (KIP-345). A group that does not exist is "Dead";
//! from version 6 on it is also an error (KIP-1043).
use kop_coordinator::{DescribeGroup, DescribedGroup, DescribedMember, Reply, Request};
use kop_wire::kafka_protocol::{
    ResponseError,
    messages::{
        DescribeGroupsRequest, DescribeGroupsResponse, GroupId as KafkaGroupId,
        describe_groups_response::{DescribedGroup as Answer, DescribedGroupMember},
    },
    protocol::StrBytes,
};

use super::{Call, error::Refusal, groups};

/// Bits of Kafka's codes for READ, DELETE and DESCRIBE: all that can be done with a group.
const ALL_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

pub(super) async fn handle(call: &Call, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let mut answers = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        let mut answer = match describe(call, &group).await {
            Ok(Some(described)) => of(described),
            Ok(None) => missing(call),
            Err(Refusal { code, .. }) => Answer::default().with_error_code(call.refuse(code)),
        };
        if call.version >= 3 && request.include_authorized_operations && answer.error_code == 0 {
            answer.authorized_operations = ALL_OPERATIONS;
        }
        answers.push(answer.with_group_id(group));
    }
    DescribeGroupsResponse::default().with_groups(answers)
}

async fn describe(call: &Call, id: &KafkaGroupId) -> Result<Option<DescribedGroup>, Refusal> {
    let group = groups::group(id)?;
    match groups::ask(call, Request::DescribeGroup(DescribeGroup { group })).await? {
        Reply::DescribeGroup(described) => Ok(described),
        other => Err(groups::misdirected(&other)),
    }
}

fn missing(call: &Call) -> Answer {
    let dead = Answer::default().with_group_state(StrBytes::from_static_str("Dead"));
    if call.version < 6 {
        return dead;
    }
    dead.with_error_code(call.refuse(ResponseError::GroupIdNotFound))
        .with_error_message(Some(StrBytes::from_static_str("no such group")))
}

fn of(group: DescribedGroup) -> Answer {
    let DescribedGroup {
        protocol_type,
        state,
        protocol,
        members,
    } = group;
    let protocol = protocol.map(|name| name.to_string()).unwrap_or_default();
    Answer::default()
        .with_group_state(StrBytes::from_string(state.to_string()))
        .with_protocol_type(StrBytes::from_string(protocol_type.to_string()))
        .with_protocol_data(StrBytes::from_string(protocol))
        .with_members(members.into_iter().map(member).collect())
}

fn member(member: DescribedMember) -> DescribedGroupMember {
    let instance = member.instance.map(|id| id.to_string());
    DescribedGroupMember::default()
        .with_member_id(StrBytes::from_string(member.member.to_string()))
        .with_group_instance_id(instance.map(StrBytes::from_string))
        .with_client_id(StrBytes::from_string(member.client_id.to_string()))
        .with_client_host(StrBytes::from_string(member.client_host.to_string()))
        .with_member_metadata(member.subscription)
        .with_member_assignment(member.assignment)
}
