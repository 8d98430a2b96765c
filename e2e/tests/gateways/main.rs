//! Several gateways in front of one Pulsar: one is killed, one is stopped gently, one is frozen and comes
//! back, while clients write and read.
#![expect(
    clippy::indexing_slicing,
    reason = "the functions of a test are a test"
)]

use anyhow::{Context, Result, bail, ensure};
use kop_e2e::clients::{Java, Record, kafka_java};
use kop_e2e::gateways::Gateways;
use kop_e2e::install::PULSAR_NEWEST;
use kop_e2e::process::Process;
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::{Scratch, tell};
use kop_e2e::story;
use kop_e2e::wait::until;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};
use view::{Leader, View, group_of, view};
use watch::Commits;

mod news;
mod view;
mod watch;
mod zombie;

const PATIENCE: Duration = Duration::from_secs(90);
const TOPIC: &str = "orders";
const PARTITIONS: i32 = 12;
/// Records a second.
const RATE: &str = "rate=300";

/// Waits until all of these say that exactly they are in, and agree on who leads what; answers that
/// and how long it took.
fn agree(gateways: &Gateways, nodes: &[i32]) -> Result<(View, Duration)> {
    let began = Instant::now();
    let agreed = until(&format!("gateways {nodes:?} alone"), PATIENCE, || {
        let mut views = Vec::new();
        for node in nodes {
            // It may not serve yet.
            let Ok(view) = view(gateways.address(*node)?, TOPIC) else {
                return Ok(None);
            };
            views.push(view);
        }
        let [first, others @ ..] = &views[..] else {
            bail!("no gateways");
        };
        let agree = first.nodes == nodes && others.iter().all(|view| view == first);
        Ok(agree.then(|| first.clone()))
    })?;
    Ok((agreed, began.elapsed()))
}

#[test]
fn three_gateways_lose_and_double_nothing_while_they_come_and_go() {
    tell("gateways", |scratch| {
        let pulsar = Pulsar::start(scratch, PULSAR_NEWEST, &[])?;
        let mut gateways = Gateways::start(scratch, &pulsar, 3, "pulsar", &[])?;
        come_and_go(scratch, &mut gateways)?;
        gateways.stop()?;
        for node in 1..=3 {
            let said = scratch.path().join(format!("gateway-{node}.err"));
            let said = std::fs::read_to_string(said)?;
            ensure!(!said.contains("could not be told"), "{said}");
        }
        Ok(())
    });
}

fn come_and_go(scratch: &Scratch, gateways: &mut Gateways) -> Result<()> {
    let bootstrap = gateways.bootstrap();
    story::run(kafka_java(
        scratch,
        Java::Newest,
        "create",
        &["create", &bootstrap, TOPIC, &PARTITIONS.to_string()],
    )?)?;
    let (before, _) = agree(gateways, &[1, 2, 3])?;
    eprintln!("{before:?}");
    for node in 1..=3 {
        ensure!(
            before.leaders.iter().any(|leader| leader.node == node),
            "gateway {node} leads nothing: {before:?}"
        );
    }

    // One group with the gateway that is killed as its coordinator, one with the one that is stopped.
    let groups = [
        group_of(gateways.address(1)?, 2)?,
        group_of(gateways.address(1)?, 3)?,
    ];
    let member = |group: &str, n: u32| {
        let arguments = ["consume", &bootstrap, TOPIC, group];
        kafka_java(scratch, Java::Newest, &format!("{group}-{n}"), &arguments)
    };
    let mut members = [member(&groups[0], 1)?, member(&groups[0], 2)?];
    let mut lone = [member(&groups[1], 1)?];
    story::wait_for_assignments(&mut members)?;
    story::wait_for_assignments(&mut lone)?;
    let commits = Commits::watch(
        (1..=3)
            .map(|node| gateways.address(node).map(str::to_owned))
            .collect::<Result<_>>()?,
        &groups,
    );

    let arguments = ["produce", &bootstrap, TOPIC, "0", "1000000", "order", RATE];
    let mut producer = kafka_java(scratch, Java::Newest, "producer", &arguments)?;
    ends_and_beginnings(gateways, &mut producer, &before)?;

    producer.end_input();
    producer.succeed(PATIENCE).context("the producer")?;
    let sent = producer.lines(0, |lines| {
        let sent = |line: &String| line.strip_prefix("sent ")?.parse::<usize>().ok();
        lines.iter().find_map(sent)
    });
    let expected: HashSet<String> =
        story::numbered("order", 0, sent.context("how many were sent")?).collect();
    let acked = story::records(&producer, Record::acked);
    ensure!(
        acked.len() == expected.len(),
        "{} acknowledged",
        acked.len()
    );

    for members in [&mut members[..], &mut lone[..]] {
        each_seen(members, &expected)?;
        for member in members.iter_mut() {
            member.end_input();
            member.succeed(PATIENCE)?;
        }
        let read = story::all_records(members);
        story::at_acknowledged_offsets(&acked, &read)?;
        eprintln!(
            "{} records, {} of them read more than once",
            expected.len(),
            read.len() - expected.len()
        );
    }
    eprintln!("{} looks at commits", commits.end()?);
    for (n, group) in groups.iter().enumerate() {
        let name = format!("committed-{n}");
        story::commits_reach_the_end(scratch, &name, &bootstrap, TOPIC, group)?;
    }
    let mut reader = kafka_java(scratch, Java::Three, "read", &["read", &bootstrap, TOPIC])?;
    reader.succeed(PATIENCE).context("the reader")?;
    let read = story::records(&reader, Record::got);
    story::each_once(&read, &expected)?;
    story::at_acknowledged_offsets(&acked, &read)?;
    in_order(&read)
}

/// Ends two of three gateways, one after another and each in its way, and starts them again, while the
/// producer goes on.
fn ends_and_beginnings(
    gateways: &mut Gateways,
    producer: &mut Process,
    before: &View,
) -> Result<()> {
    let mut load = Load::default();
    load.goes_on(producer, "at the start")?;

    gateways.of(2)?.kill()?;
    let (view, took) = agree(gateways, &[1, 3])?;
    risen(before, &view)?;
    eprintln!("killed: out after {took:?}");
    load.goes_on(producer, "killed")?;

    gateways.of(2)?.begin_again()?;
    gateways.of(2)?.ready()?;
    let (back, took) = agree(gateways, &[1, 2, 3])?;
    risen(&view, &back)?;
    eprintln!("back: in {took:?} after it was ready");
    load.goes_on(producer, "back")?;

    let began = Instant::now();
    gateways.of(3)?.stop()?;
    eprintln!("stopped gently in {:?}", began.elapsed());
    let (view, _) = agree(gateways, &[1, 2])?;
    risen(&back, &view)?;
    load.goes_on(producer, "stopped")?;

    gateways.of(3)?.begin_again()?;
    gateways.of(3)?.ready()?;
    agree(gateways, &[1, 2, 3])?;
    load.goes_on(producer, "back as well")
}

/// What the producer has been told, phase by phase.
#[derive(Default)]
struct Load {
    lines: usize,
}

impl Load {
    /// Waits until every partition has taken more records, and tells how long the slowest of the phase
    /// waited.
    fn goes_on(&mut self, producer: &mut Process, phase: &str) -> Result<()> {
        const MORE: usize = 900;
        until(&format!("records, {phase}"), PATIENCE, || {
            if let Some(status) = producer.ended()? {
                bail!("the producer ended: {status}");
            }
            let mut partitions = HashSet::new();
            let records = producer.lines(self.lines, |lines| {
                let acked = lines.iter().filter_map(|line| Record::acked(line));
                acked
                    .map(|record| partitions.insert(record.partition))
                    .count()
            });
            let enough = records >= MORE && partitions.len() == PARTITIONS as usize;
            Ok(enough.then_some(()))
        })?;
        let longest = producer.lines(self.lines, |lines| {
            self.lines += lines.len();
            let waited = |line: &String| line.strip_prefix("waited ")?.parse::<u64>().ok();
            lines.iter().filter_map(waited).max().unwrap_or(0)
        });
        eprintln!("{phase}: the slowest record waited {longest} ms");
        Ok(())
    }
}

/// Waits until the members have read each value, in whatever order, and however often.
fn each_seen(members: &mut [Process], expected: &HashSet<String>) -> Result<()> {
    until("all records in a group", PATIENCE, || {
        for member in members.iter_mut() {
            if let Some(status) = member.ended()? {
                bail!("a member ended: {status}");
            }
        }
        let read = story::all_records(members);
        let read: HashSet<&String> = read.iter().map(|record| &record.value).collect();
        Ok((read.len() == expected.len()).then_some(()))
    })
}

/// What one producer sent to a partition stands there in the order of sending.
fn in_order(read: &[Record]) -> Result<()> {
    let mut partitions: BTreeMap<u32, Vec<&Record>> = BTreeMap::new();
    for record in read {
        partitions.entry(record.partition).or_default().push(record);
    }
    for records in partitions.values_mut() {
        records.sort_by_key(|record| record.offset);
        let number = |record: &Record| record.value.trim_start_matches("order-").parse::<u64>();
        let numbers: Vec<u64> = records
            .iter()
            .map(|record| number(record))
            .collect::<Result<_, _>>()?;
        ensure!(numbers.is_sorted(), "out of order: {records:?}");
    }
    Ok(())
}

/// Where the leader is another one its epoch is higher, and where it is the same, the same.
fn risen(before: &View, after: &View) -> Result<()> {
    let leaders: HashMap<usize, &Leader> = before.leaders.iter().enumerate().collect();
    for (index, now) in after.leaders.iter().enumerate() {
        let then = leaders[&index];
        let right = if now.node == then.node {
            now.epoch == then.epoch
        } else {
            now.epoch > then.epoch
        };
        ensure!(right, "partition {index}: {then:?}, then {now:?}");
    }
    Ok(())
}
