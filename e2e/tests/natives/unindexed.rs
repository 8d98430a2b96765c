//! Topics that were written before the brokers numbered entries, or are while they do not.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use kafka_protocol::messages::InitProducerIdRequest;
use kop_e2e::clients::curl;
use kop_e2e::gateway::Gateway;
use kop_e2e::install::PULSAR_NEWEST;
use kop_e2e::native::{self, hex};
use kop_e2e::pulsar::{Home, Pulsar, Release};
use kop_e2e::scratch::Scratch;
use kop_e2e::story::KafkaServer;
use kop_e2e::wait::until;
use kop_e2e::wire::{Connection, NOBODY, Stamp, batch, produce};
use std::time::Duration;

const INTERCEPTOR: &str = "brokerEntryMetadataInterceptors";
const UNKNOWN_SERVER_ERROR: i16 = -1;
/// Messages that are written before: more than are looked at one by one to find where the others begin.
const OLD: usize = 100;
const PATIENCE: Duration = Duration::from_secs(60);

fn messages(prefix: &str, count: usize) -> Vec<String> {
    let mut lines = vec!["producer NONE single".to_owned()];
    lines.extend((0..count).map(|n| format!("0 - - {}", hex(format!("{prefix}-{n}").as_bytes()))));
    lines
}

/// A topic written without the interceptor is refused, and the words that a producer gets name the
/// setting. Topics written since are served, and one written both before and since begins with what was written
/// since. Where the interceptor is taken away again, nothing more is acknowledged.
pub(crate) fn topics_begin_where_they_are_numbered(scratch: &Scratch) -> Result<()> {
    let home = Home::new(scratch, "pulsar")?;
    let release = Release::apache(PULSAR_NEWEST);
    let pulsar = Pulsar::start_at(scratch, &home, release, &[(INTERCEPTOR, "")])?;
    for topic in ["old", "mixed"] {
        let url = pulsar.admin_url();
        let url = format!("{url}/admin/v2/persistent/public/default/{topic}/partitions");
        let json = "Content-Type: application/json";
        curl(&["-X", "PUT", "-H", json, "-d", "1", &url])?.context("a topic is made")?;
        let partition = native::partition(topic, 0);
        native::write(
            scratch,
            &pulsar.service_url(),
            &partition,
            &messages("old", OLD),
        )?;
    }
    pulsar.stop()?;

    let pulsar = Pulsar::start_at(scratch, &home, release, &[])?;
    let mixed = native::partition("mixed", 0);
    native::write(scratch, &pulsar.service_url(), &mixed, &messages("new", 3))?;
    let mut gateway = Gateway::on_pulsar(scratch, "gateway", &pulsar, "pulsar")?;
    let mut client = Connection::connect(gateway.bootstrap())?;
    let read = client.fetch("old", 0, 0)?;
    ensure!(read.error_code == UNKNOWN_SERVER_ERROR, "{read:?}");
    let (code, why) = refusal(&mut client, "old")?;
    ensure!(code == UNKNOWN_SERVER_ERROR, "{code}: {why}");
    ensure!(why.contains(INTERCEPTOR), "{why}");

    client.create("new", 1)?;
    let written = client.produce("new", 0, batch(NOBODY, vec!["new".to_owned()])?)?;
    ensure!(written == (0, 0), "{written:?}");
    ensure!(client.fetch_all("new", 0, 0)?.len() == 1);

    let mut newer: Vec<(i64, Bytes)> = (0..)
        .zip(["new-0", "new-1", "new-2"].map(Into::into))
        .collect();
    let read = client.fetch_all("mixed", 0, 0)?;
    ensure!(read == newer, "{read:?}");
    // Idempotent, so that what its producer wrote before is looked for.
    let init = InitProducerIdRequest::default().with_transactional_id(None);
    let producer = client.call(4, &init)?;
    let stamp = Stamp {
        producer: producer.producer_id.0,
        epoch: producer.producer_epoch,
        sequence: 0,
    };
    let written = client.produce("mixed", 0, batch(stamp, vec!["newer".to_owned()])?)?;
    ensure!(written == (0, 3), "{written:?}");
    newer.push((3, "newer".into()));
    // By one that does not have it in its memory.
    let node = ["--node-id", "1"];
    let mut other = Gateway::on_pulsar_with(scratch, "other", &pulsar, "pulsar", &node)?;
    let mut apart = Connection::connect(other.bootstrap())?;
    let read = apart.fetch_all("mixed", 0, 0)?;
    ensure!(read == newer, "{read:?}");
    other.stop()?;
    pulsar.stop()?;

    let pulsar = Pulsar::start_at(scratch, &home, release, &[(INTERCEPTOR, "")])?;
    nothing_is_acknowledged(&mut client, "new")?;
    until("a topic is made", PATIENCE, || {
        Ok(client.create("later", 1).ok())
    })?;
    nothing_is_acknowledged(&mut client, "later")?;
    gateway.stop()?;
    pulsar.stop()
}

/// The brokers have come back without the interceptor, to a gateway that knows them with it: no batch may
/// be acknowledged, for nobody could be given it, and the words say so once the gateway has found out.
fn nothing_is_acknowledged(client: &mut Connection, topic: &str) -> Result<()> {
    until("a refusal that names the setting", PATIENCE, || {
        let (code, why) = refusal(client, topic)?;
        ensure!(code != 0, "acknowledged in {topic}");
        Ok(why.contains(INTERCEPTOR).then_some(()))
    })
}

/// The code and the words with which a batch is refused; 0 and none where it is not.
fn refusal(client: &mut Connection, topic: &str) -> Result<(i16, String)> {
    let more = batch(NOBODY, vec!["more".to_owned()])?;
    let answer = client.call(9, &produce(topic, [(0, more)]))?;
    let topic = answer.responses.first().context("the topic")?;
    let partition = topic.partition_responses.first().context("the partition")?;
    let why = partition.error_message.as_ref();
    Ok((
        partition.error_code,
        why.map(ToString::to_string).unwrap_or_default(),
    ))
}
