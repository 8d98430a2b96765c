//! What the brokers do with entries and topics.
use kop_store::Finding;

use super::{probes, setting};
use crate::{
    connect::{EXPOSING, INDEX_INTERCEPTOR, INTERCEPTORS},
    examine::facts::{AdminFacts, Trouble},
};

/// Whether entries have offsets, and readers are given them.
pub(super) fn offsets(admin: &AdminFacts) -> Finding {
    const SUBJECT: &str = "offsets";
    let tried: Vec<bool> = probes(admin)
        .filter_map(|probe| probe.shown.as_ref()?.as_ref().ok().copied())
        .collect();
    let numbered: Vec<bool> = probes(admin)
        .filter_map(|probe| probe.numbered.as_ref()?.as_ref().ok().copied())
        .collect();
    let lines = missing_lines(admin);
    if tried.contains(&false) || numbered.contains(&false) {
        let known = lines.filter(|lines| !lines.is_empty());
        let lines = known.unwrap_or_else(|| match numbered.first() {
            Some(true) => vec![format!("{EXPOSING}=true")],
            _ => vec![
                format!("{INTERCEPTORS}={INDEX_INTERCEPTOR}"),
                format!("{EXPOSING}=true"),
            ],
        });
        let text = if numbered.contains(&true) {
            "an entry that was written was numbered, but readers are not given the number"
        } else {
            "an entry that was written was not numbered, so there are no offsets"
        };
        return with_lines(Finding::missing(SUBJECT, text), lines);
    }
    match lines {
        Some(lines) if !lines.is_empty() && tried.is_empty() => with_lines(
            Finding::missing(SUBJECT, "the brokers do not number entries for readers"),
            lines,
        ),
        Some(lines) if !lines.is_empty() => with_lines(
            Finding::warning(
                SUBJECT,
                "an entry that was written was numbered, but another broker lacks settings",
            ),
            lines,
        ),
        Some(_) if tried.is_empty() => {
            Finding::ok(SUBJECT, "the brokers are set to number entries for readers")
        }
        _ if !tried.is_empty() => Finding::ok(
            SUBJECT,
            "entries are numbered and readers are given the numbers: tried",
        ),
        _ => with_lines(
            Finding::warning(
                SUBJECT,
                "it could not be tried whether entries are numbered. They are with these lines",
            ),
            vec![
                format!("{INTERCEPTORS}={INDEX_INTERCEPTOR}"),
                format!("{EXPOSING}=true"),
            ],
        ),
    }
}

fn with_lines(finding: Finding, lines: Vec<String>) -> Finding {
    lines.into_iter().fold(finding, Finding::set)
}

/// The lines that the broker that answered lacks; `None` where its settings are not shown.
fn missing_lines(admin: &AdminFacts) -> Option<Vec<String>> {
    admin.settings.as_ref().ok()?;
    let mut lines = Vec::new();
    // Shown as Java shows a list.
    let interceptors = setting(admin, INTERCEPTORS).unwrap_or_default();
    let mut classes: Vec<&str> = interceptors
        .trim_matches(['[', ']'])
        .split(',')
        .map(str::trim)
        .filter(|class| !class.is_empty())
        .collect();
    if !classes.contains(&INDEX_INTERCEPTOR) {
        classes.push(INDEX_INTERCEPTOR);
        lines.push(format!("{INTERCEPTORS}={}", classes.join(",")));
    }
    if setting(admin, EXPOSING) != Some("true") {
        lines.push(format!("{EXPOSING}=true"));
    }
    Some(lines)
}

/// Which kind of topic Pulsar's own clients make by using one.
pub(super) fn automatic_topics(admin: &AdminFacts) -> Option<Finding> {
    const SUBJECT: &str = "topics that Pulsar clients make";
    let own = admin.topics.policies.as_ref().ok()?.as_ref();
    let namespace = own.and_then(|policies| policies.auto_topic_creation.as_ref());
    let (allowed, kind) = match namespace {
        Some(own) => (own.allowed, own.topic_type.as_deref()),
        None => (
            setting(admin, "allowAutoTopicCreation")? == "true",
            setting(admin, "allowAutoTopicCreationType"),
        ),
    };
    Some(match kind {
        _ if !allowed => Finding::ok(SUBJECT, "none: topics are made on purpose only"),
        Some(kind) if kind.eq_ignore_ascii_case("partitioned") => {
            Finding::ok(SUBJECT, "are partitioned")
        }
        _ => Finding::warning(
            SUBJECT,
            "have no partitions: Kafka clients see each as one partition and cannot add any",
        )
        .set("allowAutoTopicCreationType=partitioned"),
    })
}

/// Whether single topics may have policies of their own, which Kafka's topic settings become.
pub(super) fn topic_policies(admin: &AdminFacts) -> Option<Finding> {
    const SUBJECT: &str = "topic policies";
    let off = setting(admin, "topicLevelPoliciesEnabled") == Some("false")
        || setting(admin, "systemTopicEnabled") == Some("false");
    let refused = probes(admin).any(|probe| {
        let refusal = |trouble: &Trouble| trouble.text().contains("policies is disabled");
        matches!(&probe.applied, Some(Err(trouble)) if refusal(trouble))
    });
    let seen = probes(admin).any(|probe| matches!(probe.applied, Some(Ok(_))));
    if off || refused {
        let text = "off: a topic cannot have a retention of its own";
        return Some(
            Finding::warning(SUBJECT, text)
                .set("systemTopicEnabled=true")
                .set("topicLevelPoliciesEnabled=true"),
        );
    }
    (seen || admin.settings.is_ok())
        .then(|| Finding::ok(SUBJECT, "on: topics can have a retention of their own"))
}

/// Broker deduplication, which is no matter of right or wrong.
pub(super) fn deduplication(admin: &AdminFacts) -> Option<Finding> {
    let applied = admin.topics.probe.as_ref().and_then(|probe| {
        let applied = probe.applied.as_ref()?.as_ref().ok()?;
        applied.deduplication
    });
    let own = || {
        let policies = admin.topics.policies.as_ref().ok()?.as_ref()?;
        policies.deduplication
    };
    let on = applied
        .or_else(own)
        .or_else(|| Some(setting(admin, "brokerDeduplicationEnabled")? == "true"))?;
    let state = if on { "on" } else { "off" };
    Some(Finding::ok(
        "deduplication",
        format!("{state}; either is fine"),
    ))
}
