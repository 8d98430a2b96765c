//! Kafka producers with several requests in flight. One that is idempotent sends again, in order, what
//! it was not told of; the others never do, so that whatever stands twice was doubled by a gateway.

use super::leaders::Leaders;
use crate::chaos::course::Phase;
use crate::chaos::record::{Identity, value};
use crate::chaos::{Course, TOPIC};
use crate::random::Random;
use crate::wire::{Connection, NOBODY, Stamp, batch, is_lost, text};
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const PRODUCE: i16 = 9;
/// The broker remembers the last five batches of a producer in a partition.
const IN_FLIGHT: usize = 5;
const MOST_RECORDS: u64 = 12;
/// Between two batches of a producer to a partition.
const PACE: Duration = Duration::from_millis(200);

/// Id and epoch of an idempotent producer.
#[derive(Debug, Clone, Copy)]
pub struct Identified {
    id: i64,
    epoch: i16,
}

impl Identified {
    /// Asks a gateway for an id.
    ///
    /// # Errors
    /// It has none.
    pub fn by(address: &str) -> Result<Self> {
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        let given = Connection::connect(address)?.call(4, &request)?;
        ensure!(given.error_code == 0, "no producer id: {given:?}");
        Ok(Self {
            id: given.producer_id.0,
            epoch: given.producer_epoch,
        })
    }
}

/// A batch that was not acknowledged yet.
struct Batch {
    first: Identity,
    count: u32,
    bytes: Bytes,
    made: Instant,
}

struct Producer<'a> {
    course: &'a Course,
    actor: String,
    partition: usize,
    identified: Option<Identified>,
    random: Random,
    next: Identity,
    waiting: VecDeque<Batch>,
    due: Instant,
}

/// Writes numbered records to a partition until no more are wanted and all are acknowledged.
///
/// # Errors
/// An answer that no producer should get, or none at all.
pub fn produce(
    course: &Course,
    producer: u8,
    identified: Option<Identified>,
    partition: usize,
    mut random: Random,
) -> Result<()> {
    let actor = format!("producer {producer} of partition {partition}");
    course.progress(&actor);
    let mut leaders = Leaders::new(course, random.split());
    let mut producer = Producer {
        course,
        actor,
        partition,
        identified,
        random,
        next: Identity {
            producer,
            number: 0,
        },
        waiting: VecDeque::new(),
        due: Instant::now(),
    };
    while !course.is_over() {
        let Some(mut connection) = leaders.connect(partition)? else {
            continue;
        };
        match producer.write(&mut connection) {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) if is_lost(&error) => course.count("connections of producers lost"),
            Err(error) => return Err(error),
        }
        if producer.identified.is_none() {
            producer.waiting.clear();
        }
        course.wait(Duration::from_millis(50));
    }
    course.done(&producer.actor);
    Ok(())
}

impl Producer<'_> {
    /// Writes until there is no more to write (`true`) or the leader is to be asked for anew.
    fn write(&mut self, connection: &mut Connection) -> Result<bool> {
        // Numbers of the requests in flight, which are the first ones that wait.
        let mut in_flight = VecDeque::new();
        loop {
            while in_flight.len() < IN_FLIGHT {
                if in_flight.len() == self.waiting.len() && !self.more(in_flight.is_empty())? {
                    break;
                }
                let Some(batch) = self.waiting.get(in_flight.len()) else {
                    break;
                };
                let request = self.request(batch.bytes.clone());
                in_flight.push_back(connection.send(PRODUCE, &request)?);
            }
            let Some(number) = in_flight.pop_front() else {
                return Ok(true);
            };
            let (code, offset) = receive(connection, number)?;
            if code == 0 {
                self.acknowledged(0, offset)?;
                continue;
            }
            self.refused(code)?;
            if self.identified.is_none() {
                self.waiting.pop_front();
            }
            return self.the_rest(connection, in_flight);
        }
    }

    /// The first batch in flight was refused, and waits still if its producer is idempotent. One behind
    /// it may be taken all the same: then the refused one was stored, and nobody could say where.
    fn the_rest(&mut self, connection: &mut Connection, in_flight: VecDeque<i32>) -> Result<bool> {
        let mut place = usize::from(self.identified.is_some());
        for number in in_flight {
            let (code, offset) = receive(connection, number)?;
            if code == 0 {
                self.acknowledged(place, offset)?;
                continue;
            }
            if self.identified.is_none() {
                self.refused(code)?;
                self.waiting.pop_front();
                continue;
            }
            if code != ResponseError::OutOfOrderSequenceNumber.code() {
                self.refused(code)?;
            }
            place += 1;
        }
        Ok(false)
    }

    /// Makes another batch when its time has come, which is waited for only if that is all there is to
    /// do; says whether there is one.
    fn more(&mut self, idle: bool) -> Result<bool> {
        loop {
            if self.course.phase() != Phase::Running {
                return Ok(false);
            }
            let now = Instant::now();
            if now >= self.due {
                break;
            }
            if !idle {
                return Ok(false);
            }
            self.course.wait(self.due - now);
        }
        // Sometimes several at once.
        self.due = Instant::now() + PACE * self.random.below(3) as u32;
        let count = 1 + self.random.below(MOST_RECORDS) as u32;
        let first = self.next;
        self.next = first.plus(count);
        let values = (0..count).map(|n| value(first.plus(n), self.partition));
        let stamp = match self.identified {
            Some(Identified { id, epoch }) => Stamp {
                producer: id,
                epoch,
                sequence: first.number.try_into()?,
            },
            None => NOBODY,
        };
        let bytes = batch(stamp, values.collect())?;
        self.course.checker().sends(self.partition, self.next);
        self.waiting.push_back(Batch {
            first,
            count,
            bytes,
            made: Instant::now(),
        });
        Ok(true)
    }

    fn request(&self, bytes: Bytes) -> ProduceRequest {
        let data = PartitionProduceData::default()
            .with_index(self.partition as i32)
            .with_records(Some(bytes));
        let topic = TopicProduceData::default()
            .with_name(text(TOPIC).into())
            .with_partition_data(vec![data]);
        ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(20_000)
            .with_topic_data(vec![topic])
    }

    /// The batch at this place among those that wait is acknowledged.
    fn acknowledged(&mut self, place: usize, offset: i64) -> Result<()> {
        let batch = self.waiting.remove(place).context("a batch in flight")?;
        ensure!(offset >= 0, "{}: {} at {offset}", self.actor, batch.first);
        let Batch { first, count, .. } = batch;
        let partition = self.partition;
        self.course
            .tell(|checker| checker.acknowledged(partition, offset, first, count))?;
        self.course.progress(&self.actor);
        self.course.took("acknowledgement", batch.made.elapsed());
        Ok(())
    }

    fn refused(&self, code: i16) -> Result<()> {
        let Some(error) = ResponseError::try_from_code(code) else {
            bail!("{}: error {code}", self.actor);
        };
        ensure!(error.is_retriable(), "{} is told {error:?}", self.actor);
        self.course.count(&format!("producers told {error:?}"));
        Ok(())
    }
}

/// Error code and offset.
fn receive(connection: &mut Connection, number: i32) -> Result<(i16, i64)> {
    let mut response = connection.receive::<ProduceRequest>(PRODUCE, number)?;
    let topic = response.responses.pop().context("no topic in the answer")?;
    let partition = topic.partition_responses.first();
    let partition = partition.context("no partition in the answer")?;
    Ok((partition.error_code, partition.base_offset))
}
