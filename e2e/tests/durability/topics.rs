//! Somebody who makes, grows and deletes topics, and asks for producer ids.

use crate::pace::Pace;
use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, InitProducerIdRequest,
    MetadataRequest,
};
use kop_e2e::random::Random;
use kop_e2e::wire::{Connection, text};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// Names begin with it.
const PREFIX: &str = "made-";
const NAMES: u64 = 30;

/// A topic's id, as text, and how many partitions it has.
type Known = (String, i32);

/// A change that has been asked for.
#[derive(Debug, Clone)]
enum Change {
    Create(String, i32),
    Grow(String, i32),
    Delete(String),
}

pub(crate) struct Topics {
    random: Random,
    there: BTreeMap<String, Known>,
    /// Asked for when the gateway died, and not answered.
    in_doubt: Option<Change>,
    last_producer: i64,
    pub(crate) acknowledged: u64,
}

impl Topics {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            random,
            there: BTreeMap::new(),
            in_doubt: None,
            last_producer: -1,
            acknowledged: 0,
        }
    }

    /// Changes topics until the connection is lost.
    pub(crate) fn run(&mut self, address: &str, pace: &Pace) -> Result<Infallible> {
        let mut client = Connection::connect(address)?;
        loop {
            if self.random.once_in(5) {
                let request = InitProducerIdRequest::default().with_transactional_id(None);
                let given = client.call(4, &request)?;
                let id = given.producer_id.0;
                ensure!(
                    given.error_code == 0 && id > self.last_producer,
                    "producer id {} was given out before, and now {given:?}",
                    self.last_producer
                );
                self.last_producer = id;
            } else {
                let change = self.choose();
                self.in_doubt = Some(change.clone());
                let known = ask(&mut client, &change)?;
                self.in_doubt = None;
                self.apply(change, known)?;
            }
            self.acknowledged += 1;
            pace.acknowledged();
        }
    }

    fn choose(&mut self) -> Change {
        let name = format!("{PREFIX}{}", self.random.below(NAMES));
        match self.there.get(&name) {
            None => Change::Create(name, 1 + self.random.below(3) as i32),
            Some((_, partitions)) if *partitions < 8 && !self.random.once_in(3) => {
                Change::Grow(name, partitions + 1)
            }
            Some(_) => Change::Delete(name),
        }
    }

    fn apply(&mut self, change: Change, id: String) -> Result<()> {
        match change {
            Change::Create(name, partitions) => {
                self.there.insert(name, (id, partitions));
            }
            Change::Grow(name, partitions) => {
                self.there.get_mut(&name).context("it grew")?.1 = partitions;
            }
            Change::Delete(name) => {
                self.there.remove(&name);
            }
        }
        Ok(())
    }

    /// The topics there are must be those that there should be; one may be in doubt.
    pub(crate) fn check(&mut self, client: &mut Connection) -> Result<()> {
        let response = client.call(12, &MetadataRequest::default().with_topics(None))?;
        let mut found = BTreeMap::new();
        for topic in response.topics {
            let name = topic.name.context("a topic without name")?.to_string();
            ensure!(topic.error_code == 0, "{name}: error {}", topic.error_code);
            if name.starts_with(PREFIX) {
                let partitions = i32::try_from(topic.partitions.len())?;
                found.insert(name, (topic.topic_id.to_string(), partitions));
            }
        }
        if let Some(change) = self.in_doubt.take() {
            let name = match &change {
                Change::Create(name, _) | Change::Grow(name, _) | Change::Delete(name) => name,
            };
            let is_done = match &change {
                Change::Create(_, partitions) => {
                    found.get(name).is_some_and(|topic| topic.1 == *partitions)
                }
                Change::Grow(_, partitions) => {
                    let before = self.there.get(name);
                    let grown = before.map(|(id, _)| (id.clone(), *partitions));
                    grown.is_some() && found.get(name) == grown.as_ref()
                }
                Change::Delete(_) => !found.contains_key(name),
            };
            if is_done {
                let id = found.get(name).map(|topic| topic.0.clone());
                self.apply(change, id.unwrap_or_default())?;
            }
        }
        ensure!(
            found == self.there,
            "topics after the restart:\n{found:?}\nand those that should be there:\n{:?}",
            self.there
        );
        Ok(())
    }
}

/// Asks for a change and gives the id of the topic, where the answer has one.
fn ask(client: &mut Connection, change: &Change) -> Result<String> {
    let (code, id) = match change {
        Change::Create(name, partitions) => {
            let topic = CreatableTopic::default()
                .with_name(text(name).into())
                .with_num_partitions(*partitions)
                .with_replication_factor(1);
            let request = CreateTopicsRequest::default().with_topics(vec![topic]);
            let mut response = client.call(7, &request)?;
            let topic = response.topics.pop().context("no topic in the answer")?;
            (topic.error_code, topic.topic_id.to_string())
        }
        Change::Grow(name, partitions) => {
            let topic = CreatePartitionsTopic::default()
                .with_name(text(name).into())
                .with_count(*partitions)
                .with_assignments(None);
            let request = CreatePartitionsRequest::default().with_topics(vec![topic]);
            let mut response = client.call(2, &request)?;
            let topic = response.results.pop().context("no topic in the answer")?;
            (topic.error_code, String::new())
        }
        Change::Delete(name) => {
            let request = DeleteTopicsRequest::default().with_topic_names(vec![text(name).into()]);
            let mut response = client.call(5, &request)?;
            let topic = response.responses.pop().context("no topic in the answer")?;
            (topic.error_code, String::new())
        }
    };
    ensure!(code == 0, "{change:?}: error {code}");
    Ok(id)
}
