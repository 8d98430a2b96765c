//! The clients of the matrix.

use super::Contender;
use super::client::Client;
use super::console::Console;
use super::driver::{Cannot, Driver};
use super::kcat::Kcat;
use crate::install::{self, KAFKA_CLIENT, KAFKA_OLD, KAFKA_TOOLS};
use crate::scratch::Scratch;
use anyhow::Result;

/// Why a client of Kafka 2.0 does not do Zstandard.
pub(super) const NO_ZSTD: &str = "Zstandard came with Kafka 2.1.";
const OLD_CANNOT: Cannot = &[("zstd", NO_ZSTD)];

/// All of them, in the order of the table.
pub const ALL: &[Contender] = &[
    Contender {
        id: "java",
        title: "Kafka's Java client",
        start: |scratch, bootstrap| java(scratch, bootstrap, KAFKA_CLIENT, &[]),
    },
    Contender {
        id: "console",
        title: "Kafka's console tools",
        start: |scratch, bootstrap| Ok(Box::new(Console::start(scratch, KAFKA_TOOLS, bootstrap)?)),
    },
    Contender {
        id: "old-java",
        title: "Kafka's Java client",
        start: |scratch, bootstrap| java(scratch, bootstrap, KAFKA_OLD, OLD_CANNOT),
    },
    Contender {
        id: "old-console",
        title: "Kafka's console tools",
        start: |scratch, bootstrap| Ok(Box::new(Console::start(scratch, KAFKA_OLD, bootstrap)?)),
    },
    Contender {
        id: "kcat",
        title: "kcat",
        start: |scratch, bootstrap| Ok(Box::new(Kcat::new(scratch, bootstrap))),
    },
    Contender {
        id: "confluent-kafka",
        title: "confluent-kafka",
        start: |scratch, bootstrap| python(scratch, bootstrap, "confluent_kafka_driver", &[]),
    },
    Contender {
        id: "kafka-python",
        title: "kafka-python",
        start: |scratch, bootstrap| python(scratch, bootstrap, "kafka_python_driver", &[]),
    },
    Contender {
        id: "kafkajs",
        title: "KafkaJS",
        start: |scratch, bootstrap| {
            let mut command = install::node()?;
            command.arg(install::checkout().join("e2e/clients/kafkajs_driver.js"));
            let logs = scratch.path();
            Ok(Box::new(Driver::start(
                "kafkajs",
                command,
                bootstrap,
                logs,
                &[],
            )?))
        },
    },
];

fn java(
    scratch: &Scratch,
    bootstrap: &str,
    release: &str,
    cannot: Cannot,
) -> Result<Box<dyn Client>> {
    let (jars, differing) = if release == KAFKA_OLD {
        (install::jars("kafka", release)?, "java/2.0/Release.java")
    } else {
        // The client alone, and what the driver reads JSON with.
        let client = install::jars("kafka-clients", release)?;
        let json = install::jars_of("kafka", KAFKA_TOOLS, "jackson-")?;
        (format!("{client}:{json}"), "java/newest/Release.java")
    };
    let sources = ["java/KafkaDriver.java", "java/Questions.java", differing];
    let folder = format!("driver-{release}");
    let classes = install::compiled_all(&folder, "KafkaDriver", &sources, &jars)?;
    let mut command = install::driver_java(&classes)?;
    command.arg("KafkaDriver");
    let name = format!("kafka-java-{release}");
    Ok(Box::new(Driver::start(
        &name,
        command,
        bootstrap,
        scratch.path(),
        cannot,
    )?))
}

fn python(
    scratch: &Scratch,
    bootstrap: &str,
    driver: &str,
    cannot: Cannot,
) -> Result<Box<dyn Client>> {
    let mut command = install::python()?;
    command.arg(install::checkout().join(format!("e2e/clients/{driver}.py")));
    Ok(Box::new(Driver::start(
        driver,
        command,
        bootstrap,
        scratch.path(),
        cannot,
    )?))
}
