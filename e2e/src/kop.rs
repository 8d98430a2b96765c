//! The real `KoP`: Kafka's protocol as a plugin of Pulsar's brokers, whose data the gateway takes over.
//!
//! No registry has the plugin; `KOP_NAR` says where the one to use lies.

use crate::pulsar::{Home, Pulsar, Release};
use crate::scratch::{Scratch, free_ports};
use crate::wait::until;
use anyhow::{Context, Result, bail};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

/// The Pulsar that this `KoP` is made for.
pub const PULSAR: Release = Release {
    part: "kop-pulsar",
    version: "3.1.1.1",
};

const HOW_TO_GET_IT: &str = "KOP_NAR must name the file of KoP's plugin in version 3.1.1.1 \
    (pulsar-protocol-handler-kafka-3.1.1.1.nar). It is built from the tag v3.1.1.1 of \
    https://github.com/streamnative/kop by: mvn package -pl kafka-impl -am -DskipTests -Dcheckstyle.skip. \
    Where Maven cannot find org.everit.json.schema, exclude it in schema-registry/pom.xml and depend on \
    com.github.erosb:everit-json-schema:1.14.1 instead.";

/// The plugin that the environment names.
///
/// # Errors
/// It names none, or none that is there: says how to get it.
pub fn nar() -> Result<PathBuf> {
    let Some(path) = std::env::var_os("KOP_NAR").map(PathBuf::from) else {
        bail!("{HOW_TO_GET_IT}");
    };
    if !path.is_file() {
        bail!("{} is not there. {HOW_TO_GET_IT}", path.display());
    }
    Ok(path)
}

/// A running Pulsar with `KoP` in it.
#[derive(Debug)]
pub struct Kop {
    pulsar: Pulsar,
    bootstrap: String,
}

impl Kop {
    /// Starts [`PULSAR`] with `KoP` on data that may be there already. `format` is its `entryFormat`:
    /// `pulsar`, `kafka` or `mixed_kafka`; `settings` are more lines of the broker's configuration.
    ///
    /// # Errors
    /// The plugin or Pulsar's jars are missing, or it does not become ready.
    pub fn start(
        scratch: &Scratch,
        home: &Home,
        format: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let nar = nar()?;
        let plugins = scratch.data("kop-plugins");
        std::fs::create_dir_all(&plugins)?;
        let name = nar.file_name().context("KOP_NAR names a file")?;
        let linked = plugins.join(name);
        if !linked.exists() {
            std::os::unix::fs::symlink(std::fs::canonicalize(&nar)?, linked)?;
        }
        let unpacked = scratch.data("kop-unpacked").display().to_string();
        let plugins = plugins.display().to_string();
        let [port] = free_ports()?;
        let bootstrap = format!("127.0.0.1:{port}");
        let listener = format!("PLAINTEXT://{bootstrap}");
        let plugged = [
            ("messagingProtocols", "kafka"),
            ("protocolHandlerDirectory", plugins.as_str()),
            ("narExtractionDirectory", unpacked.as_str()),
            ("kafkaListeners", listener.as_str()),
            ("kafkaAdvertisedListeners", listener.as_str()),
            ("entryFormat", format),
            ("kafkaTransactionCoordinatorEnabled", "true"),
            ("kopAllowedNamespaces", "public/default"),
            ("brokerDeduplicationEnabled", "true"),
        ];
        let settings = [&plugged[..], settings].concat();
        let pulsar = Pulsar::start_at(scratch, home, PULSAR, &settings)
            .with_context(|| format!("KoP from {}", nar.display()))?;
        until("KoP's listener", Duration::from_secs(60), || {
            Ok(TcpStream::connect(&bootstrap).ok().map(drop))
        })?;
        Ok(Self { pulsar, bootstrap })
    }

    /// HOST:PORT for Kafka clients.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The Pulsar that it is in.
    #[must_use]
    pub fn pulsar(&self) -> &Pulsar {
        &self.pulsar
    }

    /// Ends it gently; its data stay.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn stop(self) -> Result<()> {
        self.pulsar.stop()
    }
}
