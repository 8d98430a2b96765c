//! What is seen of a Pulsar, and what is said of it.
use kop_store::{FindingState, Remedy};
use pulsar_client::Greeting;

use super::*;
use crate::{
    admin::{AutoTopicCreation, InactiveTopics, NamespacePolicies, Retention},
    connect::{EXPOSING, INDEX_INTERCEPTOR, INTERCEPTORS},
    examine::{
        facts::{Applied, NamespaceFacts, Trouble},
        token::{Claims, Token},
    },
};

const FOR_EVER: Retention = Retention {
    retention_time_in_minutes: -1,
    retention_size_in_mb: -1,
};
const NONE: Retention = Retention {
    retention_time_in_minutes: 0,
    retention_size_in_mb: 0,
};

fn said(facts: &Facts) -> String {
    let mut text = String::new();
    for finding in judge(facts) {
        let state = match finding.state {
            FindingState::Ok => "ok",
            FindingState::Warning => "warning",
            FindingState::Missing => "missing",
            FindingState::Unreachable => "unreachable",
        };
        text += &format!("{state} | {} | {}\n", finding.subject, finding.text);
        for remedy in &finding.remedies {
            text += &match remedy {
                Remedy::Setting(line) => format!("    set {line}\n"),
                Remedy::Command(line) => format!("    run {line}\n"),
            };
        }
    }
    text
}

fn settings(lines: &[(&str, &str)]) -> Result<BTreeMap<String, String>, Trouble> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Ok(lines.iter().map(own).collect())
}

fn probe(namespace: &str) -> Probe {
    Probe {
        topic: format!("persistent://{namespace}/__kop_check-1"),
        listed: Ok(()),
        created: Ok(()),
        written: Some(Ok(())),
        numbered: Some(Ok(true)),
        shown: Some(Ok(true)),
        applied: Some(Ok(Applied {
            retention: Some(FOR_EVER),
            time_to_live: Some(0),
            inactive: Some(InactiveTopics {
                delete_while_inactive: false,
                max_inactive_duration_seconds: 60,
            }),
            deduplication: Some(false),
        })),
        removed: Some(Ok(())),
    }
}

fn namespace(name: &str) -> NamespaceFacts {
    NamespaceFacts {
        name: name.to_owned(),
        policies: Ok(Some(NamespacePolicies::default())),
        probe: Some(probe(name)),
    }
}

/// A Pulsar on which all is well.
fn well() -> Facts {
    Facts {
        service_url: "pulsar://broker:6650".to_owned(),
        admin_url: "http://broker:8080".to_owned(),
        authorities: false,
        token: None,
        renewed: false,
        greeting: Ok(Greeting {
            server_version: "Pulsar Server".to_owned(),
            protocol_version: 20,
            max_message_size: 5 * 1024 * 1024,
        }),
        admin: Ok(AdminFacts {
            version: Ok("4.2.4".to_owned()),
            settings: settings(&[
                (INTERCEPTORS, &format!("[{INDEX_INTERCEPTOR}]")),
                (EXPOSING, "true"),
                ("allowAutoTopicCreation", "true"),
                ("allowAutoTopicCreationType", "partitioned"),
            ]),
            tenant: "public".to_owned(),
            namespaces: Ok(vec!["public/default".to_owned()]),
            topics: namespace("public/default"),
            metadata: namespace("public/__kafka"),
        }),
        largest_batch: 1_048_588,
        now: 1_700_000_000,
    }
}

fn with(change: impl FnOnce(&mut Facts, &mut AdminFacts)) -> Facts {
    let mut facts = well();
    let mut admin = facts.admin.clone().unwrap();
    change(&mut facts, &mut admin);
    facts.admin = Ok(admin);
    facts
}

#[test]
fn a_pulsar_on_which_all_is_well() {
    insta::assert_snapshot!(said(&well()));
}

#[test]
fn a_pulsar_as_it_comes() {
    let facts = with(|_, admin| {
        admin.settings = settings(&[
            (INTERCEPTORS, "[]"),
            (EXPOSING, "false"),
            ("allowAutoTopicCreation", "true"),
            ("allowAutoTopicCreationType", "non-partitioned"),
            ("brokerDeleteInactiveTopicsEnabled", "true"),
            ("brokerDeleteInactiveTopicsFrequencySeconds", "60"),
            ("brokerDeduplicationEnabled", "false"),
            ("ttlDurationDefaultInSeconds", "0"),
            ("defaultRetentionTimeInMinutes", "0"),
            ("defaultRetentionSizeInMB", "0"),
        ]);
        let probe = admin.topics.probe.as_mut().unwrap();
        probe.numbered = Some(Ok(false));
        probe.shown = Some(Ok(false));
        probe.applied = Some(Err(Trouble::Refused(
            "Topic level policies is disabled".to_owned(),
        )));
        admin.metadata.policies = Ok(None);
        admin.metadata.probe = None;
    });
    insta::assert_snapshot!(said(&facts));
}

#[test]
fn a_role_without_rights_is_told_how_to_get_them() {
    let refused = || Trouble::NotAllowed("Don't have permission".to_owned());
    let facts = with(|facts, admin| {
        facts.token = Some(Token::Claims(Claims {
            role: Some("kafka".to_owned()),
            expires: Some(1_700_000_000 + 3 * 86_400),
        }));
        admin.settings = Err(refused());
        admin.namespaces = Err(refused());
        let probe = admin.topics.probe.as_mut().unwrap();
        admin.topics.policies = Err(refused());
        probe.listed = Err(refused());
        probe.created = Err(refused());
        probe.written = None;
        probe.numbered = None;
        probe.shown = None;
        probe.applied = None;
        probe.removed = None;
        admin.metadata.policies = Ok(None);
        admin.metadata.probe = None;
    });
    insta::assert_snapshot!(said(&facts));
}

#[test]
fn an_administrator_of_the_tenant_sees_by_trying_what_superusers_see() {
    let facts = with(|_, admin| {
        admin.settings = Err(Trouble::NotAllowed("superuser only".to_owned()));
        let applied = |probe: &mut Option<Probe>, retention, time_to_live| {
            probe.as_mut().unwrap().applied = Some(Ok(Applied {
                retention: Some(retention),
                time_to_live: Some(time_to_live),
                inactive: Some(InactiveTopics {
                    delete_while_inactive: true,
                    max_inactive_duration_seconds: 3_600,
                }),
                deduplication: Some(true),
            }));
        };
        applied(&mut admin.topics.probe, NONE, 600);
        let week = Retention {
            retention_time_in_minutes: 7 * 24 * 60,
            retention_size_in_mb: 512,
        };
        applied(&mut admin.metadata.probe, week, 259_200);
        admin.topics.policies = Ok(Some(NamespacePolicies {
            encryption_required: true,
            schema_validation_enforced: true,
            auto_topic_creation: Some(AutoTopicCreation {
                allowed: false,
                topic_type: None,
            }),
            ..NamespacePolicies::default()
        }));
        admin.metadata.policies = Ok(Some(NamespacePolicies {
            inactive_topic_policies: Some(InactiveTopics {
                delete_while_inactive: true,
                max_inactive_duration_seconds: 3_600,
            }),
            ..NamespacePolicies::default()
        }));
    });
    insta::assert_snapshot!(said(&facts));
}

#[test]
fn brokers_that_are_not_reached_are_told_with_what_usually_is_the_matter() {
    let mut text = String::new();
    for reason in [
        "Connection refused (os error 111)",
        "invalid peer certificate: UnknownIssuer",
        "connection closed during the greeting",
        "something new",
    ] {
        let mut facts = well();
        let why = format!("cannot connect to broker:6650: {reason}");
        facts.greeting = Err(Trouble::Unreachable(why));
        facts.admin = Err(Trouble::Unreachable(reason.to_owned()));
        text += &said(&facts);
    }
    let mut facts = well();
    facts.greeting = Err(Trouble::NotAllowed("JWT expired".to_owned()));
    facts.admin = Err(Trouble::NotAllowed("Authentication required".to_owned()));
    text += &said(&facts);
    facts.token = Some(Token::Claims(Claims {
        role: None,
        expires: Some(1_699_999_000),
    }));
    text += &said(&facts);
    facts.token = Some(Token::Unusable("token is empty".to_owned()));
    text += &said(&facts);
    insta::assert_snapshot!(text);
}

#[test]
fn an_issuer_that_gives_no_token_is_told_once_and_nobody_is_asked_without_one() {
    let mut facts = well();
    let trouble = "OAuth2 issuer not reached at https://i: invalid peer certificate: UnknownIssuer";
    facts.token = Some(Token::Unusable(trouble.to_owned()));
    facts.greeting = Err(Trouble::NoToken(trouble.to_owned()));
    facts.admin = Err(Trouble::NoToken(trouble.to_owned()));
    insta::assert_snapshot!(said(&facts));
}

#[test]
fn a_token_that_is_renewed_by_itself_is_told_as_such() {
    let facts = with(|facts, _| {
        facts.renewed = true;
        facts.token = Some(Token::Claims(Claims {
            role: Some("kafka".to_owned()),
            expires: Some(1_700_000_000 + 300),
        }));
    });
    let told = "it stands for kafka, for another 5 minutes; the next one comes by itself";
    assert!(said(&facts).contains(told), "{}", said(&facts));
}

#[test]
fn steps_that_fail_for_other_reasons_than_rights() {
    let facts = with(|facts, admin| {
        let greeting = facts.greeting.as_mut().unwrap();
        greeting.protocol_version = 17;
        greeting.max_message_size = 1024 * 1024;
        admin.version = Ok("2.11.4".to_owned());
        let probe = admin.topics.probe.as_mut().unwrap();
        probe.written = Some(Err(Trouble::Unreachable(
            "cannot connect to broker-0.internal:6650: no answer in time".to_owned(),
        )));
        probe.numbered = None;
        probe.shown = None;
        probe.removed = Some(Err(Trouble::Other("no answer in time".to_owned())));
        // Another broker took the probe.
        admin.settings = settings(&[(INTERCEPTORS, "[a.B]"), (EXPOSING, "true")]);
    });
    insta::assert_snapshot!(said(&facts));
}

#[test]
fn a_tenant_that_is_not_there_ends_the_look() {
    let facts = with(|_, admin| {
        admin.namespaces = Err(Trouble::NotFound("Tenant does not exist".to_owned()));
        admin.topics.policies = Ok(None);
        admin.topics.probe = None;
    });
    insta::assert_snapshot!(said(&facts));
}
