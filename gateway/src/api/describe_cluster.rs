//! DescribeCluster, versions 0 to 2 (KIP-700): the one node that a client of this listener sees.
//!
//! Version 1 lets a client ask for controllers (KIP-919): those are no one's business here, and the
//! answer says that it asked the wrong endpoint. No broker is ever fenced (version 2, KIP-1073).
use kop_config::HostPort;
use kop_wire::kafka_protocol::{
    ResponseError,
    messages::{
        DescribeClusterRequest, DescribeClusterResponse,
        describe_cluster_response::DescribeClusterBroker,
    },
    protocol::StrBytes,
};

use super::Call;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) async fn handle(
    call: &Call,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let cluster_id = StrBytes::from_string(call.gateway.cluster_id.clone());
    let answer = DescribeClusterResponse::default().with_cluster_id(cluster_id);
    let refused = match request.endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((
            ResponseError::MismatchedEndpointType,
            "this endpoint is a broker's",
        )),
        _ => Some((
            ResponseError::UnsupportedEndpointType,
            "there is no such type of endpoint",
        )),
    };
    if let Some((error, why)) = refused {
        return answer
            .with_error_code(call.refuse(error))
            .with_error_message(Some(StrBytes::from_static_str(why)));
    }
    let broker = |(node, HostPort { host, port })| {
        DescribeClusterBroker::default()
            .with_broker_id(node)
            .with_host(StrBytes::from_string(host))
            .with_port(i32::from(port))
            .with_rack(None)
    };
    answer
        .with_controller_id(call.controller())
        .with_brokers(call.brokers().into_iter().map(broker).collect())
}
