//! What a run is given.

use crate::install::{PULSAR_NEWEST, PULSAR_OLDEST};
use anyhow::{Context, Result, bail};
use std::env::{self, VarError};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// One run. Each field is a variable of the environment.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// `KOP_CHAOS_SEED`: decides what breaks, and when. Another one in each run where not given.
    pub seed: u64,
    /// `KOP_CHAOS_SECONDS`: how long things break; 180 where not given.
    pub lasts: Duration,
    /// `KOP_CHAOS_PULSAR`: the version of Pulsar; the newest where not given.
    pub pulsar: &'static str,
    /// `KOP_CHAOS_FORMAT`: `kafka` or `pulsar`; decided by the seed where not given.
    pub format: &'static str,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// A value that is none.
    pub fn of_environment() -> Result<Self> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let seed = number("KOP_CHAOS_SEED")?.unwrap_or(u64::from(now.subsec_nanos()));
        let seconds = number("KOP_CHAOS_SECONDS")?.unwrap_or(180);
        let pulsar = one_of("KOP_CHAOS_PULSAR", &[PULSAR_NEWEST, PULSAR_OLDEST])?;
        let format = one_of("KOP_CHAOS_FORMAT", &["kafka", "pulsar"])?;
        let by_seed = if seed % 2 == 0 { "kafka" } else { "pulsar" };
        Ok(Self {
            seed,
            lasts: Duration::from_secs(seconds),
            pulsar: pulsar.unwrap_or(PULSAR_NEWEST),
            format: format.unwrap_or(by_seed),
        })
    }
}

fn variable(name: &str) -> Result<Option<String>> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(error) => Err(error).context(name.to_owned()),
    }
}

fn number(name: &str) -> Result<Option<u64>> {
    let value = variable(name)?;
    let parsed =
        value.map(|value| u64::from_str(&value).with_context(|| format!("{name}={value}")));
    parsed.transpose()
}

fn one_of(name: &str, known: &[&'static str]) -> Result<Option<&'static str>> {
    let Some(value) = variable(name)? else {
        return Ok(None);
    };
    match known.iter().find(|known| **known == value) {
        Some(known) => Ok(Some(known)),
        None => bail!("{name}={value} is none of {known:?}"),
    }
}
