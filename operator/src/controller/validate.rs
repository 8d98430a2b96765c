//! From a resource and what was found to a gateway whose every question is answered; pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, Service};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use kop_api::{
    AddressSource, BrokersSpec, GatewayConfigSpec, ImageSpec, KafkaOnPulsar, ListenerSpec,
    ListenerType, NodePortSpec, PatchPolicy, PulsarSpec, ResourcesSpec,
};
use kube::{Resource, ResourceExt};

use super::broker_config::BrokerConfig;
use super::broker_rollout::{self, Rollout};
use super::build::labels;
use super::dereference::{Found, FoundBrokers, ObservedBrokers};

mod pulsar;
#[cfg(test)]
mod tests;

pub(crate) use pulsar::{Auth, Pulsar, SecretKey};

/// What the operator was started with.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The gateway's image where a resource names none.
    pub gateway_image: Option<String>,
    /// Whether a resource may name brokers of another namespace.
    pub allow_cross_namespace_brokers: bool,
}

/// A resource whose every question is answered: the steps after this one read no spec.
#[derive(Debug, Clone)]
pub(crate) struct ValidatedGateway {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) owner: OwnerReference,
    pub(crate) paused: bool,
    pub(crate) pulsar: Pulsar,
    pub(crate) image: String,
    /// The ids of the gateways that are wanted.
    pub(crate) ids: Vec<i32>,
    pub(crate) config: GatewayConfigSpec,
    pub(crate) resources: Option<ResourceRequirements>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) brokers: Brokers,
    /// The gateways that already run: they go on even while the brokers are being restarted.
    pub(crate) running: Vec<i32>,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) name: String,
    /// The port the gateway binds.
    pub(crate) port: i32,
    pub(crate) exposure: Exposure,
}

/// How a listener is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// By the names of its Services; `domain` ends them (`svc` or `svc.DOMAIN`).
    Internal { domain: String },
    /// By a port of the nodes. A port that is not known yet is left to the API server.
    NodePort {
        host: NodeHost,
        bootstrap: Option<i32>,
        gateways: BTreeMap<i32, Option<i32>>,
    },
}

/// The host that clients from outside are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeHost {
    /// That of the node the gateway runs on.
    Node,
    /// This one.
    Static(String),
}

/// What is to be done about the brokers.
#[derive(Debug, Clone)]
pub(crate) enum Brokers {
    /// Nothing: the resource names none or says `Off`.
    Unmanaged,
    /// Look and tell.
    Verify(ManagedBrokers),
    /// Write and restart.
    Patch(ManagedBrokers),
}

/// Brokers, compared with what they should be.
#[derive(Debug, Clone)]
pub(crate) struct ManagedBrokers {
    pub(crate) namespace: String,
    pub(crate) stateful_set: String,
    pub(crate) stateful_set_uid: String,
    pub(crate) config_map: String,
    pub(crate) config_map_uid: String,
    pub(crate) config: BrokerConfig,
    pub(crate) rollout: Rollout,
    pub(crate) pods: Vec<kop_api::BrokerPodStatus>,
    pub(crate) replicas: usize,
    /// An older resource that patches the same brokers.
    pub(crate) rival: Option<String>,
}

impl ManagedBrokers {
    /// Whether there is, or is about to be, something that deletion has to give back.
    pub(crate) fn holds_settings(&self) -> bool {
        self.rival.is_none() && self.config.conflicts.is_empty() && !self.config.writes.is_empty()
    }
}

impl Brokers {
    /// Whether a gateway that starts now finds what it needs. One that starts earlier could write
    /// entries without index, which would never get a Kafka offset.
    pub(crate) fn are_configured(&self) -> bool {
        match self {
            Brokers::Unmanaged => true,
            Brokers::Verify(brokers) => brokers.config.missing.is_empty(),
            Brokers::Patch(brokers) => {
                brokers.rival.is_none()
                    && brokers.config.conflicts.is_empty()
                    && brokers.config.written
                    && brokers.rollout == Rollout::Done
            }
        }
    }
}

/// Why a resource cannot be acted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Rejected {
    /// For the condition `Accepted`.
    pub(crate) reason: &'static str,
    /// For a person.
    pub(crate) message: String,
}

impl Rejected {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Rejected {
            reason,
            message: message.into(),
        }
    }
}

/// Answers every question or says which one cannot be answered.
///
/// # Errors
/// When the resource contradicts itself, asks for what this operator may not do, or refers to
/// something that is not there.
pub(crate) fn validate(
    object: &KafkaOnPulsar,
    found: &Found,
    settings: &Settings,
    now: Timestamp,
) -> Result<ValidatedGateway, Rejected> {
    let spec = &object.spec;
    let namespace = object.namespace().unwrap_or_default();
    let observed = brokers_in_reach(object, found, settings)?;
    let pulsar = Pulsar::resolve(&spec.pulsar, observed)?;
    let owner = object
        .controller_owner_ref(&())
        .ok_or_else(|| Rejected::new("NotStored", "the resource has no uid"))?;
    let ids: Vec<i32> = (0..spec.gateway.replicas).collect();
    let brokers = match (&spec.brokers, observed) {
        (Some(brokers), Some(observed)) => manage(brokers, observed, found, now),
        _ => Brokers::Unmanaged,
    };
    let listeners = spec
        .listeners
        .iter()
        .map(|listener| resolve_listener(listener, object, found, &ids))
        .collect();
    let running = ids
        .iter()
        .copied()
        .filter(|id| {
            found
                .deployments
                .contains_key(&labels::gateway_name(&object.name_any(), *id))
        })
        .collect();
    Ok(ValidatedGateway {
        name: object.name_any(),
        namespace,
        owner,
        paused: spec.paused,
        pulsar,
        image: image(spec.gateway.image.as_ref(), settings)?,
        ids,
        config: spec.gateway.config.clone(),
        resources: spec.gateway.resources.as_ref().map(resource_requirements),
        listeners,
        brokers,
        running,
    })
}

fn brokers_in_reach<'a>(
    object: &KafkaOnPulsar,
    found: &'a Found,
    settings: &Settings,
) -> Result<Option<&'a ObservedBrokers>, Rejected> {
    if let Some(brokers) = &object.spec.brokers
        && let Some(namespace) = &brokers.reference.namespace
        && object.metadata.namespace.as_ref() != Some(namespace)
        && !settings.allow_cross_namespace_brokers
    {
        return Err(Rejected::new(
            "CrossNamespaceBrokers",
            format!(
                "brokers of namespace {namespace} may not be named from another one: put the \
                 resource there, or start the operator with --allow-cross-namespace-brokers"
            ),
        ));
    }
    match &found.brokers {
        FoundBrokers::Found(observed) => Ok(Some(observed)),
        FoundBrokers::Unnamed => Ok(None),
        // Whoever looks away from the brokers need not have any that we understand.
        FoundBrokers::Unusable { .. } if policy(object) == Some(PatchPolicy::Off) => Ok(None),
        FoundBrokers::Unusable { reason, message } => Err(Rejected::new(reason, message.clone())),
    }
}

/// What may be done to the brokers, if the resource names any.
pub(crate) fn policy(object: &KafkaOnPulsar) -> Option<PatchPolicy> {
    object
        .spec
        .brokers
        .as_ref()
        .map(|brokers| brokers.patch_policy)
}

fn manage(
    spec: &BrokersSpec,
    observed: &ObservedBrokers,
    found: &Found,
    now: Timestamp,
) -> Brokers {
    if spec.patch_policy == PatchPolicy::Off {
        return Brokers::Unmanaged;
    }
    let config = BrokerConfig::evaluate(observed, &spec.config);
    let managed = ManagedBrokers {
        namespace: observed.stateful_set.namespace().unwrap_or_default(),
        stateful_set: observed.stateful_set.name_any(),
        stateful_set_uid: observed.stateful_set.uid().unwrap_or_default(),
        config_map: observed.config_map.name_any(),
        config_map_uid: observed.config_map.uid().unwrap_or_default(),
        rollout: broker_rollout::evaluate(observed, &config, &spec.restart, now),
        pods: broker_rollout::pod_states(observed, &config, &spec.restart),
        replicas: broker_rollout::replicas(observed),
        rival: found.rival.clone(),
        config,
    };
    match spec.patch_policy {
        PatchPolicy::Verify | PatchPolicy::Off => Brokers::Verify(managed),
        PatchPolicy::Patch => Brokers::Patch(managed),
    }
}

fn image(image: Option<&ImageSpec>, settings: &Settings) -> Result<String, Rejected> {
    match (image, &settings.gateway_image) {
        (
            Some(ImageSpec {
                repository,
                digest: Some(digest),
                ..
            }),
            _,
        ) => Ok(format!("{repository}@{digest}")),
        (
            Some(ImageSpec {
                repository,
                tag: Some(tag),
                ..
            }),
            _,
        ) => Ok(format!("{repository}:{tag}")),
        (Some(ImageSpec { repository, .. }), _) => Err(Rejected::new(
            "ImageUnknown",
            format!("gateway.image {repository} needs a tag or a digest"),
        )),
        (None, Some(image)) => Ok(image.clone()),
        (None, None) => Err(Rejected::new(
            "ImageUnknown",
            "give gateway.image, or start the operator with --gateway-image",
        )),
    }
}

fn resource_requirements(resources: &ResourcesSpec) -> ResourceRequirements {
    let quantities = |map: &BTreeMap<String, IntOrString>| {
        let quantity = |value: &IntOrString| match value {
            IntOrString::Int(number) => Quantity(number.to_string()),
            IntOrString::String(text) => Quantity(text.clone()),
        };
        let quantities: BTreeMap<_, _> = map
            .iter()
            .map(|(name, value)| (name.clone(), quantity(value)))
            .collect();
        Some(quantities).filter(|quantities| !quantities.is_empty())
    };
    ResourceRequirements {
        requests: quantities(&resources.requests),
        limits: quantities(&resources.limits),
        ..ResourceRequirements::default()
    }
}

fn resolve_listener(
    listener: &ListenerSpec,
    object: &KafkaOnPulsar,
    found: &Found,
    ids: &[i32],
) -> Listener {
    let exposure = match listener.kind {
        ListenerType::Internal => Exposure::Internal {
            domain: service_domain(&object.spec.pulsar),
        },
        ListenerType::Nodeport => {
            let spec = listener.node_port.clone().unwrap_or_default();
            resolve_node_ports(listener, &spec, object, found, ids)
        }
    };
    Listener {
        name: listener.name.clone(),
        port: listener.port,
        exposure,
    }
}

/// A node port is what the spec says; else what the Service has; else what it had before somebody
/// deleted it, so that clients find their way back; else for the API server to choose.
fn resolve_node_ports(
    listener: &ListenerSpec,
    spec: &NodePortSpec,
    object: &KafkaOnPulsar,
    found: &Found,
    ids: &[i32],
) -> Exposure {
    let name = object.name_any();
    let status = object.status.as_ref().and_then(|status| {
        status
            .listeners
            .iter()
            .find(|status| status.name == listener.name)
    });
    let has = |service: String| found.services.get(&service).and_then(node_port);
    let pinned = |id: i32| {
        status.and_then(|s| {
            s.gateways
                .iter()
                .find(|gateway| gateway.id == id)?
                .node_port
        })
    };
    let of_gateway = |id: i32| {
        let explicit = spec.base.map(|base| base + id);
        let service = labels::gateway_service(&name, &listener.name, id);
        explicit.or_else(|| has(service)).or_else(|| pinned(id))
    };
    Exposure::NodePort {
        host: match (spec.address_source, &spec.host) {
            (AddressSource::Static, Some(host)) => NodeHost::Static(host.clone()),
            (AddressSource::Static, None) | (AddressSource::HostIP, _) => NodeHost::Node,
        },
        bootstrap: spec
            .bootstrap
            .or_else(|| has(labels::bootstrap_service(&name, &listener.name)))
            .or_else(|| status.and_then(|status| status.bootstrap_node_port)),
        gateways: ids.iter().map(|id| (*id, of_gateway(*id))).collect(),
    }
}

/// The node port of a Service's only port.
pub(crate) fn node_port(service: &Service) -> Option<i32> {
    service
        .spec
        .as_ref()?
        .ports
        .as_ref()?
        .first()?
        .node_port
        .filter(|port| *port != 0)
}

fn service_domain(pulsar: &PulsarSpec) -> String {
    match &pulsar.cluster_domain {
        Some(domain) => format!("svc.{domain}"),
        None => "svc".to_owned(),
    }
}
