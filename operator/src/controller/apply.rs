//! The only writer of children and brokers: what was built, in order, by server-side apply.

use std::collections::BTreeMap;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kop_api::{BROKERS_FINALIZER, KafkaOnPulsar};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::broker_config::BROKER_MANAGER;
use super::build::Resources;
use super::build::broker_patch::{Apply, BrokerPatch};
use super::build::labels::OPERATOR;
use super::dereference::Found;
use super::validate::{Brokers, ValidatedGateway};

/// What the API server made of it.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// The Services, with what was allocated for them.
    pub(crate) services: BTreeMap<String, Service>,
    /// The Deployments.
    pub(crate) deployments: BTreeMap<String, Deployment>,
    /// What became of the writes to the brokers.
    pub(crate) brokers: BrokerOutcome,
}

/// What became of the writes to the brokers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum BrokerOutcome {
    /// Nothing was to be written.
    #[default]
    Nothing,
    /// Something was written.
    Written {
        /// The settings.
        settings: bool,
        /// The annotation, or a pod was deleted.
        restart: bool,
    },
    /// Somebody else holds one of our fields.
    Conflict(String),
    /// The object is not the one that was read any more.
    Replaced(String),
    /// The API server does not let us.
    Refused(String),
}

/// Why children could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// An object of that name belongs to somebody else.
    #[error("{kind} {name} exists and belongs to somebody else")]
    NotOurs {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The API server said no or could not be reached.
    #[error("cannot write {kind} {name}: {source}")]
    Api {
        /// The kind of object.
        kind: String,
        /// Its name.
        name: String,
        /// The answer.
        source: kube::Error,
    },
}

/// Writes everything: what the gateways need first, then the brokers, then the gateways, and at
/// last what is not wanted any more goes.
///
/// # Errors
/// At the first child that cannot be written. What goes wrong with the brokers is an outcome.
pub(crate) async fn apply(
    client: &Client,
    object: &KafkaOnPulsar,
    gateway: &ValidatedGateway,
    found: &Found,
    resources: Resources,
) -> Result<Applied, ApplyError> {
    let Resources {
        service_account,
        config_map,
        services,
        deployments,
        wanted_deployments,
        broker_patch,
    } = resources;
    let writer = Writer {
        client,
        namespace: &gateway.namespace,
        owner: &gateway.owner.uid,
    };
    if let Brokers::Patch(brokers) = &gateway.brokers
        && brokers.holds_settings()
    {
        set_finalizer(client, object, true).await?;
    }

    writer.apply(service_account).await?;
    writer.apply(config_map).await?;
    let mut applied = Applied::default();
    for service in services {
        let service = writer.apply(service).await?;
        applied.services.insert(service.name_any(), service);
    }
    if let Some(patch) = broker_patch {
        applied.brokers = patch_brokers(client, &patch).await;
    }
    for deployment in deployments {
        let deployment = writer.apply(deployment).await?;
        applied
            .deployments
            .insert(deployment.name_any(), deployment);
    }
    for service in found.services.values() {
        if !applied.services.contains_key(&service.name_any()) {
            writer.delete(service).await?;
        }
    }
    for deployment in found.deployments.values() {
        if !wanted_deployments.contains(&deployment.name_any()) {
            writer.delete(deployment).await?;
        }
    }
    Ok(applied)
}

struct Writer<'a> {
    client: &'a Client,
    namespace: &'a str,
    /// The uid of the resource.
    owner: &'a str,
}

impl Writer<'_> {
    async fn apply<K>(&self, child: K) -> Result<K, ApplyError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + Serialize + DeserializeOwned,
    {
        let name = child.name_any();
        let api = Api::<K>::namespaced(self.client.clone(), self.namespace);
        let failed = |source| api_error::<K>(&name, source);
        // Forcing is for repairing our own children, never for taking over what happens to have
        // the same name.
        if let Some(present) = api.get_metadata_opt(&name).await.map_err(failed)?
            && !self.owns(&present.metadata.owner_references)
        {
            return Err(ApplyError::NotOurs {
                kind: K::kind(&()).into_owned(),
                name,
            });
        }
        let params = PatchParams::apply(OPERATOR).force();
        let failed = |source| api_error::<K>(&name, source);
        api.patch(&name, &params, &Patch::Apply(&child))
            .await
            .map_err(failed)
    }

    async fn delete<K>(&self, child: &K) -> Result<(), ApplyError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + DeserializeOwned,
    {
        if !self.owns(&child.meta().owner_references) {
            return Ok(());
        }
        let name = child.name_any();
        let api = Api::<K>::namespaced(self.client.clone(), self.namespace);
        match api.delete(&name, &DeleteParams::background()).await {
            Err(error) if !is_not_found(&error) => Err(api_error::<K>(&name, error)),
            _ => Ok(()),
        }
    }

    fn owns(
        &self,
        owners: &Option<Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference>>,
    ) -> bool {
        owners.iter().flatten().any(|owner| owner.uid == self.owner)
    }
}

fn api_error<K: Resource<DynamicType = ()>>(name: &str, source: kube::Error) -> ApplyError {
    ApplyError::Api {
        kind: K::kind(&()).into_owned(),
        name: name.to_owned(),
        source,
    }
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Adds or takes away the finalizer under which brokers get their settings back.
///
/// # Errors
/// When the resource cannot be written; a resource that is gone is no error.
pub(crate) async fn set_finalizer(
    client: &Client,
    object: &KafkaOnPulsar,
    wanted: bool,
) -> Result<(), ApplyError> {
    let present = object
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == BROKERS_FINALIZER);
    if present == wanted {
        return Ok(());
    }
    let mut finalizers: Vec<_> = object.finalizers().to_vec();
    if wanted {
        finalizers.push(BROKERS_FINALIZER.to_owned());
    } else {
        finalizers.retain(|finalizer| finalizer != BROKERS_FINALIZER);
    }
    let name = object.name_any();
    let namespace = object.namespace().unwrap_or_default();
    // The version makes sure that nobody else's finalizer gets lost in between.
    let patch = json!({ "metadata": {
        "resourceVersion": object.resource_version(),
        "finalizers": finalizers,
    }});
    let api = Api::<KafkaOnPulsar>::namespaced(client.clone(), &namespace);
    match api
        .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
    {
        Err(error) if !is_not_found(&error) => Err(api_error::<KafkaOnPulsar>(&name, error)),
        _ => Ok(()),
    }
}

/// Writes to the brokers: the settings, then the restart, so that nobody restarts without them.
pub(crate) async fn patch_brokers(client: &Client, patch: &BrokerPatch) -> BrokerOutcome {
    let BrokerPatch {
        namespace,
        config_map,
        stateful_set,
        delete_pod,
    } = patch;
    let mut settings = false;
    let mut restart = false;
    if let Some(apply) = config_map {
        match apply_foreign::<ConfigMap>(client, namespace, apply).await {
            Ok(()) => settings = true,
            Err(outcome) => return outcome,
        }
    }
    if let Some(apply) = stateful_set {
        match apply_foreign::<StatefulSet>(client, namespace, apply).await {
            Ok(()) => restart = true,
            Err(outcome) => return outcome,
        }
    }
    if let Some((name, uid)) = delete_pod {
        let same = Preconditions {
            uid: Some(uid.clone()),
            resource_version: None,
        };
        let params = DeleteParams::default().preconditions(same);
        match Api::<Pod>::namespaced(client.clone(), namespace)
            .delete(name, &params)
            .await
        {
            Ok(_) => restart = true,
            Err(error) if is_not_found(&error) => {}
            Err(error) => return outcome_of(&format!("Pod {namespace}/{name}"), &error),
        }
    }
    BrokerOutcome::Written { settings, restart }
}

/// Server-side apply with the manager for foreign objects; never forced.
async fn apply_foreign<K>(
    client: &Client,
    namespace: &str,
    apply: &Apply,
) -> Result<(), BrokerOutcome>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    let resource = kube::api::ApiResource::erase::<K>(&());
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    let params = PatchParams::apply(BROKER_MANAGER);
    match api
        .patch(&apply.name, &params, &Patch::Apply(&apply.body))
        .await
    {
        Ok(_) => Ok(()),
        Err(error) => {
            let subject = format!("{} {namespace}/{}", K::kind(&()), apply.name);
            Err(outcome_of(&subject, &error))
        }
    }
}

/// A conflict of field managers names its causes; one without was the uid.
fn outcome_of(subject: &str, error: &kube::Error) -> BrokerOutcome {
    let message = format!("{subject}: {error}");
    match error {
        kube::Error::Api(status) if status.code == 409 => {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            match causes
                .filter(|cause| cause.reason == "FieldManagerConflict")
                .count()
            {
                0 => BrokerOutcome::Replaced(message),
                _ => BrokerOutcome::Conflict(message),
            }
        }
        _ => BrokerOutcome::Refused(message),
    }
}
