//! `bench`: the first table of `docs/benchmarks.md`, measured here and now. `KOP_BIN_DIR` says whose
//! gateway. `--runs N` (3) and `--records N` (200000) change the size.

use anyhow::{Context, Result};
use kop_e2e::apache_kafka::{ApacheKafka, tool};
use kop_e2e::bench::{cpu_seconds, median, output, resident_mib};
use kop_e2e::gateway::Gateway;
use kop_e2e::install::{self, PULSAR_NEWEST};
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::Scratch;
use kop_e2e::story::KafkaServer;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

const BYTES: u32 = 1024;
const BEGIN: &str = "<!-- what ./bench wrote begins -->\n";
const END: &str = "<!-- what ./bench wrote ends -->\n";

fn main() -> Result<()> {
    let mut size = Size {
        runs: 3,
        records: 200_000,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().context("a number")?;
        match name.as_str() {
            "--runs" => size.runs = value.parse()?,
            "--records" => size.records = value.parse()?,
            _ => anyhow::bail!("unknown: {name}"),
        }
    }
    let scratch = Scratch::new("bench")?;
    let mut text = String::new();
    let machine = machine()?;
    writeln!(
        text,
        "{} records of {BYTES} bytes a run, median of {} interleaved runs, clients and servers on the \
         same machine: {machine}.\n",
        size.records, size.runs
    )?;
    embedded(&scratch, size, &mut text)?;
    on_pulsar(&scratch, size, &mut text)?;
    publish(&text)
}

#[derive(Clone, Copy)]
struct Size {
    runs: u32,
    records: u32,
}

/// A column of the table: a server, and how a client reaches it.
struct Subject {
    name: String,
    client: Client,
    /// The process whose time and memory count; `None` where clients talk to the broker itself.
    server: Option<u32>,
    /// The broker behind it, whose time counts apart.
    broker: Option<u32>,
}

enum Client {
    Kafka { bootstrap: String },
    Pulsar { service: String, admin: String },
}

/// Figures of one kind of run by (partitions, subject).
type Figures = BTreeMap<(u32, usize), Vec<Run>>;

#[derive(Clone, Copy)]
struct Run {
    mib_per_second: f64,
    server_seconds_per_gib: Option<f64>,
    broker_seconds_per_gib: Option<f64>,
    server_mib: Option<f64>,
}

fn embedded(scratch: &Scratch, size: Size, text: &mut String) -> Result<()> {
    let kafka = ApacheKafka::start(scratch, "")?;
    let os = Gateway::embedded_with(scratch, "os", &["--durability", "os"])?;
    let sync = Gateway::embedded(scratch, "sync")?;
    let subject = |name: &str, server: &dyn KafkaServer, id: u32| Subject {
        name: name.to_owned(),
        client: Client::Kafka {
            bootstrap: server.bootstrap().to_owned(),
        },
        server: Some(id),
        broker: None,
    };
    let subjects = [
        subject(
            &format!("Apache Kafka {}", install::KAFKA),
            &kafka,
            kafka.id(),
        ),
        subject("gateway, `--durability os`", &os, os.id()),
        subject("gateway, `--durability sync`", &sync, sync.id()),
    ];
    writeln!(text, "### Embedded store beside Apache Kafka\n")?;
    compare(&subjects, size, text)
}

fn on_pulsar(scratch: &Scratch, size: Size, text: &mut String) -> Result<()> {
    let pulsar = Pulsar::start(scratch, PULSAR_NEWEST, &[])?;
    let mut gateways = Vec::new();
    for format in ["kafka", "pulsar"] {
        gateways.push((
            format,
            Gateway::on_pulsar(scratch, format, &pulsar, format)?,
        ));
    }
    let mut subjects = vec![Subject {
        name: format!("none: native client of Pulsar {PULSAR_NEWEST}"),
        client: Client::Pulsar {
            service: pulsar.service_url(),
            admin: pulsar.admin_url(),
        },
        server: None,
        broker: Some(pulsar.id()),
    }];
    subjects.extend(gateways.iter().map(|(format, gateway)| Subject {
        name: format!("gateway, `{format}` format"),
        client: Client::Kafka {
            bootstrap: gateway.bootstrap().to_owned(),
        },
        server: Some(gateway.id()),
        broker: Some(pulsar.id()),
    }));
    writeln!(text, "### On Pulsar beside a native producer and reader\n")?;
    compare(&subjects, size, text)
}

fn compare(subjects: &[Subject], size: Size, text: &mut String) -> Result<()> {
    let (mut produced, mut consumed) = (Figures::new(), Figures::new());
    for (number, subject) in subjects.iter().enumerate() {
        // The first requests find cold code and unopened files, here as there.
        let topic = format!("warm-{number}");
        let few = Size {
            records: size.records / 4,
            ..size
        };
        subject.client.create(&topic, 8)?;
        subject.client.produce(&topic, few)?;
        subject.client.consume(&topic, few)?;
    }
    for run in 0..size.runs {
        for partitions in [1, 8] {
            for (number, subject) in subjects.iter().enumerate() {
                let topic = format!("bench-{number}-{partitions}-{run}");
                subject.client.create(&topic, partitions)?;
                let write = measured(subject, size, || subject.client.produce(&topic, size))?;
                let read = measured(subject, size, || subject.client.consume(&topic, size))?;
                eprintln!(
                    "{}, {partitions} partitions: produce {:.1} MiB/s, consume {:.1} MiB/s",
                    subject.name, write.mib_per_second, read.mib_per_second
                );
                produced
                    .entry((partitions, number))
                    .or_default()
                    .push(write);
                consumed.entry((partitions, number)).or_default().push(read);
            }
        }
    }
    table(
        subjects,
        &[("produce", produced), ("consume", consumed)],
        text,
    )
}

fn table(subjects: &[Subject], kinds: &[(&str, Figures)], text: &mut String) -> Result<()> {
    let brokers = subjects.iter().any(|subject| subject.broker.is_some());
    let (head, rule) = if brokers {
        (" broker CPU s/GiB |", " ---: |")
    } else {
        ("", "")
    };
    writeln!(
        text,
        "| | server | MiB/s | server CPU s/GiB | server memory MiB |{head}"
    )?;
    writeln!(text, "| --- | --- | ---: | ---: | ---: |{rule}")?;
    for (what, figures) in kinds {
        for ((partitions, number), runs) in figures {
            let middle = |of: fn(&Run) -> Option<f64>, digits: usize| {
                let figure = runs.iter().map(of).collect::<Option<_>>().and_then(median);
                figure.map_or_else(String::new, |figure| format!("{figure:.digits$}"))
            };
            let name = subjects
                .get(*number)
                .map(|s| s.name.as_str())
                .unwrap_or_default();
            let plural = if *partitions == 1 { "" } else { "s" };
            write!(
                text,
                "| {what}, {partitions} partition{plural} | {name} | {} | {} | {} |",
                middle(|run| Some(run.mib_per_second), 1),
                middle(|run| run.server_seconds_per_gib, 2),
                middle(|run| run.server_mib, 0),
            )?;
            if brokers {
                write!(text, " {} |", middle(|run| run.broker_seconds_per_gib, 2))?;
            }
            text.push('\n');
        }
    }
    text.push('\n');
    Ok(())
}

fn measured(subject: &Subject, size: Size, run: impl FnOnce() -> Result<f64>) -> Result<Run> {
    let time = |id: Option<u32>| id.map(cpu_seconds).transpose();
    let before = (time(subject.server)?, time(subject.broker)?);
    let mib_per_second = run().with_context(|| subject.name.clone())?;
    let after = (time(subject.server)?, time(subject.broker)?);
    let gib = f64::from(size.records) * f64::from(BYTES) / f64::from(1 << 30);
    let per_gib = |before: Option<f64>, after: Option<f64>| Some((after? - before?) / gib);
    Ok(Run {
        mib_per_second,
        server_seconds_per_gib: per_gib(before.0, after.0),
        broker_seconds_per_gib: per_gib(before.1, after.1),
        server_mib: subject.server.map(resident_mib).transpose()?,
    })
}

impl Client {
    fn create(&self, topic: &str, partitions: u32) -> Result<()> {
        let partitions = partitions.to_string();
        let mut command = match self {
            Client::Kafka { bootstrap } => {
                let mut command = tool("org.apache.kafka.tools.TopicCommand")?;
                command.args([
                    "--bootstrap-server",
                    bootstrap,
                    "--create",
                    "--topic",
                    topic,
                ]);
                command.args(["--partitions", &partitions]);
                command
            }
            Client::Pulsar { admin, .. } => {
                let mut command = Command::new("curl");
                command.args(["-sf", "-X", "PUT", "-H", "content-type: application/json"]);
                command.args(["-d", &partitions]);
                command.arg(format!(
                    "{admin}/admin/v2/persistent/public/default/{topic}/partitions"
                ));
                command
            }
        };
        command.env("LC_ALL", "C");
        output(command).map(drop)
    }

    fn produce(&self, topic: &str, size: Size) -> Result<f64> {
        let records = size.records.to_string();
        let bytes = BYTES.to_string();
        match self {
            Client::Kafka { bootstrap } => {
                let mut command = tool("org.apache.kafka.tools.ProducerPerformance")?;
                command.args(["--topic", topic, "--num-records", &records]);
                command.args([
                    "--record-size",
                    &bytes,
                    "--throughput",
                    "-1",
                    "--producer-props",
                ]);
                command.arg(format!("bootstrap.servers={bootstrap}"));
                command.args(["acks=all", "linger.ms=5", "batch.size=65536"]);
                let said = output(command)?;
                // … 87642.4 records/sec (85.59 MB/sec), 212.92 ms avg latency, …
                let last = said.lines().last().unwrap_or_default();
                let rate = last
                    .split_once('(')
                    .and_then(|(_, rest)| rest.split(' ').next());
                rate.with_context(|| said.clone())?
                    .parse()
                    .context("MB/sec")
            }
            Client::Pulsar { service, .. } => {
                Self::pulsar_rate(&["produce", service, topic, &records, &bytes])
            }
        }
    }

    fn consume(&self, topic: &str, size: Size) -> Result<f64> {
        let records = size.records.to_string();
        match self {
            Client::Kafka { bootstrap } => {
                let mut command = tool("org.apache.kafka.tools.ConsumerPerformance")?;
                command.args(["--bootstrap-server", bootstrap, "--topic", topic]);
                command.args([
                    "--messages",
                    &records,
                    "--timeout",
                    "30000",
                    "--hide-header",
                ]);
                let said = output(command)?;
                // start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, …
                let last = said.lines().last().unwrap_or_default();
                let rate = last.split(", ").nth(8);
                rate.with_context(|| said.clone())?
                    .parse()
                    .context("fetch.MB.sec")
            }
            Client::Pulsar { service, .. } => {
                Self::pulsar_rate(&["read", service, topic, &records])
            }
        }
    }

    fn pulsar_rate(arguments: &[&str]) -> Result<f64> {
        let classes = install::compiled("PulsarBench", &install::jars("pulsar", PULSAR_NEWEST)?)?;
        let logging = install::checkout().join("e2e/clients/log4j2.yaml");
        let mut command = install::java()?;
        command
            .args(["-Xmx512m", "-XX:+UseSerialGC", "-cp", &classes])
            .arg(format!("-Dlog4j.configurationFile={}", logging.display()))
            .args(["--add-opens", "java.base/java.nio=ALL-UNNAMED"])
            .args(["--add-opens", "java.base/jdk.internal.misc=ALL-UNNAMED"])
            .arg("PulsarBench")
            .args(arguments);
        let said = output(command)?;
        let rate = said.lines().find_map(|line| line.strip_prefix("MB/s "));
        rate.with_context(|| said.clone())?.parse().context("MB/s")
    }
}

fn machine() -> Result<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo")?;
    let of = |key: &'static str| {
        info.lines()
            .filter_map(move |line| Some(line.strip_prefix(key)?.split_once(": ")?.1.trim()))
    };
    let model = of("model name")
        .next()
        .unwrap_or("unknown processor")
        .to_owned();
    Ok(format!("{} × {model}", of("processor").count()))
}

fn publish(text: &str) -> Result<()> {
    let path = install::checkout().join("docs/benchmarks.md");
    let page = std::fs::read_to_string(&path)?;
    let (head, rest) = page
        .split_once(BEGIN)
        .context("the line that begins the figures")?;
    let (_, tail) = rest
        .split_once(END)
        .context("the line that ends the figures")?;
    std::fs::write(&path, format!("{head}{BEGIN}\n{text}{END}{tail}"))?;
    eprintln!("{text}written to {}", path.display());
    Ok(())
}
