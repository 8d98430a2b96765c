//! Transactions of Pulsar's own clients in topics that Kafka's clients read and write.

use anyhow::{Context, Result, ensure};
use kop_e2e::clients::Java;
use kop_e2e::exact;
use kop_e2e::gateway::Gateway;
use kop_e2e::native::{self, hex};
use kop_e2e::process::Process;
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::Scratch;
use kop_e2e::story::KafkaServer;
use kop_e2e::wire::{Connection, Stamp, batch};
use std::time::Duration;

const TOPIC: &str = "transactions";
const PATIENCE: Duration = Duration::from_secs(60);

/// `PRODUCER…`, then what the words say: `begin:NAME`, `commit:NAME`, `abort:NAME`, `later:abort`, or a value.
fn lines(words: &[&str]) -> Vec<String> {
    let mut lines = vec!["producer NONE single".to_owned()];
    lines.extend(words.iter().map(|word| match word.split_once(':') {
        Some((what, name)) => format!("{what} {name}"),
        None => format!("0 - - {}", hex(word.as_bytes())),
    }));
    lines
}

struct Told<'a> {
    scratch: &'a Scratch,
    service: String,
    partition: String,
}

impl Told<'_> {
    fn write(&self, words: &[&str]) -> Result<()> {
        native::write(self.scratch, &self.service, &self.partition, &lines(words)).map(drop)
    }

    /// Writes, and leaves a transaction open.
    fn leave_open(&self, words: &[&str]) -> Result<Process> {
        let lines = lines(words);
        let mut open = native::begin(self.scratch, &self.service, &self.partition, &lines)?;
        open.wait_for_line("an open transaction", PATIENCE, |line| {
            (line == "open").then_some(())
        })?;
        Ok(open)
    }
}

fn end(mut open: Process) -> Result<()> {
    open.end_input();
    open.succeed(PATIENCE)
}

/// Records of a transaction are read when it is committed and never when it is aborted, offsets are
/// passed over, and idempotent producers go on. Where `numbered` is no, what transactions write has no
/// offset, and Kafka's clients are given the rest.
pub(crate) fn hold_nobody_up(
    scratch: &Scratch,
    version: &'static str,
    numbered: bool,
) -> Result<()> {
    let each = i64::from(numbered);
    let settings = [("transactionCoordinatorEnabled", "true")];
    let pulsar = Pulsar::start(scratch, version, &settings)?;
    let mut gateway = Gateway::on_pulsar(scratch, "gateway", &pulsar, "pulsar")?;
    let mut client = Connection::connect(gateway.bootstrap())?;
    client.create(TOPIC, 1)?;
    let native = Told {
        scratch,
        service: pulsar.service_url(),
        partition: native::partition(TOPIC, 0),
    };
    native.write(&["a", "b", "begin:t", "t", "t", "t", "abort:t"])?;
    // Three that were aborted, and a marker, at the end of a log that is opened now.
    let found = client.fetch(TOPIC, 0, 0)?;
    ensure!(found.high == 2, "{found:?}");
    reads(&mut client, 0, &[(0, "a"), (1, "b")]).context("before aborted ones")?;

    native.write(&[
        "begin:u", "u", "u", "commit:u", "z", "begin:v", "v", "v", "abort:v",
    ])?;
    let (u, z) = (2 + 4 * each, 2 + 7 * each);
    // Behind two that were aborted, and a barrier: this gateway has not written here before.
    let first = z + 2 + 3 * each;
    let written = idempotent(&mut client, 0)?;
    ensure!(written == (0, first), "{written:?}");
    let mut committed = vec![(z, "z"), (first, "kafka 0")];
    if numbered {
        committed.splice(..0, [(u, "u"), (u + 1, "u")]);
    }
    reads(&mut client, 2, &committed).context("committed")?;

    let open = native.leave_open(&["begin:w", "w", "w"])?;
    let (w, second) = (first + 1, first + 1 + 2 * each);
    let written = idempotent(&mut client, 1)?;
    ensure!(written == (0, second), "{written:?}");
    // What an open transaction wrote is waited for.
    let found = client.fetch(TOPIC, 0, w)?;
    let as_due = found.error_code == 0 && found.records.is_empty() == numbered;
    ensure!(as_due, "while it is open: {found:?}");
    end(open)?;
    let mut behind = vec![(second, "kafka 1")];
    if numbered {
        behind.splice(..0, [(w, "w"), (w + 1, "w")]);
    }
    reads(&mut client, w, &behind).context("behind an open one")?;

    // A log whose end is not known to be aborted when it is opened.
    let x = second + 1 + each;
    let open = native.leave_open(&["begin:x", "x", "x", "later:abort"])?;
    gateway.restart()?;
    let mut client = Connection::connect(gateway.bootstrap())?;
    let found = client.fetch(TOPIC, 0, second)?;
    ensure!(found.high == x + 2 * each, "{found:?}");
    end(open)?;
    let read = exact::ask(scratch, Java::Newest, &["read", gateway.bootstrap(), TOPIC])?;
    let told = format!("{TOPIC} end 0 {}", x + 2 * each);
    ensure!(read.get(1) == Some(&told), "{read:?}");
    ensure!(
        read.len() == if numbered { 2 + 9 } else { 2 + 5 },
        "{read:#?}"
    );
    let written = idempotent(&mut client, 2)?;
    ensure!(written.0 == 0 && written.1 >= x + 2 * each, "{written:?}");
    ensure!(idempotent(&mut client, 2)? == written, "doubled");
    reads(&mut client, x, &[(written.1, "kafka 2")]).context("behind an aborted one")?;
    gateway.stop()
}

fn idempotent(client: &mut Connection, sequence: i32) -> Result<(i16, i64)> {
    let stamp = Stamp {
        producer: 4_079,
        epoch: 0,
        sequence,
    };
    client.produce(TOPIC, 0, batch(stamp, vec![format!("kafka {sequence}")])?)
}

fn reads(client: &mut Connection, from: i64, expected: &[(i64, &str)]) -> Result<()> {
    let read = client.fetch_all(TOPIC, 0, from)?;
    let same = read.iter().map(|(offset, value)| (*offset, &**value));
    let expected = expected
        .iter()
        .map(|(offset, value)| (*offset, value.as_bytes()));
    ensure!(same.eq(expected), "{read:?}");
    Ok(())
}
