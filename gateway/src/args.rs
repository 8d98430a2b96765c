//! The command line.
use std::{io, path::PathBuf};

use clap::Parser;
use kop_config::{Config, ConfigError, InvalidFile, RawConfig};

/// A Kafka gateway in front of Apache Pulsar, or on an embedded store.
///
/// Without arguments it keeps records in ./kop-data and serves Kafka clients on 127.0.0.1:9092. Each
/// option is also an environment variable, and a key of the --config file.
#[derive(Debug, Parser)]
#[command(name = "kop-gateway", version)]
pub struct Args {
    /// Read what is not given otherwise from this TOML file; its keys are the options' names
    #[arg(long, env = "KOP_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    given: RawConfig,
}

/// Arguments that make no configuration.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The file cannot be read.
    #[error("--config {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file makes no sense.
    #[error("--config {}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidFile,
    },
    /// The settings make no sense together.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Args {
    /// The configuration that flags, environment and file make together.
    ///
    /// # Errors
    /// A file that cannot be used, or settings that contradict each other.
    pub fn config(self) -> Result<Config, UsageError> {
        let Self { config, given } = self;
        let file = match config {
            None => RawConfig::default(),
            Some(path) => match std::fs::read_to_string(&path) {
                Err(source) => return Err(UsageError::File { path, source }),
                Ok(text) => RawConfig::from_toml(&text)
                    .map_err(|source| UsageError::Toml { path, source })?,
            },
        };
        Ok(given.or(file).validate()?)
    }
}
