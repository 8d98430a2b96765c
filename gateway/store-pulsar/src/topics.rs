//! What is known of topics: their partitions, ids and formats, remembered for a few seconds.
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kop_store::{Topic, TopicClass, TopicConfig, TopicDefaults, TopicSettings};
use kop_wire::TopicName;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::{
    EntryFormat,
    admin::{Admin, AdminError, PartitionedTopic},
    clock, config,
    entry::Layout,
    live::AllLive,
    naming::{Naming, PulsarTopic, is_hidden, split_partition},
    shared::Shared,
};

/// Topic property with Kafka's topic id, as `KoP` names it.
pub(crate) const TOPIC_ID: &str = "kafkaTopicUUID";
/// Topic properties that tell when a gateway made it: milliseconds since the epoch by its clock, and the
/// number of its view.
const CREATED_TIME: &str = "kop.created.time";
const CREATED_VIEW: &str = "kop.created.view";
/// How long a topic is believed to be as it was. Partitions may be added by others.
const BELIEVED: Duration = Duration::from_secs(10);
/// How long somebody else's look at a topic is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
/// Topics remembered at once.
const REMEMBERED: usize = 20_000;

/// A topic of Pulsar as Kafka sees it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) topic: Topic,
    pub(crate) pulsar: PulsarTopic,
    /// Whether Pulsar has it in partitions; else the topic itself is Kafka's partition 0.
    pub(crate) partitioned: bool,
    pub(crate) class: TopicClass,
    format: Option<EntryFormat>,
    origin: Arc<Origin>,
}

/// By what a topic is known again, so that it is not taken for one that was made anew.
#[derive(Debug)]
pub(crate) struct Origin {
    pulsar: PulsarTopic,
    partitioned: bool,
    id: Option<String>,
    /// When a gateway made it, where one did.
    pub(crate) birth: Option<Birth>,
    /// When the last look began that saw it to be there.
    seen: tokio::sync::Mutex<Option<Instant>>,
}

/// When a gateway made a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Birth {
    /// Milliseconds since the epoch, by the gateway's clock.
    pub(crate) time: i64,
    /// The number of the gateway's view then.
    pub(crate) view: Option<i32>,
}

impl Birth {
    /// Of a topic that is made now.
    pub(crate) fn now(shared: &Shared) -> Self {
        Self {
            time: i64::try_from(clock::now_millis()).unwrap_or(i64::MAX),
            view: shared.views.get().map(|views| views.number()),
        }
    }

    /// As it stands in the topic's properties.
    pub(crate) fn properties(self) -> impl Iterator<Item = (String, String)> {
        let time = (CREATED_TIME, i64::to_string(&self.time));
        let view = self.view.map(|view| (CREATED_VIEW, view.to_string()));
        [time]
            .into_iter()
            .chain(view)
            .map(|(name, value)| (name.to_owned(), value))
    }

    fn of(properties: &BTreeMap<String, String>) -> Option<Self> {
        Some(Self {
            time: properties.get(CREATED_TIME)?.parse().ok()?,
            view: properties
                .get(CREATED_VIEW)
                .and_then(|view| view.parse().ok()),
        })
    }
}

impl Origin {
    /// Whether it has an id by which another topic of the same name is told from it.
    pub(crate) fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// Whether a topic as it is now is surely this one.
    pub(crate) fn is_of(&self, known: &Known) -> bool {
        self.id.is_some() && self.id == known.origin.id && self.partitioned == known.partitioned
    }

    /// Whether the topic is still there. Brokers may make a missing topic when it is asked for, so
    /// this is looked at before anything is opened again. Partitions that are opened together share a look;
    /// it counts for those who asked before it began, and for nobody who has lost the topic since.
    pub(crate) async fn exists(&self, admin: &Admin) -> Result<bool, AdminError> {
        let asked = Instant::now();
        let Ok(mut seen) = timeout(PATIENCE, self.seen.lock()).await else {
            // Whoever looks gets no answer; no queue is to stand behind it.
            return self.look(admin).await;
        };
        if seen.is_some_and(|began| began >= asked) {
            return Ok(true);
        }
        let began = Instant::now();
        let exists = self.look(admin).await?;
        *seen = exists.then_some(began);
        Ok(exists)
    }

    async fn look(&self, admin: &Admin) -> Result<bool, AdminError> {
        if !self.partitioned {
            return admin.exists(&self.pulsar).await;
        }
        let metadata = admin.partitioned(&self.pulsar).await?;
        Ok(metadata.is_some_and(|metadata| {
            metadata.partitions > 0 && metadata.properties.get(TOPIC_ID) == self.id.as_ref()
        }))
    }
}

impl Known {
    pub(crate) fn origin(&self) -> Arc<Origin> {
        Arc::clone(&self.origin)
    }

    /// The same topic with another configuration.
    pub(crate) fn with(mut self, config: TopicConfig) -> Self {
        self.topic.config = config;
        self
    }

    /// What holds for the topic.
    pub(crate) fn settings(&self, defaults: &TopicDefaults) -> TopicSettings {
        self.topic.config.settings(defaults, self.class)
    }

    /// How batches are written there.
    pub(crate) fn layout(&self, default: EntryFormat) -> Layout {
        Layout::of(self.class, self.format.unwrap_or(default))
    }

    /// The Pulsar topic of a partition, if there is such a partition.
    pub(crate) fn partition(&self, index: i32) -> Option<PulsarTopic> {
        let exists = u32::try_from(index).is_ok_and(|index| index < self.topic.partitions);
        exists.then(|| self.pulsar.partition(self.partitioned.then_some(index)))
    }
}

/// The topics that were asked for of late.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    known: Mutex<HashMap<PulsarTopic, (Instant, Known)>>,
    /// What holds for topics, for their open partitions.
    pub(crate) live: AllLive,
    /// What holds where nothing is set.
    pub(crate) defaults: TopicDefaults,
}

impl Topics {
    /// Nothing known yet.
    pub(crate) fn new(defaults: TopicDefaults) -> Self {
        Self {
            defaults,
            ..Self::default()
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PulsarTopic, (Instant, Known)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A topic as it is, or was a few seconds ago. Its name is the one that was asked for.
    pub(crate) async fn find(
        &self,
        admin: &Admin,
        naming: &Naming,
        name: &TopicName,
    ) -> Result<Option<Known>, AdminError> {
        let pulsar = naming.topic(name);
        let remembered = self
            .known()
            .get(&pulsar)
            .filter(|(since, _)| since.elapsed() < BELIEVED)
            .map(|(_, known)| known.clone());
        if let Some(mut known) = remembered {
            known.topic.name = name.clone();
            return Ok(Some(known));
        }
        let local = pulsar.path().rsplit('/').next().unwrap_or_default();
        if is_hidden(local) || split_partition(local).is_some() {
            return Ok(None);
        }
        let Some(metadata) = admin.partitioned(&pulsar).await? else {
            return Ok(None);
        };
        if metadata.partitions == 0 && !admin.exists(&pulsar).await? {
            return Ok(None);
        }
        let known = describe(naming, name, pulsar, &metadata);
        self.remember(known.clone());
        Ok(Some(known))
    }

    /// Takes in what was learnt of a topic.
    pub(crate) fn remember(&self, known: Known) {
        self.live.learn(&known, &self.defaults);
        let mut topics = self.known();
        if topics.len() >= REMEMBERED {
            topics.retain(|_, (since, _)| since.elapsed() < BELIEVED);
        }
        if topics.len() < REMEMBERED {
            topics.insert(known.pulsar.clone(), (Instant::now(), known));
        }
    }

    pub(crate) fn forget(&self, topic: &PulsarTopic) {
        self.known().remove(topic);
    }

    pub(crate) fn forget_all(&self) {
        self.known().clear();
    }
}

/// A topic by its metadata.
pub(crate) fn describe(
    naming: &Naming,
    name: &TopicName,
    pulsar: PulsarTopic,
    metadata: &PartitionedTopic,
) -> Known {
    let property = |name: &str| metadata.properties.get(name).map(String::as_str);
    let id = property(TOPIC_ID)
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| derived_id(pulsar.as_str()));
    let origin = Arc::new(Origin {
        pulsar: pulsar.clone(),
        partitioned: metadata.partitions > 0,
        id: property(TOPIC_ID).map(str::to_owned),
        birth: Birth::of(&metadata.properties),
        seen: tokio::sync::Mutex::default(),
    });
    let own_name = naming
        .kafka_name(pulsar.as_str())
        .unwrap_or_else(|_| name.clone());
    Known {
        topic: Topic {
            name: name.clone(),
            id,
            partitions: metadata.partitions.max(1),
            config: config::of_properties(&metadata.properties),
        },
        pulsar,
        partitioned: metadata.partitions > 0,
        class: TopicClass::of(&own_name),
        format: property(EntryFormat::PROPERTY).and_then(EntryFormat::from_name),
        origin,
    }
}

/// The id of a topic that was not made through Kafka: always the same for the same name.
fn derived_id(full: &str) -> Uuid {
    let hash = |seed: u64| {
        full.bytes().fold(seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    };
    let wide =
        (u128::from(hash(0xcbf2_9ce4_8422_2325)) << 64) | u128::from(hash(0x6c62_272e_07bb_0142));
    uuid::Builder::from_custom_bytes(wide.to_be_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(metadata: &PartitionedTopic) -> Known {
        let naming = Naming::new("public", "default", "__kafka");
        let name = TopicName::new("orders").unwrap();
        describe(&naming, &name, naming.topic(&name), metadata)
    }

    #[test]
    fn a_topic_has_the_id_and_format_that_its_properties_say() {
        let id = Uuid::from_u128(7);
        let metadata = PartitionedTopic {
            partitions: 3,
            properties: [
                (TOPIC_ID.to_owned(), id.to_string()),
                (EntryFormat::PROPERTY.to_owned(), "KAFKA".to_owned()),
            ]
            .into(),
        };
        let known = known(&metadata);
        assert_eq!(known.topic.id, id);
        assert_eq!(known.layout(EntryFormat::Pulsar), Layout::Kafka);
        let partition = known.partition(2).unwrap();
        assert_eq!(
            partition.as_str(),
            "persistent://public/default/orders-partition-2"
        );
        assert!(known.partition(3).is_none() && known.partition(-1).is_none());
    }

    #[test]
    fn a_topic_tells_when_a_gateway_made_it() {
        for view in [None, Some(7)] {
            let birth = Birth { time: 1_234, view };
            let metadata = PartitionedTopic {
                partitions: 1,
                properties: birth.properties().collect(),
            };
            assert_eq!(known(&metadata).origin.birth, Some(birth));
        }
        assert_eq!(known(&PartitionedTopic::default()).origin.birth, None);
    }

    #[test]
    fn a_topic_without_partitions_is_its_own_partition_zero() {
        let known = known(&PartitionedTopic::default());
        assert_eq!(known.topic.partitions, 1);
        let partition = known.partition(0).unwrap();
        assert_eq!(partition.as_str(), "persistent://public/default/orders");
        assert_eq!(known.layout(EntryFormat::Pulsar), Layout::Pulsar);
    }

    #[test]
    fn a_topic_made_by_others_has_a_lasting_id_of_its_own() {
        let id = known(&PartitionedTopic::default()).topic.id;
        assert_eq!(id, known(&PartitionedTopic::default()).topic.id);
        assert_ne!(id, derived_id("persistent://public/default/other"));
        assert!(!id.is_nil());
    }
}
