//! The gateway on its embedded store, with real clients.

use kop_e2e::gateway::Gateway;
use kop_e2e::matrix::{self, rows, table, tools};
use kop_e2e::scratch::tell;
use kop_e2e::story::{self, KafkaServer as _};

#[test]
fn groups_read_each_record_once() {
    tell("embedded", |scratch| {
        let mut gateway = Gateway::embedded(scratch, "gateway")?;
        story::groups_read_each_record_once(scratch, &mut gateway, "story")?;
        gateway.stop()
    });
}

#[test]
fn each_client_does_what_it_can() {
    tell("embedded-clients", |scratch| {
        let mut gateway = Gateway::embedded(scratch, "gateway")?;
        let seen = matrix::each_client_does_what_it_can(scratch, gateway.bootstrap(), &[])?;
        gateway.stop()?;
        table::check("embedded", &rows::titles(), &seen)
    });
}

#[test]
fn each_admin_tool_does_what_it_can() {
    tell("embedded-tools", |scratch| {
        let mut gateway = Gateway::embedded(scratch, "gateway")?;
        let seen = tools::each_tool_does_what_it_can(scratch, gateway.bootstrap(), &[])?;
        gateway.stop()?;
        table::check("embedded-tools", &tools::titles(), &seen)
    });
}
