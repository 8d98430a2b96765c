use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EnvVar, EnvVarSource,
    HTTPGetAction, KeyToPath, ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec,
    Probe, SeccompProfile, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kop_config::{ConfigError, RawConfig};

use super::config_map::{ADMIN_PORT, CA_DIRECTORY, CONFIG_FILE, OAUTH2_DIRECTORY, TOKEN_DIRECTORY};
use super::{advertised_host, labels};
use crate::controller::broker_config::fingerprint;
use crate::controller::validate::{
    Auth, Exposure, Listener, NodeHost, SecretKey, ValidatedGateway,
};

/// On the pod template: a change of the shared configuration replaces the pods.
const CONFIG_HASH: &str = "kop.pulsar.dev/config-hash";
const CONFIG_DIRECTORY: &str = "/etc/kop";
/// The variable that holds the address of the node.
const HOST_IP: &str = "KOP_HOST_IP";
/// An id without an account on any system, as images for restricted pods use.
const USER: i64 = 65532;
/// Long enough to answer what is in flight and to hand partitions over.
const GRACE_SECONDS: i64 = 60;

/// One gateway's Deployment; none as long as the API server has yet to choose a node port of it.
///
/// # Errors
/// When the gateway would refuse to start with these settings.
pub(super) fn deployment(
    gateway: &ValidatedGateway,
    config: &RawConfig,
    id: i32,
) -> Result<Option<Deployment>, ConfigError> {
    let Some(advertised) = advertised(gateway, id) else {
        return Ok(None);
    };
    check(config, &advertised)?;
    let selector = labels::selector_of(gateway, id);
    let metadata = labels::metadata(gateway, labels::gateway_name(&gateway.name, id), Some(id));
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: metadata.labels.clone(),
            annotations: Some(BTreeMap::from([(
                CONFIG_HASH.to_owned(),
                fingerprint([(CONFIG_FILE, config.to_toml().as_str())]),
            )])),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(gateway, &advertised, id)),
    };
    Ok(Some(Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            // Two processes of one id would fight for its partitions.
            strategy: Some(DeploymentStrategy {
                type_: Some("Recreate".to_owned()),
                ..DeploymentStrategy::default()
            }),
            revision_history_limit: Some(2),
            selector: LabelSelector {
                match_labels: Some(selector),
                ..LabelSelector::default()
            },
            template,
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }))
}

/// What the gateway tells its clients, listener by listener; none while a port is unknown.
fn advertised(gateway: &ValidatedGateway, id: i32) -> Option<Vec<String>> {
    let of = |listener: &Listener| {
        let name = &listener.name;
        match &listener.exposure {
            Exposure::Internal { domain } => {
                let service = labels::gateway_service(&gateway.name, name, id);
                let host = advertised_host(gateway, &service, domain);
                Some(format!("{name}://{host}:{}", listener.port))
            }
            Exposure::NodePort { host, gateways, .. } => {
                let port = gateways.get(&id).copied().flatten()?;
                let host = match host {
                    // Brackets, because the address may be an IPv6 one; around others they do no harm.
                    NodeHost::Node => format!("[$({HOST_IP})]"),
                    NodeHost::Static(host) if host.contains(':') => format!("[{host}]"),
                    NodeHost::Static(host) => host.clone(),
                };
                Some(format!("{name}://{host}:{port}"))
            }
        }
    };
    gateway.listeners.iter().map(of).collect()
}

/// Asks the gateway's own rules before a pod has to.
fn check(config: &RawConfig, advertised: &[String]) -> Result<(), ConfigError> {
    let host_ip = format!("$({HOST_IP})");
    let advertise = advertised
        .iter()
        .map(|address| address.replace(&host_ip, "2001:db8::1"));
    let flags = RawConfig {
        advertise: Some(advertise.collect()),
        ..RawConfig::default()
    };
    flags.or(config.clone()).validate().map(|_| ())
}

fn pod(gateway: &ValidatedGateway, advertised: &[String], id: i32) -> PodSpec {
    let (volumes, mounts) = volumes(gateway);
    PodSpec {
        service_account_name: Some(labels::shared_name(&gateway.name)),
        automount_service_account_token: Some(false),
        // Variables such as KOP_PLAIN_0_PORT would read like settings.
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        containers: vec![container(gateway, advertised, mounts, id)],
        volumes: Some(volumes),
        ..PodSpec::default()
    }
}

fn container(
    gateway: &ValidatedGateway,
    advertised: &[String],
    mounts: Vec<VolumeMount>,
    id: i32,
) -> Container {
    let mut args = vec![
        format!("--config={CONFIG_DIRECTORY}/{CONFIG_FILE}"),
        format!("--node-id={id}"),
    ];
    args.extend(
        advertised
            .iter()
            .map(|address| format!("--advertise={address}")),
    );
    Container {
        name: "gateway".to_owned(),
        image: Some(gateway.image.clone()),
        args: Some(args),
        env: Some(vec![EnvVar {
            name: HOST_IP.to_owned(),
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    field_path: "status.hostIP".to_owned(),
                    ..ObjectFieldSelector::default()
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        }]),
        ports: Some(ports(gateway)),
        resources: gateway.resources.clone(),
        // A gateway that starts while Pulsar is slow is given two minutes before it is killed.
        startup_probe: Some(probe("/livez", 2, 60)),
        liveness_probe: Some(probe("/livez", 10, 3)),
        readiness_probe: Some(probe("/readyz", 3, 2)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts),
        // The one line with which a gateway gives up reaches the resource's status.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

fn ports(gateway: &ValidatedGateway) -> Vec<ContainerPort> {
    let port = |name: &str, number: i32| ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    let mut ports: Vec<_> = gateway
        .listeners
        .iter()
        .map(|listener| port(&listener.name, listener.port))
        .collect();
    // Listener names have no dash, so this name is free.
    ports.push(port("kop-admin", ADMIN_PORT));
    ports
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("kop-admin".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn volumes(gateway: &ValidatedGateway) -> (Vec<Volume>, Vec<VolumeMount>) {
    let mut volumes = vec![Volume {
        name: "config".to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: labels::shared_name(&gateway.name),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }];
    let mut mounts = vec![mount("config", CONFIG_DIRECTORY)];
    let auth = match &gateway.pulsar.auth {
        Auth::None => None,
        Auth::Token(token) => Some(("token", TOKEN_DIRECTORY, token)),
        Auth::OAuth2 { credentials, .. } => Some(("oauth2", OAUTH2_DIRECTORY, credentials)),
    };
    let ca = gateway.pulsar.ca.as_ref();
    let ca = ca.map(|secret| ("ca", CA_DIRECTORY, secret));
    for (name, directory, secret) in auth.into_iter().chain(ca) {
        volumes.push(secret_volume(name, secret));
        mounts.push(mount(name, directory));
    }
    (volumes, mounts)
}

/// Only the key that is asked for, as a directory: a single file would never be updated.
fn secret_volume(name: &str, secret: &SecretKey) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.secret.clone()),
            items: Some(vec![KeyToPath {
                key: secret.key.clone(),
                path: secret.key.clone(),
                ..KeyToPath::default()
            }]),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn mount(name: &str, directory: &str) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: directory.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}
