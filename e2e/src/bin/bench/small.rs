//! What the gateway needs before anybody asks for anything: time to start, and memory.

use crate::pages::{head, row, spread};
use anyhow::{Context, Result, bail};
use kop_e2e::bench::{idle_connections, settled_mib};
use kop_e2e::gateway::Gateway;
use kop_e2e::install;
use kop_e2e::scratch::{Scratch, free_ports};
use kop_e2e::story::KafkaServer;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const STARTS: usize = 11;
const CONNECTIONS: usize = 1_000;
/// How long the memory may take to settle.
const SETTLED: Duration = Duration::from_secs(10);

/// Starts on an empty folder and on the one that the last round left, if any; empty and with connections
/// that do nothing.
pub(crate) fn measure(scratch: &Scratch) -> Result<String> {
    let mut text = head(&["the gateway alone", ">", ">goal"]);
    let verdict = |limit: f64, figure: f64, unit: &str| {
        let missed = if figure > limit { ", **missed**" } else { "" };
        format!("≤ {limit} {unit}{missed}")
    };
    let mut add = |name: &str, figures: &[f64], digits: usize, limit: f64, unit: &str| {
        let most = figures.iter().copied().fold(0.0, f64::max);
        let figures = format!("{} {unit}", spread(figures, digits));
        text += &row(&[name.to_owned(), figures, verdict(limit, most, unit)]);
    };
    let fresh = (0..STARTS).map(|number| start(&scratch.data(&format!("start-{number}"))));
    let fresh: Vec<Start> = fresh.collect::<Result<_>>()?;
    let of = |starts: &[Start], of: fn(&Start) -> f64| starts.iter().map(of).collect::<Vec<_>>();
    add(
        "from start to listening",
        &of(&fresh, |s| s.listening),
        0,
        200.0,
        "ms",
    );
    add(
        "… to ready, on an empty folder",
        &of(&fresh, |s| s.ready),
        0,
        200.0,
        "ms",
    );
    let used = scratch.data("gateway");
    if used.exists() {
        // The first one reads the journal that the round's gateway, killed, left behind.
        let again = (0..STARTS).map(|_| start(&used));
        let again: Vec<Start> = again.collect::<Result<_>>()?;
        add(
            "… to ready, on the folder of the runs above",
            &of(&again, |s| s.ready),
            0,
            200.0,
            "ms",
        );
    }
    let gateway = Gateway::embedded(scratch, "idle")?;
    let empty = settled_mib(gateway.id(), SETTLED)?;
    let connections = idle_connections(gateway.bootstrap(), CONNECTIONS)?;
    let with = settled_mib(gateway.id(), SETTLED)?;
    drop(connections);
    add("resident, empty", &[empty], 1, 40.0, "MiB");
    add(
        "… more with 1,000 idle connections",
        &[with - empty],
        1,
        20.0,
        "MiB",
    );
    Ok(text)
}

/// Milliseconds from the start of the process.
struct Start {
    /// To the first connection that is taken.
    listening: f64,
    /// To the ready line.
    ready: f64,
}

/// Starts a gateway on a folder, and stops it.
fn start(folder: &Path) -> Result<Start> {
    let [port] = free_ports()?;
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(install::binary("kop-gateway")?)
        .args(["--listen", &address, "--admin-listen", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let started = Instant::now();
    let since = || started.elapsed().as_secs_f64() * 1000.0;
    let mut gateway = command.spawn()?;
    while TcpStream::connect(&address).is_err() {
        if let Some(status) = gateway.try_wait()? {
            bail!("the gateway on {} ended: {status}", folder.display());
        }
        pause();
    }
    let listening = since();
    let mut line = String::new();
    let output = gateway.stdout.take().context("standard output is piped")?;
    BufReader::new(output).read_line(&mut line)?;
    let ready = since();
    Command::new("kill")
        .arg(gateway.id().to_string())
        .status()?;
    let status = gateway.wait()?;
    if !line.starts_with("ready ") {
        bail!("the gateway on {} ended: {status}", folder.display());
    }
    Ok(Start { listening, ready })
}

#[expect(
    clippy::disallowed_methods,
    reason = "between two attempts to connect, the second core is the gateway's; the process's end ends them"
)]
fn pause() {
    std::thread::sleep(Duration::from_micros(500));
}
