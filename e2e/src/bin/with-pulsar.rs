//! `with-pulsar VERSION COMMAND…`: runs a command beside a real Pulsar, whose addresses it gets as
//! `KOP_TEST_PULSAR` and `KOP_TEST_PULSAR_ADMIN`; ends with the command's status.

use anyhow::{Context, Result, bail};
use kop_e2e::install::{PULSAR_LONG_TERM, PULSAR_NEWEST, PULSAR_OLDEST};
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::Scratch;
use std::process::{Command, ExitCode};

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().context("with-pulsar VERSION COMMAND…")?;
    const KNOWN: [&str; 3] = [PULSAR_OLDEST, PULSAR_LONG_TERM, PULSAR_NEWEST];
    let Some(version) = KNOWN.into_iter().find(|known| *known == wanted) else {
        bail!("Pulsar {wanted} is not among {}", KNOWN.join(", "));
    };
    let command = arguments.next().context("with-pulsar VERSION COMMAND…")?;
    let scratch = Scratch::new(&format!("with-pulsar-{version}"))?;
    let pulsar = Pulsar::start(&scratch, version, &[])?;
    let status = Command::new(command)
        .args(arguments)
        .env("KOP_TEST_PULSAR", pulsar.service_url())
        .env("KOP_TEST_PULSAR_ADMIN", pulsar.admin_url())
        .status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
