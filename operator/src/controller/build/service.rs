use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::labels;
use crate::controller::validate::{Exposure, Listener, ValidatedGateway};

/// Per listener one Service to any gateway and one to each.
pub(super) fn services(gateway: &ValidatedGateway) -> Vec<Service> {
    let mut services = Vec::new();
    for listener in &gateway.listeners {
        services.push(bootstrap(gateway, listener));
        services.extend(
            gateway
                .ids
                .iter()
                .map(|id| of_gateway(gateway, listener, *id)),
        );
    }
    services
}

/// The name by which a gateway's Service is reached from inside the cluster.
pub(crate) fn advertised_host(gateway: &ValidatedGateway, service: &str, domain: &str) -> String {
    format!("{service}.{}.{domain}", gateway.namespace)
}

fn bootstrap(gateway: &ValidatedGateway, listener: &Listener) -> Service {
    let name = labels::bootstrap_service(&gateway.name, &listener.name);
    let node_port = match &listener.exposure {
        Exposure::Internal { .. } => None,
        Exposure::NodePort { bootstrap, .. } => *bootstrap,
    };
    Service {
        metadata: labels::metadata(gateway, name, None),
        spec: Some(spec(listener, labels::selector(gateway), node_port)),
        ..Service::default()
    }
}

fn of_gateway(gateway: &ValidatedGateway, listener: &Listener, id: i32) -> Service {
    let name = labels::gateway_service(&gateway.name, &listener.name, id);
    let node_port = match &listener.exposure {
        Exposure::Internal { .. } => None,
        Exposure::NodePort { gateways, .. } => gateways.get(&id).copied().flatten(),
    };
    Service {
        metadata: labels::metadata(gateway, name, Some(id)),
        spec: Some(spec(listener, labels::selector_of(gateway, id), node_port)),
        ..Service::default()
    }
}

fn spec(
    listener: &Listener,
    selector: BTreeMap<String, String>,
    node_port: Option<i32>,
) -> ServiceSpec {
    let kind = match listener.exposure {
        Exposure::Internal { .. } => "ClusterIP",
        Exposure::NodePort { .. } => "NodePort",
    };
    ServiceSpec {
        type_: Some(kind.to_owned()),
        selector: Some(selector),
        ports: Some(vec![ServicePort {
            name: Some(listener.name.clone()),
            port: listener.port,
            target_port: Some(IntOrString::String(listener.name.clone())),
            protocol: Some("TCP".to_owned()),
            node_port,
            ..ServicePort::default()
        }]),
        ..ServiceSpec::default()
    }
}
