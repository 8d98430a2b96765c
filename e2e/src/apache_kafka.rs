//! Apache Kafka itself: what the stories are proven on, and what the benchmarks stand beside.

use crate::install::{self, KAFKA};
use crate::process::Process;
use crate::scratch::{Scratch, free_ports};
use crate::story::KafkaServer;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A running Kafka node: broker and controller in one process.
#[derive(Debug)]
pub struct ApacheKafka {
    process: Process,
    properties: PathBuf,
    logs: PathBuf,
    bootstrap: String,
}

impl ApacheKafka {
    /// Formats a folder of the story and starts Kafka on it; `settings` are more server properties.
    ///
    /// # Errors
    /// Its jars are missing, or it does not become ready.
    pub fn start(scratch: &Scratch, settings: &str) -> Result<Self> {
        let [kafka, controller] = free_ports()?;
        let data = scratch.data("kafka");
        std::fs::create_dir_all(&data)?;
        let properties = data.join("server.properties");
        std::fs::write(
            &properties,
            format!(
                "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{kafka},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{kafka}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={}/logs
offsets.topic.replication.factor=1
{settings}
",
                data.display()
            ),
        )?;
        let format = tool("kafka.tools.StorageTool")?
            .args(["format", "-t", "Mk9_dHhlUVeaVKYiwEyXaA", "-c"])
            .arg(&properties)
            .output()?;
        if !format.status.success() {
            bail!("format: {}", String::from_utf8_lossy(&format.stderr));
        }
        let logs = scratch.path().to_owned();
        let process = run(&properties, &logs)?;
        Ok(Self {
            process,
            properties,
            logs,
            bootstrap: format!("127.0.0.1:{kafka}"),
        })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl KafkaServer for ApacheKafka {
    fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    fn restart(&mut self) -> Result<()> {
        self.process.signal("TERM")?;
        self.process.wait(PATIENCE)?;
        std::fs::write(self.logs.join("kafka.err"), "")?; // whose last line says "started"
        self.process = run(&self.properties, &self.logs)?;
        Ok(())
    }
}

/// A program of Kafka by its class.
///
/// # Errors
/// Java or Kafka's jars are missing.
pub fn tool(class: &str) -> Result<std::process::Command> {
    tool_of(KAFKA, class)
}

/// As [`tool`], of that release.
///
/// # Errors
/// Java or Kafka's jars are missing.
pub fn tool_of(release: &str, class: &str) -> Result<std::process::Command> {
    let mut command = install::java()?;
    command.args([
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-cp",
        &install::jars("kafka", release)?,
    ]);
    command.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", class]);
    Ok(command)
}

fn run(properties: &Path, logs: &Path) -> Result<Process> {
    let mut command = install::java()?;
    command
        .args([
            "-Xms1g",
            "-Xmx1g",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
        ])
        .args([
            "-XX:InitiatingHeapOccupancyPercent=35",
            "-Djava.awt.headless=true",
        ])
        .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=info"])
        .args(["-cp", &install::jars("kafka", KAFKA)?, "kafka.Kafka"])
        .arg(properties);
    let mut process = Process::start("kafka", command, logs)?;
    // slf4j-simple logs to standard error, so readiness is read from there.
    let err = logs.join("kafka.err");
    crate::wait::until("a started Kafka", PATIENCE, || {
        if let Some(status) = process.ended()? {
            bail!("Kafka ended: {status}");
        }
        let text = std::fs::read_to_string(&err).context("read Kafka's log")?;
        Ok(text.contains("Kafka Server started").then_some(()))
    })?;
    Ok(process)
}
