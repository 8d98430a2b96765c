//! A Kafka gateway in front of Apache Pulsar, or on an embedded store.
use std::process::ExitCode;

use kop_gateway::{Args, run, usage_error};
use tikv_jemallocator::Jemalloc;

/// It gives back to the system what closed partitions and connections leave behind, in the background; glibc's
/// keeps nearly all of it, because small things that live on stand in between (docs/adr/0013).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let args = match Args::try_parse_any() {
        Ok(args) => args,
        Err(error) => return usage_error(&error),
    };
    run(args)
}
