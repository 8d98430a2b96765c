use k8s_openapi::api::core::v1::{Service, ServicePort};
use kop_api::{AuthSpec, AuthType, OAuth2Spec, PulsarSpec, SecretKeyReference};
use kube::ResourceExt;

use super::{Rejected, service_domain};
use crate::controller::dereference::ObservedBrokers;

/// Where Pulsar is and how to speak to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pulsar {
    pub(crate) service_url: String,
    pub(crate) admin_url: String,
    pub(crate) tenant: String,
    pub(crate) namespace: String,
    pub(crate) metadata_namespace: String,
    pub(crate) auth: Auth,
    pub(crate) ca: Option<SecretKey>,
}

/// How the gateway says to Pulsar who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Auth {
    None,
    Token(SecretKey),
    OAuth2 {
        issuer: OAuth2Spec,
        credentials: SecretKey,
    },
}

/// A key of a Secret that the gateway's pod mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretKey {
    pub(crate) secret: String,
    pub(crate) key: String,
}

impl SecretKey {
    fn new(reference: &SecretKeyReference, default_key: &str) -> Self {
        SecretKey {
            secret: reference.name.clone(),
            key: reference
                .key
                .clone()
                .unwrap_or_else(|| default_key.to_owned()),
        }
    }
}

impl Pulsar {
    /// Takes the addresses from the spec or, where it is silent, from the brokers' Services.
    pub(crate) fn resolve(
        spec: &PulsarSpec,
        brokers: Option<&ObservedBrokers>,
    ) -> Result<Self, Rejected> {
        let discovered = |scheme: &str, number: i32, name: &str| {
            let services = brokers
                .map(|brokers| brokers.services.iter())
                .into_iter()
                .flatten();
            services
                .filter_map(|service| address(service, scheme, number, name, spec))
                .next()
                .ok_or_else(|| unknown(scheme, number))
        };
        let service_url = match &spec.service_url {
            Some(url) => url.clone(),
            None => discovered("pulsar", 6650, "pulsar")?,
        };
        let admin_url = match &spec.admin_url {
            Some(url) => url.clone(),
            None => discovered("http", 8080, "http")?,
        };
        Ok(Pulsar {
            service_url,
            admin_url,
            tenant: spec.tenant.clone(),
            namespace: spec.namespace.clone(),
            metadata_namespace: spec.metadata_namespace.clone(),
            auth: auth(spec.auth.as_ref())?,
            ca: spec
                .tls
                .as_ref()
                .map(|tls| SecretKey::new(&tls.ca_secret_ref, "ca.crt")),
        })
    }
}

/// The API server has checked these, unless its schema is older than this operator.
fn auth(spec: Option<&AuthSpec>) -> Result<Auth, Rejected> {
    let Some(AuthSpec {
        kind,
        token_secret_ref,
        oauth2_secret_ref,
        oauth2,
    }) = spec
    else {
        return Ok(Auth::None);
    };
    let incomplete = |message: &str| Rejected::new("AuthIncomplete", message);
    match (kind, token_secret_ref, oauth2_secret_ref, oauth2) {
        (AuthType::None | AuthType::Token, _, Some(_), _)
        | (AuthType::None | AuthType::Token, _, _, Some(_)) => {
            Err(incomplete("oauth2 and oauth2SecretRef need auth OAuth2"))
        }
        (AuthType::None, _, None, None) => Ok(Auth::None),
        (AuthType::Token, Some(token), None, None) => {
            Ok(Auth::Token(SecretKey::new(token, "TOKEN")))
        }
        (AuthType::Token, None, None, None) => Err(incomplete("auth Token needs tokenSecretRef")),
        (AuthType::OAuth2, Some(_), _, _) => Err(incomplete("auth OAuth2 excludes tokenSecretRef")),
        (AuthType::OAuth2, None, Some(credentials), Some(issuer)) => Ok(Auth::OAuth2 {
            issuer: issuer.clone(),
            credentials: SecretKey::new(credentials, "credentials.json"),
        }),
        (AuthType::OAuth2, None, None, _) => Err(incomplete("auth OAuth2 needs oauth2SecretRef")),
        (AuthType::OAuth2, None, Some(_), None) => Err(incomplete("auth OAuth2 needs oauth2")),
    }
}

fn unknown(scheme: &str, port: i32) -> Rejected {
    let field = if scheme == "pulsar" {
        "pulsar.serviceUrl"
    } else {
        "pulsar.adminUrl"
    };
    Rejected::new(
        "PulsarAddressUnknown",
        format!("no Service of the brokers has port {port}: give {field}"),
    )
}

/// The address of the Service's port with that number or, where it was renumbered, that name.
fn address(
    service: &Service,
    scheme: &str,
    number: i32,
    name: &str,
    spec: &PulsarSpec,
) -> Option<String> {
    let ports = service.spec.as_ref()?.ports.as_ref()?;
    // Meshes want the protocol before the name: `tcp-pulsar`.
    let is_named = |port: &&ServicePort| {
        port.name
            .as_deref()
            .is_some_and(|n| n == name || n.ends_with(&format!("-{name}")))
    };
    let port = ports
        .iter()
        .find(|port| port.port == number)
        .or_else(|| ports.iter().find(is_named))?
        .port;
    let host = service.name_any();
    let namespace = service.namespace()?;
    Some(format!(
        "{scheme}://{host}.{namespace}.{}:{port}",
        service_domain(spec)
    ))
}
