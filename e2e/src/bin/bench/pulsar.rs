//! The gateway on Pulsar: beside a native producer and reader, beside `KoP`, and before a stub.

use crate::Options;
use crate::{memory, stub, takeover};
use anyhow::Result;
use kop_e2e::gateway::Gateway;
use kop_e2e::install::{KAFKA, KOP_CLIENT, PULSAR_NEWEST};
use kop_e2e::kop::{self, Kop};
use kop_e2e::pulsar::{Home, Pulsar};
use kop_e2e::scratch::Scratch;
use kop_e2e::story::KafkaServer;

mod compare;
mod subject;
mod tables;

use compare::{Cells, compare};
use subject::{Kafka, Subject};

/// Both entry formats.
const FORMATS: [&str; 2] = ["kafka", "pulsar"];

pub(crate) fn measure(scratch: &Scratch, options: &Options) -> Result<String> {
    let mut parts = Vec::new();
    if options.wants("native") {
        let title = format!("### Beside a native client, Pulsar {PULSAR_NEWEST}\n\n");
        parts.push(title + &beside_native(scratch, options)?);
    }
    if options.wants("kop") {
        let title = format!(
            "### Beside KoP, on its own Pulsar {}\n\n",
            kop::PULSAR.version
        );
        parts.push(if std::env::var_os("KOP_NAR").is_some() {
            title + &beside_kop(scratch, options)?
        } else {
            title + "Not measured: `KOP_NAR` named no plugin.\n"
        });
    }
    if options.wants("stub") {
        parts.push("### Before a stub\n\n".to_owned() + &stub::measure(scratch)?);
    }
    if options.wants("memory") {
        parts.push("### Memory\n\n".to_owned() + &memory::measure(scratch)?);
    }
    if options.wants("takeover") {
        let title = format!("### Gateways that die, go and come, Pulsar {PULSAR_NEWEST}\n\n");
        parts.push(title + &takeover::measure(scratch)?);
    }
    Ok(parts.join("\n"))
}

fn cells(options: &Options, tail: bool) -> Cells {
    Cells {
        runs: options.runs.unwrap_or(5),
        records: options.records.unwrap_or(400_000),
        tail,
    }
}

fn beside_native(scratch: &Scratch, options: &Options) -> Result<String> {
    let pulsar = Pulsar::start(scratch, PULSAR_NEWEST, &[])?;
    let gateway = Gateway::on_pulsar(scratch, "gateway", &pulsar, "kafka")?;
    let native = format!("native client of Pulsar {PULSAR_NEWEST}");
    let mut subjects = vec![Subject::native(native, &pulsar, scratch)];
    for format in FORMATS {
        let kafka = Kafka::new(gateway.bootstrap(), KAFKA, format);
        let name = format!("gateway, `{format}`");
        let gateway = Some(gateway.id());
        subjects.push(Subject::kafka(
            name,
            kafka,
            gateway,
            &pulsar,
            scratch,
            Some(0),
        ));
    }
    let cells = cells(options, false);
    let figures = compare(&subjects, &cells, scratch.path())?;
    Ok(tables::beside_native(&subjects, &figures, &cells))
}

/// All on the one broker that `KoP` is plugged into; topics say in which format they are written.
fn beside_kop(scratch: &Scratch, options: &Options) -> Result<String> {
    let home = Home::new(scratch, "kop")?;
    let kop = Kop::start(scratch, &home, "kafka", &[])?;
    let pulsar = kop.pulsar();
    // Groups of its own: KoP is the coordinator of those in the namespace that both would use.
    let apart = ["--metadata-namespace", "__gateway"];
    let gateway = Gateway::on_pulsar_with(scratch, "beside-kop", pulsar, "kafka", &apart)?;
    // Not one of each in turn: a gateway would come behind KoP each time, and KoP behind a gateway.
    let theirs = FORMATS.map(|format| {
        let kafka = Kafka::new(kop.bootstrap(), KOP_CLIENT, format);
        let name = format!("KoP {}, `{format}`", kop::PULSAR.version);
        Subject::kafka(name, kafka, None, pulsar, scratch, None)
    });
    let ours = FORMATS.into_iter().enumerate().map(|(beside, format)| {
        let kafka = Kafka::new(gateway.bootstrap(), KOP_CLIENT, format);
        let (name, id) = (format!("gateway, `{format}`"), Some(gateway.id()));
        Subject::kafka(name, kafka, id, pulsar, scratch, Some(beside))
    });
    let subjects: Vec<Subject<'_>> = theirs.into_iter().chain(ours).collect();
    let cells = cells(options, true);
    let figures = compare(&subjects, &cells, scratch.path())?;
    drop(gateway);
    let text = tables::beside_kop(&subjects, &figures, &cells);
    kop.stop()?;
    Ok(text)
}
