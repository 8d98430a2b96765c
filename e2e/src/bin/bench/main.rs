//! `bench`: measures the gateway beside what it stands for, here and now, and writes the tables of
//! `docs/benchmarks.md`. `./bench` is how it is called; `KOP_BIN_DIR` says whose gateway.

use anyhow::{Context, Result, bail, ensure};
use kop_e2e::scratch::Scratch;
use std::path::PathBuf;

mod client;
mod embedded;
mod memory;
mod pages;
mod pulsar;
mod small;
mod stub;
mod takeover;

const USAGE: &str = "\
./bench [embedded|pulsar ...] [--runs N] [--records N] [--cells TEXT,...] [--against DIR]

Without a section, both are measured. A whole section's tables go into docs/benchmarks.md; with --cells or
--against they are printed only.

--runs N       interleaved runs of each cell: 5 where nothing is said
--records N    records of 1 KiB of each throughput run: 300000 (embedded), 400000 (pulsar)
--cells TEXT   embedded cells whose names contain TEXT: os/1, os/8, os/latency, sync/1, sync/8,
               sync/latency, start; and of pulsar: native (beside a native client), kop (beside KoP,
               whose plugin KOP_NAR names), stub (before a broker that only acknowledges), memory,
               takeover (gateways that die, go and come)
--against DIR  beside the gateway built in DIR instead of Apache Kafka";

fn main() -> Result<()> {
    if std::env::args()
        .skip(1)
        .any(|argument| argument == "--help")
    {
        println(USAGE);
        return Ok(());
    }
    let options = Options::parse(std::env::args().skip(1))?;
    for section in &options.sections {
        // Before the runs, so that it names what they began with.
        let made = pages::made(&options.command(section))?;
        let scratch = Scratch::new(&format!("bench-{section}"))?;
        let measured = match section.as_str() {
            "embedded" => embedded::measure(&scratch, &options),
            _ => pulsar::measure(&scratch, &options),
        };
        let tables = measured
            .inspect_err(|_| scratch.print_logs())
            .with_context(|| format!("bench {section}"))?;
        // What stays behind costs disk space only, and the next run empties it.
        let _ = std::fs::remove_dir_all(scratch.data(""));
        println(&format!("{made}\n\n{tables}"));
        if options.is_whole() {
            pages::publish(section, &made, &tables)?;
        }
    }
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "the tables are what this program is for"
)]
fn println(text: &str) {
    println!("{text}");
}

/// What the command line asks for.
struct Options {
    sections: Vec<String>,
    runs: Option<usize>,
    records: Option<u32>,
    cells: Vec<String>,
    against: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            sections: Vec::new(),
            runs: None,
            records: None,
            cells: Vec::new(),
            against: None,
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next();
                value.with_context(|| format!("{argument} needs a value\n\n{USAGE}"))
            };
            match argument.as_str() {
                "embedded" | "pulsar" => options.sections.push(argument),
                "--runs" => options.runs = Some(value()?.parse().context("--runs")?),
                "--records" => options.records = Some(value()?.parse().context("--records")?),
                "--cells" => options.cells = value()?.split(',').map(str::to_owned).collect(),
                "--against" => options.against = Some(value()?.into()),
                _ => bail!("{argument}?\n\n{USAGE}"),
            }
        }
        ensure!(options.runs != Some(0), "--runs 0");
        ensure!(
            options.records.is_none_or(|n| n >= 10_000),
            "--records is at least 10000"
        );
        if options.sections.is_empty() {
            options.sections = ["embedded", "pulsar"].map(str::to_owned).into();
        }
        Ok(options)
    }

    fn wants(&self, cell: &str) -> bool {
        self.cells.is_empty() || self.cells.iter().any(|text| cell.contains(text.as_str()))
    }

    /// Whether the page is written.
    fn is_whole(&self) -> bool {
        self.cells.is_empty() && self.against.is_none()
    }

    /// The command that measures one of the sections again.
    fn command(&self, section: &str) -> String {
        let mut command = format!("./bench {section}");
        if let Some(runs) = self.runs {
            command += &format!(" --runs {runs}");
        }
        if let Some(records) = self.records {
            command += &format!(" --records {records}");
        }
        if !self.cells.is_empty() {
            command += &format!(" --cells {}", self.cells.join(","));
        }
        if let Some(folder) = &self.against {
            command += &format!(" --against {}", folder.display());
        }
        command
    }
}
