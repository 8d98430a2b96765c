use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
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

/// What keeps a pod from starting, in Kubernetes' words and its own last ones.
fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.iter().flatten();
    if let Some((reason, message)) = containers.filter_map(not_starting).next() {
        return Some(
            format!("pod {}: {reason} {message}", pod.name_any())
                .trim_end()
                .to_owned(),
        );
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

fn not_starting(container: &ContainerStatus) -> Option<(&str, &str)> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    if matches!(reason, "ContainerCreating" | "PodInitializing") {
        return None;
    }
    let last = container
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let words = last
        .and_then(|last| last.message.as_deref())
        .and_then(last_line);
    Some((
        reason,
        words.or(waiting.message.as_deref()).unwrap_or_default(),
    ))
}

/// The last line that says something, cut to what a condition can hold well.
fn last_line(log: &str) -> Option<&str> {
    let line = log
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())?;
    let end = line
        .char_indices()
        .nth(512)
        .map_or(line.len(), |(at, _)| at);
    line.get(..end)
}
