//! ListGroups, versions 0 to 5: all groups that this gateway coordinates.
//!
//! Version 4 adds their states and a filter by them (KIP-518), version 5 the same for types
//! (KIP-848), of which there is one: `classic`. Names of states and types are matched without regard
//! to case; one that does not exist matches nothing. While a log is being read the answer is an error
//! that clients try again after, never a part of the list.
use kop_coordinator::ListedGroup;
use kop_wire::kafka_protocol::{
    messages::{ListGroupsRequest, ListGroupsResponse, list_groups_response},
    protocol::StrBytes,
};

use super::{Call, error::Refusal};

const CLASSIC: &str = "classic";

pub(super) async fn handle(call: &Call, request: ListGroupsRequest) -> ListGroupsResponse {
    let groups = match call.gateway.coordination.list().await {
        Ok(groups) => groups,
        Err(error) => {
            let Refusal { code, .. } = error.into();
            return ListGroupsResponse::default().with_error_code(call.refuse(code));
        }
    };
    let wanted = |filter: &[StrBytes], name: &str| {
        filter.is_empty() || filter.iter().any(|one| one.eq_ignore_ascii_case(name))
    };
    let listed = groups
        .into_iter()
        .filter(|_| wanted(&request.types_filter, CLASSIC))
        .filter(|group| wanted(&request.states_filter, &group.state.to_string()))
        .map(|group| listed(call.version, group));
    ListGroupsResponse::default().with_groups(listed.collect())
}

fn listed(version: i16, group: ListedGroup) -> list_groups_response::ListedGroup {
    let ListedGroup {
        group,
        protocol_type,
        state,
    } = group;
    let mut listed = list_groups_response::ListedGroup::default()
        .with_group_id(StrBytes::from_string(group.to_string()).into())
        .with_protocol_type(StrBytes::from_string(protocol_type.to_string()));
    if version >= 4 {
        listed.group_state = StrBytes::from_string(state.to_string());
    }
    if version >= 5 {
        listed.group_type = StrBytes::from_static_str(CLASSIC);
    }
    listed
}
