//! A real Pulsar, standalone.

use crate::capture::{self, Kept};
use crate::process::Process;
use crate::scratch::{Scratch, free_ports};
use crate::wait::until;
use crate::{clients, install, tokens};
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Packages that Pulsar reaches into by reflection.
const OPENED: &[&str] = &[
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.nio",
    "java.base/java.util.zip",
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.platform",
    "java.base/sun.net",
    "java.management/sun.management",
    "jdk.management/com.sun.management.internal",
];

const JAVA: &[&str] = &[
    "-Xms128m",
    "-Xmx768m",
    "-XX:MaxDirectMemorySize=768m",
    "-XX:+UseG1GC",
];

/// What starts it; the bookie's port follows.
const STANDALONE: &[&str] = &[
    "-Djava.net.preferIPv4Stack=true",
    "-Dlog4j.configurationFile=log4j2.yaml",
    "-Dlog4j.shutdownHookEnabled=false",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dbookkeeper.metadata.bookie.drivers=org.apache.pulsar.metadata.bookkeeper.PulsarMetadataBookieDriver",
    "-Dbookkeeper.metadata.client.drivers=org.apache.pulsar.metadata.bookkeeper.PulsarMetadataClientDriver",
    "org.apache.pulsar.PulsarStandaloneStarter",
    "--no-functions-worker",
    "--no-stream-storage",
    "--advertised-address",
    "127.0.0.1",
    "--bookkeeper-port",
];

/// What the gateway asks of a broker, and a retention: Kafka consumers are not Pulsar subscriptions,
/// which alone would keep messages.
const NEEDED: &[(&str, &str)] = &[
    (
        "brokerEntryMetadataInterceptors",
        "org.apache.pulsar.common.intercept.AppendIndexMetadataInterceptor",
    ),
    ("exposingBrokerEntryMetadataToClientEnabled", "true"),
    ("brokerDeleteInactiveTopicsEnabled", "false"),
    ("allowAutoTopicCreationType", "partitioned"),
    ("defaultRetentionTimeInMinutes", "-1"),
    ("defaultRetentionSizeInMB", "-1"),
];

/// How often a Pulsar is started again whose bookie does nothing but register.
const STARTS: u32 = 5;
/// So many registrations in one start are taken for no end of them. A healthy bookie does not log one like that.
const ENDLESS: usize = 100;

/// A build of Pulsar: whose jars, and which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// The folder of its jars without the version, as `e2e/parts/java.sh` calls it.
    pub part: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl Release {
    /// Apache Pulsar.
    #[must_use]
    pub const fn apache(version: &'static str) -> Self {
        Self {
            part: "pulsar",
            version,
        }
    }
}

/// Where a Pulsar keeps its data, and its ports. Another that is given the same goes on with the data:
/// `BookKeeper` knows its storage by its port.
#[derive(Debug, Clone)]
pub struct Home {
    data: PathBuf,
    broker: u16,
    web: u16,
    bookie: u16,
}

impl Home {
    /// A place without data, and free ports.
    ///
    /// # Errors
    /// The system has no free port.
    pub fn new(scratch: &Scratch, name: &str) -> Result<Self> {
        let [broker, web, bookie] = free_ports()?;
        Ok(Self {
            data: scratch.data(name),
            broker,
            web,
            bookie,
        })
    }
}

/// A running Pulsar with the settings that the gateway needs.
#[derive(Debug)]
pub struct Pulsar {
    version: &'static str,
    name: String,
    arguments: Vec<OsString>,
    data: PathBuf,
    logs: PathBuf,
    process: Process,
    service: u16,
    web: u16,
    /// What brokers are asked with whether they are ready, where they ask who asks.
    token: Option<&'static str>,
}

impl Pulsar {
    /// Starts `version` on free ports; `settings` are more lines of its configuration.
    ///
    /// # Errors
    /// Its jars are missing, or it does not become ready.
    pub fn start(
        scratch: &Scratch,
        version: &'static str,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        Self::start_bare(scratch, version, &[NEEDED, settings].concat(), None)
    }

    /// As [`start`](Self::start), of a Pulsar that takes tokens as [`tokens`] describes.
    ///
    /// # Errors
    /// Its jars are missing, or it does not become ready.
    pub fn start_with_tokens(
        scratch: &Scratch,
        version: &'static str,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let tokens = tokens::settings();
        let tokens: Vec<_> = tokens.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let settings = [NEEDED, &tokens, settings].concat();
        Self::start_bare(scratch, version, &settings, Some(tokens::ADMIN))
    }

    /// As [`start`](Self::start), with no settings but those given; `token` is one of a superuser.
    ///
    /// # Errors
    /// Its jars are missing, or it does not become ready.
    pub fn start_bare(
        scratch: &Scratch,
        version: &'static str,
        settings: &[(&str, &str)],
        token: Option<&'static str>,
    ) -> Result<Self> {
        let name = format!("pulsar-{version}");
        let home = Home::new(scratch, &name)?;
        Self::run(
            scratch,
            &name,
            &home,
            Release::apache(version),
            settings,
            token,
        )
    }

    /// As [`start`](Self::start), of a release and on data that may be there already.
    ///
    /// # Errors
    /// Its jars are missing, or it does not become ready.
    pub fn start_at(
        scratch: &Scratch,
        home: &Home,
        release: Release,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let name = format!("{}-{}", release.part, release.version);
        let settings = [NEEDED, settings].concat();
        Self::run(scratch, &name, home, release, &settings, None)
    }

    fn run(
        scratch: &Scratch,
        name: &str,
        home: &Home,
        release: Release,
        settings: &[(&str, &str)],
        token: Option<&'static str>,
    ) -> Result<Self> {
        let Release { part, version } = release;
        let jars = install::jars(part, version)?;
        let Home {
            data,
            broker,
            web,
            bookie,
        } = home.clone();
        std::fs::create_dir_all(&data)?;
        let given = install::checkout().join("e2e/pulsar");
        let mut text = std::fs::read_to_string(given.join("standalone.conf"))?;
        write!(
            text,
            "bindAddress=127.0.0.1\nadvertisedAddress=127.0.0.1\n\
             brokerServicePort={broker}\nwebServicePort={web}\n"
        )?;
        let mut service = broker;
        if let Some(folder) = capture::folder() {
            [service] = free_ports()?;
            capture::proxy(Kept::FromPulsar, &folder, service, broker)?;
            writeln!(
                text,
                "advertisedListeners=proxied:pulsar://127.0.0.1:{service}\n\
                 internalListenerName=proxied"
            )?;
        }
        for (key, value) in settings {
            writeln!(text, "{key}={value}")?;
        }
        let conf = data.join("standalone.conf");
        std::fs::write(&conf, text)?;

        let mut arguments: Vec<OsString> = vec!["-cp".into()];
        arguments.push(format!("{}:{jars}", given.display()).into());
        arguments.extend(JAVA.iter().map(OsString::from));
        for package in OPENED {
            arguments.push("--add-opens".into());
            arguments.push(format!("{package}=ALL-UNNAMED").into());
        }
        arguments.extend(STANDALONE.iter().map(OsString::from));
        arguments.push(bookie.to_string().into());
        let (metadata, ledgers) = (data.join("metadata"), data.join("bookkeeper"));
        arguments.extend(["--config".into(), conf.into_os_string()]);
        arguments.extend(["--metadata-dir".into(), metadata.into_os_string()]);
        arguments.extend(["--bookkeeper-dir".into(), ledgers.into_os_string()]);
        let logs = scratch.path().to_owned();
        let process = spawn(name, &arguments, &data, &logs)?;
        let mut pulsar = Self {
            version,
            name: name.to_owned(),
            arguments,
            data,
            logs,
            process,
            service,
            web,
            token,
        };
        pulsar.wait_until_ready()?;
        Ok(pulsar)
    }

    /// Ends it by `SIGKILL`, broker, bookie and metadata at once.
    ///
    /// # Errors
    /// It had ended before, on its own.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again, on the same data and ports, and waits until it is ready.
    ///
    /// A Pulsar that was killed may come back with a bookie that takes the news of its own registration for that of
    /// another's, and registers anew for ever, some thousand times a second (apache/pulsar#17759). Its broker
    /// answers hardly anybody; what helps is to start it once more.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start_again(&mut self) -> Result<()> {
        for _ in 0..STARTS {
            self.process = spawn(&self.name, &self.arguments, &self.data, &self.logs)?;
            self.wait_until_ready()?;
            if self.logged("re-acquired lock at /ledgers/available/") < ENDLESS {
                return Ok(());
            }
            eprintln!("{} registers its bookie for ever: once more", self.name);
            self.kill()?;
        }
        bail!(
            "{} registers its bookie for ever after each of {STARTS} starts",
            self.name
        )
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let url = format!("{}/admin/v2/namespaces/public", self.admin_url());
        let header = format!("Authorization: Bearer {}", self.token.unwrap_or_default());
        let mut arguments = vec![url.as_str()];
        if self.token.is_some() {
            arguments.extend(["-H", &header]);
        }
        until("namespace public/default", Duration::from_secs(300), || {
            if let Some(status) = self.process.ended()? {
                bail!("Pulsar {} ended: {status}", self.version);
            }
            let answer = clients::curl(&arguments)?;
            Ok(answer
                .is_some_and(|text| text.contains("public/default"))
                .then_some(()))
        })
    }

    /// Ends it by `SIGTERM`, so that it closes its ledgers and leaves its data as they are.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn stop(mut self) -> Result<()> {
        self.process.signal("TERM")?;
        self.process.wait(Duration::from_secs(60)).map(drop)
    }

    /// How many lines of its log say `text`.
    #[must_use]
    pub fn logged(&self, text: &str) -> usize {
        self.process.lines(0, |lines| {
            lines.iter().filter(|line| line.contains(text)).count()
        })
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// `pulsar://HOST:PORT`
    #[must_use]
    pub fn service_url(&self) -> String {
        format!("pulsar://127.0.0.1:{}", self.service)
    }

    /// `http://HOST:PORT`
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.web)
    }
}

fn spawn(name: &str, arguments: &[OsString], data: &Path, logs: &Path) -> Result<Process> {
    let mut command = install::java()?;
    command.args(arguments).current_dir(data);
    Process::start(name, command, logs)
}
