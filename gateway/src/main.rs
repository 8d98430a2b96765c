//! A Kafka gateway in front of Apache Pulsar, or on an embedded store.
use std::process::ExitCode;

use kop_gateway::{Args, run, usage_error};

fn main() -> ExitCode {
    let args = match Args::try_parse_any() {
        Ok(args) => args,
        Err(error) => return usage_error(&error),
    };
    run(args)
}
