//! The clients of the matrix.

use super::Contender;
use super::client::Client;
use super::driver::{Cannot, Driver};
use crate::install;
use crate::scratch::Scratch;
use anyhow::Result;

/// All of them, in the order of the table.
pub const ALL: &[Contender] = &[
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
];

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
