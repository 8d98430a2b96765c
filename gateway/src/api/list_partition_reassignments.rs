//! ListPartitionReassignments, version 0 (KIP-455): there are none. A partition of one node has
//! nowhere to go, and what replicates below the gateway moves without Kafka knowing.
use kop_wire::kafka_protocol::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::Call;

pub(super) async fn handle(
    _: &Call,
    _: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default().with_error_message(None)
}
