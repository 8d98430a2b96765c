use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::ConfigMap;
use kop_api::OAuth2Spec;
use kop_config::{EntryFormat, LogFormat, RawConfig};

use super::labels;
use crate::controller::validate::{Auth, ValidatedGateway};

/// The file's name in the ConfigMap.
pub(super) const CONFIG_FILE: &str = "gateway.toml";
/// Where the token is mounted.
pub(super) const TOKEN_DIRECTORY: &str = "/etc/kop-token";
/// Where the client's credentials for an OAuth 2.0 issuer are mounted.
pub(super) const OAUTH2_DIRECTORY: &str = "/etc/kop-oauth2";
/// Where the certificate authority is mounted.
pub(super) const CA_DIRECTORY: &str = "/etc/kop-ca";
/// The port of `/livez`, `/readyz` and `/metrics`.
pub(super) const ADMIN_PORT: i32 = 9100;

/// What all gateways of the resource have in common. Addresses and ids differ, so they are flags.
pub(super) fn gateway_config(gateway: &ValidatedGateway) -> RawConfig {
    let listen = |listener: &crate::controller::validate::Listener| {
        format!("{}://0.0.0.0:{}", listener.name, listener.port)
    };
    let pulsar = &gateway.pulsar;
    let file = |directory: &str, key: &str| PathBuf::from(format!("{directory}/{key}"));
    let mut config = RawConfig {
        listen: Some(gateway.listeners.iter().map(listen).collect()),
        admin_listen: Some(format!("0.0.0.0:{ADMIN_PORT}")),
        pulsar: Some(pulsar.service_url.clone()),
        pulsar_admin: Some(pulsar.admin_url.clone()),
        pulsar_ca_file: pulsar.ca.as_ref().map(|ca| file(CA_DIRECTORY, &ca.key)),
        tenant: Some(pulsar.tenant.clone()),
        namespace: Some(pulsar.namespace.clone()),
        metadata_namespace: Some(pulsar.metadata_namespace.clone()),
        entry_format: gateway.config.entry_format.map(|format| match format {
            kop_api::EntryFormat::Pulsar => EntryFormat::Pulsar,
            kop_api::EntryFormat::Kafka => EntryFormat::Kafka,
        }),
        default_partitions: gateway
            .config
            .default_partitions
            .and_then(|partitions| u32::try_from(partitions).ok()),
        auto_create_topics: gateway.config.auto_create_topics,
        log_format: Some(LogFormat::Json),
        ..RawConfig::default()
    };
    match &pulsar.auth {
        Auth::None => {}
        Auth::Token(token) => config.pulsar_token_file = Some(file(TOKEN_DIRECTORY, &token.key)),
        Auth::OAuth2 {
            issuer:
                OAuth2Spec {
                    issuer_url,
                    audience,
                    scope,
                },
            credentials,
        } => {
            config.pulsar_oauth2_issuer = Some(issuer_url.clone());
            config.pulsar_oauth2_credentials_file = Some(file(OAUTH2_DIRECTORY, &credentials.key));
            config.pulsar_oauth2_audience.clone_from(audience);
            config.pulsar_oauth2_scope.clone_from(scope);
        }
    }
    config
}

/// The ConfigMap that the gateways mount.
pub(super) fn config_map(gateway: &ValidatedGateway, config: &RawConfig) -> ConfigMap {
    ConfigMap {
        metadata: labels::metadata(gateway, labels::shared_name(&gateway.name), None),
        data: Some(BTreeMap::from([(CONFIG_FILE.to_owned(), config.to_toml())])),
        ..ConfigMap::default()
    }
}
