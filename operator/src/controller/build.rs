//! From a validated gateway to the objects that make it up; pure, one file per kind of child.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};

use super::validate::ValidatedGateway;

pub(crate) mod broker_patch;
mod config_map;
mod deployment;
pub(crate) mod labels;
mod service;
mod service_account;
#[cfg(test)]
mod tests;

pub(crate) use broker_patch::BrokerPatch;
pub(crate) use service::advertised_host;

/// Everything that is to be there, and what is to be written to the brokers.
#[derive(Debug, Clone)]
pub(crate) struct Resources {
    pub(crate) service_account: ServiceAccount,
    pub(crate) config_map: ConfigMap,
    pub(crate) services: Vec<Service>,
    /// The Deployments that can be written now; the wanted ones may be more.
    pub(crate) deployments: Vec<Deployment>,
    /// Names of all wanted Deployments: what is not among them goes.
    pub(crate) wanted_deployments: BTreeSet<String>,
    pub(crate) broker_patch: Option<BrokerPatch>,
}

/// Builds every object.
///
/// # Errors
/// When the gateway would not take the settings; kop-config says why.
pub(crate) fn build(gateway: &ValidatedGateway) -> Result<Resources, kop_config::ConfigError> {
    let config = config_map::gateway_config(gateway);
    let may_start = |id: i32| gateway.brokers.are_configured() || gateway.running.contains(&id);
    let mut deployments = Vec::new();
    for id in gateway.ids.iter().copied().filter(|id| may_start(*id)) {
        deployments.extend(deployment::deployment(gateway, &config, id)?);
    }
    Ok(Resources {
        service_account: service_account::service_account(gateway),
        config_map: config_map::config_map(gateway, &config),
        services: service::services(gateway),
        deployments,
        wanted_deployments: gateway
            .ids
            .iter()
            .map(|id| labels::gateway_name(&gateway.name, *id))
            .collect(),
        broker_patch: broker_patch::broker_patch(&gateway.brokers),
    })
}
