//! Offsets are exact whatever breaks: gateways, topics, ledgers and the broker come and go while Kafka
//! and Pulsar clients write to the same partitions.

use anyhow::{Context, Result, ensure};
use kop_e2e::chaos::actors::{self, Client, Identified};
use kop_e2e::chaos::checker::{Checker, Kind};
use kop_e2e::chaos::course::{Course, Phase};
use kop_e2e::chaos::faults::Faults;
use kop_e2e::chaos::{PARTITIONS, Settings, TOPIC};
use kop_e2e::clients::{Java, kafka_java, pulsar_java};
use kop_e2e::gateway::Gateway;
use kop_e2e::pulsar::Pulsar;
use kop_e2e::random::Random;
use kop_e2e::scratch::{Scratch, tell};
use kop_e2e::story::{self, KafkaServer};
use kop_e2e::wire::Connection;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Kafka producers of our own, and Kafka's for Java.
const IDEMPOTENT: [u8; 2] = [0, 1];
const ONCE: u8 = 2;
const JAVA: u8 = 3;
/// Three native producers.
const NATIVE: u8 = 10;
const GATEWAYS: i32 = 3;
const MEMBERS: &str = "members";
const LONE: [&str; 3] = ["alone-1", "alone-2", "alone-3"];

/// Ledgers end every few hundred entries.
const LEDGERS: &[(&str, &str)] = &[
    ("managedLedgerMaxEntriesPerLedger", "300"),
    ("managedLedgerMinLedgerRolloverTimeMinutes", "0"),
];

#[test]
fn offsets_are_exact_whatever_breaks() {
    tell("chaos", |scratch| {
        let settings = Settings::of_environment()?;
        eprintln!("{settings:?}; again by KOP_CHAOS_SEED={}", settings.seed);
        run(scratch, settings).with_context(|| format!("KOP_CHAOS_SEED={}", settings.seed))
    });
}

fn run(scratch: &Scratch, settings: Settings) -> Result<()> {
    let mut random = Random::new(settings.seed);
    let pulsar = Pulsar::start(scratch, settings.pulsar, LEDGERS)?;
    let gateway = |node: i32| {
        let (name, node) = (format!("gateway-{node}"), node.to_string());
        let more = ["--node-id", &node];
        Gateway::on_pulsar_with(scratch, &name, &pulsar, settings.format, &more)
    };
    let gateways: Vec<Gateway> = (1..=GATEWAYS).map(gateway).collect::<Result<_>>()?;
    let addresses: Vec<String> = gateways.iter().map(|g| g.bootstrap().to_owned()).collect();
    let bootstrap = addresses.join(",");
    let first = addresses.first().context("a gateway")?;
    Connection::connect(first)?.create(TOPIC, PARTITIONS as i32)?;

    let mut kinds = vec![(ONCE, Kind::Once), (JAVA, Kind::Idempotent)];
    kinds.extend(IDEMPOTENT.map(|producer| (producer, Kind::Idempotent)));
    kinds.extend((NATIVE..NATIVE + 3).map(|producer| (producer, Kind::Again)));
    let course = Course::new(addresses.clone(), Checker::new(PARTITIONS, kinds));
    let writers = writers(scratch, &course, &pulsar, &bootstrap, &mut random)?;
    let readers = readers(scratch, &course, &bootstrap, &mut random)?;

    let mut faults = Faults::new(&course, gateways, pulsar, random.split());
    let broken = faults.run(settings.lasts);
    // Whoever failed first says why.
    course.failure()?;
    broken?;
    course.enter(Phase::Finishing);
    joined(&course, writers)?;
    course.enter(Phase::Reading);
    joined(&course, readers)?;

    let ledgers = faults.ledgers()?;
    actors::read_all(&course, "of all", random.split())?;
    let verdict = course.checker().verify()?;
    story::commits_reach_the_end(scratch, "committed", &bootstrap, TOPIC, MEMBERS)?;
    faults.each_alone(|node| {
        let name = format!("of all, of gateway {} alone", node + 1);
        actors::read_all(&course, &name, random.split())
    })?;
    course.enter(Phase::Over);
    faults.end()?;
    course.failure()?;
    eprintln!("{}\n{ledgers} ledgers\n{verdict:?}", course.summary());
    ensure!(course.checker().verify()? == verdict, "the log has changed");
    ensure!(ledgers > PARTITIONS, "no ledger ended");
    ensure!(
        verdict.promised > 0 && verdict.stored > 0,
        "nothing written"
    );
    Ok(())
}

fn writers(
    scratch: &Scratch,
    course: &Arc<Course>,
    pulsar: &Pulsar,
    bootstrap: &str,
    random: &mut Random,
) -> Result<Vec<JoinHandle<()>>> {
    let mut writers = Vec::new();
    let first = course.gateways.first().context("a gateway")?;
    for producer in IDEMPOTENT.into_iter().chain([ONCE]) {
        let identified = match producer {
            ONCE => None,
            _ => Some(Identified::by(first)?),
        };
        for partition in 0..PARTITIONS {
            let random = random.split();
            writers.push(course.spawn(format!("producer {producer}"), move |course| {
                actors::produce(course, producer, identified, partition, random)
            }));
        }
    }
    let (name, partitions) = (JAVA.to_string(), format!("partitions={PARTITIONS}"));
    let arguments = [
        "produce",
        bootstrap,
        TOPIC,
        "0",
        "100000000",
        &name,
        "rate=150",
        &partitions,
    ];
    let java = kafka_java(scratch, Java::Newest, "producer", &arguments)?;
    let (topic, partitions) = (actors::pulsar_topic(), PARTITIONS.to_string());
    let service = pulsar.service_url();
    let arguments = [
        "number",
        &service,
        &topic,
        &partitions,
        &NATIVE.to_string(),
        "150",
    ];
    let natives = pulsar_java(scratch, "natives", &arguments)?;
    for (name, process) in [
        ("Kafka's Java producer", java),
        ("native producers", natives),
    ] {
        let client = Client::producer(name, process);
        writers.push(course.spawn(name.to_owned(), move |course| client.write(course)));
    }
    for group in LONE {
        let random = random.split();
        writers.push(course.spawn(format!("group {group}"), move |course| {
            actors::commit(course, group, random)
        }));
    }
    Ok(writers)
}

fn readers(
    scratch: &Scratch,
    course: &Arc<Course>,
    bootstrap: &str,
    random: &mut Random,
) -> Result<Vec<JoinHandle<()>>> {
    let mut readers = Vec::new();
    for name in ["one", "another"] {
        let random = random.split();
        readers.push(course.spawn(format!("reader {name}"), move |course| {
            actors::read_on(course, name, random)
        }));
    }
    let anywhere = random.split();
    readers.push(course.spawn("reader anywhere".to_owned(), move |course| {
        actors::read_anywhere(course, "anywhere", anywhere)
    }));
    let mut members = Vec::new();
    for n in 1..=2 {
        let name = format!("{MEMBERS}-{n}");
        let arguments = ["consume", bootstrap, TOPIC, MEMBERS];
        let process = kafka_java(scratch, Java::Newest, &name, &arguments)?;
        members.push(Client::member(MEMBERS, &name, process));
    }
    readers.push(course.spawn("members".to_owned(), move |course| {
        actors::read_in_group(course, MEMBERS, members)
    }));
    let mut groups: Vec<String> = LONE.iter().map(|group| (*group).to_owned()).collect();
    groups.push(MEMBERS.to_owned());
    let random = random.split();
    // Ends with the run, not when all is read.
    drop(course.spawn("looks at commits".to_owned(), move |course| {
        actors::look_at_commits(course, &groups, random)
    }));
    Ok(readers)
}

/// Waits for actors to end, and for nobody to be stuck.
fn joined(course: &Course, actors: Vec<JoinHandle<()>>) -> Result<()> {
    let mut left = actors;
    while !left.is_empty() {
        course.failure()?;
        course.check_progress()?;
        left.retain(|actor| !actor.is_finished());
        course.wait(std::time::Duration::from_millis(100));
    }
    course.failure()
}
