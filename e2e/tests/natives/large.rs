//! Records and messages that are large, and larger than Pulsar takes.

use anyhow::{Context, Result, ensure};
use kop_e2e::gateway::Gateway;
use kop_e2e::native::{self, hex};
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::Scratch;
use kop_e2e::story::KafkaServer;
use kop_e2e::wire::{Connection, NOBODY, Stamp, Wire, batch, produce};

const TOPIC: &str = "large";
const MESSAGE_TOO_LARGE: i16 = 10;
/// Brokers take entries of 5 MiB unless they are told otherwise.
const TOO_LARGE: usize = 5 * 1024 * 1024 + 1;
const LARGE: usize = 4_000_000;

/// The gateway's own limit, which is more than Pulsar takes.
pub(crate) const LIMIT: [&str; 2] = ["--max-message-bytes", "20000000"];

/// What Pulsar does not take is refused by name although the gateway's limit allows it, without harm to
/// what is sent with it or behind it; what it takes is read by either client.
pub(crate) fn are_refused_or_read(
    scratch: &Scratch,
    pulsar: &Pulsar,
    gateway: &Gateway,
) -> Result<()> {
    let mut wire = Wire::connect(gateway.bootstrap())?;
    wire.create(TOPIC, 2, &[])?;
    wire.create("small", 1, &[("max.message.bytes", "1000000")])?;
    let mut client = Connection::connect(gateway.bootstrap())?;
    let refused = client.produce("small", 0, batch(NOBODY, vec![value(2_000_000)])?)?;
    ensure!(
        refused.0 == MESSAGE_TOO_LARGE,
        "the topic's own: {refused:?}"
    );

    ensure!(stamped(&mut client, 0, 10)? == (0, 0));
    let together = [(0, TOO_LARGE), (1, 10)].map(|(partition, size)| (partition, value(size)));
    let codes = at_once(&mut client, together)?;
    ensure!(codes == [(0, MESSAGE_TOO_LARGE), (1, 0)], "{codes:?}");
    let refused = stamped(&mut client, 1, TOO_LARGE)?;
    ensure!(refused.0 == MESSAGE_TOO_LARGE, "Pulsar's: {refused:?}");
    // The producer's place in its sequence is not lost by it.
    ensure!(stamped(&mut client, 1, LARGE)? == (0, 1));
    ensure!(stamped(&mut client, 2, 10)? == (0, 2));

    let (service, partition) = (pulsar.service_url(), native::partition(TOPIC, 0));
    let lines = [
        "producer NONE single".to_owned(),
        format!("0 - - {}", hex(&[b'n'; LARGE])),
    ];
    native::write(scratch, &service, &partition, &lines)?;
    let messages = native::read(scratch, &service, &partition, 4)?;
    let shown = |message: &native::Message| {
        let value = message.shown.rsplit(' ').next().map_or(0, str::len);
        (value - 1) / 2
    };
    let sizes: Vec<usize> = messages.iter().map(shown).collect();
    ensure!(
        sizes == [10, LARGE, 10, LARGE],
        "Pulsar's client: {sizes:?}"
    );
    let read = client.fetch_all(TOPIC, 0, 0)?;
    let sizes: Vec<usize> = read.iter().map(|(_, value)| value.len()).collect();
    ensure!(sizes == [10, LARGE, 10, LARGE], "Kafka's client: {sizes:?}");
    let other = client.fetch_all(TOPIC, 1, 0)?;
    ensure!(other.len() == 1, "{} in the other partition", other.len());
    Ok(())
}

fn value(size: usize) -> String {
    "k".repeat(size)
}

fn stamped(client: &mut Connection, sequence: i32, size: usize) -> Result<(i16, i64)> {
    let stamp = Stamp {
        producer: 4_078,
        epoch: 0,
        sequence,
    };
    client.produce(TOPIC, 0, batch(stamp, vec![value(size)])?)
}

/// Writes to several partitions with one request, and gives their codes.
fn at_once(client: &mut Connection, values: [(i32, String); 2]) -> Result<Vec<(i32, i16)>> {
    let [first, second] = values.map(|(partition, value)| {
        let batch = batch(NOBODY, vec![value])?;
        anyhow::Ok((partition, batch))
    });
    let answer = client.call(9, &produce(TOPIC, [first?, second?]))?;
    let topic = answer.responses.first().context("the topic")?;
    let codes = topic.partition_responses.iter();
    Ok(codes.map(|p| (p.index, p.error_code)).collect())
}
