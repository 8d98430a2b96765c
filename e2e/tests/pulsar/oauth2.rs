//! A Pulsar that asks who asks, and a gateway with tokens of an OAuth 2.0 issuer that expire every few
//! seconds.

use crate::PATIENCE;
use anyhow::{Context, Result, ensure};
use kop_e2e::clients::{Java, Record, kafka_java};
use kop_e2e::gateway::Gateway;
use kop_e2e::install::{self, PULSAR_NEWEST};
use kop_e2e::issuer::{Issuer, SECRET};
use kop_e2e::process::Process;
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::{Scratch, tell};
use kop_e2e::story::{self, KafkaServer};
use kop_e2e::wait::until;
use std::collections::HashSet;
use std::process::Command;

/// Seconds that a token is good. The gateway asks for the next one at three quarters of it.
const LIFETIME: u64 = 8;
/// What the broker says when a connection has shown another token.
const REFRESHED: &str = "Refreshed authentication credentials";
/// And when one has not in time.
const NOT_REFRESHED: &str = "Closing connection after timeout on refreshing";
/// What the gateway says when the issuer fails and the old token serves on.
const FAILED: &str = "no new token";
const TOPIC: &str = "oauth2";

#[test]
fn records_flow_while_tokens_expire() {
    tell("pulsar-oauth2", |scratch| {
        let issuer = Issuer::start(scratch, LIFETIME)?;
        // Looks every other second whether a connection's token has expired, asks it for another one
        // then, and closes it if it has none at the next look.
        let asking = [("authenticationRefreshCheckSeconds", "2")];
        let pulsar = Pulsar::start_with_tokens(scratch, PULSAR_NEWEST, &asking)?;
        who_is_not_known_is_told(scratch, &issuer, &pulsar)?;

        let flags = issuer.flags(SECRET)?;
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let (status, said) = check(&pulsar, &flags)?;
        ensure!(status == Some(0), "check: {status:?}\n{said}");
        ensure!(said.contains("the next one comes by itself"), "{said}");

        let mut gateway = Gateway::on_pulsar_with(scratch, "gateway", &pulsar, "pulsar", &flags)?;
        records_flow(scratch, &issuer, &pulsar, &gateway)?;
        gateway.stop()?;
        nobody_has_told(scratch)
    });
}

fn records_flow(
    scratch: &Scratch,
    issuer: &Issuer,
    pulsar: &Pulsar,
    gateway: &Gateway,
) -> Result<()> {
    let bootstrap = gateway.bootstrap();
    let java = |name: &str, arguments: &[&str]| {
        kafka_java(scratch, Java::Three, &format!("oauth2-{name}"), arguments)
    };
    story::run(java("create", &["create", bootstrap, TOPIC, "2"])?)?;
    let mut members = [java("consume", &["consume", bootstrap, TOPIC, "oauth2"])?];
    story::wait_for_assignments(&mut members)?;
    let producing = ["produce", bootstrap, TOPIC, "0", "1000000", "r", "rate=200"];
    let mut producer = java("produce", &producing)?;

    let (granted, refreshed) = (issuer.granted(), pulsar.logged(REFRESHED));
    until("tokens to expire", PATIENCE, || {
        let expired = issuer.granted() >= granted + 4;
        Ok((expired && pulsar.logged(REFRESHED) >= refreshed + 4).then_some(()))
    })?;
    let log = log_of_gateway(scratch)?;
    for trouble in ["challenge not answered", FAILED] {
        ensure!(!log.contains(trouble), "{trouble}:\n{log}");
    }

    // An issuer that fails for a moment costs nothing.
    issuer.fail(true);
    until("a failure", PATIENCE, || {
        Ok((issuer.failed() > 0).then_some(()))
    })?;
    issuer.fail(false);
    let granted = issuer.granted();
    let more = || Ok((issuer.granted() >= granted + 2).then_some(()));
    until("tokens after the failure", PATIENCE, more)?;

    producer.end_input();
    producer.succeed(PATIENCE).context("the producer")?;
    let acked = story::records(&producer, Record::acked);
    let sent = producer.lines(0, |lines| {
        let told = lines.iter().find_map(|line| line.strip_prefix("sent "));
        told.and_then(|count| count.parse::<usize>().ok())
    });
    ensure!(sent == Some(acked.len()), "{sent:?} sent, {}", acked.len());
    story::wait_for_records(&mut members, acked.len())?;
    let [member] = &mut members;
    member.end_input();
    member.succeed(PATIENCE).context("the consumer")?;
    let read = story::all_records(&members);
    let expected: HashSet<String> = story::numbered("r", 0, acked.len()).collect();
    story::each_once(&read, &expected)?;
    story::at_acknowledged_offsets(&acked, &read)?;
    let lost = pulsar.logged(NOT_REFRESHED);
    ensure!(lost == 0, "{lost} connections closed");
    story::commits_reach_the_end(scratch, "oauth2-committed", bootstrap, TOPIC, "oauth2")
}

/// With a wrong secret neither the check nor the gateway goes on, and both say why.
fn who_is_not_known_is_told(scratch: &Scratch, issuer: &Issuer, pulsar: &Pulsar) -> Result<()> {
    let flags = issuer.flags("wrong")?;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let (status, said) = check(pulsar, &flags)?;
    ensure!(status == Some(2), "check: {status:?}\n{said}");
    let told = "invalid_client: unknown (status 401); look at client_id and client_secret in";
    for part in [told, "is not asked without a token"] {
        ensure!(said.contains(part), "no {part:?} in:\n{said}");
    }

    let mut command = Command::new(install::binary("kop-gateway")?);
    command.args(on(pulsar)).args(&flags);
    command.args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
    let mut gateway = Process::start("gateway-unknown", command, scratch.path())?;
    let status = gateway.wait(PATIENCE)?;
    let said = std::fs::read_to_string(scratch.path().join("gateway-unknown.err"))?;
    ensure!(status.code() == Some(1), "gateway: {status}\n{said}");
    let last = said.lines().last().unwrap_or_default();
    ensure!(
        last.starts_with("kop-gateway: OAuth2 issuer refused a token") && last.contains(told),
        "{said}"
    );
    ensure!(
        issuer.granted() == 0,
        "a token was given for a wrong secret"
    );
    Ok(())
}

fn on(pulsar: &Pulsar) -> [String; 2] {
    [
        format!("--pulsar={}", pulsar.service_url()),
        format!("--pulsar-admin={}", pulsar.admin_url()),
    ]
}

fn check(pulsar: &Pulsar, flags: &[&str]) -> Result<(Option<i32>, String)> {
    let mut command = Command::new(install::binary("kop-gateway")?);
    command.arg("check").args(on(pulsar)).args(flags);
    let output = command.output().context("kop-gateway check")?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?))
}

fn log_of_gateway(scratch: &Scratch) -> Result<String> {
    Ok(std::fs::read_to_string(scratch.path().join("gateway.err"))?)
}

/// Neither the secret nor a token is in the gateway's log.
fn nobody_has_told(scratch: &Scratch) -> Result<()> {
    let log = log_of_gateway(scratch)?;
    ensure!(log.contains(FAILED), "the failure is not told:\n{log}");
    for secret in [SECRET, "eyJ"] {
        ensure!(!log.contains(secret), "{secret} is in the log");
    }
    Ok(())
}
