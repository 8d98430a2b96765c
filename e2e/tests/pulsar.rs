//! The gateway on a real Pulsar: the oldest and the newest version, with and without broker
//! deduplication, in both entry formats, alone and beside native Pulsar clients. All clients: one choice
//! of each setting's values with another's; `./test matrix` has them all.

use anyhow::{Context, Result, ensure};
use kop_e2e::clients::{Java, Record, kafka_java, kcat_produce, pulsar_java};
use kop_e2e::gateway::Gateway;
use kop_e2e::install::{PULSAR_NEWEST, PULSAR_OLDEST};
use kop_e2e::matrix;
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::{Scratch, tell};
use kop_e2e::story::{self, KafkaServer};
use std::collections::HashSet;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);
const DEDUPLICATION: &[(&str, &str)] = &[("brokerDeduplicationEnabled", "true")];

#[test]
fn on_the_newest_pulsar() {
    tell("pulsar-newest", |scratch| {
        let pulsar = Pulsar::start(scratch, PULSAR_NEWEST, &[])?;
        both_formats(scratch, &pulsar)
    });
}

#[test]
fn on_the_oldest_pulsar_with_deduplication() {
    tell("pulsar-oldest", |scratch| {
        let pulsar = Pulsar::start(scratch, PULSAR_OLDEST, DEDUPLICATION)?;
        both_formats(scratch, &pulsar)
    });
}

#[test]
fn beside_native_producers_on_the_newest_pulsar_with_deduplication() {
    tell("pulsar-newest-deduplication", |scratch| {
        let pulsar = Pulsar::start(scratch, PULSAR_NEWEST, DEDUPLICATION)?;
        let mut gateway = Gateway::on_pulsar(scratch, "gateway", &pulsar, "pulsar")?;
        beside_native_producers(scratch, &pulsar, &gateway, "beside-deduplication")?;
        gateway.stop()
    });
}

#[test]
fn each_client_does_what_it_can_in_format_pulsar() {
    tell("pulsar-clients-pulsar", |scratch| {
        matrix::on_pulsar(scratch, PULSAR_NEWEST, "pulsar", 1)
    });
}

#[test]
fn each_client_does_what_it_can_in_format_kafka_with_three_gateways() {
    tell("pulsar-clients-kafka", |scratch| {
        matrix::on_pulsar(scratch, PULSAR_NEWEST, "kafka", 3)
    });
}

#[test]
fn each_client_does_what_it_can_on_the_oldest_pulsar_with_three_gateways() {
    tell("pulsar-clients-oldest", |scratch| {
        matrix::on_pulsar(scratch, PULSAR_OLDEST, "pulsar", 3)
    });
}

fn both_formats(scratch: &Scratch, pulsar: &Pulsar) -> Result<()> {
    for format in ["pulsar", "kafka"] {
        let mut gateway =
            Gateway::on_pulsar(scratch, &format!("gateway-{format}"), pulsar, format)?;
        story::groups_read_each_record_once(scratch, &mut gateway, &format!("story-{format}"))
            .with_context(|| format!("entry format {format}"))?;
        beside_native_producers(scratch, pulsar, &gateway, &format!("beside-{format}"))
            .with_context(|| format!("native producers, entry format {format}"))?;
        if format == "pulsar" {
            native_consumer_reads_what_kcat_wrote(scratch, pulsar, &gateway)?;
        }
        gateway.stop()?;
    }
    Ok(())
}

/// Two native producers, one that batches and one that does not, write into the partitions that a
/// Kafka producer writes to; every record is where its acknowledgement said, and none is lost.
fn beside_native_producers(
    scratch: &Scratch,
    pulsar: &Pulsar,
    gateway: &Gateway,
    topic: &str,
) -> Result<()> {
    const KAFKA_RECORDS: usize = 50_000;
    let bootstrap = gateway.bootstrap();
    let name = |part: &str| format!("{topic}-{part}");
    story::run(kafka_java(
        scratch,
        Java::Three,
        &name("create"),
        &["create", bootstrap, topic, "2"],
    )?)?;

    let service = pulsar.service_url();
    let native = |kind: &str, partition: u32, batched: &str| {
        let partition = format!("persistent://public/default/{topic}-partition-{partition}");
        let arguments = ["produce", &service, &partition, kind, batched, "2000"];
        pulsar_java(scratch, &name(kind), &arguments)
    };
    let mut natives = [native("batched", 0, "true")?, native("single", 1, "false")?];
    for native in &mut natives {
        native.wait_for_line("first receipt", PATIENCE, |l| {
            l.strip_prefix("acked ").map(drop)
        })?;
    }
    let count = KAFKA_RECORDS.to_string();
    let arguments = [
        "produce",
        bootstrap,
        topic,
        "0",
        &count,
        "kafka",
        "batch.size=4096",
    ];
    let mut kafka = kafka_java(scratch, Java::Three, &name("java-produce"), &arguments)?;
    kafka.succeed(PATIENCE).context("the Kafka producer")?;
    let mut expected: HashSet<String> = story::numbered("kafka", 0, KAFKA_RECORDS).collect();
    for native in &mut natives {
        native.end_input();
        native.succeed(PATIENCE).context("a native producer")?;
        native.lines(0, |lines| {
            expected.extend(
                lines
                    .iter()
                    .filter_map(|l| l.strip_prefix("acked ").map(str::to_owned)),
            );
        });
    }
    ensure!(
        expected.len() > KAFKA_RECORDS,
        "the native producers wrote nothing"
    );

    let acked = story::records(&kafka, Record::acked);
    ensure!(acked.len() == KAFKA_RECORDS, "{} acknowledged", acked.len());
    let mut reader = kafka_java(
        scratch,
        Java::Three,
        &name("read"),
        &["read", bootstrap, topic],
    )?;
    reader.succeed(PATIENCE).context("the Kafka reader")?;
    let read = story::records(&reader, Record::got);
    story::each_once(&read, &expected)?;
    story::at_acknowledged_offsets(&acked, &read)
}

fn native_consumer_reads_what_kcat_wrote(
    scratch: &Scratch,
    pulsar: &Pulsar,
    gateway: &Gateway,
) -> Result<()> {
    const COUNT: usize = 1_000;
    let topic = "for-pulsar";
    let bootstrap = gateway.bootstrap();
    story::run(kafka_java(
        scratch,
        Java::Three,
        "for-pulsar-create",
        &["create", bootstrap, topic, "2"],
    )?)?;
    let lines = story::lines_file(scratch, "for-pulsar-lines", "kcat", 0, COUNT)?;
    let headers = ["-H", "origin=kcat", "-H", "colour=green", "-z", "lz4"];
    let kcat = kcat_produce(
        scratch,
        "for-pulsar-kcat",
        bootstrap,
        topic,
        &lines,
        &headers,
    )?;
    story::run(kcat)?;

    let arguments = ["consume", &pulsar.service_url(), topic, &COUNT.to_string()];
    let mut consumer = pulsar_java(scratch, "for-pulsar-consumer", &arguments)?;
    consumer.succeed(PATIENCE).context("the native consumer")?;
    let mut read = HashSet::new();
    consumer.lines(0, |lines| {
        for line in lines.iter().filter_map(|line| line.strip_prefix("got ")) {
            let mut fields = line.splitn(3, ' ');
            let (key, value, properties) = (fields.next(), fields.next(), fields.next());
            let number = value
                .and_then(|v| v.strip_prefix("kcat-"))
                .unwrap_or_default();
            ensure!(key == Some(&format!("key-{number}")), "key of {line}");
            let properties: HashSet<&str> = properties.unwrap_or_default().split(',').collect();
            ensure!(properties.contains("origin=kcat"), "headers of {line}");
            ensure!(properties.contains("colour=green"), "headers of {line}");
            ensure!(read.insert(number.to_owned()), "came twice: {line}");
        }
        Ok(())
    })?;
    ensure!(read.len() == COUNT, "{} of {COUNT} came", read.len());
    Ok(())
}
