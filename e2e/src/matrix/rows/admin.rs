//! Topics and their settings.

use super::Story;
use crate::matrix::client::Settings;
use crate::wait::until;
use anyhow::{Result, ensure};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const SETTING: &str = "max.message.bytes";
const PARTITIONS: i32 = 3;

pub(super) fn create(story: &mut Story<'_>) -> Result<()> {
    story
        .client
        .create(&story.topic, PARTITIONS, &Settings::new())?;
    let found = story.wire.partitions(&story.topic)?;
    ensure!(
        found == Some(PARTITIONS),
        "{found:?} partitions, not {PARTITIONS}"
    );
    Ok(())
}

pub(super) fn describe(story: &mut Story<'_>) -> Result<()> {
    story.wire.create(&story.topic, PARTITIONS, &[])?;
    let found = story.client.describe(&story.topic)?;
    ensure!(found == PARTITIONS, "{found} partitions, not {PARTITIONS}");
    Ok(())
}

pub(super) fn settings(story: &mut Story<'_>) -> Result<()> {
    story.wire.create(&story.topic, PARTITIONS, &[])?;
    let expected = story.wire.setting(&story.topic, SETTING)?;
    let found = story.client.settings(&story.topic)?;
    ensure!(
        found.get(SETTING) == Some(&expected),
        "not {expected}: {found:?}"
    );
    Ok(())
}

/// What is set is in force, and stands in the description.
pub(super) fn alter(story: &mut Story<'_>) -> Result<()> {
    const WANTED: &str = "2000";
    let record = || (None, Some("x".repeat(3000)));
    story.wire.create(&story.topic, PARTITIONS, &[])?;
    story.wire.produce(&story.topic, 0, &[record()])?;
    let wanted = Settings::from([(SETTING.to_owned(), WANTED.to_owned())]);
    story.client.alter(&story.topic, &wanted)?;
    let found = story.wire.setting(&story.topic, SETTING)?;
    ensure!(found == WANTED, "{found}, not {WANTED}");
    until("a limit in force", PATIENCE, || {
        let written = story.wire.produce(&story.topic, 0, &[record()]);
        let refused = written.is_err_and(|error| error.to_string().contains("MessageTooLarge"));
        Ok(refused.then_some(()))
    })
}

pub(super) fn delete(story: &mut Story<'_>) -> Result<()> {
    story.wire.create(&story.topic, PARTITIONS, &[])?;
    story.client.delete(&story.topic)?;
    until("the end of the topic", PATIENCE, || {
        Ok(story.wire.partitions(&story.topic)?.is_none().then_some(()))
    })
}
