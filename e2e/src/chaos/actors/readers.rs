//! Readers: some follow the log, some read in the middle of it, and in the end somebody reads all.

use super::leaders::Leaders;
use crate::chaos::course::Phase;
use crate::chaos::record::{Identity, identify};
use crate::chaos::{Course, PARTITIONS, TOPIC};
use crate::random::Random;
use crate::wire::{Fetched, is_lost};
use anyhow::{Context, Result, bail};
use kafka_protocol::ResponseError;
use std::time::Duration;

/// Between two rounds over all partitions.
const PAUSE: Duration = Duration::from_millis(100);

struct Reader<'a> {
    course: &'a Course,
    actor: String,
    leaders: Leaders<'a>,
}

/// What one look at a partition brought.
struct Looked {
    /// Where to go on.
    next: i64,
    /// The end of the log, as the leader knows it.
    high: i64,
}

impl<'a> Reader<'a> {
    fn new(course: &'a Course, name: &str, random: Random) -> Self {
        let actor = format!("reader {name}");
        course.progress(&actor);
        Self {
            course,
            actor,
            leaders: Leaders::new(course, random),
        }
    }

    /// Reads once; `None` where the leader is not there.
    fn look(&mut self, partition: usize, from: i64) -> Result<Option<Looked>> {
        let Some(connection) = self.leaders.of(partition)? else {
            return Ok(None);
        };
        let read = match connection.fetch(TOPIC, partition as i32, from) {
            Ok(read) => read,
            Err(error) if is_lost(&error) => {
                self.leaders.forget(partition);
                return Ok(None);
            }
            Err(error) => {
                let place = format!("{} at {from} of partition {partition}", self.actor);
                return Err(error.context(place));
            }
        };
        let Fetched {
            error_code,
            high,
            records,
        } = read;
        if error_code != 0 {
            let error = ResponseError::try_from_code(error_code).context("an error's code")?;
            if !error.is_retriable() {
                bail!(
                    "{} at {from} of partition {partition} is told {error:?}, end {high}",
                    self.actor
                );
            }
            self.course.count(&format!("readers told {error:?}"));
            self.leaders.forget(partition);
            return Ok(None);
        }
        let mut known: Vec<(i64, Identity)> = Vec::with_capacity(records.len());
        for (offset, value) in records {
            known.push((offset, identify(partition, std::str::from_utf8(&value)?)?));
        }
        let told = self
            .course
            .tell(|checker| checker.read(partition, from, &known));
        told.with_context(|| format!("{} at {from}", self.actor))?;
        if !known.is_empty() {
            self.course.progress(&self.actor);
        }
        let next = known.last().map_or(from, |(offset, _)| offset + 1);
        Ok(Some(Looked { next, high }))
    }
}

/// Follows the log from its beginning, until the run is over.
///
/// # Errors
/// What it reads is not what others did, or it is refused.
pub fn read_on(course: &Course, name: &str, random: Random) -> Result<()> {
    let mut reader = Reader::new(course, name, random);
    let mut positions = [0; PARTITIONS];
    while !course.is_over() {
        for (partition, position) in positions.iter_mut().enumerate() {
            if let Some(looked) = reader.look(partition, *position)? {
                *position = looked.next;
            }
        }
        if course.phase() == Phase::Reading && at_the_end(course, &positions) {
            break;
        }
        course.wait(PAUSE);
    }
    course.done(&reader.actor);
    Ok(())
}

/// Whether nobody has seen more than this.
fn at_the_end(course: &Course, positions: &[i64; PARTITIONS]) -> bool {
    let checker = course.checker();
    let mut positions = positions.iter().enumerate();
    positions.all(|(partition, position)| *position >= checker.known_end(partition))
}

/// Reads a little, here and there, until nothing breaks any more.
///
/// # Errors
/// As [`read_on`].
pub fn read_anywhere(course: &Course, name: &str, mut random: Random) -> Result<()> {
    const LOOKS: usize = 4;
    let mut reader = Reader::new(course, name, random.split());
    while course.phase() == Phase::Running {
        let partition = random.below(PARTITIONS as u64) as usize;
        let end = course.checker().known_end(partition);
        if let Ok(end @ 1..) = u64::try_from(end) {
            let mut position = random.below(end).try_into()?;
            for _ in 0..LOOKS {
                match reader.look(partition, position)? {
                    Some(looked) if looked.next > position => position = looked.next,
                    _ => break,
                }
            }
        }
        course.wait(PAUSE);
    }
    course.done(&reader.actor);
    Ok(())
}

/// Reads all of the log, when nobody writes any more.
///
/// # Errors
/// As [`read_on`], or it ends before what others have seen.
pub fn read_all(course: &Course, name: &str, random: Random) -> Result<()> {
    let mut reader = Reader::new(course, name, random);
    for partition in 0..PARTITIONS {
        let mut position = 0;
        loop {
            course.check_progress()?;
            let Some(looked) = reader.look(partition, position)? else {
                continue;
            };
            position = looked.next;
            let known = course.checker().known_end(partition);
            if position == looked.high && position >= known {
                break;
            }
        }
    }
    course.done(&reader.actor);
    Ok(())
}
