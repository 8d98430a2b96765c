//! The client matrix: unmodified clients in certain versions, and what each of them does against a
//! server. What came out is a table of `docs/clients.md`, which must stand there as it was seen.

use crate::gateways::Gateways;
use crate::pulsar::Pulsar;
use crate::scratch::Scratch;
use crate::wire::Wire;
use anyhow::{Context as _, Result, bail, ensure};
use client::Client;
use driver::{Cannot, reason};
use rows::{ROWS, Row, Story};
use std::time::Instant;

pub mod client;
pub mod clients;
pub mod console;
pub mod driver;
pub mod kcat;
pub mod rows;
pub mod table;
pub mod tools;

/// What came of one row with one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// It did what Kafka's would.
    Passed,
    /// The client does not do this, for the reason given.
    NotApplicable(&'static str),
}

/// One client of the matrix.
#[derive(Debug, Clone, Copy)]
pub struct Contender {
    /// Its name in files and topics.
    pub id: &'static str,
    /// Its name for readers.
    pub title: &'static str,
    /// Starts it against a bootstrap address.
    pub start: fn(&Scratch, &str) -> Result<Box<dyn Client>>,
}

/// What came of all rows with one client.
#[derive(Debug, Clone)]
pub struct Column {
    /// The client's name for readers.
    pub title: &'static str,
    /// Its version.
    pub version: String,
    /// One for each row.
    pub cells: Vec<Cell>,
}

/// The settings of the gateways that clients meet: what a test waits for and learns nothing by is off.
const NO_DELAY: &[&str] = &["--group-initial-rebalance-delay-ms", "0"];

/// Every client and every tool does what `docs/clients.md` says, on a Pulsar of this version, in this
/// entry format, with so many gateways. Neither makes a difference to what is passed.
///
/// # Errors
/// What failed, or that another table came out.
pub fn on_pulsar(
    scratch: &Scratch,
    version: &'static str,
    format: &str,
    gateways: usize,
) -> Result<()> {
    let pulsar = Pulsar::start(scratch, version, &[])?;
    let mut gateways = Gateways::start(scratch, &pulsar, gateways, format, NO_DELAY)?;
    let bootstrap = gateways.bootstrap();
    let clients = each_client_does_what_it_can(scratch, &bootstrap, &[])?;
    let admin = tools::each_tool_does_what_it_can(scratch, &bootstrap, &[])?;
    gateways.stop()?;
    table::check("pulsar", &rows::titles(), &clients)?;
    table::check("pulsar-tools", &tools::titles(), &admin)
}

/// Every client does every row that it can, but for those that the server `cannot`. `KOP_E2E_CLIENT=id` in the environment asks one client only,
/// to find out why it fails.
///
/// # Errors
/// What failed, of all clients and rows.
pub fn each_client_does_what_it_can(
    scratch: &Scratch,
    bootstrap: &str,
    cannot: Cannot,
) -> Result<Vec<Column>> {
    let only = std::env::var("KOP_E2E_CLIENT").ok();
    let wanted = |id: &str| only.as_deref().is_none_or(|only| only == id);
    let mut columns = Vec::new();
    let mut failed = Vec::new();
    for contender in clients::ALL.iter().filter(|contender| wanted(contender.id)) {
        let began = Instant::now();
        match column(scratch, bootstrap, contender, cannot, &mut failed) {
            Ok(column) => columns.push(column),
            Err(error) => failed.push(format!("{}: {error:#}", contender.id)),
        }
        eprintln!("{}: {:.1} s", contender.id, began.elapsed().as_secs_f32());
    }
    if !failed.is_empty() {
        bail!("{} failed:\n{}", failed.len(), failed.join("\n"));
    }
    ensure!(only.is_none(), "passed, but a part only");
    Ok(columns)
}

fn column(
    scratch: &Scratch,
    bootstrap: &str,
    contender: &Contender,
    cannot: Cannot,
    failed: &mut Vec<String>,
) -> Result<Column> {
    let mut client = (contender.start)(scratch, bootstrap)?;
    let version = client.version()?;
    let mut cells = Vec::new();
    for row in ROWS {
        if let Some(reason) = client.cannot(row.id).or_else(|| reason(cannot, row.id)) {
            cells.push(Cell::NotApplicable(reason));
            continue;
        }
        let began = Instant::now();
        match told(client.as_mut(), bootstrap, contender.id, row) {
            Ok(()) => cells.push(Cell::Passed),
            Err(error) => failed.push(format!("{}, {}: {error:#}", contender.id, row.id)),
        }
        eprintln!(
            "{} {}: {:.1} s",
            contender.id,
            row.id,
            began.elapsed().as_secs_f32()
        );
    }
    Ok(Column {
        title: contender.title,
        version,
        cells,
    })
}

fn told(client: &mut dyn Client, bootstrap: &str, id: &str, row: &Row) -> Result<()> {
    let topic = format!("{id}-{}", row.id);
    let wire = Wire::connect(bootstrap).context("the story's own connection")?;
    (row.tell)(&mut Story {
        client,
        wire,
        topic,
    })
}
