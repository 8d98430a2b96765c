//! What Pulsar's client reads of a record that Kafka's wrote, and the other way round: each field, with
//! each codec, in batches and alone. What came out is a table of `docs/storage-on-pulsar.md`.

use anyhow::{Context, Result, ensure};
use kop_e2e::clients::Java;
use kop_e2e::exact;
use kop_e2e::gateway::Gateway;
use kop_e2e::matrix::table;
use kop_e2e::native::{self, Message, hex};
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::Scratch;
use kop_e2e::story::KafkaServer;
use std::fmt::Write as _;

const FILE: &str = "docs/storage-on-pulsar.md";
/// Each codec's name in Kafka and in Pulsar.
const CODECS: [(&str, &str); 5] = [
    ("none", "NONE"),
    ("gzip", "ZLIB"),
    ("snappy", "SNAPPY"),
    ("lz4", "LZ4"),
    ("zstd", "ZSTD"),
];
const SAME: &str = "same";

/// One row: what is written, and what is read where the cell's words hold. In place of a value that
/// compresses well stands `V`, of a property that does `P`, of the timestamp `T`, of the time of
/// publishing `N`.
struct Row {
    title: &'static str,
    written: &'static str,
    words: &'static str,
    read: &'static str,
}

const fn row(
    title: &'static str,
    written: &'static str,
    words: &'static str,
    read: &'static str,
) -> Row {
    Row {
        title,
        written,
        words,
        read,
    }
}

/// `TIMESTAMP KEY VALUE [HEADER=VALUE]…` and `EVENT_TIME KEY ORDERING_KEY VALUE [PROPERTY=VALUE]…`
const FROM_KAFKA: &[Row] = &[
    row("key of text", "T x6b6579 V", SAME, "T x6b6579 x6b6579 V"),
    row(
        "key of other bytes",
        "T x00ff80fe V",
        SAME,
        "T x00ff80fe x00ff80fe V",
    ),
    row("empty key", "T x V", SAME, "T x x V"),
    row("no key", "T - V", SAME, "T - - V"),
    row(
        "value of any bytes",
        "T x6b x00c3280aff P",
        SAME,
        "T x6b x6b x00c3280aff P",
    ),
    row("no value (tombstone)", "T x6b - P", SAME, "T x6b x6b - P"),
    row("empty value", "T x6b x P", SAME, "T x6b x6b x P"),
    row(
        "headers of text",
        "T x6b V x61=x31 x62=xc3a4",
        SAME,
        "T x6b x6b V x61=x31 x62=xc3a4",
    ),
    row("empty header", "T x6b V x61=x", SAME, "T x6b x6b V x61=x"),
    row(
        "repeated header",
        "T x6b V x61=x31 x62=x32 x61=x33",
        "the last of its name",
        "T x6b x6b V x61=x33 x62=x32",
    ),
    row(
        "header of other bytes",
        "T x6b V x61=x00ff80",
        "as text with U+FFFD; the bytes in `kop.headers`",
        // base64 of the name's length, the name, the value's length and the value
        "T x6b x6b V x61=x00efbfbdefbfbd \
         x6b6f702e68656164657273=x41414141415745414141414441502b41",
    ),
    row(
        "header without value",
        "T x6b V x61=-",
        "as an empty one; that it is none in `kop.headers`",
        "T x6b x6b V x61=x x6b6f702e68656164657273=x414141414157482f2f2f2f2f",
    ),
    row("timestamp", "T x6b V", SAME, "T x6b x6b V"),
    row(
        "timestamp 0",
        "0 x6b V",
        "no event time; 0 in `kop.timestamp`",
        "0 x6b x6b V x6b6f702e74696d657374616d70=x30",
    ),
];

const FROM_PULSAR: &[Row] = &[
    row("key of text", "T t6b6579 - V", SAME, "T x6b6579 V"),
    row(
        "key of other bytes",
        "T x00ff80fe - V",
        SAME,
        "T x00ff80fe V",
    ),
    row("empty key", "T x - V", SAME, "T x V"),
    row("no key", "T - - V", SAME, "T - V"),
    row("ordering key alone", "T - x6f V", "the key", "T x6f V"),
    row(
        "ordering key beside a key",
        "T t6b x6f V",
        "the key, in place of the other",
        "T x6f V",
    ),
    row(
        "value of any bytes",
        "T t6b - x00c3280aff P",
        SAME,
        "T x6b x00c3280aff P",
    ),
    row("no value (tombstone)", "T t6b - - P", SAME, "T x6b - P"),
    row("empty value", "T t6b - x P", SAME, "T x6b x P"),
    row(
        "properties",
        "T t6b - V x61=x31 x62=xc3a4",
        SAME,
        "T x6b V x61=x31 x62=xc3a4",
    ),
    row("empty property", "T t6b - V x61=x", SAME, "T x6b V x61=x"),
    row(
        "repeated property",
        "T t6b - V x61=x31 x62=x32 x61=x33",
        SAME,
        "T x6b V x61=x31 x62=x32 x61=x33",
    ),
    row("event time", "T t6b - V", SAME, "T x6b V"),
    row(
        "no event time",
        "0 t6b - V",
        "the time of publishing",
        "N x6b V",
    ),
];

/// Rows that one of the two cannot write.
const NEVER_FROM_PULSAR: &[(&str, &str)] = &[
    ("property of other bytes", "Properties are text."),
    ("property without value", "Pulsar's client refuses it."),
];

const OPAQUE: &str =
    "The message is the client's Kafka batch, which Pulsar's client does not take apart.";

/// What a row's cells say with one codec, in a batch and alone.
type Cells = Vec<[Result<(), String>; 2]>;

fn filled(line: &str, time: i64, published: i64) -> String {
    let value = hex(&b"kafka on pulsar ".repeat(400));
    let property = format!("{}={value}", hex(b"pad"));
    let fields = line.split(' ').map(|field| match field {
        "V" => value.clone(),
        "P" => property.clone(),
        "T" => time.to_string(),
        "N" => published.to_string(),
        field => field.to_owned(),
    });
    fields.collect::<Vec<_>>().join(" ")
}

/// Neither rising nor all the same.
fn time(number: usize) -> Result<i64> {
    Ok(1_700_000_000_000 + (i64::try_from(number)? * 7_919) % 100_000)
}

/// Both clients write and read, and the document says what came of it.
pub(crate) fn each_reads_the_other(
    scratch: &Scratch,
    pulsar: &Pulsar,
    gateway: &Gateway,
) -> Result<()> {
    let bootstrap = gateway.bootstrap();
    let topics = ["from-kafka:1", "from-pulsar:1"];
    exact::ask(
        scratch,
        Java::Newest,
        &[&["create", bootstrap], &topics[..]].concat(),
    )?;
    let kafka = from_kafka(scratch, pulsar, bootstrap)?;
    let native = from_pulsar(scratch, pulsar, bootstrap)?;
    let mut wrong = String::new();
    let [kafka_table, native_table] = [
        ("Kafka", FROM_KAFKA, kafka, &[] as &[_]),
        ("Pulsar", FROM_PULSAR, native, NEVER_FROM_PULSAR),
    ]
    .map(|(from, rows, columns, never)| rendered(from, rows, &columns, never, &mut wrong));
    ensure!(wrong.is_empty(), "not as the rows say:\n{wrong}");
    table::stands(FILE, "kafka-to-pulsar", &kafka_table?)?;
    table::stands(FILE, "pulsar-to-kafka", &native_table?)
}

fn from_kafka(scratch: &Scratch, pulsar: &Pulsar, bootstrap: &str) -> Result<Vec<Cells>> {
    let topic = "from-kafka";
    let (mut lines, mut records) = (Vec::new(), Vec::new());
    for (codec, _) in CODECS {
        lines.push(format!("codec {codec}"));
        for alone in [false, true] {
            for row in FROM_KAFKA {
                let record = filled(row.written, time(records.len())?, 0);
                lines.push(format!("0 {record}"));
                records.push(record);
                if alone {
                    lines.push("flush".to_owned());
                }
            }
            lines.push("flush".to_owned());
        }
    }
    let mut contents = exact::Contents::new();
    exact::write(
        scratch,
        Java::Newest,
        bootstrap,
        topic,
        &lines,
        &mut contents,
    )?;
    let topics = [(topic.to_owned(), contents)].into();
    exact::holds(scratch, Java::Newest, bootstrap, &topics).context("read by Kafka's client")?;

    let messages = native::read(
        scratch,
        &pulsar.service_url(),
        &native::partition(topic, 0),
        records.len(),
    )?;
    let mut seen = messages.iter().enumerate();
    let mut columns = Vec::new();
    for (_, codec) in CODECS {
        let mut judged: [Vec<Result<(), String>>; 2] = [Vec::new(), Vec::new()];
        for (alone, judged) in [false, true].into_iter().zip(&mut judged) {
            for (place, row) in (0..).zip(FROM_KAFKA) {
                let (number, message) = seen.next().context("a message")?;
                let place = if alone { 0 } else { place };
                stored_as(message, codec, Some(place))?;
                let expected = filled(row.read, time(number)?, 0);
                judged.push(same(&message.shown, &expected));
            }
        }
        let [batched, single] = judged;
        columns.push(batched.into_iter().zip(single).map(Into::into).collect());
    }
    Ok(columns)
}

fn from_pulsar(scratch: &Scratch, pulsar: &Pulsar, bootstrap: &str) -> Result<Vec<Cells>> {
    let topic = "from-pulsar";
    let mut lines = Vec::new();
    let mut count = 0;
    for (_, codec) in CODECS {
        for how in ["batched", "single"] {
            lines.push(format!("producer {codec} {how}"));
            for row in FROM_PULSAR {
                lines.push(filled(row.written, time(count)?, 0));
                count += 1;
            }
            lines.push("flush".to_owned());
        }
    }
    let (service, partition) = (pulsar.service_url(), native::partition(topic, 0));
    let places = native::write(scratch, &service, &partition, &lines)?;
    ensure!(places.len() == count, "{} of {count} stored", places.len());
    let messages = native::read(scratch, &service, &partition, count)?;
    let read = exact::ask(scratch, Java::Newest, &["read", bootstrap, topic])?;
    ensure!(
        read.get(..2)
            == Some(&[
                format!("{topic} begin 0 0"),
                format!("{topic} end 0 {count}")
            ]),
        "{:?}",
        read.get(..2)
    );
    let mut seen = read.iter().skip(2).zip(&messages).enumerate();
    let mut columns = Vec::new();
    for (_, codec) in CODECS {
        let mut judged: [Vec<Result<(), String>>; 2] = [Vec::new(), Vec::new()];
        for (alone, judged) in [false, true].into_iter().zip(&mut judged) {
            for (place, row) in (0..).zip(FROM_PULSAR) {
                let (number, (line, message)) = seen.next().context("a record")?;
                // Pulsar's client does not compress what is small by itself.
                let small = alone && !row.written.contains(" V");
                let codec = if small { "NONE" } else { codec };
                stored_as(message, codec, (!alone).then_some(place))?;
                let expected = filled(row.read, time(number)?, message.published);
                let expected = format!("{topic} at 0 {number} {expected}");
                judged.push(same(line, &expected));
            }
        }
        let [batched, single] = judged;
        columns.push(batched.into_iter().zip(single).map(Into::into).collect());
    }
    ensure!(seen.next().is_none(), "more than was written");
    Ok(columns)
}

/// The message's entry has that codec, and is a batch in which it has that place, or the message alone.
fn stored_as(message: &Message, codec: &str, place: Option<u32>) -> Result<()> {
    let (is, at) = (&message.codec, message.place);
    ensure!(is == codec, "{is} for {codec} at {at:?}");
    ensure!(at.index == place, "not {place:?} in its batch: {at:?}");
    Ok(())
}

fn same(found: &str, expected: &str) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{found:.400} for {expected:.400}"))
}

fn rendered(
    from: &str,
    rows: &[Row],
    columns: &[Cells],
    never: &[(&str, &str)],
    wrong: &mut String,
) -> Result<String> {
    let mut table = format!("\n| {from} writes");
    for (kafka, pulsar) in CODECS {
        let pulsar = pulsar.to_lowercase();
        let codec = if kafka == pulsar {
            kafka.to_owned()
        } else {
            format!("{kafka}/{pulsar}")
        };
        write!(table, " | {codec}")?;
    }
    let native = from == "Pulsar";
    // What comes to Pulsar's client from an entry in Kafka's own format says nothing of fields.
    let (last, opaque) = if native {
        ("", "")
    } else {
        (" | format `kafka`", " | n/a[^kafka-to-pulsar-1]")
    };
    let columns_in_all = columns.len() + usize::from(!native);
    writeln!(
        table,
        "{last} |\n| ---{} |",
        " | ---".repeat(columns_in_all)
    )?;
    for (number, row) in rows.iter().enumerate() {
        write!(table, "| {}", row.title)?;
        for (column, (codec, _)) in columns.iter().zip(CODECS) {
            let cell = column.get(number).context("a cell for each row")?;
            for (result, how) in cell.iter().zip(["batched", "single"]) {
                if let Err(found) = result {
                    writeln!(wrong, "{from}, {}, {codec}, {how}: {found}", row.title)?;
                }
            }
            write!(table, " | {}", row.words)?;
        }
        writeln!(table, "{opaque} |")?;
    }
    for (note, (title, _)) in (1..).zip(never) {
        let cell = format!(" | n/a[^pulsar-to-kafka-{note}]");
        writeln!(table, "| {title}{} |", cell.repeat(columns.len()))?;
    }
    writeln!(table)?;
    if !native {
        writeln!(table, "[^kafka-to-pulsar-1]: {OPAQUE}")?;
    }
    for (note, (_, reason)) in (1..).zip(never) {
        writeln!(table, "[^pulsar-to-kafka-{note}]: {reason}")?;
    }
    Ok(table)
}
