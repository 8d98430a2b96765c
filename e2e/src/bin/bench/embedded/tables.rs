//! The tables of the embedded store.

use super::{Figures, Pair, Run};
use crate::client::Latency;
use crate::pages::{Goal, head, middle, row, spread};
use std::fmt::Write as _;

/// One of the figures of a run.
type Figure<T> = fn(&T) -> f64;

pub(super) fn write(figures: &Figures, beside: &str, records: u32) -> String {
    let mut text = String::new();
    if !figures.produced.is_empty() {
        let mib = f64::from(records) / 1024.0;
        let pairs = figures.produced.values().map(Vec::len).min().unwrap_or(0);
        let _ = writeln!(
            text,
            "Each run moves {records} records of 1 KiB ({mib:.0} MiB); {pairs} interleaved pairs a row. \
             Figures are medians; ratios are the gateway's by the other's of the same pair: the median, and in \
             brackets the least and the greatest.\n"
        );
        text += &throughput(figures, beside);
        text += "\n";
        text += &processors(figures, beside);
        text += "\n";
    }
    if !figures.latencies.is_empty() {
        text += &latency(figures, beside);
        text += "\n";
    }
    if !figures.memory.is_empty() {
        text += &memory(figures, beside);
        text += "\n";
    }
    text
}

/// The rows of the throughput tables: what is measured, and by whom.
fn runs(figures: &Figures) -> impl Iterator<Item = (&'static str, [String; 3], &[Pair<Run>])> {
    let produced = figures.produced.iter().map(|row| ("produce", row));
    let consumed = figures.consumed.iter().map(|row| ("consume", row));
    produced
        .chain(consumed)
        .map(|(what, ((durability, partitions), pairs))| {
            let durability = format!("`{}`", durability.name());
            let names = [what.to_owned(), durability, partitions.to_string()];
            (what, names, pairs.as_slice())
        })
}

fn medians<T>(pairs: &[Pair<T>], of: Figure<T>, digits: usize) -> [String; 2] {
    [
        middle(pairs.iter().map(|pair| of(&pair.beside)), digits),
        middle(pairs.iter().map(|pair| of(&pair.ours)), digits),
    ]
}

/// The pairs' ratios, and whether their median meets the goal.
fn ratio<T>(pairs: &[Pair<T>], of: Figure<T>, goal: Goal) -> [String; 2] {
    let ratios: Vec<f64> = pairs.iter().map(|pair| pair.map(of).ratio()).collect();
    let middle = kop_e2e::bench::median(ratios.clone()).unwrap_or(f64::NAN);
    [spread(&ratios, 2), goal.verdict(middle, 2)]
}

fn throughput(figures: &Figures, beside: &str) -> String {
    let mut text = head(&[
        "",
        "durability",
        ">partitions",
        &format!(">{beside} MiB/s"),
        ">gateway MiB/s",
        ">ratio",
        ">goal",
        ">client: processors busy, there",
        ">here",
    ]);
    for (_, names, pairs) in runs(figures) {
        let rate = |run: &Run| run.mib_per_second;
        let cells = [
            medians(pairs, rate, 1),
            ratio(pairs, rate, Goal::AtLeast(1.0)),
            medians(pairs, |run| run.client_processors, 2),
        ];
        text += &row(&[names.as_slice(), &cells.concat()].concat());
    }
    text
}

fn processors(figures: &Figures, beside: &str) -> String {
    let mut text = head(&[
        "processor seconds a GiB",
        "durability",
        ">partitions",
        &format!(">{beside}"),
        ">gateway",
        ">ratio",
        ">goal",
        ">client there",
        ">client here",
    ]);
    for (what, names, pairs) in runs(figures) {
        let goal = if what == "produce" { 1.0 / 3.0 } else { 1.0 };
        let time = |run: &Run| run.server_seconds_per_gib;
        let cells = [
            medians(pairs, time, 2),
            ratio(pairs, time, Goal::AtMost(goal)),
            medians(pairs, |run| run.client_seconds_per_gib, 2),
        ];
        text += &row(&[names.as_slice(), &cells.concat()].concat());
    }
    text
}

fn latency(figures: &Figures, beside: &str) -> String {
    let mut text = head(&[
        "5,000 records/s, 1 partition: ms",
        "durability",
        &format!(">{beside}"),
        ">gateway",
        ">ratio",
        ">goal",
    ]);
    let kinds: [(&str, Figure<Latency>, bool); 4] = [
        ("mean", |latency| latency.mean, false),
        ("median", |latency| latency.median, false),
        ("99 %", |latency| latency.p99, true),
        ("99.9 %", |latency| latency.p999, false),
    ];
    for (durability, pairs) in &figures.latencies {
        for (name, of, has_goal) in kinds {
            let names = [name.to_owned(), format!("`{}`", durability.name())];
            let digits = if name == "mean" { 2 } else { 0 };
            let judged = if has_goal {
                ratio(pairs, of, Goal::AtMost(1.0))
            } else {
                [String::new(), String::new()]
            };
            let cells = [medians(pairs, of, digits), judged];
            text += &row(&[names.as_slice(), &cells.concat()].concat());
        }
    }
    text
}

fn memory(figures: &Figures, beside: &str) -> String {
    let mut text = head(&[
        "resident MiB",
        "durability",
        &format!(">{beside}, after all runs"),
        ">at the most",
        ">gateway, after all runs",
        ">at the most",
        ">goal",
    ]);
    for (durability, pairs) in &figures.memory {
        let [there, here] = medians(pairs, |memory| memory.after, 0);
        let [there_peak, here_peak] = medians(pairs, |memory| memory.peak, 0);
        let most = pairs.iter().map(|pair| pair.ours.after).fold(0.0, f64::max);
        let goal = Goal::AtMost(256.0).verdict(most, 2);
        let names = ["".to_owned(), format!("`{}`", durability.name())];
        let cells = [there, there_peak, here, here_peak, goal];
        text += &row(&[names.as_slice(), &cells].concat());
    }
    text
}
