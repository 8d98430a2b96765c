//! Log lines, to standard error.
use std::io::IsTerminal as _;

use kop_config::LogFormat;
use tracing::warn;
use tracing_subscriber::EnvFilter;

/// Begins logging; `RUST_LOG` chooses what, and says `info` where it is not set.
pub(crate) fn start(format: LogFormat) {
    let (filter, wrong) = filter(std::env::var(EnvFilter::DEFAULT_ENV).ok());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Fails only where logging has begun already, as in tests.
    let _ = match format {
        // To a person the module that speaks says nothing.
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Some(error) = wrong {
        warn!(error, "RUST_LOG is not understood; info is shown");
    }
}

/// What is shown, and what is wrong with the wish.
fn filter(wished: Option<String>) -> (EnvFilter, Option<String>) {
    let default = || EnvFilter::new("info");
    match wished.filter(|wished| !wished.is_empty()) {
        None => (default(), None),
        Some(wished) => match EnvFilter::try_new(wished) {
            Ok(filter) => (filter, None),
            Err(error) => (default(), Some(error.to_string())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_that_is_not_understood_is_said() {
        let shown = |wished: Option<&str>| {
            let (filter, wrong) = filter(wished.map(str::to_owned));
            (filter.to_string(), wrong.is_some())
        };
        assert_eq!(shown(None), ("info".to_owned(), false));
        assert_eq!(shown(Some("")), ("info".to_owned(), false));
        assert_eq!(shown(Some("kop=debug")), ("kop=debug".to_owned(), false));
        assert_eq!(shown(Some("kop=loud")), ("info".to_owned(), true));
    }
}
