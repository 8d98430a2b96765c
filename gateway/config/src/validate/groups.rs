//! Rules of consumer groups: Kafka's defaults where nothing is said.
use std::time::Duration;

use super::{ConfigError, milliseconds, ranged};
use crate::{Groups, RawConfig};

const MOST: u32 = i32::MAX.unsigned_abs();

pub(super) fn groups(raw: &RawConfig) -> Result<Groups, ConfigError> {
    let size = |count: u32| usize::try_from(count).expect("memory is addressed by 32 bits or more");
    // A lone process is for trying and testing, where three seconds before the first record are
    // felt; in front of Pulsar many members come at a time, as in Kafka.
    let usual_delay = if raw.pulsar.is_some() { 3000 } else { 0 };
    let min_session = ranged(
        "--group-min-session-timeout-ms",
        raw.group_min_session_timeout_ms.unwrap_or(6000),
        (1, MOST),
        "a number from 1 to 2147483647",
    )?;
    let max_session = ranged(
        "--group-max-session-timeout-ms",
        raw.group_max_session_timeout_ms.unwrap_or(30 * 60 * 1000),
        (min_session, MOST),
        "between --group-min-session-timeout-ms and 2147483647",
    )?;
    let max_size = ranged(
        "--group-max-size",
        raw.group_max_size.unwrap_or(2000),
        (1, MOST),
        "a number from 1 to 2147483647",
    )?;
    let retention = ranged(
        "--offsets-retention-minutes",
        raw.offsets_retention_minutes.unwrap_or(7 * 24 * 60),
        (1, MOST),
        "a number from 1 to 2147483647",
    )?;
    let check_interval = ranged(
        "--offsets-retention-check-interval-ms",
        raw.offsets_retention_check_interval_ms.unwrap_or(600_000),
        (100, MOST),
        "a number from 100 to 2147483647",
    )?;
    let metadata = ranged(
        "--offset-metadata-max-bytes",
        raw.offset_metadata_max_bytes.unwrap_or(4096),
        // A record has no place for a longer one.
        (0, 32_767),
        "a number from 0 to 32767",
    )?;
    let delay = raw.group_initial_rebalance_delay_ms;
    Ok(Groups {
        initial_rebalance_delay: milliseconds(delay.unwrap_or(usual_delay)),
        min_session_timeout: milliseconds(min_session),
        max_session_timeout: milliseconds(max_session),
        max_size: size(max_size),
        offsets_retention: Duration::from_secs(60) * retention,
        offsets_retention_check_interval: milliseconds(check_interval),
        offset_metadata_bytes: size(metadata),
    })
}
