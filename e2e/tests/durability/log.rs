//! What the topic's partitions hold, read back and compared with what was sent and promised.

use crate::producers::{PARTITIONS, Producer, TOPIC, value};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use kop_e2e::random::Random;
use kop_e2e::wire::Connection;

/// Records of earlier rounds that are read once more in each round, from a random place on.
const LOOK_BACK: usize = 200;

/// Producer and number of each record of each partition, by offset.
#[derive(Debug, Default)]
pub(crate) struct Log([Vec<(u8, u32)>; PARTITIONS]);

impl Log {
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Reads what is new, and holds it and every promise against what is known.
    pub(crate) fn check(
        &mut self,
        client: &mut Connection,
        producers: &mut [Producer],
        random: &mut Random,
    ) -> Result<()> {
        for (partition, known) in self.0.iter_mut().enumerate() {
            read(client, TOPIC, partition, known.len(), |offset, value| {
                ensure!(
                    usize::try_from(offset)? == known.len(),
                    "offset {offset} where {} was due",
                    known.len()
                );
                let (name, number) = identity(partition, value)?;
                let producer = producers.iter_mut().find(|producer| producer.name == name);
                producer
                    .context("nobody of this name")?
                    .found(partition, number)?;
                known.push((name, number));
                Ok(true)
            })
            .with_context(|| format!("partition {partition}"))?;
        }
        for producer in producers.iter_mut() {
            for promise in std::mem::take(&mut producer.promised) {
                let known = &self.0[promise.partition];
                let from = usize::try_from(promise.offset)?;
                for (at, number) in (from..).zip(promise.first..promise.first + promise.count) {
                    let there = known.get(at);
                    ensure!(
                        there == Some(&(producer.name, number)),
                        "producer {}: record {number} was acknowledged at offset {at} of \
                         partition {}, where there is {there:?} now ({} records there)",
                        producer.name,
                        promise.partition,
                        known.len()
                    );
                }
            }
            producer.count_doubts();
        }
        for partition in 0..PARTITIONS {
            let known = self.0[partition].len() as u64;
            if known > 0 {
                let from = random.below(known) as usize;
                self.again(client, partition, from, from + LOOK_BACK)?;
            }
        }
        Ok(())
    }

    /// Reads all of it again.
    pub(crate) fn check_all(&self, client: &mut Connection) -> Result<()> {
        for partition in 0..PARTITIONS {
            self.again(client, partition, 0, usize::MAX)?;
        }
        Ok(())
    }

    /// Reads what is known again, from one offset to another.
    fn again(
        &self,
        client: &mut Connection,
        partition: usize,
        from: usize,
        to: usize,
    ) -> Result<()> {
        let known = &self.0[partition];
        let mut next = from;
        read(client, TOPIC, partition, from, |offset, value| {
            let offset = usize::try_from(offset)?;
            let is = identity(partition, value)?;
            ensure!(
                offset == next && known.get(offset) == Some(&is),
                "offset {offset} of partition {partition} holds {is:?}; at {next}, {:?} was seen \
                 before",
                known.get(next)
            );
            next += 1;
            Ok(next < to)
        })?;
        ensure!(
            next >= to.min(known.len()),
            "partition {partition} ends at {next}; it was longer"
        );
        Ok(())
    }
}

/// Producer and number of a record, all of which must be as it was sent.
fn identity(partition: usize, found: &Bytes) -> Result<(u8, u32)> {
    let text = std::str::from_utf8(found)?;
    let mut fields = text.splitn(4, ' ');
    let mut field = || fields.next().context("a field is missing");
    let (producer, written_to, number) = (field()?, field()?, field()?);
    let (producer, number) = (producer.parse()?, number.parse()?);
    ensure!(
        written_to.parse() == Ok(partition) && text == value(producer, partition, number),
        "record {number} of producer {producer} is not what was sent"
    );
    Ok((producer, number))
}

/// Reads from an offset on, to the end, or until `each` says that it is enough.
pub(crate) fn read(
    client: &mut Connection,
    topic: &str,
    partition: usize,
    from: usize,
    mut each: impl FnMut(i64, &Bytes) -> Result<bool>,
) -> Result<()> {
    let mut position = i64::try_from(from)?;
    loop {
        let read = client.fetch(topic, partition.try_into()?, position)?;
        ensure!(read.error_code == 0, "fetch at {position}: {read:?}");
        if position == read.high {
            return Ok(());
        }
        ensure!(
            !read.records.is_empty(),
            "nothing at {position}, below {}",
            read.high
        );
        for (offset, value) in read.records {
            ensure!(offset >= position, "offset {offset} behind {position}");
            position = offset + 1;
            if !each(offset, &value)? {
                return Ok(());
            }
        }
    }
}
