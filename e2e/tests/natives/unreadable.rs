//! Messages that Kafka's clients cannot be given: those sent in chunks or encrypted, and forged ones. Each
//! is an error of its own place; what stands around it is served, and producers go on.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kop_e2e::authority::key_pair;
use kop_e2e::clients::Java;
use kop_e2e::exact;
use kop_e2e::gateway::Gateway;
use kop_e2e::native::{self, hex};
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::Scratch;
use kop_e2e::story::KafkaServer;
use kop_e2e::wire::{Connection, Stamp, batch, text};

const TOPIC: &str = "unreadable";
const CORRUPT_MESSAGE: i16 = 2;

/// The first partition by offset: values, and `None` where there is an error. The chunks of a message,
/// a batch of two encrypted ones, one that says to be a Kafka batch, one that says to be ours, and neither is,
/// and one whose metadata does not parse.
const CONTENTS: [Option<&str>; 14] = [
    Some("idempotent 0"),
    Some("before"),
    None,
    None,
    None,
    Some("between"),
    None,
    None,
    Some("behind"),
    None,
    Some("named like ours"),
    None,
    Some("last"),
    None,
];
/// Metadata with a producer's name that is no text, and no payload.
const DAMAGED: [u8; 11] = [0, 0, 0, 7, 0x0a, 1, 0xff, 0x10, 0, 0x18, 1];

const A_CHUNK: i64 = 3;

fn said(value: &str) -> String {
    format!("0 - - {}", hex(value.as_bytes()))
}

fn lines(scratch: &Scratch) -> Result<Vec<String>> {
    let (_, key) = key_pair(&scratch.data("keys"), "reader")?;
    let key = key.display();
    let single = "producer NONE single".to_owned();
    let property =
        |name: &str, value: &str| format!("{}={}", hex(name.as_bytes()), hex(value.as_bytes()));
    let forged = property("entry.format", "kafka");
    // Of ours only beside another property of ours.
    let named = property("kop.producer", "nobody");
    Ok(vec![
        single.clone(),
        said("before"),
        "producer NONE chunked".to_owned(),
        format!("0 - - {}", hex(&[7; 50_000])),
        single.clone(),
        said("between"),
        format!("producer LZ4 encrypted {key}"),
        said("secret"),
        said("as secret"),
        single,
        said("behind"),
        format!("{} {forged}", said("no batch")),
        format!("{} {named}", said("named like ours")),
        format!(
            "{} {}",
            said("no batch"),
            property("kop.attributes", "many")
        ),
        said("last"),
    ])
}

/// A fetch meets an error where the message stands, other partitions go on, a consumer that seeks past
/// it reads on, and an idempotent producer whose past is read through it goes on.
pub(crate) fn cost_their_own_place_only(
    scratch: &Scratch,
    pulsar: &Pulsar,
    gateway: &mut Gateway,
) -> Result<()> {
    let bootstrap = gateway.bootstrap().to_owned();
    let mut client = Connection::connect(&bootstrap)?;
    client.create(TOPIC, 2)?;
    let written = idempotent(&mut client, 0)?;
    ensure!(written == (0, 0), "{written:?}");
    let service = pulsar.service_url();
    let partition = native::partition(TOPIC, 0);
    let places = native::write(scratch, &service, &partition, &lines(scratch)?)?;
    ensure!(places.len() == 10, "{places:?}");
    native::send_raw(&service, &partition, &DAMAGED)?;
    let other = ["producer NONE batched".to_owned(), said("one"), said("two")];
    native::write(scratch, &service, &native::partition(TOPIC, 1), &other)?;

    // The tail that was open while all came, and one that reads it from Pulsar.
    consumer_seeks_past_them(scratch, &bootstrap).context("as it comes")?;
    other_partitions_go_on(&mut client)?;
    drop(client);
    gateway.restart()?;
    consumer_seeks_past_them(scratch, &bootstrap).context("after a restart")?;

    let mut client = Connection::connect(&bootstrap)?;
    // Behind a barrier: this gateway has not written here before.
    let end = i64::try_from(CONTENTS.len())?;
    for attempt in ["first", "again"] {
        let written = idempotent(&mut client, 1)?;
        ensure!(written == (0, end + 1), "{attempt}: {written:?}");
    }
    let read = client.fetch_all(TOPIC, 0, end)?;
    ensure!(read.len() == 1, "{read:?}");
    Ok(())
}

/// Writes a record of one producer, and gives the code and the offset.
fn idempotent(client: &mut Connection, sequence: i32) -> Result<(i16, i64)> {
    let stamp = Stamp {
        producer: 4_077,
        epoch: 0,
        sequence,
    };
    let value = format!("idempotent {sequence}");
    client.produce(TOPIC, 0, batch(stamp, vec![value])?)
}

fn consumer_seeks_past_them(scratch: &Scratch, bootstrap: &str) -> Result<()> {
    let found = exact::ask(scratch, Java::Newest, &["skip", bootstrap, TOPIC])?;
    let mut seen = Vec::new();
    for line in &found {
        let mut fields = line.split(' ').skip(1);
        match (fields.next(), fields.next(), fields.next(), fields.nth(2)) {
            (Some("refused"), Some("0"), Some(offset), _) => seen.push((offset.parse()?, None)),
            (Some("at"), Some("0"), Some(offset), Some(value)) => {
                seen.push((offset.parse()?, Some(value.to_owned())));
            }
            _ => {}
        }
    }
    let values = CONTENTS.map(|value| value.map(|value| hex(value.as_bytes())));
    let expected: Vec<(i64, Option<String>)> = (0..).zip(values).collect();
    ensure!(seen == expected, "{seen:#?}");
    let of_other = |line: &&String| line.starts_with("unreadable at 1 ");
    ensure!(found.iter().filter(of_other).count() == 2, "{found:?}");
    Ok(())
}

fn other_partitions_go_on(client: &mut Connection) -> Result<()> {
    let wanted = [(0, A_CHUNK), (1, 0)].map(|(partition, from)| {
        FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(from)
            .with_partition_max_bytes(1 << 20)
    });
    let topic = FetchTopic::default()
        .with_topic(text(TOPIC).into())
        .with_partitions(wanted.into());
    let request = FetchRequest::default()
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    let answer = client.call(12, &request)?;
    let partitions = answer.responses.first().context("the topic")?;
    let mut seen = Vec::new();
    for partition in &partitions.partitions {
        let size = partition.records.as_ref().map_or(0, Bytes::len);
        seen.push((partition.partition_index, partition.error_code, size > 0));
    }
    ensure!(
        seen == [(0, CORRUPT_MESSAGE, false), (1, 0, true)],
        "{seen:?}"
    );
    Ok(())
}
