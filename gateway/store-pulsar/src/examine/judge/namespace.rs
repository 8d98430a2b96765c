//! How long a namespace keeps what is written into it.
use kop_store::Finding;

use super::{brokers::span, setting};
use crate::{
    admin::{InactiveTopics, NamespacePolicies, Retention},
    examine::facts::{AdminFacts, Applied, NamespaceFacts},
};

/// What a namespace is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Topics,
    Metadata,
}

/// Retention, time to live, deletion, and what keeps Kafka's producers out.
pub(super) fn policies(
    admin: &AdminFacts,
    namespace: &NamespaceFacts,
    used_for: Use,
) -> Vec<Finding> {
    let view = View { admin, namespace };
    let retention = view.retention();
    let findings = [
        match retention {
            Some(retention) => Some(of_retention(&namespace.name, retention, used_for)),
            None => (!view.is_to_be_made()).then(|| hidden(&namespace.name)),
        },
        of_time_to_live(&namespace.name, &view, retention, used_for),
        view.inactive()
            .map(|inactive| of_inactive(&view, &inactive)),
        view.policies()
            .filter(|policies| policies.encryption_required)
            .map(|_| {
                let text = "demands that clients encrypt messages, which Kafka's do not";
                let name = &namespace.name;
                Finding::missing(format!("encryption in {name}"), text).run(format!(
                    "bin/pulsar-admin namespaces set-encryption-required {name} --disable"
                ))
            }),
        view.policies()
            .filter(|policies| policies.schema_validation_enforced)
            .map(|_| {
                let text = "producers without a schema are refused on topics that have one";
                let name = &namespace.name;
                Finding::warning(format!("schemas in {name}"), text).run(format!(
                    "bin/pulsar-admin namespaces set-schema-validation-enforce {name} --disable"
                ))
            }),
    ];
    findings.into_iter().flatten().collect()
}

/// A namespace as it is, or as it will be when the gateway makes it.
#[derive(Clone, Copy)]
struct View<'a> {
    admin: &'a AdminFacts,
    namespace: &'a NamespaceFacts,
}

impl<'a> View<'a> {
    fn applied(self) -> Option<&'a Applied> {
        self.namespace
            .probe
            .as_ref()?
            .applied
            .as_ref()?
            .as_ref()
            .ok()
    }

    fn policies(self) -> Option<&'a NamespacePolicies> {
        self.namespace.policies.as_ref().ok()?.as_ref()
    }

    fn is_to_be_made(self) -> bool {
        matches!(self.namespace.policies, Ok(None))
    }

    fn number(self, name: &str) -> Option<i64> {
        setting(self.admin, name)?.parse().ok()
    }

    fn retention(self) -> Option<Retention> {
        if self.is_to_be_made() {
            return None;
        }
        let brokers = || {
            Some(Retention {
                retention_time_in_minutes: self.number("defaultRetentionTimeInMinutes")?,
                retention_size_in_mb: self.number("defaultRetentionSizeInMB")?,
            })
        };
        self.applied()
            .and_then(|applied| applied.retention)
            .or_else(|| self.policies()?.retention_policies)
            .or_else(brokers)
    }

    /// Seconds; 0 for none.
    fn time_to_live(self) -> Option<i64> {
        self.applied()
            .and_then(|applied| applied.time_to_live)
            .or_else(|| self.policies()?.message_ttl_in_seconds)
            .or_else(|| self.number("ttlDurationDefaultInSeconds"))
    }

    fn inactive(self) -> Option<InactiveTopics> {
        let brokers = || {
            Some(InactiveTopics {
                delete_while_inactive: setting(self.admin, "brokerDeleteInactiveTopicsEnabled")?
                    == "true",
                max_inactive_duration_seconds: self
                    .number("brokerDeleteInactiveTopicsMaxInactiveDurationSeconds")
                    .or_else(|| self.number("brokerDeleteInactiveTopicsFrequencySeconds"))
                    .unwrap_or(60),
            })
        };
        self.applied()
            .and_then(|applied| applied.inactive.clone())
            .or_else(|| self.policies()?.inactive_topic_policies.clone())
            .or_else(brokers)
    }
}

fn of_retention(namespace: &str, retention: Retention, used_for: Use) -> Finding {
    let subject = format!("retention of {namespace}");
    let for_ever =
        format!("bin/pulsar-admin namespaces set-retention {namespace} --time -1 --size -1");
    if retention.keeps_nothing() {
        let text = "none: Pulsar removes what no subscription holds, and Kafka consumers are no \
                    subscriptions. A week, as Kafka keeps records, is --time 7d --size -1";
        return Finding::missing(subject, text).run(for_ever);
    }
    let time = match u64::try_from(retention.retention_time_in_minutes) {
        Ok(minutes) => format!("for {}", span(minutes * 60)),
        Err(_) => "for ever".to_owned(),
    };
    let size = match u64::try_from(retention.retention_size_in_mb) {
        Ok(megabytes) => format!(", up to {megabytes} MB a partition"),
        Err(_) => String::new(),
    };
    let kept = format!("records are kept {time}{size}");
    if used_for == Use::Metadata && !is_for_ever(retention) {
        let text = format!("{kept}: offsets that were committed longer ago are forgotten");
        return Finding::warning(subject, text).run(for_ever);
    }
    Finding::ok(subject, kept)
}

fn hidden(namespace: &str) -> Finding {
    Finding::warning(
        format!("retention of {namespace}"),
        format!(
            "not shown to this role, and neither are time to live and what becomes of unused \
             topics. An administrator of the tenant sees them with bin/pulsar-admin namespaces \
             policies {namespace}"
        ),
    )
}

fn is_for_ever(retention: Retention) -> bool {
    retention.retention_time_in_minutes < 0 && retention.retention_size_in_mb < 0
}

/// Pulsar moves every reader's cursor over messages that are older than that.
fn of_time_to_live(
    namespace: &str,
    view: &View<'_>,
    retention: Option<Retention>,
    used_for: Use,
) -> Option<Finding> {
    let subject = format!("time to live in {namespace}");
    let seconds = u64::try_from(view.time_to_live()?).ok()?;
    if seconds == 0 {
        return Some(Finding::ok(subject, "none"));
    }
    let kept = retention.and_then(|r| u64::try_from(r.retention_time_in_minutes).ok());
    let shorter = kept.is_none_or(|minutes| seconds < minutes.saturating_mul(60));
    let after = span(seconds);
    if !shorter {
        let text = format!("{after}, which is not less than the retention");
        return Some(Finding::ok(subject, text));
    }
    let text = format!(
        "{after}, less than the retention: Pulsar moves readers past older records, so consumers \
         miss records that are kept"
    );
    let off = format!("bin/pulsar-admin namespaces set-message-ttl {namespace} --messageTTL 0");
    let finding = match used_for {
        Use::Topics => Finding::missing(subject, text),
        Use::Metadata => Finding::warning(
            subject,
            format!("{after}: offsets that were committed longer ago may be forgotten"),
        ),
    };
    Some(finding.run(off))
}

fn of_inactive(view: &View<'_>, inactive: &InactiveTopics) -> Finding {
    let namespace = &view.namespace.name;
    let subject = format!("unused topics of {namespace}");
    if !inactive.delete_while_inactive {
        return Finding::ok(subject, "are kept");
    }
    let seconds = u64::try_from(inactive.max_inactive_duration_seconds).unwrap_or(0);
    let finding = Finding::missing(
        subject,
        format!(
            "the brokers delete topics, with their records, {} after the last producer and \
             subscription has gone",
            span(seconds)
        ),
    );
    let own = view
        .policies()
        .and_then(|own| own.inactive_topic_policies.as_ref());
    if own.is_some_and(|own| own.delete_while_inactive) {
        return finding.run(format!(
            "bin/pulsar-admin namespaces set-inactive-topic-policies {namespace} \
             --disable-delete-while-inactive --max-inactive-duration {seconds}s \
             --delete-mode delete_when_no_subscriptions"
        ));
    }
    finding.set("brokerDeleteInactiveTopicsEnabled=false")
}
