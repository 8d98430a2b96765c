//! How long a partition takes nothing when its gateway dies, goes, or has just been started.

use crate::pages::{Goal, head, row};
use anyhow::{Context, Result, ensure};
use kop_e2e::bench::median;
use kop_e2e::clients::{Java, kafka_class};
use kop_e2e::gateway::Gateway;
use kop_e2e::gateways::Gateways;
use kop_e2e::install::PULSAR_NEWEST;
use kop_e2e::load::Load;
use kop_e2e::process::Process;
use kop_e2e::pulsar::{Home, Pulsar, Release};
use kop_e2e::scratch::Scratch;
use kop_e2e::story::KafkaServer;
use kop_e2e::wait::until;
use kop_e2e::wire::{Connection, Wire};
use std::time::{Duration, Instant};

const TOPIC: &str = "handed-over";
const PARTITIONS: i32 = 100;
/// Partitions that one request of the filling load writes to.
const AT_ONCE: i32 = 10;
/// What each partition holds before, in MiB.
const FILLED: usize = 50;
/// Records of 1 KiB of a batch that fills.
const RECORDS: usize = 15;
const PRODUCERS: &str = "50";
/// Records a second of all producers: ten of each partition.
const RATE: &str = "1000";
/// Acknowledgements of each partition that show that it goes on: two seconds of them.
const GOES_ON: u32 = 20;
const ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn measure(scratch: &Scratch) -> Result<String> {
    // A place of its own: a broker that comes back recovers the ledgers of what was measured before.
    let home = Home::new(scratch, "takeover")?;
    let pulsar = Pulsar::start_at(scratch, &home, Release::apache(PULSAR_NEWEST), &[])?;
    let mut figures = Figures::default();
    let mut gateway = Gateway::on_pulsar(scratch, "alone", &pulsar, "kafka")?;
    // The broker finds cold code the first time.
    new(&gateway, "warm")?;
    for topic in ["new-1", "new-2", TOPIC] {
        figures.first_new.push(new(&gateway, topic)?);
    }
    fill(&gateway)?;
    for _ in 0..ROUNDS {
        gateway.restart()?;
        figures.first.push(first(&gateway, TOPIC)?);
    }
    gateway.stop()?;
    come_and_go(scratch, &pulsar, &mut figures)?;
    Ok(figures.table())
}

/// Makes a topic, and gives what [`first`] does.
fn new(gateway: &Gateway, topic: &str) -> Result<f64> {
    Connection::connect(gateway.bootstrap())?.create(topic, PARTITIONS)?;
    first(gateway, topic)
}

/// Milliseconds from when a topic is known to when all of its partitions have taken a batch, asked for by
/// one request.
fn first(gateway: &Gateway, topic: &str) -> Result<f64> {
    let mut wire = Wire::connect(gateway.bootstrap())?;
    until("all partitions of the topic", PATIENCE, || {
        Ok((wire.partitions(topic)? == Some(PARTITIONS)).then_some(()))
    })?;
    let mut load = Load::kafka(gateway.bootstrap(), topic, 0..PARTITIONS, (1, 100))?;
    Ok(load.run(1, 1)?.as_secs_f64() * 1e3)
}

fn fill(gateway: &Gateway) -> Result<()> {
    let batches = FILLED * 1024 / RECORDS;
    for first in (0..PARTITIONS).step_by(AT_ONCE as usize) {
        let partitions = first..first + AT_ONCE;
        let mut load = Load::kafka(gateway.bootstrap(), TOPIC, partitions, (RECORDS, 1024))?;
        load.run(8, batches)?;
    }
    Ok(())
}

fn come_and_go(scratch: &Scratch, pulsar: &Pulsar, figures: &mut Figures) -> Result<()> {
    let mut gateways = Gateways::start(scratch, pulsar, 3, "kafka", &[])?;
    let partitions = PARTITIONS.to_string();
    let arguments = [&gateways.bootstrap(), TOPIC, &partitions, PRODUCERS, RATE];
    let mut load = kafka_class(scratch, Java::Newest, "HandOver", "load", &arguments)?;
    longest_pause(&mut load, || Ok(()))?;
    for _ in 0..ROUNDS {
        let pause = longest_pause(&mut load, || gateways.of(2)?.kill())?;
        figures.killed.push(pause);
        let pause = longest_pause(&mut load, || comes_back(&mut gateways, 2))?;
        figures.joined.push(pause);
        let pause = longest_pause(&mut load, || {
            let began = Instant::now();
            gateways.of(3)?.stop()?;
            figures.stopping.push(began.elapsed().as_secs_f64() * 1e3);
            Ok(())
        })?;
        figures.drained.push(pause);
        let pause = longest_pause(&mut load, || comes_back(&mut gateways, 3))?;
        figures.joined.push(pause);
    }
    gateways.stop()
}

/// Starts it again and waits until the others know it.
fn comes_back(gateways: &mut Gateways, node: i32) -> Result<()> {
    gateways.of(node)?.begin_again()?;
    gateways.of(node)?.ready()?;
    gateways.know_each_other()
}

/// Has something happen, waits until every partition goes on taking records, and gives the longest time, in
/// milliseconds, that one took none from just before on.
fn longest_pause(load: &mut Process, happen: impl FnOnce() -> Result<()>) -> Result<f64> {
    load.ask("mark", PATIENCE)?;
    happen()?;
    load.ask("count", PATIENCE)?;
    until("records of every partition", PATIENCE, || {
        let said = load.ask("report", PATIENCE)?;
        let field = |name: &str| {
            let mut words = said.split(' ').skip_while(|word| *word != name);
            words.nth(1).and_then(|word| word.parse::<u32>().ok())
        };
        let field = |name: &str| field(name).with_context(|| format!("{name} in: {said}"));
        ensure!(field("failed")? == 0, "records failed: {said}");
        let longest = f64::from(field("longest")?);
        Ok((field("least")? >= GOES_ON).then_some(longest))
    })
}

/// All in milliseconds.
#[derive(Default)]
struct Figures {
    first_new: Vec<f64>,
    first: Vec<f64>,
    killed: Vec<f64>,
    drained: Vec<f64>,
    stopping: Vec<f64>,
    joined: Vec<f64>,
}

impl Figures {
    fn table(self) -> String {
        let mut text = format!(
            "{PARTITIONS} partitions of {FILLED} MiB, {ROUNDS} rounds; milliseconds.\n\n{}",
            head(&["", ">median", ">most", ">goal"])
        );
        let rows = [
            (
                "a new topic's first produce, to all partitions at once",
                self.first_new,
                Goal::AtMost(1_000.0),
            ),
            (
                "the first produce after a start, to all partitions at once",
                self.first,
                Goal::AtMost(1_000.0),
            ),
            (
                "a gateway is killed: the longest that a partition takes nothing",
                self.killed,
                Goal::AtMost(10_000.0),
            ),
            (
                "a gateway stops: the longest that a partition takes nothing",
                self.drained,
                Goal::AtMost(1_000.0),
            ),
            (
                "a gateway stops: until its process has ended",
                self.stopping,
                Goal::None,
            ),
            (
                "a gateway comes: the longest that a partition takes nothing",
                self.joined,
                Goal::None,
            ),
        ];
        for (name, figures, goal) in rows {
            let most = figures.iter().copied().fold(0.0, f64::max);
            let middle = median(figures).unwrap_or(f64::NAN);
            text += &row(&[
                name.to_owned(),
                format!("{middle:.0}"),
                format!("**{most:.0}**"),
                goal.verdict(most, 0),
            ]);
        }
        text
    }
}
