//! Producers that keep several requests in flight, and know which records they were promised.

use crate::pace::Pace;
use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse};
use kop_e2e::random::Random;
use kop_e2e::wire::{Connection, NOBODY, Stamp, batch, text};
use std::collections::VecDeque;
use std::convert::Infallible;

/// The topic that all producers write to.
pub(crate) const TOPIC: &str = "log";
pub(crate) const PARTITIONS: usize = 4;
const PRODUCE: i16 = 9;
/// Requests on their way. The broker remembers the last five batches of a producer in a partition.
const IN_FLIGHT: usize = 5;
const MOST_RECORDS: u64 = 20;

/// Records of one partition in one request: `count` from number `first` on.
#[derive(Debug, Clone, Copy)]
struct Part {
    partition: usize,
    first: u32,
    count: u32,
}

/// What was promised: these records, at these offsets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledged {
    pub(crate) partition: usize,
    pub(crate) offset: i64,
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// One producer. It numbers its records in each partition, from 0 on.
pub(crate) struct Producer {
    pub(crate) name: u8,
    /// Its id and epoch, if it is idempotent.
    identity: Option<(i64, i16)>,
    random: Random,
    /// Number of the next record it will send.
    next: [u32; PARTITIONS],
    /// Sent when the gateway died, and not acknowledged.
    in_doubt: Vec<Vec<Part>>,
    /// Acknowledged since this was last looked at.
    pub(crate) promised: Vec<Acknowledged>,
    /// Number of the next record that the log may hold.
    expected: [u32; PARTITIONS],
    pub(crate) told: Told,
}

/// What happened to a producer, to see that the test tested something.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) acknowledged: u64,
    pub(crate) sent_again: u64,
    /// Of those sent again, what was in the log all the same.
    pub(crate) recognised: u64,
}

impl Producer {
    /// A producer of this name; it gets an id if it is to be idempotent.
    pub(crate) fn new(
        name: u8,
        is_idempotent: bool,
        random: Random,
        client: &mut Connection,
    ) -> Result<Self> {
        let identity = if is_idempotent {
            let request = InitProducerIdRequest::default().with_transactional_id(None);
            let given = client.call(4, &request)?;
            ensure!(given.error_code == 0, "no producer id: {given:?}");
            Some((given.producer_id.0, given.producer_epoch))
        } else {
            None
        };
        Ok(Self {
            name,
            identity,
            random,
            next: [0; PARTITIONS],
            in_doubt: Vec::new(),
            promised: Vec::new(),
            expected: [0; PARTITIONS],
            told: Told::default(),
        })
    }

    /// Produces until the connection is lost. An idempotent producer first sends again what was in
    /// doubt, as clients do.
    pub(crate) fn run(&mut self, address: &str, pace: &Pace) -> Result<Infallible> {
        let mut in_flight = VecDeque::new();
        let ended = self.produce(address, pace, &mut in_flight);
        // What had not been sent again when the connection broke comes behind what had.
        let unsent = std::mem::take(&mut self.in_doubt);
        self.in_doubt = in_flight.into_iter().map(|(_, parts)| parts).collect();
        if self.identity.is_some() {
            self.in_doubt.extend(unsent);
        }
        ended
    }

    fn produce(
        &mut self,
        address: &str,
        pace: &Pace,
        in_flight: &mut VecDeque<(i32, Vec<Part>)>,
    ) -> Result<Infallible> {
        if self.identity.is_none() {
            self.in_doubt.clear();
        }
        let mut client = Connection::connect(address)?;
        loop {
            while in_flight.len() < IN_FLIGHT {
                let parts = if self.in_doubt.is_empty() {
                    self.more()
                } else {
                    self.told.sent_again += 1;
                    self.in_doubt.remove(0)
                };
                let request = self.request(&parts)?;
                // In doubt from here on, whether or not all of it goes out.
                in_flight.push_back((0, parts));
                let number = client.send(PRODUCE, &request)?;
                if let Some(last) = in_flight.back_mut() {
                    last.0 = number;
                }
            }
            let Some((number, _)) = in_flight.front() else {
                continue;
            };
            let response = client.receive::<ProduceRequest>(PRODUCE, *number)?;
            let (_, parts) = in_flight.pop_front().context("just seen")?;
            self.acknowledge(&parts, &response)?;
            pace.acknowledged();
        }
    }

    /// New records for one partition or more.
    fn more(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        let one = self.random.below(PARTITIONS as u64) as usize;
        for partition in 0..PARTITIONS {
            if partition == one || self.random.once_in(4) {
                let count = 1 + self.random.below(MOST_RECORDS) as u32;
                let first = self.next[partition];
                self.next[partition] += count;
                parts.push(Part {
                    partition,
                    first,
                    count,
                });
            }
        }
        parts
    }

    /// The same parts make the same request, byte for byte.
    fn request(&self, parts: &[Part]) -> Result<ProduceRequest> {
        let mut partitions = Vec::with_capacity(parts.len());
        for part in parts {
            let numbers = part.first..part.first + part.count;
            let values = numbers.map(|number| value(self.name, part.partition, number));
            let stamp = match self.identity {
                Some((producer, epoch)) => Stamp {
                    producer,
                    epoch,
                    sequence: part.first.try_into()?,
                },
                None => NOBODY,
            };
            let data = PartitionProduceData::default()
                .with_index(part.partition.try_into()?)
                .with_records(Some(batch(stamp, values.collect())?));
            partitions.push(data);
        }
        let topic = TopicProduceData::default()
            .with_name(text(TOPIC).into())
            .with_partition_data(partitions);
        Ok(ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![topic]))
    }

    fn acknowledge(&mut self, parts: &[Part], response: &ProduceResponse) -> Result<()> {
        let answers = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses);
        let answers: Vec<_> = answers.collect();
        ensure!(
            answers.len() == parts.len(),
            "{} answers for {} partitions",
            answers.len(),
            parts.len()
        );
        for (part, answer) in parts.iter().zip(answers) {
            let partition = usize::try_from(answer.index)?;
            ensure!(
                partition == part.partition && answer.error_code == 0,
                "producer {}, {part:?}: {answer:?}",
                self.name
            );
            self.promised.push(Acknowledged {
                partition,
                offset: answer.base_offset,
                first: part.first,
                count: part.count,
            });
            self.told.acknowledged += u64::from(part.count);
        }
        Ok(())
    }

    /// A record of this producer was found in the log, behind those found before.
    pub(crate) fn found(&mut self, partition: usize, number: u32) -> Result<()> {
        let expected = self.expected[partition];
        let sent = self.next[partition];
        ensure!(
            number < sent,
            "record {number} of producer {} in partition {partition}, who sent {sent}",
            self.name
        );
        // Whoever is not idempotent sends nothing twice: what it was not promised may be missing.
        let is_next = match self.identity {
            Some(_) => number == expected,
            None => number >= expected,
        };
        ensure!(
            is_next,
            "record {number} of producer {} in partition {partition} where {expected} was due: \
             lost, doubled or out of order",
            self.name
        );
        self.expected[partition] = number + 1;
        Ok(())
    }

    /// Counts what is in doubt and in the log, once all of the log has been looked at.
    pub(crate) fn count_doubts(&mut self) {
        if self.identity.is_some() {
            let is_there = |part: &Part| part.first < self.expected[part.partition];
            let known = self.in_doubt.iter().flatten().filter(|part| is_there(part));
            self.told.recognised += known.count() as u64;
        }
    }
}

/// The text of a record, by which it is known, and some more of it.
pub(crate) fn value(producer: u8, partition: usize, number: u32) -> String {
    let seed = u64::from(number) << 16 | u64::from(producer) << 8 | partition as u64;
    let mut random = Random::new(seed);
    let length = match random.below(500) {
        0 => 100_000 + random.below(100_000),
        1..50 => random.below(8_000),
        _ => random.below(600),
    };
    let letter = char::from(b'a' + random.below(26) as u8);
    let mut text = format!("{producer} {partition} {number} ");
    text.extend(std::iter::repeat_n(letter, length as usize));
    text
}
