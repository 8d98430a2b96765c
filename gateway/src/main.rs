//! A Kafka gateway in front of Apache Pulsar, or on an embedded store.
use std::process::ExitCode;

use clap::Parser as _;
use kop_gateway::{Args, run, usage_error};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage_error(&error),
    };
    run(args)
}
