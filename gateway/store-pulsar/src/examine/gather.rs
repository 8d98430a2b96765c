//! Asks Pulsar, one question after the other.
use pulsar_client::{Authentication, Client};

use super::{
    facts::{AdminFacts, Facts, NamespaceFacts, Trouble},
    probe,
    token::Token,
};
use crate::{PulsarAuthentication, PulsarOptions, admin::Admin, clock, connect::Clients};

/// Looks at everything that can be seen.
pub(crate) async fn gather(
    options: &PulsarOptions,
    clients: &Clients,
    largest_batch: usize,
) -> Facts {
    let Clients {
        admin,
        client,
        authentication,
    } = clients;
    let token = match authentication {
        Some(authentication) => Some(token(options, authentication).await),
        None => None,
    };
    // The rest may take longer than a token is good.
    let now = clock::now_millis() / 1_000;
    let greeting = client.greeting().await.map_err(Into::into);
    // A client is of use only where brokers answer; each further try would take its time.
    let client = greeting.is_ok().then_some(client);
    let admin = match admin.clusters().await {
        Ok(_) => Ok(admin_facts(options, admin, client).await),
        Err(error) => Err(error.into()),
    };
    Facts {
        service_url: options.service_url.clone(),
        admin_url: options.admin_url.clone(),
        authorities: options.ca_file.is_some(),
        token,
        renewed: matches!(
            options.authentication,
            Some(PulsarAuthentication::OAuth2 { .. })
        ),
        greeting,
        admin,
        largest_batch,
        now,
    }
}

async fn token(options: &PulsarOptions, authentication: &Authentication) -> Token {
    match (authentication.token().await, &options.authentication) {
        (Ok(text), Some(PulsarAuthentication::TokenFile(path))) if text.is_empty() => {
            Token::Unusable(format!("{} is empty", path.display()))
        }
        (Ok(text), _) => Token::of(&text),
        (Err(error), _) => Token::Unusable(error.to_string()),
    }
}

async fn admin_facts(
    options: &PulsarOptions,
    admin: &Admin,
    client: Option<&Client>,
) -> AdminFacts {
    let PulsarOptions {
        tenant,
        namespace,
        metadata_namespace,
        ..
    } = options;
    let topics = namespace_facts(admin, client, &format!("{tenant}/{namespace}")).await;
    let metadata = if metadata_namespace == namespace {
        topics.clone()
    } else {
        namespace_facts(admin, client, &format!("{tenant}/{metadata_namespace}")).await
    };
    AdminFacts {
        version: admin.version().await.map_err(Into::into),
        settings: admin.broker_settings().await.map_err(Into::into),
        tenant: tenant.clone(),
        namespaces: admin.namespaces(tenant).await.map_err(Into::into),
        topics,
        metadata,
    }
}

async fn namespace_facts(admin: &Admin, client: Option<&Client>, name: &str) -> NamespaceFacts {
    let name = name.to_owned();
    let policies = admin.policies(&name).await;
    if let Ok(None) = policies {
        return NamespaceFacts {
            name,
            policies: Ok(None),
            probe: None,
        };
    }
    let probe = probe::probe(admin, client, &name).await;
    // Whether it exists may be hidden from those who ask, but not from those who try.
    let missing = matches!(probe.created, Err(Trouble::NotFound(_)));
    NamespaceFacts {
        name,
        policies: if missing {
            Ok(None)
        } else {
            policies.map_err(Into::into)
        },
        probe: (!missing).then_some(probe),
    }
}
