//! The gateway on a real Pulsar: the oldest and the newest version, with and without broker
//! deduplication, in both entry formats, alone and beside native Pulsar clients, and where it asks for
//! tokens. All clients: one choice
//! of each setting's values with another's; `./test matrix` has them all.

use anyhow::{Context, Result, bail, ensure};
use kop_e2e::apache_kafka::tool;
use kop_e2e::clients::{Java, Record, curl, kafka_java, kcat_produce, kcat_read, pulsar_java};
use kop_e2e::gateway::Gateway;
use kop_e2e::install::{PULSAR_NEWEST, PULSAR_OLDEST};
use kop_e2e::matrix;
use kop_e2e::process::Process;
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::{Scratch, tell};
use kop_e2e::story::{self, KafkaServer};
use kop_e2e::wait::until;
use std::collections::HashSet;
use std::time::Duration;

mod oauth2;

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
fn a_compacted_topic_keeps_the_newest_record_of_each_key() {
    tell("pulsar-compacted", |scratch| {
        let pulsar = Pulsar::start(scratch, PULSAR_NEWEST, &[])?;
        let mut gateway = Gateway::on_pulsar(scratch, "first", &pulsar, "kafka")?;
        kcat_writes_a_table(scratch, &gateway)?;
        gateway.stop()?;
        compact_and_remove(&pulsar, "persistent/public/default/table")?;
        // The first one still had everything in memory.
        let mut gateway = Gateway::on_pulsar(scratch, "second", &pulsar, "kafka")?;
        kcat_reads_what_compaction_left(scratch, &gateway)?;
        gateway.stop()
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

/// What kcat writes into the topic that is compacted.
const KEYS: usize = 100;
const ROUNDS: usize = 20;

/// Kafka's tool makes the topic; kcat writes each key again and again and deletes half of them.
fn kcat_writes_a_table(scratch: &Scratch, gateway: &Gateway) -> Result<()> {
    let bootstrap = gateway.bootstrap();
    let mut create = tool("org.apache.kafka.tools.TopicCommand")?;
    create.args(["--bootstrap-server", bootstrap, "--create", "--topic"]);
    create.args(["table", "--partitions", "1", "--config"]);
    create.arg("cleanup.policy=compact");
    Process::start("create-table", create, scratch.path())?.succeed(PATIENCE)?;

    let lines = (0..KEYS * ROUNDS).map(|n| format!("{}:{n}\n", n % KEYS));
    let file = scratch.data("table-lines");
    std::fs::write(&file, lines.collect::<String>())?;
    let options = ["-z", "zstd", "-X", "batch.num.messages=64"];
    let produced = kcat_produce(
        scratch,
        "produce-table",
        bootstrap,
        "table",
        &file,
        &options,
    )?;
    story::run(produced)?;
    // The second half of the keys is deleted again. What has no key is refused.
    let lines = (KEYS / 2..KEYS).map(|key| format!("{key}:\n"));
    std::fs::write(&file, lines.collect::<String>())?;
    let deleted = kcat_produce(scratch, "delete-keys", bootstrap, "table", &file, &["-Z"])?;
    story::run(deleted)?;
    std::fs::write(&file, "no key\n")?;
    let refused = kcat_produce(scratch, "no-key", bootstrap, "table", &file, &[])?;
    ensure!(story::run(refused).is_err(), "a record without a key");
    Ok(())
}

/// The newest record of each key is there, at its offset, and kcat comes to the end.
fn kcat_reads_what_compaction_left(scratch: &Scratch, gateway: &Gateway) -> Result<()> {
    let mut reader = kcat_read(scratch, "read-table", gateway.bootstrap(), "table")?;
    reader.succeed(PATIENCE).context("kcat does not end")?;
    let read = story::records(&reader, Record::got);
    let first = KEYS * (ROUNDS - 1);
    ensure!(read.len() == KEYS / 2, "{} records are left", read.len());
    for (n, record) in (first..).zip(&read) {
        let is_right = record.offset == i64::try_from(n)? && record.value == n.to_string();
        ensure!(is_right, "{record:?} at offset {n}");
    }
    Ok(())
}

/// Has Pulsar compact a topic of one partition and remove all of its ledgers.
fn compact_and_remove(pulsar: &Pulsar, topic: &str) -> Result<()> {
    let url = |rest: &str| format!("{}/admin/v2/{topic}{rest}", pulsar.admin_url());
    let call = |method: &str, rest: &str, more: &[&str]| -> Result<()> {
        let answer = curl(&[&["-X", method, &url(rest)], more].concat())?;
        answer.map(drop).with_context(|| format!("{method} {rest}"))
    };
    let compaction = url("-partition-0/compaction");
    call("PUT", "-partition-0/compaction", &[])?;
    until("compaction", PATIENCE, || {
        let status = curl(&[&compaction])?.unwrap_or_default();
        if status.contains("ERROR") {
            bail!("compaction failed: {status}");
        }
        Ok(status.contains("SUCCESS").then_some(()))
    })?;
    let nothing = r#"{"retentionTimeInMinutes":0,"retentionSizeInMB":0}"#;
    let json = ["-H", "content-type: application/json", "-d", nothing];
    call("POST", "/retention", &json)?;
    call("PUT", "-partition-0/unload", &[])?;
    let stats = url("-partition-0/internalStats");
    until("the ledgers to go", PATIENCE, || {
        call("POST", "-partition-0/trim", &[])?;
        let stats = curl(&[&stats])?.unwrap_or_default();
        Ok(stats.contains(r#""numberOfEntries":0,"#).then_some(()))
    })
}
