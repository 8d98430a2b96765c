//! A Kafka gateway in front of Apache Pulsar, or on an embedded store.
//!
//! A connection's bytes become requests, a request finds its row in the one table of APIs, the row's
//! handler asks the store or a coordinator, and its answer is written when every earlier request of
//! the connection has been answered.
use std::{
    io::{self, Write as _},
    num::NonZero,
    process::ExitCode,
};

use anyhow::Context as _;
use kop_config::StoreConfig;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

mod admin;
mod api;
mod args;
mod budget;
mod check;
mod cluster;
mod connection;
mod coordination;
mod dispatch;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gateway;
mod handover;
mod memory;
mod metrics;
mod news;
mod partitions;
mod process;
mod server;
mod sparingly;
mod store;
mod telemetry;
mod topics;

pub use args::{Action, Args, UsageError};
pub use cluster::JoinError;
pub use process::{Running, StartError};
pub use store::OpenStoreError;

/// `EX_USAGE`: the command line, the environment or the file is wrong.
const USAGE: u8 = 64;

/// Answers `--help` and `--version`, and says what is wrong with any other command line.
#[must_use]
pub fn usage_error(error: &clap::Error) -> ExitCode {
    // Nobody is left to be told if the terminal is gone.
    let _ = error.print();
    if let Some(variable) = args::variable_at_fault(error, std::env::args_os()) {
        let _ = writeln!(
            io::stderr(),
            "\nThe value is that of {variable} in the environment."
        );
    }
    if error.use_stderr() {
        // What was to be done is not known from a line that cannot be read.
        let check = std::env::args_os().skip(1).any(|word| word == "check");
        wrong_usage(check.then_some(Action::Check))
    } else {
        ExitCode::SUCCESS
    }
}

fn wrong_usage(action: Option<Action>) -> ExitCode {
    match action {
        Some(Action::Check) => check::USAGE,
        None => USAGE,
    }
    .into()
}

/// Runs a gateway until it is asked to stop by SIGTERM or SIGINT, or does what else is asked for.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    let action = args.action();
    let config = match args.config() {
        Ok(config) => config,
        Err(error) => {
            complain(&error.into());
            return wrong_usage(action);
        }
    };
    if action == Some(Action::Check) {
        return check::run(&config).unwrap_or_else(|error| {
            complain(&error);
            ExitCode::FAILURE
        });
    }
    telemetry::start(config.log_format);
    info!(
        version = env!("CARGO_PKG_VERSION"),
        max_memory_bytes = config.limits.memory_bytes,
        tail_cache_bytes = config.store.tail_cache_bytes(),
        "kop-gateway starts"
    );
    match served(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Threads that serve connections. In front of Pulsar a gateway moves bytes, and one thread moves hundreds
/// of MiB a second: more of them would wake each other, and take processors from brokers beside them.
fn worker_threads(config: &kop_config::Config) -> usize {
    config.worker_threads.unwrap_or_else(|| {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        match config.store {
            StoreConfig::Embedded { .. } => processors,
            StoreConfig::Pulsar(_) => processors.div_ceil(2),
        }
    })
}

fn served(config: kop_config::Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads(&config))
        .enable_all()
        .build()
        .context("no threads")?;
    runtime.block_on(serve(config))
}

async fn serve(config: kop_config::Config) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("no SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("no SIGINT")?;
    let running = tokio::select! {
        started = Running::start(config) => started?,
        _ = terminated.recv() => return Ok(()),
        _ = interrupted.recv() => return Ok(()),
    };
    writeln!(io::stdout(), "{}", running.ready_line()).context("standard output is closed")?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    running.stop().await;
    Ok(())
}

/// One line that says why the process ends.
fn complain(error: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "kop-gateway: {error:#}");
}
