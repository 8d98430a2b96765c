//! What follows from what was seen: pure, and in words for people.
mod brokers;
mod entries;
mod namespace;
mod rights;

use std::collections::BTreeMap;

use kop_store::Finding;

use super::facts::{AdminFacts, Facts, Probe};

/// Stands in commands for a role that the token does not tell.
const UNKNOWN_ROLE: &str = "ROLE";

/// Every finding, in the order in which things depend on one another.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = brokers::token(facts).into_iter().collect();
    findings.push(brokers::service(facts));
    findings.push(brokers::admin(facts));
    let Ok(admin) = &facts.admin else {
        return findings;
    };
    findings.push(brokers::version(facts, admin));
    if let Some(missing) = rights::tenant(facts, admin) {
        findings.push(missing);
        return findings;
    }
    let mut namespaces = vec![(&admin.topics, namespace::Use::Topics)];
    if admin.metadata.name != admin.topics.name {
        namespaces.push((&admin.metadata, namespace::Use::Metadata));
    }
    for (namespace, _) in &namespaces {
        findings.extend(rights::existence(admin, namespace));
        findings.extend(rights::rights(facts, admin, namespace));
    }
    findings.push(entries::offsets(admin));
    for (namespace, used_for) in &namespaces {
        findings.extend(namespace::policies(admin, namespace, *used_for));
    }
    findings.extend(entries::automatic_topics(admin));
    findings.extend(entries::topic_policies(admin));
    findings.extend(entries::deduplication(admin));
    findings.extend(brokers::largest_message(facts));
    findings.extend(hidden(admin));
    findings
}

/// What nobody but a superuser may look at.
fn hidden(admin: &AdminFacts) -> Option<Finding> {
    let trouble = admin.settings.as_ref().err()?;
    Some(Finding::warning(
        "broker settings",
        format!(
            "not shown to this role ({}); what could be tried was tried instead. A superuser sees \
             the rest with bin/pulsar-admin brokers get-runtime-config",
            trouble.text()
        ),
    ))
}

/// The probes that were made.
fn probes(admin: &AdminFacts) -> impl Iterator<Item = &Probe> {
    admin.topics.probe.iter().chain(&admin.metadata.probe)
}

/// One broker setting, if settings are shown.
fn setting<'a>(admin: &'a AdminFacts, name: &str) -> Option<&'a str> {
    let settings: &BTreeMap<String, String> = admin.settings.as_ref().ok()?;
    settings.get(name).map(|value| value.trim())
}

/// The role that commands are to name.
fn role(facts: &Facts) -> &str {
    let told = facts.token.as_ref().and_then(|token| token.role());
    told.unwrap_or(UNKNOWN_ROLE)
}

#[cfg(test)]
mod tests;
