//! DeleteGroups, versions 0 to 2: groups without members go, and their offsets with them (KIP-229).
use kop_coordinator::{DeleteGroup, Reply, Request};
use kop_wire::kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, GroupId as KafkaGroupId,
    delete_groups_response::DeletableGroupResult,
};
use tracing::info;

use super::{Call, error::Refusal, groups};

pub(super) async fn handle(call: &Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group in request.groups_names {
        let code = match delete(call, &group).await {
            Ok(()) => 0,
            Err(Refusal { code, .. }) => call.refuse(code),
        };
        let result = DeletableGroupResult::default().with_error_code(code);
        results.push(result.with_group_id(group));
    }
    DeleteGroupsResponse::default().with_results(results)
}

async fn delete(call: &Call, id: &KafkaGroupId) -> Result<(), Refusal> {
    let group = groups::group(id)?;
    match groups::ask(call, Request::DeleteGroup(DeleteGroup { group })).await? {
        Reply::DeleteGroup(result) => result?,
        other => return Err(groups::misdirected(&other)),
    }
    info!(group = %id.as_str(), peer = %call.peer, "group deleted");
    Ok(())
}
