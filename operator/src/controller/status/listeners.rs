use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Service;
use kop_api::{GatewayAddress, ListenerStatus};
use kube::ResourceExt;

use super::{Verdict, View};
use crate::controller::build::{advertised_host, labels};
use crate::controller::validate::{Exposure, Listener, NodeHost, ValidatedGateway, node_port};

/// The condition `ListenersReady`.
pub(super) fn verdict(gateway: &ValidatedGateway, view: &View<'_>) -> Verdict {
    for listener in &gateway.listeners {
        let status = listener_status(gateway, listener, view);
        if service(
            view,
            &labels::bootstrap_service(&gateway.name, &listener.name),
        )
        .is_none()
        {
            return Verdict::pending(
                "ListenerPending",
                format!(
                    "listener {}: its Services are yet to be made",
                    listener.name
                ),
            );
        }
        if status.bootstrap_servers.is_none() {
            return Verdict::pending(
                "ListenerPending",
                format!(
                    "listener {}: no gateway runs on a node whose address is known",
                    listener.name
                ),
            );
        }
    }
    Verdict::holds("ListenersReady", "every listener has its addresses")
}

/// `status.listeners`.
pub(super) fn status(gateway: &ValidatedGateway, view: &View<'_>) -> Vec<ListenerStatus> {
    gateway
        .listeners
        .iter()
        .map(|listener| listener_status(gateway, listener, view))
        .collect()
}

fn service<'a>(view: &View<'a>, name: &str) -> Option<&'a Service> {
    let applied = view.applied.and_then(|applied| applied.services.get(name));
    applied.or_else(|| view.found.services.get(name))
}

fn listener_status(
    gateway: &ValidatedGateway,
    listener: &Listener,
    view: &View<'_>,
) -> ListenerStatus {
    let bootstrap = labels::bootstrap_service(&gateway.name, &listener.name);
    match &listener.exposure {
        Exposure::Internal { domain } => {
            let host = |service: &str| advertised_host(gateway, service, domain);
            let address = |id: &i32| GatewayAddress {
                id: *id,
                host: Some(host(&labels::gateway_service(
                    &gateway.name,
                    &listener.name,
                    *id,
                ))),
                port: Some(listener.port),
                node_port: None,
            };
            ListenerStatus {
                name: listener.name.clone(),
                kind: "internal".to_owned(),
                bootstrap_servers: Some(format!("{}:{}", host(&bootstrap), listener.port)),
                bootstrap_node_port: None,
                gateways: gateway.ids.iter().map(address).collect(),
            }
        }
        Exposure::NodePort {
            host,
            bootstrap: wanted,
            gateways,
        } => {
            let port_of = |name: &str, wanted: Option<i32>| {
                service(view, name).and_then(node_port).or(wanted)
            };
            let address = |(id, wanted): (&i32, &Option<i32>)| {
                let name = labels::gateway_service(&gateway.name, &listener.name, *id);
                let port = port_of(&name, *wanted);
                GatewayAddress {
                    id: *id,
                    host: node_host(host, *id, view),
                    port,
                    node_port: port,
                }
            };
            let gateways: Vec<_> = gateways.iter().map(address).collect();
            let port = port_of(&bootstrap, *wanted);
            let hosts: BTreeSet<_> = gateways.iter().filter_map(|g| g.host.clone()).collect();
            let servers: Vec<_> = hosts
                .iter()
                .zip(port.iter().cycle())
                .map(|(h, p)| bracketed(h, *p))
                .collect();
            ListenerStatus {
                name: listener.name.clone(),
                kind: "nodeport".to_owned(),
                bootstrap_servers: Some(servers.join(",")).filter(|servers| !servers.is_empty()),
                bootstrap_node_port: port,
                gateways,
            }
        }
    }
}

/// An IPv6 address needs brackets before a port.
fn bracketed(host: &str, port: i32) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

fn node_host(host: &NodeHost, id: i32, view: &View<'_>) -> Option<String> {
    let id = id.to_string();
    match host {
        NodeHost::Static(host) => Some(host.clone()),
        NodeHost::Node => view
            .found
            .gateway_pods
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .filter(|pod| pod.labels().get(labels::GATEWAY_ID) == Some(&id))
            .find_map(|pod| pod.status.as_ref()?.host_ip.clone()),
    }
}
