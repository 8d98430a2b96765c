//! The gateway as a process.

use crate::capture::{self, Kept};
use crate::process::Process;
use crate::scratch::{Scratch, free_ports};
use crate::story::KafkaServer;
use crate::wait::until;
use crate::{install, pulsar::Pulsar};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a start and a drained stop may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    binary: PathBuf,
    arguments: Vec<String>,
    name: String,
    logs: PathBuf,
    process: Process,
    kafka: String,
    /// Where clients are to connect instead, while their requests are captured.
    proxied: Option<String>,
    admin: String,
}

impl Gateway {
    /// On the embedded store, in a folder of the story.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn embedded(scratch: &Scratch, name: &str) -> Result<Self> {
        Self::embedded_with(scratch, name, &[])
    }

    /// As [`embedded`](Self::embedded), with more arguments.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn embedded_with(scratch: &Scratch, name: &str, more: &[&str]) -> Result<Self> {
        Self::embedded_by(&install::binary("kop-gateway")?, scratch, name, more)
    }

    /// As [`embedded_with`](Self::embedded_with), of another build than the stories'.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn embedded_by(
        binary: &Path,
        scratch: &Scratch,
        name: &str,
        more: &[&str],
    ) -> Result<Self> {
        let folder = scratch.data(name).display().to_string();
        let arguments = [&["--data-dir", &folder], more].concat();
        Self::start(binary, scratch, name, &arguments)
    }

    /// On Pulsar, in the entry format given: `pulsar` or `kafka`.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn on_pulsar(scratch: &Scratch, name: &str, pulsar: &Pulsar, format: &str) -> Result<Self> {
        Self::on_pulsar_with(scratch, name, pulsar, format, &[])
    }

    /// As [`on_pulsar`](Self::on_pulsar), with more arguments.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn on_pulsar_with(
        scratch: &Scratch,
        name: &str,
        pulsar: &Pulsar,
        format: &str,
        more: &[&str],
    ) -> Result<Self> {
        let (service, admin) = (pulsar.service_url(), pulsar.admin_url());
        let more = [&["--entry-format", format], more].concat();
        Self::on_pulsar_at(scratch, name, (&service, &admin), &more)
    }

    /// On the Pulsar with these URLs, its service's and its admin service's.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn on_pulsar_at(
        scratch: &Scratch,
        name: &str,
        (service, admin): (&str, &str),
        more: &[&str],
    ) -> Result<Self> {
        let store = ["--pulsar", service, "--pulsar-admin", admin];
        let arguments = [&store[..], more].concat();
        Self::start(&install::binary("kop-gateway")?, scratch, name, &arguments)
    }

    /// In front of a stub of Pulsar, on processor `core` alone.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn on_stub(
        scratch: &Scratch,
        name: &str,
        (service, admin): (&str, &str),
        core: &str,
        more: &[&str],
    ) -> Result<Self> {
        let binary = install::binary("kop-gateway")?.display().to_string();
        // `taskset` becomes what it starts, so the process is the gateway's.
        let pinned = ["-c", core, &binary];
        let store = ["--pulsar", service, "--pulsar-admin", admin];
        let store = [&store[..], more].concat();
        Self::start_as(Path::new("taskset"), &pinned, scratch, name, &store)
    }

    fn start(binary: &Path, scratch: &Scratch, name: &str, store: &[&str]) -> Result<Self> {
        Self::start_as(binary, &[], scratch, name, store)
    }

    /// With arguments before its own, where `binary` is a program that starts it.
    fn start_as(
        binary: &Path,
        before: &[&str],
        scratch: &Scratch,
        name: &str,
        store: &[&str],
    ) -> Result<Self> {
        let [kafka] = free_ports()?; // one that stays the same through a restart
        let listen = format!("127.0.0.1:{kafka}");
        let listening = ["--listen", &listen, "--admin-listen", "127.0.0.1:0"];
        let mut arguments: Vec<String> = before
            .iter()
            .chain(&listening)
            .chain(store)
            .map(|&argument| argument.to_owned())
            .collect();
        let mut proxied = None;
        if let Some(folder) = capture::folder() {
            let [front] = free_ports()?;
            capture::proxy(Kept::KafkaRequests, &folder, front, kafka)?;
            let front = format!("127.0.0.1:{front}");
            arguments.extend(["--advertise".to_owned(), front.clone()]);
            proxied = Some(front);
        }
        let logs = scratch.path().to_owned();
        let mut process = spawn(binary, &arguments, name, &logs)?;
        let (kafka, admin) = addresses(&mut process)?;
        Ok(Self {
            binary: binary.to_owned(),
            arguments,
            name: name.to_owned(),
            logs,
            process,
            kafka,
            proxied,
            admin,
        })
    }

    /// HOST:PORT of the admin endpoint.
    #[must_use]
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it by `SIGTERM`.
    ///
    /// # Errors
    /// It does not end with status 0 in time.
    pub fn stop(&mut self) -> Result<()> {
        self.process.signal("TERM")?;
        self.process.succeed(PATIENCE)
    }

    /// Ends it by `SIGKILL`.
    ///
    /// # Errors
    /// It had ended before, on its own.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Stops it in its tracks by `SIGSTOP`, and returns when all of its threads stand still.
    ///
    /// # Errors
    /// It has ended.
    pub fn freeze(&mut self) -> Result<()> {
        self.process.signal("STOP")?;
        until("all threads to stand still", PATIENCE, || {
            for task in std::fs::read_dir(format!("/proc/{}/task", self.id()))? {
                let stat = std::fs::read_to_string(task?.path().join("stat"))?;
                // The state follows the name, which is in brackets and may hold any.
                let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
                if !state.is_some_and(|rest| rest.starts_with('T')) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
    }

    /// Lets it go on by `SIGCONT`.
    ///
    /// # Errors
    /// It has ended.
    pub fn thaw(&mut self) -> Result<()> {
        self.process.signal("CONT")
    }

    /// Starts it again, at the same address and on the same store, and does not wait for it.
    ///
    /// # Errors
    /// It does not start.
    pub fn begin_again(&mut self) -> Result<()> {
        self.process = spawn(&self.binary, &self.arguments, &self.name, &self.logs)?;
        Ok(())
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// It ends instead, does not serve in time, or serves at another address than before.
    pub fn ready(&mut self) -> Result<()> {
        let before = self.kafka.clone();
        (self.kafka, self.admin) = addresses(&mut self.process)?;
        if self.kafka != before {
            bail!(
                "the address was {before} and is {} after a restart",
                self.kafka
            );
        }
        Ok(())
    }
}

impl KafkaServer for Gateway {
    fn bootstrap(&self) -> &str {
        self.proxied.as_ref().unwrap_or(&self.kafka)
    }

    fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.begin_again()?;
        self.ready()
    }
}

fn spawn(binary: &Path, arguments: &[String], name: &str, logs: &Path) -> Result<Process> {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(binary)
        .args(arguments)
        .current_dir(logs);
    Process::start(name, command, logs)
}

/// Where it says that it serves Kafka clients and administrators.
fn addresses(process: &mut Process) -> Result<(String, String)> {
    let ready = process.wait_for_line("ready line", PATIENCE, |line| {
        line.strip_prefix("ready ").map(str::to_owned)
    })?;
    let field = |name: &str| {
        ready
            .split(' ')
            .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
            .map(str::to_owned)
            .with_context(|| format!("no {name} in the ready line: {ready}"))
    };
    Ok((field("kafka")?, field("admin")?))
}
