//! The stories hold for Apache Kafka itself, so what they ask of the gateway is what Kafka does.

use kop_e2e::apache_kafka::ApacheKafka;
use kop_e2e::matrix::{self, tools};
use kop_e2e::scratch::tell;
use kop_e2e::story::{self, KafkaServer as _};

#[test]
fn groups_read_each_record_once() {
    tell("apache-kafka", |scratch| {
        let mut kafka = ApacheKafka::start(scratch, "")?;
        story::groups_read_each_record_once(scratch, &mut kafka, "story")
    });
}

#[test]
fn each_client_does_what_it_can() {
    tell("apache-kafka-clients", |scratch| {
        let kafka = ApacheKafka::start(scratch, "group.initial.rebalance.delay.ms=0")?;
        matrix::each_client_does_what_it_can(scratch, kafka.bootstrap(), &[]).map(drop)
    });
}

#[test]
fn each_admin_tool_does_what_it_can() {
    tell("apache-kafka-tools", |scratch| {
        let kafka = ApacheKafka::start(scratch, "group.initial.rebalance.delay.ms=0")?;
        tools::each_tool_does_what_it_can(scratch, kafka.bootstrap(), &[]).map(drop)
    });
}
