//! The tables of runs on a Pulsar.

use super::compare::{Cells, Figures, Run, What};
use super::subject::Subject;
use crate::client::Tail;
use crate::pages::{BYTES, Goal, head, middle, row, spread};
use kop_e2e::bench::median;

pub(super) fn beside_native(subjects: &[Subject<'_>], figures: &Figures, cells: &Cells) -> String {
    intro(cells) + &throughput(subjects, figures, [Goal::None, Goal::AtLeast(0.8)])
}

pub(super) fn beside_kop(subjects: &[Subject<'_>], figures: &Figures, cells: &Cells) -> String {
    let goals = [Goal::AtLeast(1.0), Goal::AtLeast(2.0)];
    let throughput = throughput(subjects, figures, goals);
    intro(cells) + &throughput + "\n" + &tail(subjects, figures)
}

fn intro(cells: &Cells) -> String {
    let Cells { runs, records, .. } = cells;
    format!(
        "{records} records of {BYTES} bytes a run, {runs} interleaved runs a row. Figures are medians; ratios \
         are of the runs of one round: the median, and in brackets the least and the greatest.\n\n"
    )
}

fn throughput(subjects: &[Subject<'_>], figures: &Figures, goals: [Goal; 2]) -> String {
    let mut text = head(&[
        "",
        ">partitions",
        "by",
        ">MiB/s",
        ">ratio",
        ">goal",
        ">gateway CPU s/GiB",
        ">broker CPU s/GiB",
        ">client CPU s/GiB",
        ">gateway memory MiB",
    ]);
    for ((what, partitions, at), runs) in &figures.runs {
        let Some(subject) = subjects.get(*at) else {
            continue;
        };
        let [produce, consume] = goals;
        let (name, goal) = match what {
            What::Produce => ("produce", produce),
            What::Consume => ("consume", consume),
        };
        let beside = subject
            .beside
            .and_then(|at| figures.runs.get(&(*what, *partitions, at)));
        let [ratio, verdict] = compared(runs, beside, |run: &Run| run.mib_per_second, goal);
        text += &row(&[
            name.to_owned(),
            partitions.to_string(),
            subject.name.clone(),
            middle(runs.iter().map(|run| run.mib_per_second), 1),
            ratio,
            verdict,
            middle(runs.iter().filter_map(|run| run.gateway_seconds_per_gib), 2),
            middle(runs.iter().map(|run| run.broker_seconds_per_gib), 2),
            middle(runs.iter().map(|run| run.client_seconds_per_gib), 2),
            middle(runs.iter().filter_map(|run| run.gateway_mib), 0),
        ]);
    }
    text
}

fn tail(subjects: &[Subject<'_>], figures: &Figures) -> String {
    let mut text = head(&[
        "5,000 records/s, send to receipt: ms",
        ">median",
        ">99 %",
        ">ratio of 99 %",
        ">goal",
        ">99.9 %",
    ]);
    for (at, tails) in &figures.tails {
        let Some(subject) = subjects.get(*at) else {
            continue;
        };
        let beside = subject.beside.and_then(|at| figures.tails.get(&at));
        let [ratio, verdict] = compared(tails, beside, |tail: &Tail| tail.p99, Goal::AtMost(1.0));
        text += &row(&[
            subject.name.clone(),
            middle(tails.iter().map(|tail| tail.median), 2),
            middle(tails.iter().map(|tail| tail.p99), 2),
            ratio,
            verdict,
            middle(tails.iter().map(|tail| tail.p999), 2),
        ]);
    }
    text
}

/// The ratios of the same rounds' figures, and whether their median meets the goal.
fn compared<T>(ours: &[T], beside: Option<&Vec<T>>, of: fn(&T) -> f64, goal: Goal) -> [String; 2] {
    let Some(beside) = beside else {
        return [String::new(), String::new()];
    };
    let pairs = ours.iter().zip(beside);
    let ratios: Vec<f64> = pairs.map(|(ours, theirs)| of(ours) / of(theirs)).collect();
    let middle = median(ratios.clone()).unwrap_or(f64::NAN);
    [spread(&ratios, 2), goal.verdict(middle, 2)]
}
