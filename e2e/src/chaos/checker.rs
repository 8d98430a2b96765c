//! What must hold of a partitioned log, whatever happens to those who keep it.
//!
//! Every acknowledgement and every read is told to the checker, which complains as soon as two of them
//! contradict each other; at the end it looks at the log as a whole.

use super::record::Identity;
use fault::Fault;
use std::collections::{BTreeMap, HashMap};

mod commits;
pub mod fault;
#[cfg(test)]
mod tests;

pub use commits::Commits;

/// What a producer promises of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Kafka's idempotent producer: each of its records is there once, in order.
    Idempotent,
    /// A Kafka producer that sends nothing twice: each record is there once at most, in order; those not
    /// acknowledged may be missing.
    Once,
    /// A native Pulsar producer, which without broker deduplication may write again what it had written:
    /// the first appearances are in order, and none is missing.
    Again,
}

/// Where Pulsar says that a message is. Its order is that of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId {
    /// The ledger; later ones have higher ids.
    pub ledger: u64,
    /// Entry in the ledger.
    pub entry: u64,
    /// Message in the entry; −1 where it is alone.
    pub index: i32,
}

/// What is known of one offset.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    promised: Option<Identity>,
    read: Read,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Read {
    #[default]
    Unknown,
    /// A reader went over it and saw nothing.
    Nothing,
    Record(Identity),
}

#[derive(Debug, Default)]
struct Partition {
    slots: Vec<Slot>,
    /// Receipts of native producers.
    stored: BTreeMap<MessageId, Identity>,
    /// Number of the next record that a producer has not sent.
    sent: HashMap<u8, u32>,
    /// Which offsets each group has been given.
    given: BTreeMap<String, Vec<bool>>,
}

/// All that is known of a topic.
#[derive(Debug)]
pub struct Checker {
    producers: BTreeMap<u8, Kind>,
    partitions: Vec<Partition>,
}

/// What the log held in the end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Records in it.
    pub records: u64,
    /// Of those, how many had been acknowledged to a Kafka producer, at that offset.
    pub promised: u64,
    /// Records acknowledged to native producers.
    pub stored: u64,
    /// Written again by native producers.
    pub repeated: u64,
    /// Offsets that hold no record.
    pub gaps: u64,
}

impl Checker {
    /// Nothing is known yet of so many partitions, to which these producers write.
    #[must_use]
    pub fn new(partitions: usize, producers: impl IntoIterator<Item = (u8, Kind)>) -> Self {
        Self {
            producers: producers.into_iter().collect(),
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
        }
    }

    /// A producer is about to send its records before `end`. What it never tells of is not checked.
    pub fn sends(&mut self, partition: usize, end: Identity) {
        if let Some(known) = self.partitions.get_mut(partition) {
            let sent = known.sent.entry(end.producer).or_default();
            *sent = end.number.max(*sent);
        }
    }

    /// A Kafka producer was told that `count` records from `first` on stand at `offset` and behind it.
    ///
    /// # Errors
    /// Something else stands there, or was promised to.
    pub fn acknowledged(
        &mut self,
        partition: usize,
        offset: i64,
        first: Identity,
        count: u32,
    ) -> Result<(), Fault> {
        for (at, record) in (offset..).zip((0..count).map(|n| first.plus(n))) {
            let slot = self.slot(partition, at)?;
            let as_promised = slot.promised.is_none_or(|known| known == record);
            let as_read = [Read::Unknown, Read::Record(record)].contains(&slot.read);
            if !as_promised || !as_read {
                return Err(slot.contradicts(partition, at, Some(record)));
            }
            slot.promised = Some(record);
        }
        Ok(())
    }

    /// A native producer was told that a record is stored.
    ///
    /// # Errors
    /// Another one is said to be stored there.
    pub fn stored(
        &mut self,
        partition: usize,
        at: MessageId,
        record: Identity,
    ) -> Result<(), Fault> {
        let known = self.partition(partition)?.stored.insert(at, record);
        match known {
            Some(known) if known != record => Err(Fault::StoredTwice {
                partition,
                at,
                records: [known, record],
            }),
            _ => Ok(()),
        }
    }

    /// A reader at `from` was given these records, and with them all there is before the offset behind
    /// the last one.
    ///
    /// # Errors
    /// They are not what others were given or promised, or not in order.
    pub fn read(
        &mut self,
        partition: usize,
        from: i64,
        records: &[(i64, Identity)],
    ) -> Result<(), Fault> {
        let mut next = from;
        for &(offset, record) in records {
            if offset < next {
                return Err(Fault::ReadBackwards {
                    partition,
                    offset,
                    next,
                });
            }
            for gap in next..offset {
                self.observed(partition, gap, Read::Nothing)?;
            }
            self.observed(partition, offset, Read::Record(record))?;
            next = offset + 1;
        }
        Ok(())
    }

    /// A member of a group was given a record.
    ///
    /// # Errors
    /// It is not what others were given or promised.
    pub fn given(
        &mut self,
        group: &str,
        partition: usize,
        offset: i64,
        record: Identity,
    ) -> Result<(), Fault> {
        self.observed(partition, offset, Read::Record(record))?;
        let seen = &mut self.partition(partition)?.given;
        let seen = seen.entry(group.to_owned()).or_default();
        let at = index(partition, offset)?;
        if seen.len() <= at {
            seen.resize(at + 1, false);
        }
        if let Some(seen) = seen.get_mut(at) {
            *seen = true;
        }
        Ok(())
    }

    fn observed(&mut self, partition: usize, offset: i64, now: Read) -> Result<(), Fault> {
        let slot = self.slot(partition, offset)?;
        let record = match now {
            Read::Record(record) => Some(record),
            Read::Nothing | Read::Unknown => None,
        };
        let as_promised = slot.promised.is_none() || slot.promised == record;
        if !as_promised || (slot.read != Read::Unknown && slot.read != now) {
            return Err(slot.contradicts(partition, offset, record));
        }
        slot.read = now;
        Ok(())
    }

    fn partition(&mut self, partition: usize) -> Result<&mut Partition, Fault> {
        let known = self.partitions.get_mut(partition);
        known.ok_or(Fault::NoSuchPlace {
            partition,
            offset: 0,
        })
    }

    fn slot(&mut self, partition: usize, offset: i64) -> Result<&mut Slot, Fault> {
        let at = index(partition, offset)?;
        let slots = &mut self.partition(partition)?.slots;
        if slots.len() <= at {
            slots.resize(at + 1, Slot::default());
        }
        slots
            .get_mut(at)
            .ok_or(Fault::NoSuchPlace { partition, offset })
    }

    /// Offset behind the last one that was promised or read.
    #[must_use]
    pub fn known_end(&self, partition: usize) -> i64 {
        let slots = self
            .partitions
            .get(partition)
            .map(|known| known.slots.len());
        i64::try_from(slots.unwrap_or_default()).unwrap_or(i64::MAX)
    }

    /// How many records of a partition that a group is to be given are still missing.
    #[must_use]
    pub fn missing(&self, group: &str) -> usize {
        let missing = |partition: &Partition| {
            let given = partition.given.get(group);
            let was_given = |at: usize| given.is_some_and(|given| given.get(at) == Some(&true));
            let slots = partition.slots.iter().enumerate();
            slots
                .filter(|(at, slot)| slot.read != Read::Nothing && !was_given(*at))
                .count()
        };
        self.partitions.iter().map(missing).sum()
    }

    /// Looks at the log as a whole, once somebody has read all of it.
    ///
    /// # Errors
    /// What is lost, doubled or out of order.
    pub fn verify(&self) -> Result<Verdict, Fault> {
        let mut verdict = Verdict::default();
        for (partition, known) in self.partitions.iter().enumerate() {
            self.verify_partition(partition, known, &mut verdict)?;
        }
        Ok(verdict)
    }

    fn verify_partition(
        &self,
        partition: usize,
        known: &Partition,
        verdict: &mut Verdict,
    ) -> Result<(), Fault> {
        let mut due: HashMap<u8, u32> = HashMap::new();
        let mut places: HashMap<Identity, Vec<i64>> = HashMap::new();
        for (offset, slot) in (0..).zip(&known.slots) {
            let record = match slot.read {
                Read::Record(record) => record,
                Read::Nothing => {
                    verdict.gaps += 1;
                    continue;
                }
                Read::Unknown => {
                    return Err(Fault::Unread {
                        partition,
                        offset,
                        promised: slot.promised,
                    });
                }
            };
            verdict.records += 1;
            verdict.promised += u64::from(slot.promised.is_some());
            let Identity { producer, number } = record;
            let sent = known.sent.get(&producer);
            let Some(kind) = self.producers.get(&producer) else {
                return Err(Fault::Strange {
                    partition,
                    offset,
                    record,
                });
            };
            if sent.is_some_and(|sent| number >= *sent) {
                return Err(Fault::Strange {
                    partition,
                    offset,
                    record,
                });
            }
            let next = due.entry(producer).or_default();
            if number < *next {
                if *kind != Kind::Again {
                    return Err(Fault::Doubled {
                        partition,
                        offset,
                        record,
                        due: *next,
                    });
                }
                verdict.repeated += 1;
            } else if number > *next && *kind != Kind::Once {
                return Err(Fault::Skipped {
                    partition,
                    offset,
                    record,
                    due: *next,
                });
            }
            *next = (number + 1).max(*next);
            if *kind == Kind::Again {
                places.entry(record).or_default().push(offset);
            }
        }
        verdict.stored += known.stored.len() as u64;
        in_order_of_storing(partition, known, &places)
    }
}

/// Each record that a native producer was told is stored is there, and those stored later have higher
/// offsets.
fn in_order_of_storing(
    partition: usize,
    known: &Partition,
    places: &HashMap<Identity, Vec<i64>>,
) -> Result<(), Fault> {
    let mut last = -1;
    for (&at, &record) in &known.stored {
        let offsets = places.get(&record).map(Vec::as_slice).unwrap_or_default();
        let Some(place) = offsets.iter().find(|offset| **offset > last) else {
            return Err(Fault::StoredAndLost {
                partition,
                at,
                record,
                offsets: offsets.to_vec(),
                behind: last,
            });
        };
        last = *place;
    }
    Ok(())
}

impl Slot {
    fn contradicts(&self, partition: usize, offset: i64, now: Option<Identity>) -> Fault {
        let read = match self.read {
            Read::Record(record) => Some(record),
            Read::Nothing | Read::Unknown => None,
        };
        Fault::Contradiction {
            partition,
            offset,
            promised: self.promised,
            read,
            now,
        }
    }
}

fn index(partition: usize, offset: i64) -> Result<usize, Fault> {
    usize::try_from(offset).map_err(|_| Fault::NoSuchPlace { partition, offset })
}
