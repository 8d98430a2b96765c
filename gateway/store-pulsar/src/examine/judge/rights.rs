//! What the gateway's role may do.
use kop_store::Finding;

use super::role;
use crate::examine::facts::{AdminFacts, Facts, NamespaceFacts, Probe, Trouble};

/// A tenant that is not there, which only a superuser can make.
pub(super) fn tenant(facts: &Facts, admin: &AdminFacts) -> Option<Finding> {
    let Err(Trouble::NotFound(_)) = &admin.namespaces else {
        return None;
    };
    let (tenant, role) = (&admin.tenant, role(facts));
    Some(
        Finding::missing("tenant", format!("{tenant} does not exist")).run(format!(
            "bin/pulsar-admin tenants create {tenant} --admin-roles {role}"
        )),
    )
}

/// A namespace that is not there.
pub(super) fn existence(admin: &AdminFacts, namespace: &NamespaceFacts) -> Option<Finding> {
    let Ok(None) = &namespace.policies else {
        return None;
    };
    let name = &namespace.name;
    let subject = format!("namespace {name}");
    if admin.namespaces.is_ok() {
        let text = "does not exist; the gateway makes it, with unlimited retention";
        return Some(Finding::ok(subject, text));
    }
    let text = "does not exist, and making it needs an administrator of the tenant";
    Some(
        Finding::missing(subject, text)
            .run(format!("bin/pulsar-admin namespaces create {name}"))
            .run(format!(
                "bin/pulsar-admin namespaces set-retention {name} --time -1 --size -1"
            )),
    )
}

/// What was tried in a namespace.
pub(super) fn rights(
    facts: &Facts,
    admin: &AdminFacts,
    namespace: &NamespaceFacts,
) -> Vec<Finding> {
    let Some(probe) = &namespace.probe else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let administration = refused(&[
        ("read its policies", namespace.policies.as_ref().err()),
        ("make topics", probe.created.as_ref().err()),
        ("read topics' policies", failed(&probe.applied)),
        ("remove topics", failed(&probe.removed)),
    ]);
    let use_of_topics = refused(&[
        ("list topics", probe.listed.as_ref().err()),
        ("write", failed(&probe.written)),
        ("read", failed(&probe.shown)),
        ("look at entries", failed(&probe.numbered)),
    ]);
    let (name, role) = (&namespace.name, role(facts));
    let subject = format!("rights in {name}");
    if administration.is_empty() && use_of_topics.is_empty() {
        findings.extend(worked(probe, &subject));
    } else {
        let all: Vec<&str> = administration
            .iter()
            .chain(&use_of_topics)
            .copied()
            .collect();
        let mut finding = Finding::missing(
            subject,
            format!("the gateway's role may not {}", all.join(", ")),
        );
        if !administration.is_empty() {
            finding.text.push_str(
                ". An administrator of the tenant may; the command below replaces the roles that \
                 the tenant has, so name those, too",
            );
            finding = finding.run(format!(
                "bin/pulsar-admin tenants update {} --admin-roles {role}",
                admin.tenant
            ));
        }
        if !use_of_topics.is_empty() {
            finding = finding.run(format!(
                "bin/pulsar-admin namespaces grant-permission {name} --role {role} --actions \
                 produce,consume"
            ));
        }
        findings.push(finding);
    }
    findings.extend(failures(probe, name));
    findings
}

fn worked(probe: &Probe, subject: &str) -> Option<Finding> {
    let all = probe.listed.is_ok()
        && probe.created.is_ok()
        && matches!(probe.written, Some(Ok(())))
        && matches!(probe.shown, Some(Ok(_)))
        && matches!(probe.removed, Some(Ok(())));
    all.then(|| {
        Finding::ok(
            subject,
            "topics can be made, written, read and removed: tried",
        )
    })
}

fn failed<T>(step: &Option<Result<T, Trouble>>) -> Option<&Trouble> {
    step.as_ref()?.as_ref().err()
}

/// The steps that are not allowed.
fn refused<'a>(steps: &[(&'a str, Option<&Trouble>)]) -> Vec<&'a str> {
    steps
        .iter()
        .filter(|(_, trouble)| matches!(trouble, Some(Trouble::NotAllowed(_))))
        .map(|(what, _)| *what)
        .collect()
}

/// Steps that failed for another reason than a right.
fn failures(probe: &Probe, namespace: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let steps = [
        ("topics cannot be listed", probe.listed.as_ref().err()),
        ("topics cannot be made", probe.created.as_ref().err()),
        ("topics cannot be written", failed(&probe.written)),
        ("topics cannot be read", failed(&probe.shown)),
        ("entries cannot be looked at", failed(&probe.numbered)),
    ];
    for (what, trouble) in steps {
        let subject = format!("use of {namespace}");
        match trouble {
            None | Some(Trouble::NotAllowed(_)) => {}
            Some(Trouble::Unreachable(text)) => findings.push(Finding::unreachable(
                subject,
                format!(
                    "{what}: {text}. Clients are sent to the address that a broker has of itself, \
                     which has to be reachable from here (advertisedAddress, advertisedListeners)"
                ),
            )),
            Some(trouble) => {
                findings.push(Finding::missing(
                    subject,
                    format!("{what}: {}", trouble.text()),
                ));
            }
        }
    }
    if let Some(trouble) = failed(&probe.removed) {
        let topic = &probe.topic;
        findings.push(
            Finding::warning(
                format!("use of {namespace}"),
                format!(
                    "the topic that was made to try things was not removed: {}",
                    trouble.text()
                ),
            )
            .run(format!(
                "bin/pulsar-admin topics delete-partitioned-topic --force {topic}"
            )),
        );
    }
    findings
}
