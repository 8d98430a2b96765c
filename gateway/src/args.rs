//! The command line.
use std::{ffi::OsString, io, path::PathBuf};

use clap::{
    CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    error::{ContextKind, ContextValue},
};
use kop_config::{Config, ConfigError, InvalidFile, RawConfig};

use crate::memory;

const EXAMPLES: &str = "\
Examples:
  Try it: records in ./kop-data, clients on this machine
      kop-gateway
      echo hello | kcat -b 127.0.0.1:9092 -t greetings -P
      kcat -b 127.0.0.1:9092 -t greetings -C -e

  In front of a Pulsar, for clients on other machines
      kop-gateway --pulsar pulsar://broker:6650 --pulsar-admin http://broker:8080 \\
          --listen 0.0.0.0:9092 --advertise kafka.example.com:9092

  Two listeners: one for this machine, one for the others
      kop-gateway --listen local://127.0.0.1:9092 --listen lan://0.0.0.0:9094 \\
          --advertise lan://kafka.example.com:9094

  What does my Pulsar lack?
      kop-gateway check --pulsar pulsar://broker:6650 --pulsar-admin http://broker:8080

  The same from a file: the keys are the options' names
      # gateway.toml
      listen = [\"0.0.0.0:9092\"]
      advertise = [\"kafka.example.com:9092\"]
      data-dir = \"/var/lib/kop\"

      kop-gateway --config gateway.toml

Environment:
  KOP_…     each option, as named above; lists are separated by commas
  RUST_LOG  what is logged to standard error [default: info]; debug says each connection

Signals: SIGTERM and SIGINT let clients go, bring everything to its place and end with status 0.
Status:  0 stopped as asked, 1 could not start or go on, 64 wrong options, environment or file.
         Those of check: kop-gateway check --help.";

/// A Kafka gateway in front of Apache Pulsar, or on an embedded store.
///
/// Without arguments it keeps records in ./kop-data and serves Kafka clients on 127.0.0.1:9092. When it
/// serves, it says so by a line on standard output: ready kafka=HOST:PORT admin=HOST:PORT store=NAME.
/// Each option is also an environment variable, and a key of the --config file; an option is stronger
/// than its variable, and that is stronger than the file.
#[derive(Debug, Parser)]
#[command(name = "kop-gateway", version, disable_help_subcommand = true)]
#[command(after_long_help = EXAMPLES)]
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

/// The environment variable whose value an error is about; `None` where it is the command line that
/// is wrong. Clap names the option in both cases.
pub(crate) fn variable_at_fault(
    error: &clap::Error,
    line: impl IntoIterator<Item = OsString>,
) -> Option<String> {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let option = option.split(' ').next().unwrap_or_default();
    let command = Args::command();
    let argument = command
        .get_arguments()
        .find(|argument| option.strip_prefix("--") == argument.get_long())?;
    let variable = argument.get_env()?;
    let given = line.into_iter().any(|word| {
        let word = word.to_string_lossy();
        word.split('=').next() == Some(option)
    });
    let set = std::env::var_os(variable).is_some();
    (set && !given).then(|| variable.to_string_lossy().into_owned())
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
        let raw = given.or(file);
        let raw = match memory::available() {
            Some(bytes) => raw.sized_for(bytes),
            None => raw,
        };
        Ok(raw.validate()?)
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
