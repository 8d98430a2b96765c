//! Opening a directory that an earlier version wrote.
use fjall::PersistMode;
use kop_store::Cause;

use crate::{
    format::{self, Damaged},
    keyspaces::Keyspaces,
};

/// From format 1, which knew no topic configurations and removed nothing by age, to format 2: every
/// topic keeps what it has for ever, as it did, until someone decides otherwise. It may be done again
/// after a crash.
pub(crate) fn from_1(keyspaces: &Keyspaces) -> Result<(), Cause> {
    let mut writes = keyspaces.database.batch();
    for item in keyspaces.meta.prefix(format::TOPICS) {
        let (key, value) = item.into_inner()?;
        let mut topic = format::topic_of(&key, &value)?;
        let kept = topic.config.set("retention.ms", "-1");
        kept.map_err(|_| Damaged("table of topic options"))?;
        writes.insert(&keyspaces.meta, key, format::topic_value(&topic));
    }
    keyspaces.commit(writes, Some(PersistMode::SyncAll))?;
    Ok(())
}
