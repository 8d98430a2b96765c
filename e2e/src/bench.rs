//! What benchmarks measure: the client's own figure, and the processor time and memory of both sides.

use crate::process::Process;
use crate::wait::until;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Ticks a second of the times in `/proc`: fixed by Linux for what user space sees.
const TICKS: f64 = 100.0;
/// What [`settle`] leaves free, in bytes: less than a run of anyone writes.
const LEFT_FREE: u64 = 128 << 20;
/// How long one run of a client may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Processor seconds that the process has used.
///
/// # Errors
/// It is gone.
pub fn cpu_seconds(id: u32) -> Result<f64> {
    stat_seconds(&id.to_string(), 11) // utime, stime
}

/// Processor seconds of all children of this process that have ended.
fn ended_children_seconds() -> Result<f64> {
    stat_seconds("self", 13) // cutime, cstime
}

/// The sum of two neighbours in `/proc/ID/stat`, numbered behind the name.
fn stat_seconds(id: &str, from: usize) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))
        .with_context(|| format!("process {id} is gone"))?;
    let after_name = stat.rsplit_once(") ").context("the name in stat")?.1;
    let ticks = after_name
        .split(' ')
        .skip(from)
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
    status_mib(id, "VmRSS:")
}

/// Its resident memory in MiB, once that has not changed between two looks.
///
/// # Errors
/// It is gone, or its memory still changes after `within`.
pub fn settled_mib(id: u32, within: Duration) -> Result<f64> {
    let mut before = f64::NAN;
    until("memory that stays the same", within, || {
        let now = resident_mib(id)?;
        let same = (now - before).abs() < f64::EPSILON;
        before = now;
        Ok(same.then_some(now))
    })
}

/// The most resident memory that the process has had, in MiB.
///
/// # Errors
/// It is gone.
pub fn peak_mib(id: u32) -> Result<f64> {
    status_mib(id, "VmHWM:")
}

#[expect(clippy::cast_precision_loss, reason = "no memory is that large")]
fn status_mib(id: u32, field: &str) -> Result<f64> {
    let kib = field_kib(&format!("/proc/{id}/status"), field)
        .with_context(|| format!("process {id} is gone"))?;
    Ok(kib as f64 / 1024.0)
}

/// A line's number of a file in `/proc`, in KiB.
fn field_kib(path: &str, field: &str) -> Result<u64> {
    let text = std::fs::read_to_string(path)?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"))
        .with_context(|| field.to_owned())?;
    Ok(kib.trim().parse()?)
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

/// What a client program did.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its last line on standard output that is not empty.
    pub last_line: String,
    /// Processor seconds that it used, its start included.
    pub cpu_seconds: f64,
    /// Seconds from its start to its end.
    pub seconds: f64,
}

/// Runs a client program to its end. Its output is continued in `NAME.out` and `NAME.err` of `logs`.
///
/// # Errors
/// It fails, says nothing, or takes too long; it is ended then.
pub fn run(name: &str, command: Command, logs: &Path) -> Result<Ran> {
    let (started, before) = (Instant::now(), ended_children_seconds()?);
    let mut process = Process::start(name, command, logs)?;
    process.succeed(PATIENCE)?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = ended_children_seconds()? - before;
    let said = |lines: &[String]| lines.iter().rfind(|line| !line.trim().is_empty()).cloned();
    Ok(Ran {
        last_line: process.lines(0, said).unwrap_or_default(),
        cpu_seconds,
        seconds,
    })
}

/// Brings the machine to where every run begins, whoever's it is: the file system of `folder` has written what it
/// still had in memory, and the page cache is full, as it is on a machine that has been up for a while.
///
/// What is written from then on takes the place of something older. Memory that a virtual machine touches for the
/// first time costs it dearly, and so does memory that it freed a while ago, because its host takes that back: a
/// broker that removes an old journal would make the next run pay. Lasts for as long as the file in `folder`
/// stays there; that has no blocks, so the disk holds nothing of it.
///
/// # Errors
/// The system says no.
pub fn settle(folder: &Path) -> Result<()> {
    let done = Command::new("sync").arg("-f").arg(folder).status()?;
    ensure!(done.success(), "sync -f {}: {done}", folder.display());
    let path = folder.join("page-cache");
    let open = File::options()
        .read(true)
        .append(true)
        .create(true)
        .open(&path);
    let mut file = open.with_context(|| path.display().to_string())?;
    let free = field_kib("/proc/meminfo", "MemFree:")? * 1024;
    let length = file.metadata()?.len();
    // What it has already is read by nobody again, and is the first to make room.
    file.set_len(length + free.saturating_sub(LEFT_FREE))?;
    file.seek(SeekFrom::Start(length))?;
    std::io::copy(&mut file, &mut std::io::sink())?;
    Ok(())
}

/// Connections on each of which one request (`ApiVersions` 0) was answered.
///
/// # Errors
/// The server does not take or answer one of them.
pub fn idle_connections(address: &str, count: usize) -> Result<Vec<TcpStream>> {
    // Length, API key 18, version 0, correlation id 7, no client id.
    const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    (0..count)
        .map(|number| {
            let exchange = || -> Result<TcpStream> {
                let mut stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(Duration::from_secs(10)))?;
                stream.write_all(&REQUEST)?;
                let mut length = [0; 4];
                stream.read_exact(&mut length)?;
                let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length))?];
                stream.read_exact(&mut answer)?;
                ensure!(answer.starts_with(&[0, 0, 0, 7]), "another's answer");
                Ok(stream)
            };
            exchange().with_context(|| format!("connection {number} to {address}"))
        })
        .collect()
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
        let resident = resident_mib(id)?;
        assert!(resident > 0.5);
        // In this order, because other tests take memory meanwhile; and the system counts in strides.
        assert!(peak_mib(id)? + 1.0 > resident);
        Ok(())
    }
}
