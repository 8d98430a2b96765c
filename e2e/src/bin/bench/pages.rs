//! Figures as Markdown, and their place in `docs/benchmarks.md`.

use anyhow::{Context, Result};
use kop_e2e::bench::median;
use kop_e2e::install;
use std::process::Command;

/// Bytes of every record's value.
pub(crate) const BYTES: u32 = 1024;

/// Puts a section's tables in the place of those that stand there.
pub(crate) fn publish(section: &str, made: &str, tables: &str) -> Result<()> {
    let path = install::checkout().join("docs/benchmarks.md");
    let page = std::fs::read_to_string(&path)?;
    let [begin, end] =
        ["begins", "ends"].map(|what| format!("<!-- what ./bench {section} wrote {what} -->\n"));
    let (head, rest) = page.split_once(&begin).with_context(|| begin.clone())?;
    let (_, tail) = rest.split_once(&end).with_context(|| end.clone())?;
    std::fs::write(
        &path,
        format!("{head}{begin}\n{made}\n\n{tables}\n{end}{tail}"),
    )?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// Who measured, when, what, and on which machine.
pub(crate) fn made(command: &str) -> Result<String> {
    let date = said("date", &["-u", "+%Y-%m-%d"])?;
    let commit = said("git", &["describe", "--always", "--dirty", "--exclude=*"])?;
    let machine = machine()?;
    Ok(format!(
        "Made by `{command}` on {date}, commit {commit}, {machine}."
    ))
}

fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(install::checkout())
        .output()
        .with_context(|| program.to_owned())?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The processors, and the congestion control of the system's connections.
fn machine() -> Result<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo")?;
    let of = |key: &'static str| {
        info.lines()
            .filter_map(move |line| Some(line.strip_prefix(key)?.split_once(": ")?.1.trim()))
    };
    let model = of("model name").next().unwrap_or("unknown processor");
    let congestion = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control")?;
    Ok(format!(
        "{} × {model}, TCP {}",
        of("processor").count(),
        congestion.trim()
    ))
}

/// What a figure is to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    None,
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    /// The goal as tables name it, and whether the figure missed it.
    pub(crate) fn verdict(self, figure: f64, digits: usize) -> String {
        let (sign, limit, met) = match self {
            Self::None => return String::new(),
            Self::AtLeast(limit) => ('≥', limit, figure >= limit),
            Self::AtMost(limit) => ('≤', limit, figure <= limit),
        };
        let met = if met { "" } else { ", **missed**" };
        format!("{sign} {limit:.digits$}{met}")
    }
}

/// A row of a table.
pub(crate) fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a table: columns whose name begins with `>` are aligned to the right.
pub(crate) fn head(columns: &[&str]) -> String {
    let names: Vec<_> = columns
        .iter()
        .map(|name| name.trim_start_matches('>').to_owned())
        .collect();
    let rules: Vec<_> = columns
        .iter()
        .map(|name| if name.starts_with('>') { "---:" } else { "---" }.to_owned())
        .collect();
    row(&names) + &row(&rules)
}

/// The median of some figures; empty where there are none.
pub(crate) fn middle(figures: impl Iterator<Item = f64>, digits: usize) -> String {
    median(figures.collect()).map_or_else(String::new, |figure| format!("{figure:.digits$}"))
}

/// The median of some figures, and in brackets the least and the greatest.
pub(crate) fn spread(figures: &[f64], digits: usize) -> String {
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let middle = middle(figures.iter().copied(), digits);
    format!("**{middle}** ({least:.digits$}–{most:.digits$})")
}
