use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{Verdict, View};
use crate::controller::build::labels;
use crate::controller::validate::ValidatedGateway;

/// The condition `GatewaysAvailable`.
pub(super) fn verdict(gateway: &ValidatedGateway, view: &View<'_>) -> Verdict {
    let wanted = gateway.ids.len();
    let ready = available(gateway, view);
    let count = format!("{ready} of {wanted} gateways are up");
    if wanted == 0 {
        return Verdict::fails("ScaledToZero", "gateway.replicas is 0");
    }
    if ready == wanted {
        return Verdict::holds("Available", count);
    }
    let absent = gateway
        .ids
        .iter()
        .any(|id| deployment(gateway, view, *id).is_none());
    if absent && !gateway.brokers.are_configured() {
        return Verdict::pending(
            "WaitingForBrokers",
            format!("{count}: the brokers have to be configured first"),
        );
    }
    if absent {
        return Verdict::pending(
            "WaitingForNodePorts",
            format!("{count}: node ports are chosen"),
        );
    }
    match view.found.gateway_pods.iter().find_map(trouble) {
        Some(trouble) => Verdict::fails("GatewaysUnavailable", format!("{count}: {trouble}")),
        None => Verdict::pending("GatewaysStarting", count),
    }
}

/// How many gateways are up with the newest settings.
pub(super) fn available(gateway: &ValidatedGateway, view: &View<'_>) -> usize {
    let up = |id: &&i32| deployment(gateway, view, **id).is_some_and(is_available);
    gateway.ids.iter().filter(up).count()
}

fn deployment<'a>(gateway: &ValidatedGateway, view: &View<'a>, id: i32) -> Option<&'a Deployment> {
    let name = labels::gateway_name(&gateway.name, id);
    let applied = view
        .applied
        .and_then(|applied| applied.deployments.get(&name));
    applied.or_else(|| view.found.deployments.get(&name))
}

fn is_available(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else {
        return false;
    };
    let observed = status.observed_generation >= deployment.metadata.generation;
    observed
        && status.updated_replicas.unwrap_or(0) >= 1
        && status.available_replicas.unwrap_or(0) >= 1
        && status.replicas.unwrap_or(0) == status.updated_replicas.unwrap_or(0)
}

/// What keeps a pod from starting, in Kubernetes' words.
fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    for container in status.container_statuses.iter().flatten() {
        let state = container.state.as_ref();
        let waiting = state.and_then(|state| state.waiting.as_ref());
        let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
        if let Some(reason) =
            reason.filter(|r| !matches!(*r, "ContainerCreating" | "PodInitializing"))
        {
            let message = waiting
                .and_then(|waiting| waiting.message.as_deref())
                .unwrap_or_default();
            return Some(
                format!("pod {}: {reason} {message}", pod.name_any())
                    .trim_end()
                    .to_owned(),
            );
        }
    }
    let scheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_ == "PodScheduled")?;
    let message = scheduled
        .message
        .as_deref()
        .filter(|_| scheduled.status == "False")?;
    Some(format!("pod {}: {message}", pod.name_any()))
}
