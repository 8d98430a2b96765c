//! Kafka's clients through the gateway beside Pulsar's own client on the same topics, and Pulsars as they
//! are found: with TLS, with topics from before.

use anyhow::Context;
use kop_e2e::gateway::Gateway;
use kop_e2e::install::{PULSAR_NEWEST, PULSAR_OLDEST};
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::tell;

mod large;
mod table;
mod tls;
mod transactions;
mod unindexed;
mod unreadable;

#[test]
fn each_reads_what_the_other_writes() {
    tell("natives", |scratch| {
        let pulsar = Pulsar::start(scratch, PULSAR_NEWEST, &[])?;
        let mut gateway =
            Gateway::on_pulsar_with(scratch, "gateway", &pulsar, "pulsar", &large::LIMIT)?;
        table::each_reads_the_other(scratch, &pulsar, &gateway).context("the tables")?;
        large::are_refused_or_read(scratch, &pulsar, &gateway).context("large ones")?;
        unreadable::cost_their_own_place_only(scratch, &pulsar, &mut gateway)
            .context("unreadable ones")?;
        gateway.stop()
    });
}

#[test]
fn topics_from_before_the_interceptor_begin_where_they_are_numbered() {
    tell(
        "natives-unindexed",
        unindexed::topics_begin_where_they_are_numbered,
    );
}

#[test]
fn the_newest_pulsar_is_reached_by_tls() {
    tell("natives-tls-newest", |scratch| {
        tls::is_spoken_to_pulsar(scratch, PULSAR_NEWEST)
    });
}

#[test]
fn the_oldest_pulsar_is_reached_by_tls() {
    tell("natives-tls-oldest", |scratch| {
        tls::is_spoken_to_pulsar(scratch, PULSAR_OLDEST)
    });
}

#[test]
fn transactions_of_the_newest_pulsar_hold_nobody_up() {
    tell("natives-transactions-newest", |scratch| {
        transactions::hold_nobody_up(scratch, PULSAR_NEWEST, true)
    });
}

#[test]
fn transactions_of_the_oldest_pulsar_hold_nobody_up() {
    tell("natives-transactions-oldest", |scratch| {
        transactions::hold_nobody_up(scratch, PULSAR_OLDEST, false)
    });
}
