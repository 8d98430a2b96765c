//! The gateway on the embedded store beside Apache Kafka.
//!
//! A round starts both servers on empty folders, warms them up, and lets the clients use one after the
//! other; who goes first changes from cell to cell and from round to round. Before each run, what the
//! file system still has to write is written.

use crate::client::{KafkaClient, Latency, Moved};
use crate::pages::BYTES;
use crate::{Options, small};
use anyhow::{Context, Result, ensure};
use kop_e2e::apache_kafka::ApacheKafka;
use kop_e2e::bench::{cpu_seconds, peak_mib, resident_mib, settle};
use kop_e2e::gateway::Gateway;
use kop_e2e::install::{self, KAFKA};
use kop_e2e::scratch::Scratch;
use kop_e2e::story::KafkaServer;
use std::collections::BTreeMap;
use std::path::PathBuf;

mod tables;

/// Seconds of a latency run.
const LATENCY_SECONDS: u32 = 15;

/// What both servers promise with an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Durability {
    /// The operating system has the records: Kafka's default.
    Os,
    /// The disk has them: Kafka with `flush.messages=1`.
    Sync,
}

impl Durability {
    fn name(self) -> &'static str {
        match self {
            Self::Os => "os",
            Self::Sync => "sync",
        }
    }

    fn kafka_settings(self) -> &'static str {
        match self {
            Self::Os => "",
            Self::Sync => "log.flush.interval.messages=1",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    /// Produce all at once, then read it.
    Throughput {
        partitions: u32,
    },
    Latency,
}

impl Cell {
    const ALL: [Self; 3] = [
        Self::Throughput { partitions: 1 },
        Self::Throughput { partitions: 8 },
        Self::Latency,
    ];

    fn name(self, durability: Durability) -> String {
        let durability = durability.name();
        match self {
            Self::Throughput { partitions } => format!("{durability}/{partitions}"),
            Self::Latency => format!("{durability}/latency"),
        }
    }

    fn partitions(self) -> u32 {
        match self {
            Self::Throughput { partitions } => partitions,
            Self::Latency => 1,
        }
    }
}

/// A figure of the gateway, and one of the server beside it from the same minute.
#[derive(Debug, Clone)]
struct Pair<T> {
    beside: T,
    ours: T,
}

impl<T> Pair<T> {
    fn map<U>(&self, of: impl Fn(&T) -> U) -> Pair<U> {
        Pair {
            beside: of(&self.beside),
            ours: of(&self.ours),
        }
    }
}

impl Pair<f64> {
    fn ratio(&self) -> f64 {
        self.ours / self.beside
    }
}

/// One run of one throughput cell.
#[derive(Debug, Clone)]
struct Run {
    mib_per_second: f64,
    server_seconds_per_gib: f64,
    client_seconds_per_gib: f64,
    /// Processors that the client kept busy from its start to its end.
    client_processors: f64,
}

/// Resident memory of a server after its round, in MiB.
#[derive(Debug, Clone, Copy)]
struct Memory {
    after: f64,
    peak: f64,
}

#[derive(Debug, Default)]
struct Figures {
    produced: BTreeMap<(Durability, u32), Vec<Pair<Run>>>,
    consumed: BTreeMap<(Durability, u32), Vec<Pair<Run>>>,
    latencies: BTreeMap<Durability, Vec<Pair<Latency>>>,
    memory: BTreeMap<Durability, Vec<Pair<Memory>>>,
}

/// What stands beside the gateway.
#[derive(Debug, Clone)]
enum Beside {
    Kafka,
    /// Another build of the gateway.
    Build(PathBuf),
}

pub(crate) fn measure(scratch: &Scratch, options: &Options) -> Result<String> {
    let (runs, records) = (
        options.runs.unwrap_or(5),
        options.records.unwrap_or(300_000),
    );
    let beside = match &options.against {
        None => Beside::Kafka,
        Some(folder) => {
            let binary = folder.canonicalize()?.join("kop-gateway");
            ensure!(binary.exists(), "no {}", binary.display());
            Beside::Build(binary)
        }
    };
    let mut figures = Figures::default();
    for number in 0..runs {
        for durability in [Durability::Os, Durability::Sync] {
            let wanted = |cell: &Cell| options.wants(&cell.name(durability));
            let round = Round {
                scratch,
                beside: &beside,
                durability,
                cells: Cell::ALL.into_iter().filter(wanted).collect(),
                records,
                number,
            };
            if !round.cells.is_empty() {
                round
                    .run(&mut figures)
                    .with_context(|| format!("round {number}, durability {}", durability.name()))?;
            }
        }
    }
    let beside = match beside {
        Beside::Kafka => format!("Kafka {KAFKA}"),
        Beside::Build(_) => "the other".to_owned(),
    };
    let mut text = tables::write(&figures, &beside, records);
    if options.wants("start") {
        text += &small::measure(scratch)?;
    }
    Ok(text)
}

struct Round<'a> {
    scratch: &'a Scratch,
    beside: &'a Beside,
    durability: Durability,
    cells: Vec<Cell>,
    records: u32,
    number: usize,
}

/// A server, and what clients of it need.
struct Subject<'a> {
    name: &'static str,
    server: u32,
    client: KafkaClient<'a>,
}

impl<'a> Round<'a> {
    fn run(&self, figures: &mut Figures) -> Result<()> {
        let (_running, subjects) = self.start()?;
        self.warm_up(&subjects.beside)?;
        self.warm_up(&subjects.ours)?;
        for (at, cell) in self.cells.iter().enumerate() {
            let ours_first = (self.number + at).is_multiple_of(2);
            match *cell {
                Cell::Throughput { partitions } => {
                    let pair = both(&subjects, ours_first, |s| self.throughput(s, *cell))?;
                    let key = (self.durability, partitions);
                    let produced = pair.map(|runs| runs.0.clone());
                    let consumed = pair.map(|runs| runs.1.clone());
                    figures.produced.entry(key).or_default().push(produced);
                    figures.consumed.entry(key).or_default().push(consumed);
                }
                Cell::Latency => {
                    let pair = both(&subjects, ours_first, |s| self.latency(s))?;
                    let latencies = figures.latencies.entry(self.durability).or_default();
                    latencies.push(pair);
                }
            }
        }
        let memory = both(&subjects, true, |subject| {
            Ok(Memory {
                after: resident_mib(subject.server)?,
                peak: peak_mib(subject.server)?,
            })
        })?;
        figures
            .memory
            .entry(self.durability)
            .or_default()
            .push(memory);
        Ok(())
    }

    /// Both servers, on folders that are empty.
    #[expect(
        clippy::type_complexity,
        reason = "two servers to hold, and how to reach them"
    )]
    fn start(&self) -> Result<((Box<dyn KafkaServer>, Gateway), Pair<Subject<'a>>)> {
        for name in ["kafka", "other", "gateway"] {
            let folder = self.scratch.data(name);
            if folder.exists() {
                std::fs::remove_dir_all(&folder)
                    .with_context(|| format!("empty {}", folder.display()))?;
            }
        }
        let more = ["--durability", self.durability.name()];
        let (beside, id): (Box<dyn KafkaServer>, u32) = match self.beside {
            Beside::Kafka => {
                let kafka = ApacheKafka::start(self.scratch, self.durability.kafka_settings())?;
                let id = kafka.id();
                (Box::new(kafka), id)
            }
            Beside::Build(binary) => {
                let other = Gateway::embedded_by(binary, self.scratch, "other", &more)?;
                let id = other.id();
                (Box::new(other), id)
            }
        };
        let binary = install::binary("kop-gateway")?;
        let ours = Gateway::embedded_by(&binary, self.scratch, "gateway", &more)?;
        let subject = |name, server, bootstrap: &str| Subject {
            name,
            server,
            client: KafkaClient {
                bootstrap: bootstrap.to_owned(),
                release: KAFKA,
                logs: self.scratch.path(),
            },
        };
        let subjects = Pair {
            beside: subject("beside", id, beside.bootstrap()),
            ours: subject("gateway", ours.id(), ours.bootstrap()),
        };
        Ok(((beside, ours), subjects))
    }

    /// The first requests find cold code and unopened files, here as there. All topics are made.
    fn warm_up(&self, subject: &Subject<'_>) -> Result<()> {
        let few = self.records / 3;
        let warm_up = || {
            subject.client.create("warm-up", 8)?;
            for cell in &self.cells {
                let topic = topic(*cell);
                subject.client.create(&topic, cell.partitions())?;
            }
            subject.client.produce("warm-up", few)?;
            subject.client.consume("warm-up", few)
        };
        let done = warm_up().with_context(|| format!("warm up {}", subject.name));
        done.map(drop)
    }

    fn throughput(&self, subject: &Subject<'_>, cell: Cell) -> Result<(Run, Run)> {
        let (client, records) = (&subject.client, self.records);
        let run = |moving: &dyn Fn() -> Result<Moved>| -> Result<Run> {
            settle(self.scratch.path())?;
            let before = cpu_seconds(subject.server)?;
            let moved = moving()?;
            let server = cpu_seconds(subject.server)? - before;
            let gib = f64::from(records) * f64::from(BYTES) / f64::from(1 << 30);
            Ok(Run {
                mib_per_second: moved.mib_per_second,
                server_seconds_per_gib: server / gib,
                client_seconds_per_gib: moved.client.cpu_seconds / gib,
                client_processors: moved.client.cpu_seconds / moved.client.seconds,
            })
        };
        let name = cell.name(self.durability);
        let topic = topic(cell);
        let wrong = |what: &str| format!("{what} {name}, {}", subject.name);
        let produced =
            run(&|| client.produce(&topic, records)).with_context(|| wrong("produce"))?;
        let consumed =
            run(&|| client.consume(&topic, records)).with_context(|| wrong("consume"))?;
        eprintln!(
            "{name}, {}: produce {:.1} MiB/s, {:.2} CPU s/GiB; consume {:.1} MiB/s, {:.2} CPU s/GiB",
            subject.name,
            produced.mib_per_second,
            produced.server_seconds_per_gib,
            consumed.mib_per_second,
            consumed.server_seconds_per_gib,
        );
        Ok((produced, consumed))
    }

    fn latency(&self, subject: &Subject<'_>) -> Result<Latency> {
        settle(self.scratch.path())?;
        let name = Cell::Latency.name(self.durability);
        let latency = subject
            .client
            .latency(&topic(Cell::Latency), LATENCY_SECONDS)
            .with_context(|| format!("{name}, {}", subject.name))?;
        eprintln!("{name}, {}: {latency:?}", subject.name);
        Ok(latency)
    }
}

fn topic(cell: Cell) -> String {
    match cell {
        Cell::Throughput { partitions } => format!("throughput-{partitions}"),
        Cell::Latency => "latency".to_owned(),
    }
}

fn both<'a, T>(
    subjects: &Pair<Subject<'a>>,
    ours_first: bool,
    measure: impl Fn(&Subject<'a>) -> Result<T>,
) -> Result<Pair<T>> {
    if ours_first {
        let ours = measure(&subjects.ours)?;
        let beside = measure(&subjects.beside)?;
        Ok(Pair { beside, ours })
    } else {
        let beside = measure(&subjects.beside)?;
        let ours = measure(&subjects.ours)?;
        Ok(Pair { beside, ours })
    }
}
