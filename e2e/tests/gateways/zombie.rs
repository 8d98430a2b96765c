//! A gateway that stands still, and goes on after another has taken over.

use anyhow::{Context, Result, bail, ensure};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetFetchRequest, ProduceRequest};
use kop_e2e::install::PULSAR_NEWEST;
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::{Scratch, tell};
use kop_e2e::wait::until;
use kop_e2e::wire::{Connection, NOBODY, batch, text};
use std::time::Instant;

use super::{PATIENCE, TOPIC, agree, group_of};
use kop_e2e::gateways::Gateways;

const ROUNDS: usize = 3;

#[test]
fn a_gateway_that_was_frozen_answers_nothing_that_is_no_longer_its_own() {
    tell("zombie", |scratch| {
        let pulsar = Pulsar::start(scratch, PULSAR_NEWEST, &[])?;
        let mut gateways = Gateways::start(scratch, &pulsar, 2, "kafka", &[])?;
        frozen(scratch, &mut gateways)?;
        gateways.stop()
    });
}

fn frozen(_: &Scratch, gateways: &mut Gateways) -> Result<()> {
    Connection::connect(gateways.address(2)?)?.create(TOPIC, 6)?;
    let (view, _) = agree(gateways, &[1, 2])?;
    let led = view.leaders.iter().position(|leader| leader.node == 1);
    let partition = i32::try_from(led.context("gateway 1 leads a partition")?)?;
    let group = group_of(gateways.address(2)?, 1)?;
    let mut written: Vec<String> = Vec::new();
    let mut committed = 0;
    for round in 0..ROUNDS {
        // The frozen one leads again, and coordinates.
        agree(gateways, &[1, 2])?;
        let first = gateways.address(1)?.to_owned();
        let mut client = Connection::connect(&first)?;
        write(&mut client, partition, &mut written)?;
        committed += 1;
        until("a commit", PATIENCE, || {
            Ok((client.commit(&group, TOPIC, committed, "")? == 0).then_some(()))
        })?;

        gateways.of(1)?.freeze()?;
        let began = Instant::now();
        let mut waiting = Waiting::new(&first)?;
        let late = committed + 100;
        waiting.ask(&group, (partition, &format!("zombie-{round}")), late)?;
        let second = gateways.address(2)?.to_owned();
        agree(gateways, &[2])?;
        let mut other = Connection::connect(&second)?;
        write(&mut other, partition, &mut written)?;
        eprintln!("frozen: written elsewhere after {:?}", began.elapsed());
        committed += 1;
        until("a commit elsewhere", PATIENCE, || {
            Ok((other.commit(&group, TOPIC, committed, "")? == 0).then_some(()))
        })?;

        gateways.of(1)?.thaw()?;
        let answers = waiting.answers()?;
        eprintln!("thawed: {answers:?}");
        // It may be the leader again by the time that it answers; then what it says has to stand.
        if answers.produced == 0 {
            written.push(format!("zombie-{round}"));
        }
        let before = committed;
        if answers.commit == 0 {
            committed = late;
        }
        if let Ok(offset) = answers.committed {
            ensure!(
                offset == before || offset == committed,
                "{offset} is committed no longer, but {before}"
            );
        }
        let (_, took) = agree(gateways, &[1, 2])?;
        eprintln!("in again after {took:?}");
        for address in [&first, &second] {
            read(address, partition, &written)?;
        }
        let found = until("the committed offset", PATIENCE, || {
            let found = Connection::connect(&first)?.committed(&group, TOPIC)?;
            Ok(found.ok())
        })?;
        ensure!(found == committed, "{found} instead of {committed}");
    }
    Ok(())
}

/// Appends a record by whoever leads the partition now.
fn write(client: &mut Connection, partition: i32, written: &mut Vec<String>) -> Result<()> {
    let value = format!("value-{}", written.len());
    let offset = until("a record's acknowledgement", PATIENCE, || {
        let (code, offset) =
            client.produce(TOPIC, partition, batch(NOBODY, vec![value.clone()])?)?;
        match code {
            0 => Ok(Some(offset)),
            // NOT_LEADER_OR_FOLLOWER: as clients do, again.
            6 => Ok(None),
            code => bail!("{value}: {code}"),
        }
    })?;
    ensure!(
        usize::try_from(offset)? >= written.len(),
        "{value} at {offset}, before the {} acknowledged",
        written.len()
    );
    written.push(value);
    Ok(())
}

/// The partition holds exactly what was acknowledged, in its order. A gateway that does not lead it says
/// so.
fn read(address: &str, partition: i32, written: &[String]) -> Result<()> {
    let mut client = Connection::connect(address)?;
    let mut values = Vec::new();
    let mut next = 0;
    loop {
        let fetched = client.fetch(TOPIC, partition, next)?;
        match fetched.error_code {
            0 => {}
            6 => return Ok(()),
            code => bail!("fetch: {code}"),
        }
        for (offset, value) in &fetched.records {
            values.push(String::from_utf8(value.to_vec())?);
            next = offset + 1;
        }
        if fetched.records.is_empty() || next >= fetched.high {
            break;
        }
    }
    ensure!(values == written, "{values:?} instead of {written:?}");
    Ok(())
}

/// Connections with a question each that lies there while the gateway stands still.
struct Waiting {
    produce: Connection,
    commit: Connection,
    fetch: Connection,
    numbers: [i32; 3],
}

#[derive(Debug)]
struct Answers {
    produced: i16,
    commit: i16,
    committed: Result<i64, i16>,
}

impl Waiting {
    fn new(address: &str) -> Result<Self> {
        let connect = || Connection::connect(address);
        Ok(Self {
            produce: connect()?,
            commit: connect()?,
            fetch: connect()?,
            numbers: [0; 3],
        })
    }

    fn ask(&mut self, group: &str, (partition, value): (i32, &str), late: i64) -> Result<()> {
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(batch(NOBODY, vec![value.to_owned()])?));
        let topic = TopicProduceData::default()
            .with_name(text(TOPIC).into())
            .with_partition_data(vec![data]);
        let produce = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(20_000)
            .with_topic_data(vec![topic]);
        let offset = OffsetCommitRequestPartition::default().with_committed_offset(late);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(text(TOPIC).into())
            .with_partitions(vec![offset]);
        let commit = OffsetCommitRequest::default()
            .with_group_id(text(group).into())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        let topic = OffsetFetchRequestTopic::default()
            .with_name(text(TOPIC).into())
            .with_partition_indexes(vec![0]);
        let fetch = OffsetFetchRequest::default()
            .with_group_id(text(group).into())
            .with_topics(Some(vec![topic]));
        self.numbers = [
            self.produce.send(9, &produce)?,
            self.commit.send(8, &commit)?,
            self.fetch.send(7, &fetch)?,
        ];
        Ok(())
    }

    fn answers(mut self) -> Result<Answers> {
        let [produce, commit, fetch] = self.numbers;
        let fetched = self.fetch.receive::<OffsetFetchRequest>(7, fetch)?;
        let offset = || Some(fetched.topics.first()?.partitions.first()?.committed_offset);
        let committed = match fetched.error_code {
            0 => Ok(offset().context("the offset")?),
            code => Err(code),
        };
        let commit = self.commit.receive::<OffsetCommitRequest>(8, commit)?;
        let code = || Some(commit.topics.first()?.partitions.first()?.error_code);
        let commit = code().context("the commit")?;
        let produced = self.produce.receive::<ProduceRequest>(9, produce)?;
        let code = || {
            Some(
                produced
                    .responses
                    .first()?
                    .partition_responses
                    .first()?
                    .error_code,
            )
        };
        Ok(Answers {
            produced: code().context("the record")?,
            commit,
            committed,
        })
    }
}
