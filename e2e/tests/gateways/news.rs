//! What one gateway changes of a topic the others act on, though nobody asks them about it.

use anyhow::{Context, Result, bail, ensure};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{DeleteTopicsRequest, IncrementalAlterConfigsRequest};
use kop_e2e::gateways::Gateways;
use kop_e2e::install::{PULSAR_NEWEST, PULSAR_OLDEST};
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::tell;
use kop_e2e::wait::until;
use kop_e2e::wire::{Connection, NOBODY, batch, text};
use std::time::{Duration, Instant};

use super::{PATIENCE, TOPIC, agree};

/// What is remembered of a topic is believed for ten seconds: sooner than that it must have been heard.
const SOON: Duration = Duration::from_secs(5);
const MESSAGE_TOO_LARGE: i16 = 10;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;

#[test]
fn a_gateway_that_is_only_written_to_hears_of_settings_and_deletions() {
    tell("news", |scratch| {
        let pulsar = Pulsar::start(scratch, PULSAR_NEWEST, &[])?;
        let mut gateways = Gateways::start(scratch, &pulsar, 2, "kafka", &[])?;
        hears(&gateways)?;
        gateways.stop()
    });
}

#[test]
fn it_hears_of_them_on_the_oldest_pulsar_too() {
    tell("news-oldest", |scratch| {
        let pulsar = Pulsar::start(scratch, PULSAR_OLDEST, &[])?;
        let mut gateways = Gateways::start(scratch, &pulsar, 2, "pulsar", &[])?;
        hears(&gateways)?;
        gateways.stop()
    });
}

fn hears(gateways: &Gateways) -> Result<()> {
    let mut first = Connection::connect(gateways.address(1)?)?;
    first.create(TOPIC, 6)?;
    let (view, _) = agree(gateways, &[1, 2])?;
    let led = view.leaders.iter().position(|leader| leader.node == 2);
    let partition = i32::try_from(led.context("gateway 2 leads a partition")?)?;
    // From here on the second one is asked for nothing but to take records.
    let mut second = Connection::connect(gateways.address(2)?)?;
    let large = "x".repeat(4000);
    let mut written = 0;
    until("a first record", PATIENCE, || {
        Ok((produce(&mut second, partition, &large)? == 0).then(|| written += 1))
    })?;

    for (limit, expected) in [("1000", MESSAGE_TOO_LARGE), ("100000", 0)] {
        configure(&mut first, "max.message.bytes", limit)?;
        let began = Instant::now();
        until(&format!("max.message.bytes={limit}"), SOON, || {
            let code = produce(&mut second, partition, &large)?;
            written += i64::from(code == 0);
            ensure!(code == 0 || code == MESSAGE_TOO_LARGE, "{code}");
            Ok((code == expected).then_some(()))
        })?;
        eprintln!(
            "max.message.bytes={limit} heard after {:?}",
            began.elapsed()
        );
    }

    let request = DeleteTopicsRequest::default()
        .with_topic_names(vec![text(TOPIC).into()])
        .with_timeout_ms(30_000);
    let deleted = first.call(5, &request)?;
    ensure!(
        deleted.responses.iter().all(|topic| topic.error_code == 0),
        "{deleted:?}"
    );
    let gone = produce(&mut second, partition, &large)?;
    ensure!(gone != 0, "a record of a deleted topic at {written}");
    first.create(TOPIC, 6)?;
    let began = Instant::now();
    until("the topic that was made anew", SOON, || {
        let (code, offset) =
            second.produce(TOPIC, partition, batch(NOBODY, vec!["first".to_owned()])?)?;
        match code {
            0 => ensure!(
                offset == 0,
                "the first record of the new topic is at {offset}"
            ),
            NOT_LEADER_OR_FOLLOWER | UNKNOWN_TOPIC_OR_PARTITION => return Ok(None),
            code => bail!("{code}"),
        }
        Ok(Some(()))
    })?;
    eprintln!("made anew, heard after {:?}", began.elapsed());
    Ok(())
}

fn produce(client: &mut Connection, partition: i32, value: &str) -> Result<i16> {
    let (code, _) = client.produce(TOPIC, partition, batch(NOBODY, vec![value.to_owned()])?)?;
    Ok(code)
}

fn configure(client: &mut Connection, name: &str, value: &str) -> Result<()> {
    const TOPICS: i8 = 2;
    let config = AlterableConfig::default()
        .with_name(text(name))
        .with_config_operation(0)
        .with_value(Some(text(value)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPICS)
        .with_resource_name(text(TOPIC))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let changed = client.call(1, &request)?;
    let refused = changed
        .responses
        .iter()
        .any(|answer| answer.error_code != 0);
    ensure!(!refused, "{changed:?}");
    Ok(())
}
