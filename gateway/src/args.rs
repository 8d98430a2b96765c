//! The command line.
use std::{ffi::OsString, io, path::PathBuf};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use kop_config::{Config, ConfigError, InvalidFile, RawConfig};

/// A Kafka gateway in front of Apache Pulsar, or on an embedded store.
///
/// Without arguments it keeps records in ./kop-data and serves Kafka clients on 127.0.0.1:9092. Each
/// option is also an environment variable, and a key of the --config file.
#[derive(Debug, Parser)]
#[command(name = "kop-gateway", version, disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,

    /// Read what is not given otherwise from this TOML file; its keys are the options' names
    #[arg(long, env = "KOP_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    given: RawConfig,
}

/// What is to be done, other than to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Say what the Pulsar or the directory lacks for the gateway, and how to mend it
    ///
    /// Takes the options with which the gateway is to be started, and starts nothing. In Pulsar a
    /// topic is made, written, read and removed again. Ends with status 0 where all is well, 1 where
    /// something is missing, 2 where the options are wrong or nobody answers.
    Check,
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
    /// Reads the process's own command line and environment. Options may stand before or after the
    /// action.
    ///
    /// # Errors
    /// What clap says to it; `--help` and `--version` are among that.
    pub fn try_parse_any() -> Result<Self, clap::Error> {
        Self::try_parse_all(std::env::args_os())
    }

    fn try_parse_all(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::command().mut_args(|arg| arg.global(true));
        let matches = command.try_get_matches_from_mut(line)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }

    /// What is to be done, other than to serve.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        self.action
    }

    /// The configuration that flags, environment and file make together.
    ///
    /// # Errors
    /// A file that cannot be used, or settings that contradict each other.
    pub fn config(self) -> Result<Config, UsageError> {
        let Self {
            action: _,
            config,
            given,
        } = self;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_all(line.iter().map(OsString::from))
    }

    #[test]
    fn options_stand_before_or_after_the_action() {
        for line in [
            ["kop-gateway", "check", "--data-dir", "d"],
            ["kop-gateway", "--data-dir", "d", "check"],
        ] {
            let args = parsed(&line).unwrap();
            assert_eq!(args.action(), Some(Action::Check));
            assert_eq!(args.given.data_dir, Some("d".into()));
        }
        let args = parsed(&["kop-gateway", "--listen", "a:1", "--listen", "b:2"]).unwrap();
        assert_eq!(args.action(), None);
        assert_eq!(args.given.listen.as_deref().map(<[_]>::len), Some(2));
        assert_eq!(parsed(&["kop-gateway"]).unwrap().action(), None);
    }

    #[test]
    fn an_unknown_action_or_option_is_refused() {
        for line in [["kop-gateway", "chek"], ["kop-gateway", "--chek"]] {
            assert!(parsed(&line).unwrap_err().use_stderr());
        }
    }
}
