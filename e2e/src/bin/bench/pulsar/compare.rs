//! Runs of several subjects on one Pulsar, interleaved.

use super::subject::Subject;
use crate::client::{Moved, Tail};
use crate::pages::BYTES;
use anyhow::{Context, Result};
use kop_e2e::bench::{cpu_seconds, resident_mib, settle};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// What is measured.
pub(super) struct Cells {
    pub(super) runs: usize,
    pub(super) records: u32,
    /// Whether latency at the tail is, too.
    pub(super) tail: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Produce,
    Consume,
}

/// One run of one throughput cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) mib_per_second: f64,
    pub(super) gateway_seconds_per_gib: Option<f64>,
    pub(super) broker_seconds_per_gib: f64,
    /// The client's start included.
    pub(super) client_seconds_per_gib: f64,
    pub(super) gateway_mib: Option<f64>,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            mib_per_second: rate,
            broker_seconds_per_gib: broker,
            client_seconds_per_gib: client,
            ..
        } = self;
        let gateway = self.gateway_seconds_per_gib.unwrap_or(0.0);
        write!(
            f,
            "{rate:.1} MiB/s, CPU s/GiB {gateway:.2} gateway, {broker:.2} broker, {client:.2} client"
        )
    }
}

/// Runs in the order of the rounds.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// By what is done, partitions, and subject.
    pub(super) runs: BTreeMap<(What, u32, usize), Vec<Run>>,
    /// By subject.
    pub(super) tails: BTreeMap<usize, Vec<Tail>>,
}

/// Measures all cells. The brokers keep what the runs write below `folder`.
pub(super) fn compare(subjects: &[Subject<'_>], cells: &Cells, folder: &Path) -> Result<Figures> {
    let mut figures = Figures::default();
    for (number, subject) in subjects.iter().enumerate() {
        // The first requests find cold code and unopened files, here as there.
        let topic = format!("warm-{number}");
        let warm_up = || {
            subject.create(&topic, 8)?;
            subject.produce(&topic, cells.records / 4)?;
            subject.consume(&topic, cells.records / 4)
        };
        warm_up().with_context(|| format!("warm up {}", subject.name))?;
    }
    for round in 0..cells.runs {
        for partitions in [1, 8] {
            for (at, subject) in in_turn(subjects, round) {
                let topic = format!("bench-{at}-{partitions}-{round}");
                subject.create(&topic, partitions)?;
                let records = cells.records;
                // Nobody pays for what the run before has left behind.
                settle(folder)?;
                let write = measured(subject, records, || subject.produce(&topic, records))?;
                let read = measured(subject, records, || subject.consume(&topic, records))?;
                let name = &subject.name;
                eprintln!("{name}, {partitions} partitions: produce {write}; consume {read}");
                for (what, run) in [(What::Produce, write), (What::Consume, read)] {
                    let runs = figures.runs.entry((what, partitions, at));
                    runs.or_default().push(run);
                }
            }
        }
        for (at, subject) in in_turn(subjects, round).filter(|_| cells.tail) {
            let topic = format!("tail-{at}-{round}");
            subject.create(&topic, 1)?;
            settle(folder)?;
            let tail = subject.tail(&topic).with_context(|| subject.name.clone())?;
            eprintln!("{}: {tail:?}", subject.name);
            figures.tails.entry(at).or_default().push(tail);
        }
    }
    Ok(figures)
}

/// All subjects with their places. Another one is the first in each round, and every second round goes backwards:
/// whoever has just been measured may still be busy with what it leaves behind, and is not to be before the same
/// one each time.
fn in_turn<'s, 'a>(
    subjects: &'s [Subject<'a>],
    round: usize,
) -> impl Iterator<Item = (usize, &'s Subject<'a>)> {
    let (count, first) = (subjects.len(), round % subjects.len());
    (0..count).filter_map(move |step| {
        let step = if round.is_multiple_of(2) {
            step
        } else {
            count - step
        };
        let at = (first + step) % count;
        subjects.get(at).map(|subject| (at, subject))
    })
}

fn measured(
    subject: &Subject<'_>,
    records: u32,
    run: impl FnOnce() -> Result<Moved>,
) -> Result<Run> {
    let time = || -> Result<_> {
        let gateway = subject.gateway.map(cpu_seconds).transpose()?;
        Ok((gateway, cpu_seconds(subject.broker)?))
    };
    let before = time()?;
    let moved = run().with_context(|| subject.name.clone())?;
    let after = time()?;
    let gib = f64::from(records) * f64::from(BYTES) / f64::from(1 << 30);
    let gateway = after.0.zip(before.0).map(|(after, before)| after - before);
    Ok(Run {
        mib_per_second: moved.mib_per_second,
        gateway_seconds_per_gib: gateway.map(|seconds| seconds / gib),
        broker_seconds_per_gib: (after.1 - before.1) / gib,
        client_seconds_per_gib: moved.client.cpu_seconds / gib,
        gateway_mib: subject.gateway.map(resident_mib).transpose()?,
    })
}
