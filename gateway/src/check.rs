//! `kop-gateway check`: what the store lacks, before a gateway is started on it.
//!
//! The engines look and judge; here it is printed, and the status says how it stands:
//!
//! | status | |
//! | --- | --- |
//! | 0 | all is well, warnings perhaps |
//! | 1 | something is missing |
//! | 2 | nobody answers, or the options are wrong |
use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use kop_config::{Config, StoreConfig};
use kop_store::{Finding, FindingState, Remedy};

use crate::store::pulsar_options;

/// The options are wrong.
pub(crate) const USAGE: u8 = 2;
const MISSING: u8 = 1;
const UNREACHABLE: u8 = 2;
/// Columns of the first two words of a line.
const STATE: usize = 12;
const SUBJECT: usize = 32;

/// Looks, prints, and says how it stands.
pub(crate) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let findings = match &config.store {
        StoreConfig::Embedded { data_dir, .. } => kop_store_embedded::examine(data_dir),
        StoreConfig::Pulsar(pulsar) => {
            let options = pulsar_options(pulsar.clone(), config);
            let largest = config.limits.message_bytes;
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("no runtime")?
                .block_on(kop_store_pulsar::examine(options, largest))
        }
    };
    io::stdout()
        .write_all(report(&findings).as_bytes())
        .context("standard output is closed")?;
    Ok(status(&findings).into())
}

fn status(findings: &[Finding]) -> u8 {
    let any = |state| findings.iter().any(|finding| finding.state == state);
    if any(FindingState::Unreachable) {
        UNREACHABLE
    } else if any(FindingState::Missing) {
        MISSING
    } else {
        0
    }
}

/// A line for each finding, then what to set and what to run, then how it stands.
fn report(findings: &[Finding]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    for finding in findings {
        let state = word(finding.state);
        let _ = writeln!(
            text,
            "{state:STATE$} {:SUBJECT$} {}",
            finding.subject, finding.text
        );
    }
    let mut lines = Vec::new();
    let mut commands = Vec::new();
    for remedy in findings.iter().flat_map(|finding| &finding.remedies) {
        let (list, line) = match remedy {
            Remedy::Setting(line) => (&mut lines, line),
            Remedy::Command(line) => (&mut commands, line),
        };
        if !list.contains(&line) {
            list.push(line);
        }
    }
    let blocks = [
        (
            "set in broker.conf (or standalone.conf) of every broker, and restart them:",
            lines,
        ),
        ("run:", commands),
    ];
    for (heading, lines) in blocks {
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{heading}");
        }
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
    let count = |state| findings.iter().filter(|f| f.state == state).count();
    let counts = [
        (count(FindingState::Unreachable), "unreachable"),
        (count(FindingState::Missing), "missing"),
        (count(FindingState::Warning), "to look at"),
    ];
    let told: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let sum = if told.is_empty() {
        "all is well".to_owned()
    } else {
        told.join(", ")
    };
    let _ = writeln!(text, "\n{sum}");
    text
}

fn word(state: FindingState) -> &'static str {
    match state {
        FindingState::Ok => "ok",
        FindingState::Warning => "warning",
        FindingState::Missing => "missing",
        FindingState::Unreachable => "unreachable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_ends_with_what_to_do() {
        let findings = [
            Finding::ok("version", "Pulsar 4.2.4"),
            Finding::missing("offsets", "entries are not numbered")
                .set("a=b")
                .set("c=d"),
            Finding::warning("retention of public/default", "short").run("bin/pulsar-admin x"),
            Finding::missing("unused topics", "are deleted").set("a=b"),
        ];
        insta::assert_snapshot!(report(&findings));
        assert_eq!(status(&findings), MISSING);
    }

    #[test]
    fn the_status_is_that_of_the_worst() {
        let ok = Finding::ok("a", "b");
        assert_eq!(status(std::slice::from_ref(&ok)), 0);
        assert_eq!(status(&[ok.clone(), Finding::warning("a", "b")]), 0);
        let missing = Finding::missing("a", "b");
        assert_eq!(status(&[ok, missing.clone()]), MISSING);
        let nobody = Finding::unreachable("a", "b");
        assert_eq!(status(&[nobody, missing]), UNREACHABLE);
        assert!(report(&[]).contains("all is well"));
    }
}
