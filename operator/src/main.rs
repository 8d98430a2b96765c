//! The operator that gives a Pulsar deployment the Kafka protocol.

use std::io::Write;

use clap::Parser;
use kop_operator::args::{Args, Command};
use kop_operator::{crd_yaml, run, telemetry};

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
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
