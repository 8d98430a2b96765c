//! A page cache survives `SIGKILL`, so no kill can show that an answer waits for the disk. The order
//! of the system calls does.

use crate::client::{Client, NOBODY, batch, text};
use crate::trace::{Trace, traced};
use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    CreateTopicsRequest, OffsetCommitRequest, OffsetFetchRequest, ProduceRequest,
};
use kop_e2e::install;
use kop_e2e::process::Process;
use kop_e2e::scratch::{Scratch, tell};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: usize = 5;

#[test]
fn an_answer_waits_for_the_disk() {
    tell("durability-sync", |scratch| {
        let traced = Traced::run(scratch, "sync")?;
        for (marker, answer) in &traced.answers {
            ensure!(
                traced.is_synced(marker, *answer)?,
                "{marker} was acknowledged before it was on the disk"
            );
        }
        Ok(())
    });
}

/// This is also how the other test could fail.
#[test]
fn an_answer_does_not_wait_for_the_disk_where_that_is_not_asked_for() {
    tell("durability-os", |scratch| {
        let traced = Traced::run(scratch, "os")?;
        for (marker, answer) in &traced.answers {
            ensure!(
                !traced.is_synced(marker, *answer)?,
                "{marker} waited for the disk, or the trace is misread"
            );
        }
        Ok(())
    });
}

#[test]
fn a_new_store_has_its_names_on_the_disk_before_it_answers() {
    tell("durability-names", |scratch| {
        let traced = Traced::run(scratch, "sync")?;
        let answers = traced.trace.answers(traced.port);
        let first = answers.first().context("no answer")?;
        let unsynced = traced.trace.unsynced_names(&traced.folder, first);
        // Nobody misses a lock.
        let missed = unsynced.iter().filter(|name| !name.ends_with("lock"));
        let missed: Vec<_> = missed.collect();
        ensure!(missed.is_empty(), "gone after a power cut: {missed:?}");
        Ok(())
    });
}

/// A gateway that ran under a trace.
struct Traced {
    trace: Trace,
    /// The client's.
    port: u16,
    folder: PathBuf,
    /// What was acknowledged, by a text that stands in what was written, and by the number of its
    /// answer.
    answers: Vec<(String, usize)>,
}

impl Traced {
    fn run(scratch: &Scratch, durability: &str) -> Result<Self> {
        let log = scratch.path().join("trace");
        let folder = scratch.data("gateway");
        let mut command = traced(&log, &install::binary("kop-gateway")?)?;
        command
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(["--durability", durability, "--data-dir"])
            .arg(&folder);
        let mut process = Process::start("gateway", command, scratch.path())?;
        let address = process.wait_for_line("ready line", PATIENCE, |line| {
            let (address, _) = line.strip_prefix("ready kafka=")?.split_once(' ')?;
            Some(address.to_owned())
        })?;
        let mut client = Client::connect(&address)?;
        let port = client.port()?;
        let answers = acknowledged(&mut client)?;
        // The tracer does not forward signals.
        let gateway = Trace::process(&log)?;
        let told = Command::new("kill")
            .args(["-s", "TERM", &gateway])
            .status()?;
        ensure!(told.success(), "kill: {told}");
        process.succeed(PATIENCE)?;
        let trace = Trace::read(&log)?;
        Ok(Self {
            trace,
            port,
            folder,
            answers,
        })
    }

    fn is_synced(&self, marker: &str, answer: usize) -> Result<bool> {
        let answers = self.trace.answers(self.port);
        let answer = answers
            .get(answer)
            .with_context(|| format!("{} answers, none {answer}", answers.len()))?;
        self.trace.is_synced(marker, answer)
    }
}

/// Has one thing acknowledged after the other.
fn acknowledged(client: &mut Client) -> Result<Vec<(String, usize)>> {
    let mut answers = Vec::new();
    for round in 0..ROUNDS {
        let topic = format!("topic-{round}");
        create(client, &topic)?;
        answers.push((topic.clone(), client.requests() - 1));
        let record = format!("record-{round}.");
        produce(client, &topic, &record)?;
        answers.push((record, client.requests() - 1));
        let commit = format!("commit-{round}.");
        committed(client, &topic, &commit)?;
        answers.push((commit, client.requests() - 1));
    }
    Ok(answers)
}

fn create(client: &mut Client, name: &str) -> Result<()> {
    let topic = CreatableTopic::default()
        .with_name(text(name).into())
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    let created = client.call(7, &request)?;
    ensure!(created.topics[0].error_code == 0, "{created:?}");
    Ok(())
}

fn produce(client: &mut Client, topic: &str, value: &str) -> Result<()> {
    let records = batch(NOBODY, vec![value.to_owned()])?;
    let partition = PartitionProduceData::default().with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(text(topic).into())
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic]);
    let produced = client.call(9, &request)?;
    let partition = &produced.responses[0].partition_responses[0];
    ensure!(partition.error_code == 0, "{produced:?}");
    Ok(())
}

/// Commits once the coordinator has started.
fn committed(client: &mut Client, topic: &str, metadata: &str) -> Result<()> {
    let fetch = OffsetFetchRequest::default()
        .with_group_id(text("group").into())
        .with_topics(None);
    let deadline = Instant::now() + PATIENCE;
    while client.call(7, &fetch)?.error_code != 0 {
        ensure!(Instant::now() < deadline, "the coordinator does not start");
    }
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(1)
        .with_committed_metadata(Some(text(metadata)));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(text(topic).into())
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(text("group").into())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let answer = client.call(8, &request)?;
    ensure!(answer.topics[0].partitions[0].error_code == 0, "{answer:?}");
    Ok(())
}
