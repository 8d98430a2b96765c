//! Log lines, to standard error.
use std::io::IsTerminal as _;

use kop_config::LogFormat;
use tracing_subscriber::EnvFilter;

/// Begins logging; `RUST_LOG` chooses what, and says `info` where it is not set.
pub(crate) fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Fails only where logging has begun already, as in tests.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}
