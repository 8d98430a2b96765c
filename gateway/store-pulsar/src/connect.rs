//! The first look at a Pulsar: is it there, and does it give what offsets are made of?
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use pulsar_client::{
    Authentication, Client, ClientOptions, CredentialsError, LookupError, OAuth2, OAuth2Options,
    TlsOptions, TokenSource,
};

use crate::{
    PulsarAuthentication, PulsarOptions,
    admin::{Admin, AdminError, Retention},
    shared::Shared,
};

/// How long a broker may say nothing before it is taken for gone.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);
pub(crate) const INTERCEPTORS: &str = "brokerEntryMetadataInterceptors";
pub(crate) const INDEX_INTERCEPTOR: &str =
    "org.apache.pulsar.common.intercept.AppendIndexMetadataInterceptor";
pub(crate) const EXPOSING: &str = "exposingBrokerEntryMetadataToClientEnabled";

/// Why a Pulsar cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file of authorities cannot be read.
    #[error("file of certificate authorities {path}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The admin API does not answer, or refuses.
    #[error("pulsar's admin API at {url}{}", hint(.source))]
    Admin {
        /// Where it was looked for.
        url: String,
        /// What came.
        #[source]
        source: AdminError,
    },
    /// The binary protocol does not answer, or refuses.
    #[error("pulsar at {url}{}", hint(.source))]
    Pulsar {
        /// Where it was looked for.
        url: String,
        /// What came.
        #[source]
        source: LookupError,
    },
    /// The brokers lack settings.
    #[error(
        "the brokers lack settings; add to broker.conf (or standalone.conf) and restart: {lines}"
    )]
    Settings {
        /// The missing lines.
        lines: String,
    },
    /// There is no token to authenticate with.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The topics' namespace does not exist and cannot be made.
    #[error("namespace {namespace} does not exist and cannot be created")]
    Namespace {
        /// `tenant/namespace`.
        namespace: String,
        /// Why not.
        #[source]
        source: AdminError,
    },
}

/// What to do where the words of a failed connection say no more than that TLS failed.
fn hint(error: &(dyn std::error::Error + 'static)) -> &'static str {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    if causes.any(|cause| cause.to_string().contains("UnknownIssuer")) {
        ", whose certificate no trusted authority has signed (give the PEM file of the one that did with \
         --pulsar-ca-file)"
    } else {
        ""
    }
}

/// The two ways to Pulsar, and what both say of us.
pub(crate) struct Clients {
    pub(crate) admin: Admin,
    pub(crate) client: Client,
    pub(crate) authentication: Option<Authentication>,
}

/// The ways to Pulsar; nothing is sent yet.
pub(crate) fn clients(options: &PulsarOptions) -> Result<Clients, ConnectError> {
    // Whichever part of the process is first decides; all of ours use the same provider.
    drop(rustls::crypto::ring::default_provider().install_default());
    let ca = match &options.ca_file {
        None => None,
        Some(path) => Some(
            std::fs::read(path).map_err(|source| ConnectError::Authorities {
                path: path.clone(),
                source,
            })?,
        ),
    };
    let authentication = authentication(options);
    let admin = Admin::new(&options.admin_url, authentication.clone(), ca.as_deref()).map_err(
        |source| ConnectError::Admin {
            url: options.admin_url.clone(),
            source,
        },
    )?;
    let mut client = ClientOptions::new(options.service_url.clone());
    client.authentication = authentication.clone();
    client.operation_timeout = OPERATION_TIMEOUT;
    client.tls = TlsOptions {
        ca_file: options.ca_file.clone(),
    };
    Ok(Clients {
        admin,
        client: Client::new(client),
        authentication,
    })
}

/// Looks at the Pulsar and prepares what a store needs.
pub(crate) async fn connect(options: PulsarOptions) -> Result<Shared, ConnectError> {
    let Clients {
        admin,
        client,
        authentication,
    } = clients(&options)?;
    if let Some(authentication) = &authentication {
        // Asked for at each use; that there is none is better found now.
        authentication.token().await?;
    }
    let failed = |source| ConnectError::Admin {
        url: options.admin_url.clone(),
        source,
    };
    admin.clusters().await.map_err(failed)?;
    match admin.broker_settings().await {
        Ok(settings) => check_settings(&settings)?,
        Err(error) => {
            tracing::warn!(%error, "broker settings cannot be seen; topics without entry indexes \
                will be refused when they are opened");
        }
    }
    let namespace = format!("{}/{}", options.tenant, options.namespace);
    check_namespace(&admin, &namespace).await?;
    client
        .topics_of_namespace(&namespace)
        .await
        .map_err(|source| ConnectError::Pulsar {
            url: options.service_url.clone(),
            source,
        })?;
    tracing::info!(
        node = options.node_name,
        url = options.service_url,
        "connected to pulsar"
    );
    let version = admin.version().await;
    let shared = Shared::new(options, client, admin);
    match version {
        Ok(version) => drop(shared.brokers.set(version)),
        Err(error) => tracing::warn!(%error, "the brokers do not tell their version"),
    }
    Ok(shared)
}

fn authentication(options: &PulsarOptions) -> Option<Authentication> {
    Some(match options.authentication.clone()? {
        PulsarAuthentication::TokenFile(path) => Authentication::Token(TokenSource::File(path)),
        PulsarAuthentication::OAuth2 {
            issuer_url,
            credentials_file,
            audience,
            scope,
        } => Authentication::OAuth2(OAuth2::new(OAuth2Options {
            issuer_url,
            credentials_file,
            audience,
            scope,
            ca_file: options.ca_file.clone(),
        })),
    })
}

fn check_settings(settings: &BTreeMap<String, String>) -> Result<(), ConnectError> {
    let value = |name: &str| settings.get(name).map(String::as_str).unwrap_or_default();
    let mut lines = Vec::new();
    if !value(INTERCEPTORS).contains(INDEX_INTERCEPTOR) {
        lines.push(format!("{INTERCEPTORS}={INDEX_INTERCEPTOR}"));
    }
    if value(EXPOSING) != "true" {
        lines.push(format!("{EXPOSING}=true"));
    }
    if value("brokerDeleteInactiveTopicsEnabled") == "true" {
        tracing::warn!(
            "brokerDeleteInactiveTopicsEnabled=true: the brokers delete topics without \
             subscriptions or producers, and their records; set it to false"
        );
    }
    if lines.is_empty() {
        return Ok(());
    }
    Err(ConnectError::Settings {
        lines: lines.join(" and "),
    })
}

/// A namespace that someone else made keeps its retention: it is theirs to decide what is removed.
async fn check_namespace(admin: &Admin, namespace: &str) -> Result<(), ConnectError> {
    let failed = |source| ConnectError::Namespace {
        namespace: namespace.to_owned(),
        source,
    };
    let exists = match admin.namespace_exists(namespace).await {
        Ok(exists) => exists,
        // A role may use topics without seeing policies. Whether the namespace is there shows when its
        // topics are asked for.
        Err(AdminError::Forbidden { status, reason }) => {
            tracing::warn!(
                namespace,
                status,
                reason,
                "the gateway's role may not see the namespace's policies: whether it keeps records \
                 without subscriptions is not known"
            );
            return Ok(());
        }
        Err(error) => return Err(failed(error)),
    };
    if !exists {
        admin.create_namespace(namespace).await.map_err(failed)?;
        tracing::info!(namespace, "namespace created, with unlimited retention");
        return Ok(());
    }
    match admin.retention(namespace).await {
        Ok(retention) => {
            if retention.is_none_or(Retention::keeps_nothing) {
                tracing::warn!(
                    namespace,
                    "the namespace has no retention of its own: unless the brokers' default says \
                     otherwise, Pulsar removes records that no subscription holds; set one with \
                     pulsar-admin namespaces set-retention"
                );
            }
        }
        Err(error) => tracing::warn!(namespace, %error, "retention cannot be seen"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::TcpListener,
    };

    use super::*;

    /// An admin API that answers every call with one status; its URL.
    fn answering(status: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(&stream).lines();
                let _ = lines
                    .take_while(|line| line.as_ref().is_ok_and(|l| !l.is_empty()))
                    .count();
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        url
    }

    fn admin_at(url: &str) -> Admin {
        drop(rustls::crypto::ring::default_provider().install_default());
        Admin::new(url, None, None).unwrap()
    }

    #[tokio::test]
    async fn a_role_that_may_not_see_policies_goes_on() {
        for status in ["401 Unauthorized", "403 Forbidden"] {
            let admin = admin_at(&answering(status));
            assert!(check_namespace(&admin, "public/default").await.is_ok());
        }
        let admin = admin_at(&answering("500 Internal Server Error"));
        assert!(check_namespace(&admin, "public/default").await.is_err());
    }

    #[tokio::test]
    async fn what_is_wrong_with_an_address_is_said_once() {
        let error = admin_at("http://127.0.0.1:1").clusters().await.unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with("no answer: Connection refused"), "{said}");
        assert!(std::error::Error::source(&error).is_none());
    }

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn brokers_that_number_entries_and_show_it_are_taken() {
        let list = format!("[{INDEX_INTERCEPTOR}]");
        assert!(check_settings(&settings(&[(INTERCEPTORS, &list), (EXPOSING, "true")])).is_ok());
    }

    #[test]
    fn the_lines_that_are_missing_are_named() {
        let error = check_settings(&settings(&[(EXPOSING, "false")]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("{INTERCEPTORS}={INDEX_INTERCEPTOR}")),
            "{error}"
        );
        assert!(
            error.contains("exposingBrokerEntryMetadataToClientEnabled=true"),
            "{error}"
        );
    }
}
