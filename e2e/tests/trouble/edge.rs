//! Many connections, idle ones and hostile ones: memory and log stay small, and others are served.

use crate::{TOPIC, acknowledged, client, errors, value};
use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{ApiVersionsRequest, FetchRequest};
use kop_e2e::gateway::Gateway;
use kop_e2e::scratch::tell;
use kop_e2e::story::KafkaServer;
use kop_e2e::wire::{Connection, NOBODY, batch, is_lost, text};
use std::time::{Duration, Instant};

/// Resident memory of a process in MiB, as far as it is its own.
fn resident(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.context("VmRSS")?.parse::<u64>()? / 1024)
}

#[test]
fn idle_connections_cost_little() {
    tell("trouble-idle", |scratch| {
        let mut gateway = Gateway::embedded(scratch, "gateway")?;
        client(&gateway)?.call(0, &ApiVersionsRequest::default())?;
        let empty = resident(gateway.id())?;
        ensure!(empty <= 40, "{empty} MiB with nothing to do");
        let mut idle = Vec::new();
        for _ in 0..1_000 {
            let mut client = Connection::connect(gateway.bootstrap())?;
            client.call(0, &ApiVersionsRequest::default())?;
            idle.push(client);
        }
        let more = resident(gateway.id())?.saturating_sub(empty);
        ensure!(more <= 20, "{more} MiB for 1,000 idle connections");
        gateway.stop()
    });
}

#[test]
fn a_crowd_that_makes_no_sense_is_told_of_in_few_lines() {
    tell("trouble-crowd", |scratch| {
        let mut gateway = Gateway::embedded(scratch, "gateway")?;
        let before = errors(scratch, "gateway")?.lines().count();
        let strange: [&[u8]; 4] = [
            b"GET / HTTP/1.1\r\nHost: kafka\r\n\r\n",
            &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
            &[0xff; 16],
            &[0, 0, 0, 8, 0, 0, 0, 4, 8, 2, 18, 0],
        ];
        let began = Instant::now();
        for round in 0..250 {
            for bytes in strange {
                let mut client = Connection::connect(gateway.bootstrap())?;
                client.send_bytes(bytes)?;
                let answer = client.receive::<ApiVersionsRequest>(0, round);
                let error = answer.err().context("answered")?;
                ensure!(is_lost(&error), "not closed: {error:#}");
            }
        }
        // One a second, and a few that began before.
        let most = began.elapsed().as_secs() as usize + 4;
        let said = errors(scratch, "gateway")?;
        let lines = said.lines().count() - before;
        ensure!((1..=most).contains(&lines), "{lines} lines:\n{said}");
        ensure!(said.contains("HTTP"), "{said}");
        gateway.stop()
    });
}

#[test]
fn hostile_connections_take_no_more_memory_than_there_is() {
    tell("trouble-hostile", |scratch| {
        let limits = [
            "--max-memory-bytes",
            "67108864",
            "--max-request-bytes",
            "60000000",
        ];
        let more = ["--connection-stall-ms", "3000", "--durability", "os"];
        let more: Vec<&str> = limits.into_iter().chain(more).collect();
        let mut gateway = Gateway::embedded_with(scratch, "gateway", &more)?;
        let mut good = client(&gateway)?;
        good.create(TOPIC, 1)?;
        for number in 0..40 {
            let records = batch(NOBODY, vec![value(number, 900_000)])?;
            ensure!(good.produce(TOPIC, 0, records)?.0 == 0);
        }
        let before = resident(gateway.id())?;
        // Those that announce much and send a little of it,
        let mut announcing = Vec::new();
        for _ in 0..300 {
            let mut client = Connection::connect(gateway.bootstrap())?;
            client.send_bytes(&60_000_000_i32.to_be_bytes())?;
            client.send_bytes(&[0; 60_000])?;
            announcing.push(client);
        }
        // and those that ask for much and take nothing.
        let mut greedy = Vec::new();
        for _ in 0..50 {
            let mut client = Connection::connect(gateway.bootstrap())?;
            for _ in 0..100 {
                client.send(12, &everything())?;
            }
            greedy.push(client);
        }
        let began = Instant::now();
        let mut most = 0;
        let mut served = 0;
        while began.elapsed() < Duration::from_secs(6) {
            acknowledged(&mut good, 0, "meanwhile")?;
            served += 1;
            most = resident(gateway.id())?.max(most);
        }
        ensure!(served > 50, "{served} requests of somebody else in 6 s");
        // Requests and answers, 64 MiB each; as much again for the store's caches; and some more.
        ensure!(
            most < before + 64 + 64 + 64 + 50,
            "{most} MiB; it was {before} MiB before"
        );
        gateway.stop()
    });
}

fn everything() -> FetchRequest {
    let partition = FetchPartition::default().with_partition_max_bytes(i32::MAX);
    let topic = FetchTopic::default()
        .with_topic(text(TOPIC).into())
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_bytes(i32::MAX)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}
