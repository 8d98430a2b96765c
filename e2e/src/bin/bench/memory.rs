//! What open partitions, partitions that nobody uses and connections that do nothing hold of the gateway's memory.

use crate::pages::{Goal, head, row};
use anyhow::{Context, Result, ensure};
use kop_e2e::bench::{idle_connections, resident_mib, settled_mib};
use kop_e2e::clients::curl;
use kop_e2e::gateway::Gateway;
use kop_e2e::load::Load;
use kop_e2e::scratch::Scratch;
use kop_e2e::story::KafkaServer;
use kop_e2e::wait::until;
use kop_e2e::wire::Wire;
use std::time::Duration;

const PARTITIONS: i32 = 10_000;
const CONNECTIONS: usize = 10_000;
/// Partitions of one topic.
const OF_A_TOPIC: i32 = 1_000;
/// How long the memory may take to settle.
const SETTLED: Duration = Duration::from_secs(20);
/// Longer than the gateway takes to close partitions that nobody uses.
const CLOSED: Duration = Duration::from_secs(180);
/// How long after that memory may go back to the system.
const GIVEN_BACK: Duration = Duration::from_secs(20);

pub(crate) fn measure(scratch: &Scratch) -> Result<String> {
    let (stub, [service, admin]) = crate::stub::start(scratch)?;
    let mut text = head(&["resident, KiB", ">each", ">goal"]);
    let format = ["--entry-format", "kafka", "--max-connections", "20000"];
    let gateway = Gateway::on_stub(scratch, "partitions", (&service, &admin), "0,1", &format)?;
    let empty = settled_mib(gateway.id(), SETTLED)?;
    for number in 0..PARTITIONS / OF_A_TOPIC {
        let topic = format!("idle-{number}");
        let mut wire = Wire::connect(gateway.bootstrap())?;
        wire.create(&topic, OF_A_TOPIC, &[])?;
        for first in (0..OF_A_TOPIC).step_by(50) {
            let mut load = Load::kafka(gateway.bootstrap(), &topic, first..first + 50, (1, 100))?;
            load.run(1, 1)?;
            for index in first..first + 50 {
                ensure!(wire.stored(&topic, index)?.len() == 1, "one batch");
            }
        }
    }
    let mut add = |name: &str, mib: f64, count: f64, goal: Goal| {
        let each = mib * 1024.0 / count;
        let cells = [
            name.to_owned(),
            format!("**{each:.2}**"),
            goal.verdict(each, 0),
        ];
        text += &row(&cells);
    };
    let open = open_partitions(&gateway)?;
    let used = settled_mib(gateway.id(), SETTLED)?;
    let still = open_partitions(&gateway)?;
    ensure!(
        open == still,
        "{open} partitions were open, and {still} then"
    );
    let name = format!("an open partition that was written to and read once, of {open}");
    add(&name, used - empty, f64::from(open), Goal::None);
    until("partitions to be closed", CLOSED, || {
        Ok((open_partitions(&gateway)? == 0).then_some(()))
    })?;
    let unused = least(gateway.id(), GIVEN_BACK)?;
    let name = "a partition that nobody has used for a minute, of 10,000";
    add(
        name,
        unused - empty,
        f64::from(PARTITIONS),
        Goal::AtMost(2.0),
    );
    drop(gateway);
    let gateway = Gateway::on_stub(scratch, "connections", (&service, &admin), "0,1", &format)?;
    let empty = settled_mib(gateway.id(), SETTLED)?;
    let connections = idle_connections(gateway.bootstrap(), CONNECTIONS)?;
    let with = settled_mib(gateway.id(), SETTLED)?;
    drop((connections, stub));
    let name = "a connection that does nothing, of 10,000";
    add(name, with - empty, CONNECTIONS as f64, Goal::AtMost(10.0));
    Ok(text)
}

/// How many partitions the gateway has open, as it tells.
fn open_partitions(gateway: &Gateway) -> Result<i32> {
    let metrics = curl(&[&format!("http://{}/metrics", gateway.admin())])?;
    let metrics = metrics.context("metrics")?;
    let mut lines = metrics.lines();
    let open = lines.find_map(|line| line.strip_prefix("kop_pulsar_open_partitions "));
    Ok(open.context("the metric of open partitions")?.parse()?)
}

/// The least memory that it has within that time.
fn least(id: u32, within: Duration) -> Result<f64> {
    let began = std::time::Instant::now();
    let mut least = f64::INFINITY;
    until("the least memory", within * 2, || {
        least = least.min(resident_mib(id)?);
        Ok((began.elapsed() >= within).then_some(least))
    })
}
