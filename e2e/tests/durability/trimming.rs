//! Somebody who writes to a topic and deletes its records up to an offset.

use crate::log::read;
use crate::pace::Pace;
use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{DeleteRecordsRequest, ListOffsetsRequest};
use kop_e2e::random::Random;
use kop_e2e::wire::{Connection, NOBODY, batch, text};
use std::convert::Infallible;

/// The topic, which has one partition.
pub(crate) const TOPIC: &str = "trimmed";
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// Bounds of a log of which every record says its offset. First what was acknowledged, then what was
/// asked for.
pub(crate) struct Trimming {
    random: Random,
    start: (i64, i64),
    end: (i64, i64),
    pub(crate) acknowledged: u64,
}

impl Trimming {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            random,
            start: (0, 0),
            end: (0, 0),
            acknowledged: 0,
        }
    }

    /// Writes and deletes until the connection is lost.
    pub(crate) fn run(&mut self, address: &str, pace: &Pace) -> Result<Infallible> {
        let mut client = Connection::connect(address)?;
        loop {
            if self.random.once_in(3) && self.end.0 > self.start.0 {
                let span = u64::try_from(self.end.0 - self.start.0)?;
                self.start.1 = self.start.0 + 1 + i64::try_from(self.random.below(span))?;
                self.start.0 = delete(&mut client, self.start.1)?;
            } else {
                let count = 1 + i64::try_from(self.random.below(5))?;
                self.end.1 = self.end.0 + count;
                produce(&mut client, self.end.0..self.end.1)?;
                self.end.0 = self.end.1;
            }
            self.acknowledged += 1;
            pace.acknowledged();
        }
    }

    /// The bounds are those that were acknowledged, or those asked for; what is between them can be
    /// read.
    pub(crate) fn check(&mut self, client: &mut Connection) -> Result<()> {
        let (start, end) = (offset(client, EARLIEST)?, offset(client, LATEST)?);
        ensure!(
            [self.start.0, self.start.1].contains(&start),
            "log start {start}; {:?} acknowledged and asked for",
            self.start
        );
        ensure!(
            [self.end.0, self.end.1].contains(&end),
            "log end {end}; {:?} acknowledged and asked for",
            self.end
        );
        let mut next = start;
        read(
            client,
            TOPIC,
            0,
            usize::try_from(start)?,
            |offset, value| {
                ensure!(
                    offset == next && value == next.to_string().as_bytes(),
                    "{value:?} at {offset} where {next} was due"
                );
                next += 1;
                Ok(true)
            },
        )?;
        ensure!(next == end, "records end at {next}, the log at {end}");
        (self.start, self.end) = ((start, start), (end, end));
        Ok(())
    }
}

fn produce(client: &mut Connection, offsets: std::ops::Range<i64>) -> Result<()> {
    let base = offsets.start;
    let values = offsets.map(|offset| offset.to_string()).collect();
    let written = client.produce(TOPIC, 0, batch(NOBODY, values)?)?;
    ensure!(written == (0, base), "records from {base} on: {written:?}");
    Ok(())
}

/// Deletes below an offset and gives the log start that is answered.
fn delete(client: &mut Connection, offset: i64) -> Result<i64> {
    let partition = DeleteRecordsPartition::default().with_offset(offset);
    let topic = DeleteRecordsTopic::default()
        .with_name(text(TOPIC).into())
        .with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default()
        .with_timeout_ms(30_000)
        .with_topics(vec![topic]);
    let mut response = client.call(2, &request)?;
    let topic = response.topics.pop().context("no topic in the answer")?;
    let partition = topic.partitions.first();
    let partition = partition.context("no partition in the answer")?;
    ensure!(
        partition.error_code == 0 && partition.low_watermark == offset,
        "records below {offset} deleted: {partition:?}"
    );
    Ok(offset)
}

fn offset(client: &mut Connection, timestamp: i64) -> Result<i64> {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default()
        .with_name(text(TOPIC).into())
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_topics(vec![topic]);
    let mut response = client.call(6, &request)?;
    let topic = response.topics.pop().context("no topic in the answer")?;
    let partition = topic.partitions.first();
    let partition = partition.context("no partition in the answer")?;
    ensure!(partition.error_code == 0, "{partition:?}");
    Ok(partition.offset)
}
