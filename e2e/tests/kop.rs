//! From the real `KoP` to the gateway in place, and back: see docs/moving-from-kop.md.

use anyhow::ensure;
use kop_e2e::clients::{Java, kafka_class, kafka_java};
use kop_e2e::gateway::Gateway;
use kop_e2e::kop::{self, Kop};
use kop_e2e::process::Process;
use kop_e2e::pulsar::{Home, Pulsar};
use kop_e2e::scratch::tell;
use kop_e2e::story::{self, KafkaServer};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn records_of_kop_are_read_at_their_offsets() {
    tell("kop", |scratch| {
        let home = Home::new(scratch, "pulsar")?;
        let kop = Kop::start(scratch, &home, "pulsar", &[])?;
        let b = kop.bootstrap().to_owned();
        story::run(kafka_java(
            scratch,
            Java::ForKop,
            "create",
            &["create", &b, "one", "1"],
        )?)?;
        let file = scratch.data("one.records");
        std::fs::write(
            &file,
            "codec none\n0 1700000000000 x61 x62 x63=x64\n0 1700000000001 - -\nflush\ncodec lz4\n0 1700000000002 x x\n",
        )?;
        story::run(kafka_class(
            scratch,
            Java::ForKop,
            "ExactRecords",
            "write",
            &["write", &b, "one", &file.display().to_string()],
        )?)?;
        let mut before = kafka_class(
            scratch,
            Java::ForKop,
            "ExactRecords",
            "read-kop",
            &["read", &b, "one"],
        )?;
        before.succeed(PATIENCE)?;
        kop.stop()?;
        let pulsar = Pulsar::start_at(scratch, &home, kop::PULSAR, &[])?;
        let mut gateway = Gateway::on_pulsar(scratch, "gateway", &pulsar, "pulsar")?;
        let mut after = kafka_class(
            scratch,
            Java::ForKop,
            "ExactRecords",
            "read-gateway",
            &["read", gateway.bootstrap(), "one"],
        )?;
        after.succeed(PATIENCE)?;
        let lines = |p: &Process| p.lines(0, <[String]>::to_vec);
        ensure!(
            lines(&before) == lines(&after),
            "{:?} {:?}",
            lines(&before),
            lines(&after)
        );
        gateway.stop()?;
        pulsar.stop()
    });
}
