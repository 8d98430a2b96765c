//! The process as the system sees it, under the names that Prometheus's own clients use.
use std::{
    fmt, fs,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::series::{counter, gauge};

/// Clock ticks a second in `/proc`: the same on every machine, whatever the kernel's own clock does.
const TICKS: f64 = 100.0;

/// Reads `/proc`; where there is none, there are no metrics.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    started: f64,
}

impl ProcessCollector {
    pub(super) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            started: since_epoch.unwrap_or_default().as_secs_f64(),
        }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        gauge(
            encoder,
            (
                "process_start_time_seconds",
                "When the process started, in seconds since the epoch",
            ),
            self.started,
        )?;
        if let Some(seconds) = cpu_seconds() {
            counter(
                encoder,
                (
                    "process_cpu_seconds",
                    "Processor time of the process, of its own and of the system for it",
                ),
                seconds,
            )?;
        }
        if let Some(bytes) = resident_bytes() {
            gauge(
                encoder,
                (
                    "process_resident_memory_bytes",
                    "Memory of the process that is in place",
                ),
                bytes,
            )?;
        }
        if let Some(open) = open_files() {
            gauge(
                encoder,
                ("process_open_fds", "File descriptors that are open"),
                open,
            )?;
        }
        if let Some(most) = most_files() {
            gauge(
                encoder,
                ("process_max_fds", "File descriptors that may be open"),
                most,
            )?;
        }
        Ok(())
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, which may hold spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

fn open_files() -> Option<i64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them was open for this.
    i64::try_from(open.saturating_sub(1)).ok()
}

fn most_files() -> Option<i64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
