//! Finding who leads a partition or coordinates a group, as clients do.

use crate::chaos::{Course, PARTITIONS, TOPIC};
use crate::random::Random;
use crate::wire::{Connection, is_lost, text};
use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest};
use std::collections::HashMap;
use std::time::Duration;

/// Between two questions to gateways that do not know.
const PAUSE: Duration = Duration::from_millis(100);

/// What one client knows of the gateways.
#[derive(Debug)]
pub(super) struct Leaders<'a> {
    course: &'a Course,
    random: Random,
    leaders: HashMap<usize, i32>,
    connections: HashMap<i32, Connection>,
}

impl<'a> Leaders<'a> {
    pub(super) fn new(course: &'a Course, random: Random) -> Self {
        Self {
            course,
            random,
            leaders: HashMap::new(),
            connections: HashMap::new(),
        }
    }

    /// A connection to the partition's leader; `None` where nobody says or is there, after a pause.
    pub(super) fn of(&mut self, partition: usize) -> Result<Option<&mut Connection>> {
        if !self.leaders.contains_key(&partition) {
            self.ask_anyone()?;
        }
        let Some(&node) = self.leaders.get(&partition) else {
            self.course.wait(PAUSE);
            return Ok(None);
        };
        self.at(node)
    }

    /// A new connection to the partition's leader, that is the caller's alone.
    pub(super) fn connect(&mut self, partition: usize) -> Result<Option<Connection>> {
        self.forget(partition);
        if self.of(partition)?.is_none() {
            return Ok(None);
        }
        let node = self.leaders.get(&partition);
        Ok(node.and_then(|node| self.connections.remove(node)))
    }

    /// The partition's leader is gone, or is another one.
    pub(super) fn forget(&mut self, partition: usize) {
        if let Some(node) = self.leaders.remove(&partition) {
            self.connections.remove(&node);
        }
    }

    /// A connection to the group's coordinator, which is the caller's alone.
    pub(super) fn coordinator(&mut self, group: &str) -> Result<Option<Connection>> {
        let node = self.somebody();
        let request = FindCoordinatorRequest::default().with_key(text(group));
        let Some(connection) = self.at(node)? else {
            return Ok(None);
        };
        let answer = connection.call(3, &request);
        let Some(answer) = self.answered(node, answer)? else {
            return Ok(None);
        };
        if answer.error_code != 0 {
            self.course.wait(PAUSE);
            return Ok(None);
        }
        self.connections.remove(&answer.node_id.0);
        self.at(answer.node_id.0)?;
        Ok(self.connections.remove(&answer.node_id.0))
    }

    fn somebody(&mut self) -> i32 {
        let gateways = self.course.gateways.len() as u64;
        1 + self.random.below(gateways) as i32
    }

    fn at(&mut self, node: i32) -> Result<Option<&mut Connection>> {
        if !self.connections.contains_key(&node) {
            let address = self.course.gateways.get(node as usize - 1);
            let connection = Connection::connect(address.context("a gateway of this node id")?);
            let Some(connection) = self.answered(node, connection)? else {
                return Ok(None);
            };
            self.connections.insert(node, connection);
        }
        Ok(self.connections.get_mut(&node))
    }

    /// What a gateway said; `None`, after a pause, where it is gone. Silence is an error.
    pub(super) fn answered<T>(&mut self, node: i32, answer: Result<T>) -> Result<Option<T>> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if is_lost(&error) => {
                self.connections.remove(&node);
                self.leaders.retain(|_, leader| *leader != node);
                self.course.wait(PAUSE);
                Ok(None)
            }
            Err(error) => Err(error.context(format!("gateway {node}"))),
        }
    }

    fn ask_anyone(&mut self) -> Result<()> {
        let node = self.somebody();
        let wanted = MetadataRequestTopic::default().with_name(Some(text(TOPIC).into()));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![wanted]))
            .with_allow_auto_topic_creation(false);
        let Some(connection) = self.at(node)? else {
            return Ok(());
        };
        let answer = connection.call(9, &request);
        let Some(answer) = self.answered(node, answer)? else {
            return Ok(());
        };
        let topic = answer.topics.first().context("the topic")?;
        if topic.error_code != 0 {
            self.course
                .count(&format!("metadata error {}", topic.error_code));
            return Ok(());
        }
        ensure!(topic.partitions.len() == PARTITIONS, "{topic:?}");
        for partition in &topic.partitions {
            if partition.error_code == 0 && partition.leader_id.0 > 0 {
                let index = usize::try_from(partition.partition_index)?;
                self.leaders.insert(index, partition.leader_id.0);
            }
        }
        Ok(())
    }
}
