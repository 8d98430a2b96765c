//! Unmodified clients as actors: Kafka's and Pulsar's for Java.

use crate::chaos::checker::MessageId;
use crate::chaos::course::{PATIENCE, Phase};
use crate::chaos::record::{Identity, identify};
use crate::chaos::{Course, TOPIC};
use crate::clients::Record;
use crate::process::Process;
use crate::wait::until;
use anyhow::{Context, Result, bail, ensure};
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(200);

/// A client whose lines are told to the checker.
#[derive(Debug)]
pub struct Client {
    name: String,
    /// The group, if it is a member of one.
    group: Option<String>,
    process: Process,
    told: usize,
}

impl Client {
    /// A producer, of Kafka or of Pulsar.
    #[must_use]
    pub fn producer(name: &str, process: Process) -> Self {
        Self {
            name: name.to_owned(),
            group: None,
            process,
            told: 0,
        }
    }

    /// A member of a Kafka consumer group.
    #[must_use]
    pub fn member(group: &str, name: &str, process: Process) -> Self {
        Self {
            group: Some(group.to_owned()),
            ..Self::producer(name, process)
        }
    }

    /// Lets it write until nothing breaks any more, then until all is acknowledged.
    ///
    /// # Errors
    /// It ends before, or badly, or was told what cannot be.
    pub fn write(mut self, course: &Course) -> Result<()> {
        course.progress(&self.name);
        while course.phase() == Phase::Running {
            self.tell(course)?;
            self.goes_on()?;
            course.wait(PAUSE);
        }
        self.end(course)
    }

    fn goes_on(&mut self) -> Result<()> {
        match self.process.ended()? {
            Some(status) => bail!(
                "{} ended: {status}; it said:\n{}",
                self.name,
                self.process.last_words()
            ),
            None => Ok(()),
        }
    }

    fn end(&mut self, course: &Course) -> Result<()> {
        if course.is_over() {
            return Ok(());
        }
        self.process.end_input();
        let status = until(&format!("the end of {}", self.name), PATIENCE, || {
            self.tell(course)?;
            self.process.ended()
        })?;
        self.tell(course)?;
        course.done(&self.name);
        ensure!(
            status.success(),
            "{} ended with {status}; it said:\n{}",
            self.name,
            self.process.last_words()
        );
        Ok(())
    }

    /// Tells the checker what it has printed since the last time.
    fn tell(&mut self, course: &Course) -> Result<()> {
        let lines = self.process.lines(self.told, <[String]>::to_vec);
        self.told += lines.len();
        let mut heard = 0;
        for line in &lines {
            let known = tell(course, self.group.as_deref(), line);
            heard += usize::from(known.with_context(|| format!("{}: {line}", self.name))?);
        }
        if heard > 0 {
            course.progress(&self.name);
        }
        Ok(())
    }
}

/// Lets the members of a group read until they have been given all there is, then ends them.
///
/// # Errors
/// As [`Client::write`].
pub fn read_in_group(course: &Course, group: &str, mut members: Vec<Client>) -> Result<()> {
    let actor = format!("members of {group}");
    course.progress(&actor);
    while !course.is_over() {
        let before: usize = members.iter().map(|member| member.told).sum();
        for member in &mut members {
            member.tell(course)?;
            member.goes_on()?;
        }
        if members.iter().map(|member| member.told).sum::<usize>() > before {
            course.progress(&actor);
        }
        if course.phase() == Phase::Reading && course.checker().missing(group) == 0 {
            break;
        }
        course.wait(PAUSE);
    }
    for member in &mut members {
        member.end(course)?;
    }
    course.done(&actor);
    Ok(())
}

/// Tells the checker of one line; says whether it was of a record.
fn tell(course: &Course, group: Option<&str>, line: &str) -> Result<bool> {
    if let (Some(record), Some(group)) = (Record::got(line), group) {
        let (partition, record, offset) = identified(record)?;
        course.tell(|checker| checker.given(group, partition, offset, record))?;
    } else if let Some(record) = Record::acked(line) {
        let (partition, record, offset) = identified(record)?;
        course.tell(|checker| checker.acknowledged(partition, offset, record, 1))?;
    } else if let Some(stored) = line.strip_prefix("stored ") {
        let fields: Vec<i64> = stored
            .split(' ')
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let &[producer, partition, number, ledger, entry, index] = fields.as_slice() else {
            bail!("fields are missing");
        };
        let record = Identity {
            producer: producer.try_into()?,
            number: number.try_into()?,
        };
        let at = MessageId {
            ledger: ledger.try_into()?,
            entry: entry.try_into()?,
            index: index.try_into()?,
        };
        let partition = usize::try_from(partition)?;
        course.tell(|checker| checker.stored(partition, at, record))?;
    } else {
        if let Some(waited) = line.strip_prefix("waited ") {
            course.took(
                "acknowledgement to Kafka's Java producer",
                Duration::from_millis(waited.parse()?),
            );
        }
        return Ok(false);
    }
    Ok(true)
}

fn identified(record: Record) -> Result<(usize, Identity, i64)> {
    let partition = usize::try_from(record.partition)?;
    let identity = identify(partition, &record.value)?;
    Ok((partition, identity, record.offset))
}

/// The topic as Pulsar names it.
#[must_use]
pub fn pulsar_topic() -> String {
    format!("persistent://public/default/{TOPIC}")
}
