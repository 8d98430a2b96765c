//! The gateway's produce path by itself: before a stub that only acknowledges, on one processor.

use crate::pages::{head, row, spread};
use anyhow::{Context, Result, ensure};
use kop_e2e::bench::cpu_seconds;
use kop_e2e::gateway::Gateway;
use kop_e2e::install;
use kop_e2e::load::{Load, percentile};
use kop_e2e::process::Process;
use kop_e2e::scratch::Scratch;
use kop_e2e::story::KafkaServer;
use kop_e2e::wire::Wire;
use std::process::Command;
use std::time::Duration;

const RUNS: usize = 5;
/// Bytes of a record's value, and how many of them are a batch of 16 KiB.
const VALUE: usize = 1024;
const RECORDS: usize = 15;
/// Requests that may be without answer on one connection.
const WINDOW: usize = 64;
/// Requests a second whose latency is measured, and for how long.
const RATE: u32 = 5_000;
const LONG: Duration = Duration::from_secs(8);
/// The gateway's processor, and everybody else's, where throughput is measured.
const CORES: [&str; 2] = ["0", "1"];

/// What is written at a time.
struct Shape {
    name: &'static str,
    topic: &'static str,
    partitions: i32,
    connections: usize,
    /// Requests of a run, of all connections together.
    requests: usize,
}

const SHAPES: [Shape; 3] = [
    Shape {
        name: "1 partition, a batch a request",
        topic: "one",
        partitions: 1,
        connections: 1,
        requests: 60_000,
    },
    Shape {
        name: "8 partitions, 8 batches a request",
        topic: "eight",
        partitions: 8,
        connections: 1,
        requests: 8_000,
    },
    Shape {
        name: "8 partitions, 8 batches a request, 4 connections",
        topic: "four",
        partitions: 8,
        connections: 4,
        requests: 8_000,
    },
];

pub(crate) fn measure(scratch: &Scratch) -> Result<String> {
    let [gateways, others] = CORES;
    let all = format!("0-{}", std::thread::available_parallelism()?.get() - 1);
    // This process makes the load, on the threads that it starts from now on.
    run_on(others, std::process::id())?;
    let (stub, [service, admin]) = start(scratch)?;
    let format = ["--entry-format", "kafka"];
    let gateway = Gateway::on_stub(scratch, "gateway", (&service, &admin), gateways, &format)?;
    let mut text = throughput(&gateway, &stub)?;
    text += "\n";
    for process in [std::process::id(), stub.id(), gateway.id()] {
        run_on(gateways, process)?;
    }
    text += &latency(&gateway, &service)?;
    run_on(&all, std::process::id())?; // what is measured next starts from here
    Ok(text)
}

/// Has a process with all its threads run on those processors alone.
fn run_on(processors: &str, process: u32) -> Result<()> {
    let mut command = Command::new("taskset");
    let said = command.args(["-a", "-cp", processors, &process.to_string()]);
    let said = said.output()?;
    ensure!(said.status.success(), "taskset: {said:?}");
    Ok(())
}

/// A stub on the processor that is not the gateway's, and its two URLs.
pub(crate) fn start(scratch: &Scratch) -> Result<(Process, [String; 2])> {
    let [_, others] = CORES;
    let mut command = Command::new("taskset");
    command
        .args(["-c", others])
        .arg(install::target_dir()?.join("debug/stub-pulsar"));
    let mut stub = Process::start("stub", command, scratch.path())?;
    let ready = stub.wait_for_line("ready line", Duration::from_secs(10), |line| {
        line.strip_prefix("ready ").map(str::to_owned)
    })?;
    let (service, admin) = ready.split_once(' ').context("two URLs")?;
    Ok((stub, [service, admin].map(str::to_owned)))
}

fn throughput(gateway: &Gateway, stub: &Process) -> Result<String> {
    let mut text = head(&[
        "produce, `kafka` format",
        ">MB/s",
        ">records/s",
        ">goal",
        ">gateway: processor busy",
        ">processor s/GB",
        ">stub busy",
    ]);
    for shape in &SHAPES {
        Wire::connect(gateway.bootstrap())?.create(shape.topic, shape.partitions, &[])?;
        run(gateway, shape)?;
        let [mut bytes, mut records, mut busy, mut cost, mut stubs] = [const { Vec::new() }; 5];
        for _ in 0..RUNS {
            let before = [gateway.id(), stub.id()].map(cpu_seconds);
            let (moved, seconds) = run(gateway, shape)?;
            let after = [gateway.id(), stub.id()].map(cpu_seconds);
            let [used, other] = [0, 1].map(|at| match (before.get(at), after.get(at)) {
                (Some(Ok(before)), Some(Ok(after))) => after - before,
                _ => f64::NAN,
            });
            bytes.push(moved / seconds / 1e6);
            records.push(moved / seconds / VALUE as f64);
            busy.push(used / seconds);
            cost.push(used / (moved / 1e9));
            stubs.push(other / seconds);
        }
        text += &row(&[
            shape.name.to_owned(),
            spread(&bytes, 0),
            spread(&records, 0),
            "≥ 300 MB/s, ≥ 300,000 records/s".to_owned(),
            spread(&busy, 2),
            spread(&cost, 2),
            spread(&stubs, 2),
        ]);
    }
    Ok(text)
}

/// Bytes of values, and seconds.
fn run(gateway: &Gateway, shape: &Shape) -> Result<(f64, f64)> {
    let each = shape.requests / shape.connections;
    let loads = (0..shape.connections).map(|_| {
        let batch = (RECORDS, VALUE);
        Load::kafka(gateway.bootstrap(), shape.topic, 0..shape.partitions, batch)
    });
    let loads: Vec<Load> = loads.collect::<Result<_>>()?;
    let began = std::time::Instant::now();
    let running = loads
        .into_iter()
        .map(|mut load| std::thread::spawn(move || load.run(WINDOW, each)))
        .collect::<Vec<_>>();
    for load in running {
        load.join().ok().context("a load panicked")??;
    }
    let seconds = began.elapsed().as_secs_f64();
    let values = each * shape.connections * usize::try_from(shape.partitions)? * RECORDS * VALUE;
    Ok((values as f64, seconds))
}

/// How long a record of 1 KiB waits, with the gateway in between and without it. All on one processor: on a
/// virtual machine, waking another one takes longer than what is looked for.
fn latency(gateway: &Gateway, service: &str) -> Result<String> {
    let millis = |waited: &[Duration], percent| percentile(waited, percent).as_secs_f64() * 1000.0;
    let mut figures: [[Vec<f64>; 2]; 2] = Default::default();
    let [native, through] = &mut figures;
    let mut added = Vec::new();
    for _ in 0..RUNS {
        let mut load = Load::pulsar(service, "persistent://public/default/native", VALUE)?;
        let straight = load.steadily(RATE, LONG)?;
        let mut load = Load::kafka(gateway.bootstrap(), "one", 0..1, (1, VALUE))?;
        let waited = load.steadily(RATE, LONG)?;
        for (figures, waited) in [(&mut *native, &straight), (&mut *through, &waited)] {
            for (figures, percent) in figures.iter_mut().zip([50.0, 99.0]) {
                figures.push(millis(waited, percent));
            }
        }
        added.push(millis(&waited, 99.0) - millis(&straight, 99.0));
    }
    let mut text = head(&["5,000 sends/s of 1 KiB: ms", ">median", ">99 %", ">goal"]);
    let cells = |name: &str, [median, p99]: &[Vec<f64>; 2], goal: &str| {
        row(&[
            name.to_owned(),
            spread(median, 3),
            spread(p99, 3),
            goal.to_owned(),
        ])
    };
    text += &cells("native producer", native, "");
    text += &cells("through the gateway", through, "");
    text += &row(&[
        "the gateway adds".to_owned(),
        String::new(),
        spread(&added, 3),
        "≤ 1".to_owned(),
    ]);
    Ok(text)
}
