//! The operator that gives a Pulsar deployment the Kafka protocol.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use kop_operator::args::{Args, Command};
use kop_operator::{crd_yaml, run, telemetry};

fn main() -> ExitCode {
    match act(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: what was tried, then why it failed.
            _ = writeln!(std::io::stderr(), "kop-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Crd => Ok(std::io::stdout().write_all(crd_yaml()?.as_bytes())?),
        Command::Run(args) => {
            telemetry::start(args.log_format);
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?
                .block_on(run(args))
        }
    }
}
