//! Changes that are no appends. Each ends its group.
use std::{ops::Range, sync::Arc};

use kop_store::{
    CatalogError, Cause, ConfigureError, CreateError, DeleteError, GrowError, NewTopic, Topic,
    TruncateError,
};
use kop_wire::{Offset, TopicName};
use uuid::Uuid;

use super::{ConfigChange, Group, Reply, Writer, append::appender, commit::Effect};
use crate::{
    config,
    format::{self, LogId},
    live::Live,
    log::Log,
    producers::next_producer_ids,
    topics::Entry,
    upkeep::{Removal, Task},
};

/// The most partitions of one topic; each costs memory from the start on.
const MAX_PARTITIONS: u32 = 10_000;

impl Writer {
    pub(super) fn create(
        &mut self,
        group: &mut Group,
        new: NewTopic,
        reply: Reply<Result<Topic, CreateError>>,
    ) {
        if let Err(error) = self.may_create(&new) {
            let _ = reply.send(Err(error));
            return;
        }
        let topic = Topic {
            name: new.name,
            id: Uuid::new_v4(),
            partitions: new.partitions,
            config: new.config,
        };
        let meta = &self.keyspaces.meta;
        let (key, value) = (format::topic_key(&topic.name), format::topic_value(&topic));
        group.writes.insert(meta, key, value);
        let live = Arc::new(Live::of(&topic, &self.ground.options.defaults));
        let logs = empty_logs(&topic, &live, 0..topic.partitions).collect();
        group.effects.push(Effect::Created {
            entry: Entry { topic, live, logs },
            reply,
        });
    }

    fn may_create(&self, new: &NewTopic) -> Result<(), CreateError> {
        if new.partitions == 0 || new.partitions > MAX_PARTITIONS {
            let given = new.partitions;
            return Err(CreateError::Refused(format!(
                "{given} partitions; a topic has 1 to {MAX_PARTITIONS}"
            )));
        }
        if new.name.as_str().contains('/') {
            return Err(CreateError::Refused(
                "names with tenant and namespace are for a store on Pulsar".to_owned(),
            ));
        }
        config::supports(&new.config, self.ground.options.durability)?;
        match self.ground.topics.find(&new.name) {
            Some(_) => Err(CreateError::Exists(new.name.clone())),
            None => Ok(()),
        }
    }

    pub(super) fn grow(
        &mut self,
        group: &mut Group,
        name: &TopicName,
        partitions: u32,
        reply: Reply<Result<Topic, GrowError>>,
    ) {
        let Entry { topic, live, logs } = match self.may_grow(name, partitions) {
            Ok(entry) => entry,
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        };
        let more = empty_logs(&topic, &live, topic.partitions..partitions);
        let logs = logs.iter().cloned().chain(more).collect();
        let topic = Topic {
            partitions,
            ..topic
        };
        let meta = &self.keyspaces.meta;
        let (key, value) = (format::topic_key(name), format::topic_value(&topic));
        group.writes.insert(meta, key, value);
        group.effects.push(Effect::Grown {
            entry: Entry { topic, live, logs },
            reply,
        });
    }

    fn may_grow(&self, name: &TopicName, partitions: u32) -> Result<Entry, GrowError> {
        let entry = self.ground.topics.get(name);
        let entry = entry.ok_or_else(|| GrowError::Unknown(name.clone()))?;
        let has = entry.topic.partitions;
        if partitions <= has {
            return Err(GrowError::NotMore { partitions: has });
        }
        if partitions > MAX_PARTITIONS {
            return Err(GrowError::Refused(format!(
                "{partitions} partitions; a topic has 1 to {MAX_PARTITIONS}"
            )));
        }
        Ok(entry)
    }

    pub(super) fn configure(
        &mut self,
        group: &mut Group,
        change: ConfigChange,
        reply: Reply<Result<Topic, ConfigureError>>,
    ) {
        let Entry { topic, live, logs } = match self.may_configure(&change) {
            Ok(entry) => entry,
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        };
        let topic = Topic {
            config: change.to,
            ..topic
        };
        let meta = &self.keyspaces.meta;
        let (key, value) = (format::topic_key(&topic.name), format::topic_value(&topic));
        group.writes.insert(meta, key, value);
        group.effects.push(Effect::Configured {
            entry: Entry { topic, live, logs },
            reply,
        });
    }

    fn may_configure(&self, change: &ConfigChange) -> Result<Entry, ConfigureError> {
        let ConfigChange { topic, from, to } = change;
        let entry = self.ground.topics.get(topic);
        let entry = entry.ok_or_else(|| ConfigureError::Unknown(topic.clone()))?;
        config::supports(to, self.ground.options.durability)?;
        if entry.topic.config != *from {
            return Err(ConfigureError::Changed(topic.clone()));
        }
        Ok(entry)
    }

    pub(super) fn delete(
        &mut self,
        group: &mut Group,
        topic: &TopicName,
        reply: Reply<Result<(), DeleteError>>,
    ) {
        let entry = match self.ground.topics.get(topic) {
            None => Err(DeleteError::Unknown(topic.clone())),
            Some(entry) => Ok(entry),
        };
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        };
        let Topic { id, partitions, .. } = entry.topic;
        let meta = &self.keyspaces.meta;
        group.writes.remove(meta, format::topic_key(topic));
        group.writes.insert(
            meta,
            format::removed_key(id),
            partitions.to_be_bytes().to_vec(),
        );
        group.effects.push(Effect::Deleted { entry, reply });
    }

    pub(super) fn truncate_before(
        &mut self,
        group: &mut Group,
        log: Arc<Log>,
        offset: Offset,
        reply: Reply<Result<(), TruncateError>>,
    ) {
        // Appends of this group are not in the log yet. To whoever asks they have not happened: none
        // of them has been answered.
        let bounds = log.bounds();
        let refused = if bounds.deleted {
            Some(TruncateError::Deleted)
        } else if offset > bounds.high {
            Some(TruncateError::OutOfRange {
                log_start: bounds.start,
                high: bounds.high,
            })
        } else {
            None
        };
        match refused {
            Some(error) => {
                let _ = reply.send(Err(error));
            }
            // What is below the start is gone already: nothing to do.
            None if offset <= bounds.start => {
                let _ = reply.send(Ok(()));
            }
            None => {
                // Batches go that the producer state would otherwise be read from.
                if let Err(error) = self.save_producers(group, &log) {
                    let _ = reply.send(Err(TruncateError::Unavailable(error)));
                    return;
                }
                let value = offset.0.to_be_bytes().to_vec();
                group
                    .writes
                    .insert(&self.keyspaces.meta, log.id.start_key(), value);
                group.effects.push(Effect::Truncated { log, offset, reply });
            }
        }
    }

    pub(super) fn settle(
        &mut self,
        group: &mut Group,
        log: Arc<Log>,
        reply: Reply<Result<Offset, Cause>>,
    ) {
        let saved = if log.bounds().deleted {
            Err("the topic was deleted".into())
        } else {
            self.save_producers(group, &log)
        };
        match saved {
            Ok(()) => group.effects.push(Effect::Settled { log, reply }),
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    /// Saves what is known of a log's producers, up to the end of the log with this group.
    fn save_producers(&mut self, group: &mut Group, log: &Arc<Log>) -> Result<(), Cause> {
        let (keyspaces, now_ms) = (&self.keyspaces, group.now_ms);
        let appender = appender(&mut self.appenders, keyspaces, log, now_ms)?;
        appender.save(log, keyspaces, &mut group.writes, now_ms);
        Ok(())
    }

    pub(super) fn allocate_producer_ids(
        &mut self,
        group: &mut Group,
        count: u32,
        reply: Reply<Result<Range<i64>, CatalogError>>,
    ) {
        match next_producer_ids(&self.keyspaces, count) {
            Ok(ids) => {
                let next = ids.end.to_be_bytes().to_vec();
                group
                    .writes
                    .insert(&self.keyspaces.meta, format::NEXT_PRODUCER_ID, next);
                group.effects.push(Effect::Allocated { ids, reply });
            }
            Err(cause) => {
                let _ = reply.send(Err(CatalogError::Unavailable(cause)));
            }
        }
    }

    /// Hands a removal to its thread; where that has ended, the next start of the store does it.
    pub(super) fn remove_later(&self, removal: Removal) {
        self.upkeep.send(Task::Remove(removal));
    }
}

/// Logs of partitions that nothing has been written to.
fn empty_logs(
    topic: &Topic,
    live: &Arc<Live>,
    partitions: Range<u32>,
) -> impl Iterator<Item = Arc<Log>> {
    let topic = topic.id;
    partitions.map(move |partition| {
        let id = LogId { topic, partition };
        Arc::new(Log::new(id, Arc::clone(live), (Offset(0), Offset(0))))
    })
}
