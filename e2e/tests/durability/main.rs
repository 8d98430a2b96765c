//! What the gateway on its embedded store has acknowledged survives `SIGKILL` at any moment.
//!
//! The load speaks Kafka's protocol itself, to keep many requests in flight and to know each
//! acknowledgement. After every kill the gateway starts again on its directory, and everything that was
//! acknowledged must be there: each record once, in order, at its offset; committed offsets, topics
//! and their ids, log starts, producer ids. What was not answered may be there, once, or not.
//!
//! `KOP_SEED` repeats the choices of a run; the moment at which a signal arrives is never the same.
#![expect(
    clippy::indexing_slicing,
    reason = "the functions of a test are a test"
)]

use anyhow::{Context, Result, ensure};
use commits::Group;
use kop_e2e::gateway::Gateway;
use kop_e2e::random::Random;
use kop_e2e::scratch::{Scratch, tell};
use kop_e2e::story::KafkaServer;
use kop_e2e::wire::{Connection, is_lost};
use log::Log;
use pace::Pace;
use producers::Producer;
use std::convert::Infallible;
use std::path::Path;
use std::process::Command;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};
use topics::Topics;
use trimming::Trimming;

mod commits;
mod log;
mod pace;
mod producers;
mod sync;
mod topics;
mod trace;
mod trimming;

const ROUNDS: u32 = 60;
/// A round is over after one to so many acknowledged requests.
const MOST_ACKNOWLEDGED: u64 = 800;
/// For one round's acknowledgements.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn what_was_acknowledged_survives_kills_under_load() {
    let seed = match std::env::var("KOP_SEED") {
        Ok(seed) => seed.parse().expect("KOP_SEED is a number"),
        Err(_) => std::time::UNIX_EPOCH
            .elapsed()
            .map_or(0, |now| now.as_nanos() as u64),
    };
    eprintln!("KOP_SEED={seed}");
    tell("durability", |scratch| {
        kills(scratch, seed).with_context(|| format!("KOP_SEED={seed}"))
    });
}

fn kills(scratch: &Scratch, seed: u64) -> Result<()> {
    let mut random = Random::new(seed);
    let mut gateway = Gateway::embedded_with(scratch, "gateway", &["--durability", "sync"])?;
    let address = gateway.bootstrap().to_owned();
    let mut load = Load::new(&mut Connection::connect(&address)?, &mut random)?;
    let mut starts = Vec::new();
    let mut cut_short = 0;
    for round in 1..=ROUNDS {
        let acknowledged = 1 + random.below(MOST_ACKNOWLEDGED);
        let told = |what: &str| format!("round {round}, {what}");
        load.until_killed(&mut gateway, acknowledged)
            .with_context(|| told("load"))?;
        if random.once_in(4) {
            // A start is no better moment to die than any other.
            gateway.begin_again()?;
            let usual = starts
                .iter()
                .max()
                .copied()
                .unwrap_or(Duration::from_millis(50));
            let moment = Duration::from_micros(random.below(usual.as_micros() as u64));
            killed_after(&mut gateway, moment).with_context(|| told("killed start"))?;
            cut_short += 1;
        }
        let began = Instant::now();
        gateway.begin_again()?;
        gateway.ready().with_context(|| told("start"))?;
        starts.push(began.elapsed());
        load.check(&mut Connection::connect(&address)?, &mut random)
            .with_context(|| told("after the restart"))?;
    }
    gateway.restart().context("a gentle restart")?;
    let mut client = Connection::connect(&address)?;
    load.check(&mut client, &mut random)?;
    load.log.check_all(&mut client)?;
    gateway.stop()?;
    starts.sort();
    eprintln!(
        "{ROUNDS} rounds, {cut_short} starts cut short; start to ready: median {:?}, longest {:?}",
        starts[starts.len() / 2],
        starts[starts.len() - 1]
    );
    load.tell()
}

/// A check that finds nothing proves nothing: here a store goes back to what it was before more was
/// acknowledged.
#[test]
fn what_was_acknowledged_and_is_lost_is_found_out() {
    tell("durability-lost", |scratch| {
        let mut random = Random::new(1);
        let mut gateway = Gateway::embedded_with(scratch, "gateway", &["--durability", "os"])?;
        let address = gateway.bootstrap().to_owned();
        let mut load = Load::new(&mut Connection::connect(&address)?, &mut random)?;
        load.until_killed(&mut gateway, 100)?;
        let (store, copy) = (scratch.data("gateway"), scratch.data("copy"));
        copied(&store, &copy)?;
        gateway.begin_again()?;
        gateway.ready()?;
        load.check(&mut Connection::connect(&address)?, &mut random)?;
        load.until_killed(&mut gateway, 200)?;
        std::fs::remove_dir_all(&store)?;
        copied(&copy, &store)?;
        gateway.begin_again()?;
        gateway.ready()?;
        let mut client = Connection::connect(&address)?;
        let records = load
            .log
            .check(&mut client, &mut load.producers, &mut random);
        let found = records.expect_err("records are missing");
        ensure!(found.to_string().contains("was acknowledged"), "{found:#}");
        for group in &mut load.groups {
            let found = group.check(&mut client).expect_err("commits are missing");
            ensure!(found.to_string().contains("acknowledged"), "{found:#}");
        }
        load.topics.check(&mut client).expect_err("topics differ");
        load.trimming.check(&mut client).expect_err("bounds differ");
        gateway.stop()
    });
}

fn copied(from: &Path, to: &Path) -> Result<()> {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    ensure!(copied.success(), "cp: {copied}");
    Ok(())
}

/// Kills it at a moment of its start.
fn killed_after(gateway: &mut Gateway, moment: Duration) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < moment {
        std::thread::yield_now();
    }
    gateway.kill()
}

/// All that goes on at the same time.
struct Load {
    log: Log,
    producers: Vec<Producer>,
    groups: Vec<Group>,
    topics: Topics,
    trimming: Trimming,
}

impl Load {
    fn new(client: &mut Connection, random: &mut Random) -> Result<Self> {
        client.create(producers::TOPIC, producers::PARTITIONS as i32)?;
        client.create(trimming::TOPIC, 1)?;
        let mut producers = Vec::new();
        for (name, is_idempotent) in [(0, true), (1, true), (2, false)] {
            let producer = Producer::new(name, is_idempotent, random.split(), client)?;
            producers.push(producer);
        }
        let mut groups: Vec<Group> = ["simple-1", "simple-2", "member"].map(Group::new).into();
        groups[2].join(client)?;
        Ok(Self {
            log: Log::default(),
            producers,
            groups,
            topics: Topics::new(random.split()),
            trimming: Trimming::new(random.split()),
        })
    }

    /// Runs until so many requests have been acknowledged and the gateway is dead.
    fn until_killed(&mut self, gateway: &mut Gateway, acknowledged: u64) -> Result<()> {
        let Self {
            log: _,
            producers,
            groups,
            topics,
            trimming,
        } = self;
        let (address, pace) = (gateway.bootstrap().to_owned(), Pace::default());
        let (address, pace) = (address.as_str(), &pace);
        std::thread::scope(|scope| {
            let mut running = Vec::new();
            for producer in producers {
                running.push(run(scope, pace, || producer.run(address, pace)));
            }
            for group in groups {
                running.push(run(scope, pace, || group.run(address, pace)));
            }
            running.push(run(scope, pace, || topics.run(address, pace)));
            running.push(run(scope, pace, || trimming.run(address, pace)));
            let reached = pace.reaches(acknowledged, PATIENCE);
            pace.kills();
            let killed = gateway.kill();
            for client in running {
                client.join().expect("a client panicked")?;
            }
            reached.and(killed)
        })
    }

    fn check(&mut self, client: &mut Connection, random: &mut Random) -> Result<()> {
        self.log.check(client, &mut self.producers, random)?;
        for group in &mut self.groups {
            group.check(client)?;
        }
        self.topics.check(client)?;
        self.trimming.check(client).context("trimmed topic")
    }

    /// Says what was done, and that it was enough to prove something.
    fn tell(&self) -> Result<()> {
        let told = self.producers.iter().map(|producer| producer.told);
        let records: u64 = told.clone().map(|told| told.acknowledged).sum();
        let again: u64 = told.clone().map(|told| told.sent_again).sum();
        let recognised: u64 = told.map(|told| told.recognised).sum();
        let commits: Vec<u64> = self.groups.iter().map(|group| group.acknowledged).collect();
        eprintln!(
            "{records} records acknowledged and {} in the log; {again} requests sent again, of \
             which {recognised} batches were in the log; {commits:?} commits, {} changes of topics, \
             {} of log bounds",
            self.log.len(),
            self.topics.acknowledged,
            self.trimming.acknowledged,
        );
        let enough = records > 20_000
            && again > 20
            && recognised > 0
            && commits.iter().all(|commits| *commits > 200)
            && self.topics.acknowledged > 200
            && self.trimming.acknowledged > 200;
        ensure!(enough, "too little was done to prove anything");
        Ok(())
    }
}

/// Runs a client that must go on until the gateway is killed.
fn run<'scope>(
    scope: &'scope Scope<'scope, '_>,
    pace: &'scope Pace,
    client: impl FnOnce() -> Result<Infallible> + Send + 'scope,
) -> ScopedJoinHandle<'scope, Result<()>> {
    scope.spawn(|| {
        let Err(error) = client();
        if pace.has_killed() && is_lost(&error) {
            return Ok(());
        }
        pace.fails();
        Err(error)
    })
}
