//! Who is measured: a client, and the processes that work for it.

use crate::client::{KafkaClient, Moved, Tail};
use crate::pages::BYTES;
use anyhow::{Context, Result};
use kop_e2e::bench::run;
use kop_e2e::install::{self, PULSAR_NEWEST};
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::Scratch;
use std::path::Path;
use std::process::Command;
use uuid::Uuid;

pub(super) struct Subject<'a> {
    pub(super) name: String,
    client: Client<'a>,
    /// The gateway's process; `None` where clients talk to the broker itself.
    pub(super) gateway: Option<u32>,
    pub(super) broker: u32,
    admin: String,
    logs: &'a Path,
    /// Whom it is compared with, by its place among the subjects.
    pub(super) beside: Option<usize>,
}

enum Client<'a> {
    Kafka(KafkaClient<'a>, &'static str),
    Pulsar { service: String },
}

/// What Kafka clients connect to, which release of Kafka's tools does, and the entry format of its topics.
pub(super) struct Kafka {
    bootstrap: String,
    release: &'static str,
    format: &'static str,
}

impl Kafka {
    pub(super) fn new(bootstrap: &str, release: &'static str, format: &'static str) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            release,
            format,
        }
    }
}

impl<'a> Subject<'a> {
    pub(super) fn kafka(
        name: String,
        kafka: Kafka,
        gateway: Option<u32>,
        pulsar: &Pulsar,
        scratch: &'a Scratch,
        beside: Option<usize>,
    ) -> Self {
        let client = KafkaClient {
            bootstrap: kafka.bootstrap,
            release: kafka.release,
            logs: scratch.path(),
        };
        Self {
            name,
            client: Client::Kafka(client, kafka.format),
            gateway,
            broker: pulsar.id(),
            admin: pulsar.admin_url(),
            logs: scratch.path(),
            beside,
        }
    }

    pub(super) fn native(name: String, pulsar: &Pulsar, scratch: &'a Scratch) -> Self {
        Self {
            name,
            client: Client::Pulsar {
                service: pulsar.service_url(),
            },
            gateway: None,
            broker: pulsar.id(),
            admin: pulsar.admin_url(),
            logs: scratch.path(),
            beside: None,
        }
    }

    /// Makes a partitioned topic that is written in the subject's format. It has a Kafka id, as one that a
    /// Kafka client makes has.
    pub(super) fn create(&self, topic: &str, partitions: u32) -> Result<()> {
        let body = match &self.client {
            Client::Kafka(_, format) => {
                let id = Uuid::new_v4();
                format!(
                    r#"{{"partitions":{partitions},"properties":{{"kafkaEntryFormat":"{format}","kafkaTopicUUID":"{id}"}}}}"#
                )
            }
            Client::Pulsar { .. } => format!(r#"{{"partitions":{partitions},"properties":{{}}}}"#),
        };
        let kind = "content-type: application/vnd.partitioned-topic-metadata+json";
        let mut command = Command::new("curl");
        command.args(["-sSf", "-X", "PUT", "-H", kind, "-d", &body]);
        let admin = &self.admin;
        let path = format!("admin/v2/persistent/public/default/{topic}/partitions");
        command.arg(format!("{admin}/{path}"));
        run("create", command, self.logs).map(drop)
    }

    pub(super) fn produce(&self, topic: &str, records: u32) -> Result<Moved> {
        match &self.client {
            Client::Kafka(client, _) => client.produce(topic, records),
            Client::Pulsar { service } => {
                let (records, bytes) = (records.to_string(), BYTES.to_string());
                self.by_pulsar(&["produce", service, topic, &records, &bytes])
            }
        }
    }

    pub(super) fn consume(&self, topic: &str, records: u32) -> Result<Moved> {
        match &self.client {
            Client::Kafka(client, _) => client.consume(topic, records),
            Client::Pulsar { service } => {
                self.by_pulsar(&["read", service, topic, &records.to_string()])
            }
        }
    }

    /// From a record's send to a consumer that waits for it.
    pub(super) fn tail(&self, topic: &str) -> Result<Tail> {
        match &self.client {
            Client::Kafka(client, _) => client.tail(topic),
            Client::Pulsar { .. } => anyhow::bail!("not measured of native clients"),
        }
    }

    fn by_pulsar(&self, arguments: &[&str]) -> Result<Moved> {
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
        let client = run("pulsar-client", command, self.logs)?;
        let rate = client.last_line.strip_prefix("MB/s ");
        let rate = rate.and_then(|rate| rate.parse().ok());
        let mib_per_second =
            rate.with_context(|| format!("the client said {:?}", client.last_line))?;
        Ok(Moved {
            mib_per_second,
            client,
        })
    }
}
