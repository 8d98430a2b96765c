//! Deleting records up to an offset.
//!
//! Pulsar cannot cut a topic at a message, only drop whole ledgers by its retention. So the log's first
//! offset is kept beside the records: as a property of the partition's own topic, where every gateway
//! finds it together with the ledgers, where Pulsar's clients and `KoP` do not look, and which goes with
//! the topic. What stands before it stays in Pulsar until retention removes it, and is given to nobody.
use std::collections::BTreeMap;

use kop_store::TruncateError;
use kop_wire::Offset;

use crate::{
    admin::{Admin, AdminError, InternalStats},
    log::{Gone, Log},
    naming::PulsarTopic,
};

/// Property of a topic with the log's first offset, decimal.
const PROPERTY: &str = "kafkaLogStartOffset";
/// How often it is written while others write smaller numbers at the same time.
const ATTEMPTS: usize = 5;

/// The first offset as it was recorded; `None` where nothing was deleted.
pub(crate) fn recorded(stats: &InternalStats) -> Option<i64> {
    let offset: i64 = stats.property(PROPERTY)?.parse().ok()?;
    (offset >= 0).then_some(offset)
}

/// Lets the log begin at `offset`, now and for every gateway from now on.
pub(crate) async fn delete_before(log: &Log, offset: i64) -> Result<(), TruncateError> {
    let _alone = log.moving_start.lock().await;
    if log.is_deleted() {
        return Err(TruncateError::Deleted);
    }
    let high = log.high();
    if !(0..=high).contains(&offset) {
        return Err(TruncateError::OutOfRange {
            log_start: Offset(log.log_start()),
            high: Offset(high),
        });
    }
    if offset <= log.log_start() {
        return Ok(());
    }
    // The topic may have been made anew, in which case it is another log.
    log.check_existence().await.map_err(|gone| match gone {
        Gone::Deleted => TruncateError::Deleted,
        Gone::Unknown(error) => TruncateError::Unavailable(error.into()),
    })?;
    let recorded = record(&log.shared.admin, &log.topic, offset)
        .await
        .map_err(|error| TruncateError::Unavailable(error.into()))?;
    log.deleted_before(recorded);
    Ok(())
}

/// Writes the property and makes sure that it holds: it never falls, whoever writes. What it says in
/// the end, which may be more.
pub(crate) async fn record(
    admin: &Admin,
    topic: &PulsarTopic,
    offset: i64,
) -> Result<i64, AdminError> {
    let property = BTreeMap::from([(PROPERTY.to_owned(), offset.to_string())]);
    for _ in 0..ATTEMPTS {
        let stats = admin.internal_stats(topic).await?;
        if let Some(known) = recorded(&stats).filter(|known| *known >= offset) {
            return Ok(known);
        }
        admin.set_properties(topic, &property).await?;
    }
    Err(AdminError::Conflict(format!(
        "property {PROPERTY} of {topic} keeps changing"
    )))
}
