//! What the group APIs share: a group's names out of messages, its refusals into codes.
use kop_coordinator::{
    GroupError, GroupId, InstanceId, Member, MemberId, NameTooLong, Reply, Request,
};
use kop_wire::kafka_protocol::{
    ResponseError, messages::GroupId as KafkaGroupId, protocol::StrBytes,
};
use tokio::time::Instant;
use tracing::error;

use super::{Call, error::Refusal};
use crate::coordination::CoordinationError;

impl From<GroupError> for Refusal {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::InvalidGroupId => ResponseError::InvalidGroupId,
            GroupError::InvalidSessionTimeout => ResponseError::InvalidSessionTimeout,
            GroupError::MemberIdRequired(_) => ResponseError::MemberIdRequired,
            GroupError::UnknownMember => ResponseError::UnknownMemberId,
            GroupError::FencedInstance => ResponseError::FencedInstanceId,
            GroupError::IllegalGeneration => ResponseError::IllegalGeneration,
            GroupError::InconsistentProtocol => ResponseError::InconsistentGroupProtocol,
            GroupError::RebalanceInProgress => ResponseError::RebalanceInProgress,
            GroupError::GroupFull => ResponseError::GroupMaxSizeReached,
            GroupError::AssignmentTooLarge => ResponseError::UnknownServerError,
            GroupError::OffsetMetadataTooLarge => ResponseError::OffsetMetadataTooLarge,
            GroupError::TooManyOffsets => ResponseError::InvalidCommitOffsetSize,
            GroupError::GroupNotFound => ResponseError::GroupIdNotFound,
            GroupError::GroupNotEmpty => ResponseError::NonEmptyGroup,
            GroupError::SubscribedToTopic => ResponseError::GroupSubscribedToTopic,
        }
        .into()
    }
}

impl From<CoordinationError> for Refusal {
    fn from(error: CoordinationError) -> Self {
        match error {
            CoordinationError::Loading => ResponseError::CoordinatorLoadInProgress,
            CoordinationError::NotCoordinator => ResponseError::NotCoordinator,
            CoordinationError::Unavailable => ResponseError::CoordinatorNotAvailable,
        }
        .into()
    }
}

/// A text of a request is longer than any record could hold.
impl From<NameTooLong> for Refusal {
    fn from(error: NameTooLong) -> Self {
        Self::new(ResponseError::InvalidRequest, error.to_string())
    }
}

/// The group of a request that only members send.
pub(super) fn group(id: &KafkaGroupId) -> Result<GroupId, Refusal> {
    GroupId::new(id).map_err(|_| ResponseError::InvalidGroupId.into())
}

/// A member id; the empty text stands for none.
pub(super) fn member(id: &StrBytes) -> Result<Option<MemberId>, Refusal> {
    if id.is_empty() {
        return Ok(None);
    }
    Ok(Some(MemberId::new(id)?))
}

pub(super) fn instance(id: Option<&StrBytes>) -> Result<Option<InstanceId>, Refusal> {
    Ok(id.map(|id| InstanceId::new(id)).transpose()?)
}

/// Who sends a heartbeat or a sync.
pub(super) fn identity(
    group_id: &KafkaGroupId,
    generation: i32,
    member_id: &StrBytes,
    instance_id: Option<&StrBytes>,
) -> Result<Member, Refusal> {
    let group = group(group_id)?;
    if group.as_str().is_empty() {
        return Err(ResponseError::InvalidGroupId.into());
    }
    // A client that knows no id of its own is nobody, unless its instance id says that it is fenced.
    let member = member(member_id)?;
    Ok(Member {
        group,
        generation,
        member: member.unwrap_or_else(MemberId::empty),
        instance: instance(instance_id)?,
    })
}

/// Asks the group's shard.
pub(super) async fn ask(call: &Call, request: Request) -> Result<Reply, Refusal> {
    Ok(call.gateway.coordination.ask(request).await?)
}

/// As [`ask`], where the answer waits for the group's other members.
pub(super) async fn ask_and_wait(call: &Call, request: Request) -> Result<Reply, Refusal> {
    let asked = Instant::now();
    let answer = ask(call, request).await;
    call.note_wait(asked.elapsed());
    answer
}

/// A reply of another kind than the request: a mistake of ours, which the client is told of.
pub(super) fn misdirected(reply: &Reply) -> Refusal {
    error!(?reply, "the coordinator answered another question");
    ResponseError::UnknownServerError.into()
}
