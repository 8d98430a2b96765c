//! Kafka's own performance tools, and what they say.

use crate::pages::BYTES;
use anyhow::{Context, Result};
use kop_e2e::apache_kafka::{tool, tool_of};
use kop_e2e::bench::{Ran, run};
use kop_e2e::install::{self, KAFKA};
use std::path::Path;
use std::process::Command;

/// Records a second of the latency cells.
const STEADY: u32 = 5_000;
/// Settings of the producer that differ from the client's defaults, where throughput is measured.
const FAST: [&str; 3] = ["acks=all", "linger.ms=5", "batch.size=65536"];

/// Kafka's clients on one server.
#[derive(Debug, Clone)]
pub(crate) struct KafkaClient<'a> {
    pub(crate) bootstrap: String,
    /// Of Kafka's tools.
    pub(crate) release: &'static str,
    pub(crate) logs: &'a Path,
}

/// How much went through, and what it cost the client.
#[derive(Debug, Clone)]
pub(crate) struct Moved {
    pub(crate) mib_per_second: f64,
    pub(crate) client: Ran,
}

/// Milliseconds from the call of `send` to the acknowledgement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) mean: f64,
    pub(crate) median: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

/// Milliseconds from the call of `send` to the consumer's receipt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    pub(crate) median: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl KafkaClient<'_> {
    pub(crate) fn create(&self, topic: &str, partitions: u32) -> Result<()> {
        let mut command = tool("org.apache.kafka.tools.TopicCommand")?;
        command.args(["--bootstrap-server", &self.bootstrap, "--create"]);
        command.args(["--topic", topic, "--partitions", &partitions.to_string()]);
        run("create", command, self.logs).map(drop)
    }

    pub(crate) fn produce(&self, topic: &str, records: u32) -> Result<Moved> {
        let mut command = tool_of(self.release, "org.apache.kafka.tools.ProducerPerformance")?;
        self.producer(&mut command, topic, records, "-1");
        command.args(FAST);
        let client = run("produce", command, self.logs)?;
        // … 87642.4 records/sec (85.59 MB/sec), 212.92 ms avg latency, …
        let rate = client
            .last_line
            .split_once('(')
            .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        let mib_per_second = rate.with_context(|| said(&client))?;
        Ok(Moved {
            mib_per_second,
            client,
        })
    }

    pub(crate) fn consume(&self, topic: &str, records: u32) -> Result<Moved> {
        let mut command = tool_of(self.release, "org.apache.kafka.tools.ConsumerPerformance")?;
        command.args(["--bootstrap-server", &self.bootstrap, "--topic", topic]);
        command.args(["--messages", &records.to_string(), "--timeout", "30000"]);
        command.arg("--hide-header");
        let client = run("consume", command, self.logs)?;
        // start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, …
        let fields: Vec<&str> = client.last_line.split(", ").collect();
        let field = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let read = field(4).with_context(|| said(&client))?;
        anyhow::ensure!(read >= f64::from(records), "{read} of {records} records");
        let mib_per_second = field(8).with_context(|| said(&client))?;
        Ok(Moved {
            mib_per_second,
            client,
        })
    }

    /// Latencies at a steady rate, for `seconds`, by a client that has been at it for a while.
    pub(crate) fn latency(&self, topic: &str, seconds: u32) -> Result<Latency> {
        let classes = install::compiled("WarmProducer", &install::jars("kafka", KAFKA)?)?;
        let mut command = install::java()?;
        command.args(["-Xmx512m", "-XX:+UseSerialGC", "-cp", &classes]);
        command.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
        command.args(["WarmProducer", &(STEADY * 6).to_string()]);
        let rate = STEADY.to_string();
        self.producer(&mut command, topic, STEADY * seconds, &rate);
        command.arg("acks=all");
        let client = run("latency", command, self.logs)?;
        // … 0.91 ms avg latency, 31.00 ms max latency, 1 ms 50th, 2 ms 95th, 7 ms 99th, 21 ms 99.9th.
        let figure = |what: &str| {
            let figure = client
                .last_line
                .split(", ")
                .find_map(|part| part.trim_end_matches('.').strip_suffix(what)?.parse().ok());
            figure.with_context(|| format!("no{what}: {}", said(&client)))
        };
        Ok(Latency {
            mean: figure(" ms avg latency")?,
            median: figure(" ms 50th")?,
            p99: figure(" ms 99th")?,
            p999: figure(" ms 99.9th")?,
        })
    }

    /// A steady load, and a consumer that waits at the topic's end.
    pub(crate) fn tail(&self, topic: &str) -> Result<Tail> {
        let classes = install::compiled("TailLatency", &install::jars("kafka", self.release)?)?;
        let mut command = install::java()?;
        command
            .args(["-Xmx512m", "-XX:+UseSerialGC", "-cp", &classes])
            .args([
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "TailLatency",
            ])
            .args([&self.bootstrap, topic, &STEADY.to_string()])
            .args(["6", "12", &BYTES.to_string()]);
        let client = run("tail", command, self.logs)?;
        let said = said(&client);
        let figures = client.last_line.strip_prefix("tail ");
        let figures = figures.with_context(|| said.clone())?;
        let figures: Vec<f64> = figures.split(' ').filter_map(|f| f.parse().ok()).collect();
        let [median, p99, p999] = figures.try_into().ok().with_context(|| said)?;
        Ok(Tail { median, p99, p999 })
    }

    fn producer(&self, command: &mut Command, topic: &str, records: u32, rate: &str) {
        command.args(["--topic", topic, "--num-records", &records.to_string()]);
        command.args(["--record-size", &BYTES.to_string(), "--throughput", rate]);
        command.args(["--producer-props"]);
        command.arg(format!("bootstrap.servers={}", self.bootstrap));
    }
}

fn said(client: &Ran) -> String {
    format!("the client said {:?}", client.last_line)
}
