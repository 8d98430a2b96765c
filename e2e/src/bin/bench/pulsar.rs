//! The gateway on Pulsar beside a native producer and reader.

use crate::Options;
use crate::client::KafkaClient;
use crate::pages::{BYTES, head, middle, row};
use crate::stub;
use anyhow::{Context, Result};
use kop_e2e::bench::{cpu_seconds, resident_mib, run};
use kop_e2e::gateway::Gateway;
use kop_e2e::install::{self, PULSAR_NEWEST};
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::Scratch;
use kop_e2e::story::KafkaServer;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Who is measured: a client, and the processes that work for it.
struct Subject<'a> {
    name: String,
    client: Client<'a>,
    /// The gateway; `None` where clients talk to the broker itself.
    gateway: Option<u32>,
    broker: u32,
}

enum Client<'a> {
    Kafka(KafkaClient<'a>),
    Pulsar {
        service: String,
        admin: String,
        logs: &'a Path,
    },
}

#[derive(Clone, Copy)]
struct Run {
    mib_per_second: f64,
    gateway_seconds_per_gib: Option<f64>,
    broker_seconds_per_gib: f64,
    gateway_mib: Option<f64>,
}

/// Runs by what is done, partitions, and subject.
type Figures = BTreeMap<(u8, u32, usize), Vec<Run>>;

pub(crate) fn measure(scratch: &Scratch, options: &Options) -> Result<String> {
    let mut text = String::new();
    if options.wants("native") {
        text += &beside_native(scratch, options)?;
    }
    if options.wants("stub") {
        text += "\n";
        text += &stub::measure(scratch)?;
    }
    Ok(text)
}

fn beside_native(scratch: &Scratch, options: &Options) -> Result<String> {
    let (runs, records) = (
        options.runs.unwrap_or(3),
        options.records.unwrap_or(200_000),
    );
    let pulsar = Pulsar::start(scratch, PULSAR_NEWEST, &[])?;
    let mut gateways = Vec::new();
    for format in ["kafka", "pulsar"] {
        let gateway = Gateway::on_pulsar(scratch, format, &pulsar, format)?;
        gateways.push((format, gateway));
    }
    let mut subjects = vec![Subject {
        name: format!("none: native client of Pulsar {PULSAR_NEWEST}"),
        client: Client::Pulsar {
            service: pulsar.service_url(),
            admin: pulsar.admin_url(),
            logs: scratch.path(),
        },
        gateway: None,
        broker: pulsar.id(),
    }];
    subjects.extend(gateways.iter().map(|(format, gateway)| Subject {
        name: format!("gateway, `{format}` format"),
        client: Client::Kafka(KafkaClient {
            bootstrap: gateway.bootstrap().to_owned(),
            logs: scratch.path(),
        }),
        gateway: Some(gateway.id()),
        broker: pulsar.id(),
    }));
    let figures = compare(&subjects, runs, records)?;
    let intro =
        format!("{records} records of {BYTES} bytes a run, median of {runs} interleaved runs.\n\n");
    Ok(intro + &table(&subjects, &figures))
}

fn compare(subjects: &[Subject<'_>], runs: usize, records: u32) -> Result<Figures> {
    let mut figures = Figures::new();
    for (number, subject) in subjects.iter().enumerate() {
        // The first requests find cold code and unopened files, here as there.
        let topic = format!("warm-{number}");
        subject.client.create(&topic, 8)?;
        subject.client.produce(&topic, records / 4)?;
        subject.client.consume(&topic, records / 4)?;
    }
    for number in 0..runs {
        for partitions in [1, 8] {
            for (at, subject) in subjects.iter().enumerate() {
                let topic = format!("bench-{at}-{partitions}-{number}");
                subject.client.create(&topic, partitions)?;
                let write = measured(subject, records, || subject.client.produce(&topic, records))?;
                let read = measured(subject, records, || subject.client.consume(&topic, records))?;
                eprintln!(
                    "{}, {partitions} partitions: produce {:.1} MiB/s, consume {:.1} MiB/s",
                    subject.name, write.mib_per_second, read.mib_per_second
                );
                figures.entry((0, partitions, at)).or_default().push(write);
                figures.entry((1, partitions, at)).or_default().push(read);
            }
        }
    }
    Ok(figures)
}

fn measured(subject: &Subject<'_>, records: u32, run: impl FnOnce() -> Result<f64>) -> Result<Run> {
    let time = || -> Result<_> {
        let gateway = subject.gateway.map(cpu_seconds).transpose()?;
        Ok((gateway, cpu_seconds(subject.broker)?))
    };
    let before = time()?;
    let mib_per_second = run().with_context(|| subject.name.clone())?;
    let after = time()?;
    let gib = f64::from(records) * f64::from(BYTES) / f64::from(1 << 30);
    let gateway = after.0.zip(before.0).map(|(after, before)| after - before);
    Ok(Run {
        mib_per_second,
        gateway_seconds_per_gib: gateway.map(|seconds| seconds / gib),
        broker_seconds_per_gib: (after.1 - before.1) / gib,
        gateway_mib: subject.gateway.map(resident_mib).transpose()?,
    })
}

fn table(subjects: &[Subject<'_>], figures: &Figures) -> String {
    let mut text = head(&[
        "",
        "server",
        ">MiB/s",
        ">gateway CPU s/GiB",
        ">gateway memory MiB",
        ">broker CPU s/GiB",
    ]);
    for ((what, partitions, at), runs) in figures {
        let what = if *what == 0 { "produce" } else { "consume" };
        let plural = if *partitions == 1 { "" } else { "s" };
        let name = subjects.get(*at).map(|subject| subject.name.clone());
        text += &row(&[
            format!("{what}, {partitions} partition{plural}"),
            name.unwrap_or_default(),
            middle(runs.iter().map(|run| run.mib_per_second), 1),
            middle(runs.iter().filter_map(|run| run.gateway_seconds_per_gib), 2),
            middle(runs.iter().filter_map(|run| run.gateway_mib), 0),
            middle(runs.iter().map(|run| run.broker_seconds_per_gib), 2),
        ]);
    }
    text
}

impl Client<'_> {
    fn create(&self, topic: &str, partitions: u32) -> Result<()> {
        let (admin, logs) = match self {
            Self::Kafka(client) => return client.create(topic, partitions),
            Self::Pulsar { admin, logs, .. } => (admin, logs),
        };
        let mut command = Command::new("curl");
        command.args(["-sSf", "-X", "PUT", "-H", "content-type: application/json"]);
        command.args(["-d", &partitions.to_string()]);
        command.arg(format!(
            "{admin}/admin/v2/persistent/public/default/{topic}/partitions"
        ));
        run("create", command, logs).map(drop)
    }

    /// MiB a second.
    fn produce(&self, topic: &str, records: u32) -> Result<f64> {
        match self {
            Self::Kafka(client) => Ok(client.produce(topic, records)?.mib_per_second),
            Self::Pulsar { service, logs, .. } => {
                let (records, bytes) = (records.to_string(), BYTES.to_string());
                Self::pulsar_rate(logs, &["produce", service, topic, &records, &bytes])
            }
        }
    }

    /// MiB a second.
    fn consume(&self, topic: &str, records: u32) -> Result<f64> {
        match self {
            Self::Kafka(client) => Ok(client.consume(topic, records)?.mib_per_second),
            Self::Pulsar { service, logs, .. } => {
                Self::pulsar_rate(logs, &["read", service, topic, &records.to_string()])
            }
        }
    }

    fn pulsar_rate(logs: &Path, arguments: &[&str]) -> Result<f64> {
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
        let client = run("pulsar-client", command, logs)?;
        let rate = client.last_line.strip_prefix("MB/s ").map(str::parse);
        rate.with_context(|| format!("the client said {:?}", client.last_line))?
            .context("MB/s")
    }
}
