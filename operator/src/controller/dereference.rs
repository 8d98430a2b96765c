//! The only reader: fetches what the resource refers to and what the operator made for it.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Service};
use kop_api::{KafkaOnPulsar, PatchPolicy};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::build::labels;

/// Everything that the pure steps look at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// The brokers.
    pub(crate) brokers: FoundBrokers,
    /// An older resource that patches the same brokers.
    pub(crate) rival: Option<String>,
    /// Our Services, by name.
    pub(crate) services: BTreeMap<String, Service>,
    /// Our Deployments, by name.
    pub(crate) deployments: BTreeMap<String, Deployment>,
    /// The gateways' pods.
    pub(crate) gateway_pods: Vec<Pod>,
}

/// The brokers, as far as they could be read.
#[derive(Debug, Clone, Default)]
pub(crate) enum FoundBrokers {
    /// The resource names none.
    #[default]
    Unnamed,
    /// They are not there or not laid out in a way we know; why.
    Unusable {
        /// For a condition.
        reason: &'static str,
        /// For a person.
        message: String,
    },
    /// They are there.
    Found(Box<ObservedBrokers>),
}

/// The brokers' workload and everything their settings come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct ObservedBrokers {
    /// Their workload.
    pub(crate) stateful_set: StatefulSet,
    /// Literal variables of the broker's container; those taken from elsewhere have no value here
    /// that would meet any need.
    pub(crate) container_env: BTreeMap<String, String>,
    /// The ConfigMap whose keys beat those of the other ones: the one to patch.
    pub(crate) config_map: ConfigMap,
    /// The weaker ConfigMaps, strongest last.
    pub(crate) earlier_config_maps: Vec<ConfigMap>,
    /// Their pods.
    pub(crate) pods: Vec<Pod>,
    /// Services that lead to them, best first.
    pub(crate) services: Vec<Service>,
}

/// Reads everything.
///
/// # Errors
/// When the API server cannot be asked; something that is missing is part of the answer.
pub(crate) async fn dereference(
    client: &Client,
    object: &KafkaOnPulsar,
) -> Result<Found, kube::Error> {
    let namespace = object.namespace().unwrap_or_default();
    let ours = ListParams::default().labels(&labels::selector_of_all(&object.name_any()));
    let services = Api::<Service>::namespaced(client.clone(), &namespace)
        .list(&ours)
        .await?;
    let deployments = Api::<Deployment>::namespaced(client.clone(), &namespace)
        .list(&ours)
        .await?;
    let gateway_pods = Api::<Pod>::namespaced(client.clone(), &namespace)
        .list(&ours)
        .await?;
    Ok(Found {
        brokers: brokers(client, object).await?,
        rival: rival(client, object).await?,
        services: by_name(services.items),
        deployments: by_name(deployments.items),
        gateway_pods: gateway_pods.items,
    })
}

fn by_name<K: ResourceExt>(items: Vec<K>) -> BTreeMap<String, K> {
    items
        .into_iter()
        .map(|item| (item.name_any(), item))
        .collect()
}

/// The namespace and name of the brokers' workload.
pub(crate) fn broker_target(object: &KafkaOnPulsar) -> Option<(String, String)> {
    let reference = &object.spec.brokers.as_ref()?.reference;
    let namespace = reference
        .namespace
        .clone()
        .or_else(|| object.namespace())
        .unwrap_or_default();
    Some((namespace, reference.name.clone()))
}

/// Reads the brokers alone.
///
/// # Errors
/// When the API server cannot be asked.
pub(crate) async fn brokers(
    client: &Client,
    object: &KafkaOnPulsar,
) -> Result<FoundBrokers, kube::Error> {
    let Some((namespace, name)) = broker_target(object) else {
        return Ok(FoundBrokers::Unnamed);
    };
    let unusable = |reason, message| Ok(FoundBrokers::Unusable { reason, message });
    let sets = Api::<StatefulSet>::namespaced(client.clone(), &namespace);
    let Some(stateful_set) = sets.get_opt(&name).await? else {
        return unusable(
            "BrokersNotFound",
            format!("there is no StatefulSet {namespace}/{name}"),
        );
    };
    let Some(container) = broker_container(&stateful_set) else {
        return unusable(
            "BrokerLayoutUnknown",
            format!(
                "no container of StatefulSet {namespace}/{name} takes its settings from a \
                 ConfigMap (envFrom)"
            ),
        );
    };
    let container_env = literal_env(container);
    let maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    let mut config_maps = Vec::new();
    for map in config_map_names(container) {
        config_maps.extend(maps.get_opt(map).await?);
    }
    let Some(config_map) = config_maps.pop() else {
        return unusable(
            "BrokerConfigMapNotFound",
            format!("the ConfigMaps of StatefulSet {namespace}/{name} do not exist"),
        );
    };
    let pods = broker_pods(client, &namespace, &stateful_set).await?;
    let services = broker_services(client, &namespace, &stateful_set).await?;
    Ok(FoundBrokers::Found(Box::new(ObservedBrokers {
        container_env,
        config_map,
        earlier_config_maps: config_maps,
        pods,
        services,
        stateful_set,
    })))
}

/// The container that runs the broker: the one named like its StatefulSet, as charts do, or else
/// the first that takes its settings from a ConfigMap.
fn broker_container(stateful_set: &StatefulSet) -> Option<&Container> {
    let name = stateful_set.metadata.name.as_deref();
    let spec = stateful_set.spec.as_ref()?.template.spec.as_ref()?;
    let configured = || {
        spec.containers
            .iter()
            .filter(|c| config_map_names(c).next().is_some())
    };
    configured()
        .find(|c| Some(c.name.as_str()) == name)
        .or_else(|| configured().next())
}

fn config_map_names(container: &Container) -> impl Iterator<Item = &str> {
    let sources = container.env_from.iter().flatten();
    sources
        .filter(|source| source.prefix.as_deref().unwrap_or_default().is_empty())
        .filter_map(|source| source.config_map_ref.as_ref().map(|map| map.name.as_str()))
}

fn literal_env(container: &Container) -> BTreeMap<String, String> {
    let variables = container.env.iter().flatten();
    variables
        .map(|v| (v.name.clone(), v.value.clone().unwrap_or_default()))
        .collect()
}

async fn broker_pods(
    client: &Client,
    namespace: &str,
    stateful_set: &StatefulSet,
) -> Result<Vec<Pod>, kube::Error> {
    let labels = stateful_set
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.match_labels.as_ref());
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let params = ListParams::default().labels(&selector.join(","));
    let uid = stateful_set.uid();
    let mut pods = Api::<Pod>::namespaced(client.clone(), namespace)
        .list(&params)
        .await?
        .items;
    pods.retain(|pod| {
        pod.owner_references()
            .iter()
            .any(|owner| Some(&owner.uid) == uid.as_ref())
    });
    pods.sort_by_key(ResourceExt::name_any);
    Ok(pods)
}

/// The Service named like the StatefulSet goes first: it leads to ready brokers only, while the
/// governing one is headless and may lead to any.
async fn broker_services(
    client: &Client,
    namespace: &str,
    stateful_set: &StatefulSet,
) -> Result<Vec<Service>, kube::Error> {
    let api = Api::<Service>::namespaced(client.clone(), namespace);
    let own = stateful_set.name_any();
    let governing = stateful_set
        .spec
        .as_ref()
        .and_then(|spec| spec.service_name.clone());
    let governing = governing.filter(|name| !name.is_empty() && *name != own);
    let mut services = Vec::new();
    for name in [Some(own), governing].into_iter().flatten() {
        services.extend(api.get_opt(&name).await?);
    }
    Ok(services)
}

/// The oldest other resource that patches the same brokers, if it is older than this one: two of
/// them would write against each other.
async fn rival(client: &Client, object: &KafkaOnPulsar) -> Result<Option<String>, kube::Error> {
    if broker_target(object).is_none() {
        return Ok(None);
    }
    let all = Api::<KafkaOnPulsar>::all(client.clone())
        .list(&ListParams::default())
        .await?;
    let age = |object: &KafkaOnPulsar| (object.creation_timestamp(), object.uid());
    let rival = all
        .items
        .iter()
        .filter(|other| shares_brokers(other, object) && age(other) < age(object))
        .min_by_key(|other| age(other));
    Ok(rival.map(|rival| {
        format!(
            "{}/{}",
            rival.namespace().unwrap_or_default(),
            rival.name_any()
        )
    }))
}

/// Whether `other` is another living resource that patches the brokers of `object`.
pub(crate) fn shares_brokers(other: &KafkaOnPulsar, object: &KafkaOnPulsar) -> bool {
    other.uid() != object.uid()
        && other.metadata.deletion_timestamp.is_none()
        && other
            .spec
            .brokers
            .as_ref()
            .is_some_and(|b| b.patch_policy == PatchPolicy::Patch)
        && broker_target(other) == broker_target(object)
}
