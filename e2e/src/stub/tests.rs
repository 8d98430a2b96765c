use super::Stub;
use crate::load::Load;
use anyhow::Result;
use std::time::Duration;

#[test]
fn every_entry_is_acknowledged() -> Result<()> {
    let stub = Stub::start()?;
    let topic = "persistent://public/default/t";
    let mut load = Load::pulsar(stub.service_url(), topic, 1024)?;
    load.run(4, 100)?;
    let waited = load.steadily(1_000, Duration::from_secs(1))?;
    assert_eq!(waited.len(), 1_000);
    Ok(())
}
