//! Prints the custom resource definition.

use std::io::Write;

fn main() -> anyhow::Result<()> {
    std::io::stdout().write_all(kop_operator::crd_yaml()?.as_bytes())?;
    Ok(())
}
