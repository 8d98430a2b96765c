//! `with-gateway COMMAND…`: runs a command beside a gateway on an embedded store, whose address it gets
//! as `KOP_BOOTSTRAP`; ends with the command's status.

use anyhow::{Context, Result};
use kop_e2e::gateway::Gateway;
use kop_e2e::scratch::Scratch;
use kop_e2e::story::KafkaServer as _;
use std::process::{Command, ExitCode};

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().context("with-gateway COMMAND…")?;
    let scratch = Scratch::new("with-gateway")?;
    let mut gateway = Gateway::embedded(&scratch, "gateway")?;
    let status = Command::new(command)
        .args(arguments)
        .env("KOP_BOOTSTRAP", gateway.bootstrap())
        .status()?;
    gateway.stop()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
