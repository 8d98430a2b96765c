//! Several gateways in front of one Pulsar.

use crate::gateway::Gateway;
use crate::pulsar::Pulsar;
use crate::scratch::Scratch;
use crate::story::KafkaServer as _;
use crate::wait::until;
use crate::wire::Wire;
use anyhow::{Context as _, Result};
use std::time::Duration;

/// How long they may take until they know each other.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gateways by node id, from 1.
#[derive(Debug)]
pub struct Gateways(Vec<Gateway>);

impl Gateways {
    /// Starts `count` of them, and waits until each knows all.
    ///
    /// # Errors
    /// One does not become ready, or does not hear of another.
    pub fn start(
        scratch: &Scratch,
        pulsar: &Pulsar,
        count: usize,
        format: &str,
        more: &[&str],
    ) -> Result<Self> {
        let gateway = |node: usize| {
            let (name, node) = (format!("gateway-{node}"), node.to_string());
            let arguments = [&["--node-id", &node], more].concat();
            Gateway::on_pulsar_with(scratch, &name, pulsar, format, &arguments)
        };
        let gateways = (1..=count).map(gateway).collect::<Result<_>>().map(Self)?;
        gateways.know_each_other()?;
        Ok(gateways)
    }

    /// Waits until each knows all.
    ///
    /// # Errors
    /// One does not answer, or does not hear of another.
    pub fn know_each_other(&self) -> Result<()> {
        let count = self.0.len();
        for gateway in &self.0 {
            let mut wire = Wire::connect(gateway.bootstrap())?;
            until(&format!("{count} gateways"), PATIENCE, || {
                Ok((wire.brokers()? == count).then_some(()))
            })?;
        }
        Ok(())
    }

    /// The one with this node id.
    ///
    /// # Errors
    /// There is none.
    pub fn of(&mut self, node: i32) -> Result<&mut Gateway> {
        let at = usize::try_from(node - 1)?;
        self.0.get_mut(at).context("a gateway of that node id")
    }

    /// HOST:PORT of the one with this node id.
    ///
    /// # Errors
    /// There is none.
    pub fn address(&self, node: i32) -> Result<&str> {
        let gateway = self.0.get(usize::try_from(node - 1)?);
        Ok(gateway.context("a gateway of that node id")?.bootstrap())
    }

    /// HOST:PORT of all of them, separated by commas.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let all: Vec<&str> = self.0.iter().map(Gateway::bootstrap).collect();
        all.join(",")
    }

    /// Stops them one after another by `SIGTERM`.
    ///
    /// # Errors
    /// One does not end with status 0 in time.
    pub fn stop(&mut self) -> Result<()> {
        self.0.iter_mut().try_for_each(Gateway::stop)
    }
}
