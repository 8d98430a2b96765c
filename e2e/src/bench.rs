//! What benchmarks measure: the client's own figure, and the server's processor time and memory.

use anyhow::{Context, Result, ensure};
use std::process::Command;

/// Ticks a second of the times in `/proc`: fixed by Linux for what user space sees.
const TICKS: f64 = 100.0;

/// Processor seconds that the process has used.
///
/// # Errors
/// It is gone.
pub fn cpu_seconds(id: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let after_name = stat.rsplit_once(") ").context("the name in stat")?.1;
    let ticks = after_name
        .split(' ')
        .skip(11) // up to utime
        .take(2)
        .map(str::parse::<f64>)
        .sum::<Result<f64, _>>()?;
    Ok(ticks / TICKS)
}

/// Resident memory of the process in MiB.
///
/// # Errors
/// It is gone.
pub fn resident_mib(id: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
        .context("VmRSS")?;
    Ok(kib.trim().parse::<f64>()? / 1024.0)
}

/// The middle of some figures; the mean of the middle two of an even number.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = figures.get(middle)?;
    if figures.len() % 2 == 1 {
        return Some(*upper);
    }
    Some(f64::midpoint(*figures.get(middle.checked_sub(1)?)?, *upper))
}

/// What a client program prints on standard output.
///
/// # Errors
/// It fails.
pub fn output(mut command: Command) -> Result<String> {
    let output = command.output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?}: {}: {errors}",
        output.status
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn this_process_uses_time_and_memory() -> Result<()> {
        let id = std::process::id();
        assert!(cpu_seconds(id)? >= 0.0);
        assert!(resident_mib(id)? > 0.5);
        Ok(())
    }
}
