//! Topics on Pulsar.
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kop_store::{
    Catalog, CatalogError, ConfigureError, CreateError, DeleteError, GrowError, NewTopic,
    OpenError, PartitionId, Topic, TopicClass, TopicConfig, UnsupportedConfig,
};
use kop_wire::TopicName;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    EntryFormat, PulsarMetrics, PulsarOptions, Views,
    admin::{AdminError, PartitionedTopic},
    bounds::BoundsError,
    compaction, config,
    connect::{self, ConnectError},
    log::{Life, Log},
    naming::{is_hidden, split_partition},
    ownership::TakeError,
    partition::{Opening, OpeningError, PulsarPartition},
    policies::{Change, PolicyError},
    producer_ids,
    shared::{Shared, follow_log_starts, sweep},
    topics::{Birth, Known, TOPIC_ID, describe},
    usage::Held,
};

/// Topics asked for at once while all are listed.
const LISTED_AT_ONCE: usize = 16;
/// How long closing waits for what is in flight.
const CLOSING: Duration = Duration::from_secs(20);

/// Kafka's topics on one Pulsar cluster. Clones are the same store.
#[derive(Debug, Clone)]
pub struct PulsarStore {
    shared: Arc<Shared>,
}

impl PulsarStore {
    /// Checks that the Pulsar is there and numbers entries, and that the topics' namespace exists.
    ///
    /// # Errors
    /// Says what is missing.
    pub async fn connect(options: PulsarOptions) -> Result<Self, ConnectError> {
        let shared = Arc::new(connect::connect(options).await?);
        tokio::spawn(sweep(Arc::downgrade(&shared)));
        tokio::spawn(follow_log_starts(Arc::downgrade(&shared)));
        Ok(Self { shared })
    }

    /// What the store has counted so far.
    #[must_use]
    pub fn metrics(&self) -> PulsarMetrics {
        self.shared.metrics.snapshot()
    }

    /// Partitions that are open now.
    #[must_use]
    pub fn open_partitions(&self) -> usize {
        let logs = self.shared.open_logs();
        logs.iter().filter(|log| !log.is_over()).count()
    }

    /// The name of a topic within the keys of `__consumer_offsets`: Pulsar's full name, as `KoP`.
    #[must_use]
    pub fn stored_topic_name(&self, topic: &TopicName) -> String {
        self.shared.naming.stored_name(topic)
    }

    /// The topic that a key of `__consumer_offsets` names; `None` where Kafka allows no such name.
    #[must_use]
    pub fn topic_from_stored(&self, stored: &str) -> Option<TopicName> {
        self.shared.naming.kafka_name(stored).ok()
    }

    /// Names the cluster by the Pulsar that it is on: the same for all gateways that are given the same
    /// service URL, tenant and metadata namespace.
    #[must_use]
    pub fn cluster_id(&self) -> String {
        let options = &self.shared.options;
        let place = format!(
            "pulsar {} {} {}",
            options.service_url, options.tenant, options.metadata_namespace
        );
        // FNV-1a: nothing here is secret or hostile, it has to be the same for ever.
        let hash = place.bytes().fold(
            0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128,
            |hash, byte| {
                (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
            },
        );
        format!("kop-{:018x}", hash >> 56)
    }

    /// Answers what is in flight and gives every partition back.
    pub async fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        let logs = self.shared.open_logs();
        for log in &logs {
            log.end(Life::Closing);
        }
        let ended = async {
            for log in &logs {
                log.ended().await;
            }
        };
        if timeout(CLOSING, ended).await.is_err() {
            tracing::warn!("partitions were not all given back in time");
        }
        self.shared.cursors.clear();
    }

    /// Gives back the partitions that another gateway leads now: all but those that `keep` names, each as
    /// soon as what is in flight is answered. Their handles take nothing more.
    pub fn keep_only(&self, keep: impl Fn(&PartitionId) -> bool) {
        let Shared {
            naming, cursors, ..
        } = &*self.shared;
        let others = self.shared.open_logs().into_iter().filter(|log| {
            let full = log.topic.as_str();
            let (topic, index) = split_partition(full).unwrap_or((full, 0));
            let id = naming.kafka_name(topic).ok().zip(i32::try_from(index).ok());
            id.is_some_and(|(topic, index)| !keep(&PartitionId { topic, index }))
        });
        for log in others {
            self.shared.forget(&log.topic);
            cursors.forget(&log.topic);
            log.end(Life::Closing);
        }
    }

    /// Other gateways share the Pulsar from now on: of logs that it did not own before, this process knows
    /// only what it writes itself.
    pub fn note_others(&self) {
        self.shared.note_others();
    }

    /// Has the store ask who leads what. Without, or before, whatever it takes over may have had an owner.
    pub fn follow(&self, views: Arc<dyn Views>) {
        // The first one stays: a store serves one gateway.
        let _ = self.shared.views.set(views);
    }

    /// Notes which producer ids are not taken yet. Producers with those, of any gateway, can have written
    /// nothing before now.
    ///
    /// # Errors
    /// Where Pulsar gives no ids. Then more of a log is read than needs to be when a producer comes that
    /// is not known.
    pub async fn mark_producer_ids(&self) -> Result<(), CatalogError> {
        producer_ids::mark(&self.shared).await
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    async fn known(&self, name: &TopicName) -> Result<Option<Known>, AdminError> {
        let Shared {
            topics,
            admin,
            naming,
            ..
        } = &*self.shared;
        topics.find(admin, naming, name).await
    }

    /// Names of the topics that Kafka clients see without naming them.
    async fn names(&self) -> Result<Vec<TopicName>, AdminError> {
        let Shared { admin, naming, .. } = &*self.shared;
        let home = naming.user_namespace();
        let mut full = admin.partitioned_topics(&home).await?;
        let plain = admin.topics(&home).await?;
        full.extend(
            plain
                .into_iter()
                .filter(|name| split_partition(name).is_none()),
        );
        let internal = admin
            .partitioned_topics(&naming.metadata_namespace())
            .await?;
        full.extend(internal.into_iter().filter(|full| {
            naming
                .kafka_name(full)
                .is_ok_and(|name| TopicClass::of(&name).is_internal())
        }));
        let mut names: Vec<TopicName> = full
            .iter()
            .filter(|name| !is_hidden(name.rsplit('/').next().unwrap_or_default()))
            .filter_map(|name| naming.kafka_name(name).ok())
            .collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    async fn log(&self, known: &Known, index: i32) -> Result<Arc<Log>, OpenError> {
        let topic = known.partition(index).ok_or(OpenError::Unknown)?;
        let slot = self.shared.slot(&topic);
        if let Some(log) = slot.get() {
            return Ok(Arc::clone(log));
        }
        let live = &self.shared.topics.live;
        let opening = Opening {
            live: live.of(known, &self.shared.options.topic_defaults),
            new: self.shared.has_made(&known.pulsar),
            id: PartitionId {
                topic: known.topic.name.clone(),
                index,
            },
            owned_before: self.shared.owned_before.has(&topic),
            topic,
            origin: known.origin(),
            layout: known.layout(self.shared.options.entry_format),
            shared: Arc::clone(&self.shared),
        };
        let log = slot
            .get_or_try_init(|| opening.open())
            .await
            .map_err(open_error)?;
        Ok(Arc::clone(log))
    }
}

impl PulsarStore {
    /// The metadata of a topic that is made now.
    fn metadata(
        &self,
        partitions: u32,
        config: &TopicConfig,
        in_pulsar_format: bool,
    ) -> PartitionedTopic {
        let id = (TOPIC_ID.to_owned(), Uuid::new_v4().to_string());
        let mut properties: BTreeMap<String, String> = [id].into();
        properties.extend(Birth::now(&self.shared).properties());
        if in_pulsar_format {
            properties.extend(self::in_pulsar_format());
        }
        properties.extend(config::properties(&TopicConfig::new(), config));
        PartitionedTopic {
            partitions,
            properties,
        }
    }
}

impl Catalog for PulsarStore {
    type Partition = PulsarPartition;

    async fn create(&self, topic: NewTopic) -> Result<Topic, CreateError> {
        let NewTopic {
            name,
            partitions,
            config,
        } = topic;
        self.supports(&config)?;
        let Shared {
            admin,
            naming,
            topics,
            ..
        } = &*self.shared;
        let pulsar = naming.topic(&name);
        let local = pulsar.path().rsplit('/').next().unwrap_or_default();
        if is_hidden(local) || split_partition(local).is_some() {
            return Err(CreateError::Refused(format!(
                "{local} is a name that Pulsar uses itself"
            )));
        }
        if partitions == 0 {
            return Err(CreateError::Refused(
                "a topic has at least one partition".to_owned(),
            ));
        }
        let internal = TopicClass::of(&name).is_internal();
        if internal {
            admin
                .provide_namespace(pulsar.namespace())
                .await
                .map_err(unavailable)?;
        }
        let in_pulsar_format = internal || config::compacts(&config);
        let metadata = self.metadata(partitions, &config, in_pulsar_format);
        match admin.create_partitioned(&pulsar, &metadata).await {
            Ok(()) => {}
            Err(AdminError::Conflict(_)) => return Err(CreateError::Exists(name)),
            Err(error @ (AdminError::NotFound(_) | AdminError::Refused { status: 412, .. })) => {
                return Err(CreateError::Refused(error.to_string()));
            }
            Err(error) => return Err(unavailable(error)),
        }
        let known = describe(naming, &name, pulsar.clone(), &metadata);
        let change = Change {
            shared: &self.shared,
            known: &known,
            from: &TopicConfig::new(),
            to: &config,
        };
        let in_force = async {
            change.before().await?;
            change.after().await
        };
        if let Err(error) = in_force.await {
            // A topic that keeps its records for less than was asked for must not be there.
            if let Err(error) = admin.delete_partitioned(&pulsar).await {
                tracing::warn!(topic = %pulsar, %error, "topic without its policies not removed");
            }
            return Err(not_created(error));
        }
        self.shared.note_made(&pulsar, true);
        for index in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
            // Another topic of this name may have been here.
            let partition = pulsar.partition(Some(index));
            self.shared.owned_before.forget(&partition);
        }
        topics.remember(known.clone());
        Ok(known.topic)
    }

    async fn delete(&self, topic: &TopicName) -> Result<(), DeleteError> {
        let failed = |error: AdminError| DeleteError::Unavailable(error.into());
        let Shared {
            admin,
            topics,
            cursors,
            ..
        } = &*self.shared;
        let known = self.known(topic).await.map_err(failed)?;
        let known = known.ok_or_else(|| DeleteError::Unknown(topic.clone()))?;
        // Whatever reads or writes there ends first, so that nothing asks for a partition while it is
        // being removed: brokers may make a missing one.
        for index in 0..i32::try_from(known.topic.partitions).unwrap_or(i32::MAX) {
            let Some(partition) = known.partition(index) else {
                break;
            };
            if let Some(log) = self.shared.forget(&partition) {
                log.end(Life::Deleted);
                log.ended().await;
            }
            self.shared.owned_before.forget(&partition);
            cursors.forget(&partition);
        }
        topics.forget(&known.pulsar);
        let deleted = if known.partitioned {
            admin.delete_partitioned(&known.pulsar).await
        } else {
            admin.delete_plain(&known.pulsar).await
        };
        match deleted {
            Ok(()) => {}
            Err(AdminError::NotFound(_)) => return Err(DeleteError::Unknown(topic.clone())),
            Err(error) => return Err(failed(error)),
        }
        topics.forget(&known.pulsar);
        self.shared.note_made(&known.pulsar, false);
        Ok(())
    }

    async fn grow(&self, topic: &TopicName, partitions: u32) -> Result<Topic, GrowError> {
        let failed = |error: AdminError| GrowError::Unavailable(error.into());
        let unknown = || GrowError::Unknown(topic.clone());
        let Shared { admin, topics, .. } = &*self.shared;
        // Somebody else may have made it larger since it was looked at last.
        topics.forget(&self.shared.naming.topic(topic));
        let known = self.known(topic).await.map_err(failed)?;
        let known = known.ok_or_else(unknown)?;
        let has = known.topic.partitions;
        if partitions <= has {
            return Err(GrowError::NotMore { partitions: has });
        }
        if !known.partitioned {
            return Err(GrowError::Refused(
                "this topic of Pulsar is not partitioned".to_owned(),
            ));
        }
        let grown = admin.grow_partitioned(&known.pulsar, partitions).await;
        topics.forget(&known.pulsar);
        match grown {
            Ok(()) => {}
            Err(AdminError::NotFound(_)) => return Err(unknown()),
            Err(
                error @ (AdminError::Conflict(_)
                | AdminError::Refused {
                    status: 406 | 412 | 422,
                    ..
                }),
            ) => {
                return Err(GrowError::Refused(error.to_string()));
            }
            Err(error) => return Err(failed(error)),
        }
        let known = self.known(topic).await.map_err(failed)?;
        Ok(known.ok_or_else(unknown)?.topic)
    }

    async fn configure(
        &self,
        topic: &TopicName,
        from: &TopicConfig,
        to: TopicConfig,
    ) -> Result<Topic, ConfigureError> {
        let failed = |error: AdminError| ConfigureError::Unavailable(error.into());
        self.supports(&to)?;
        let Shared { admin, topics, .. } = &*self.shared;
        let _one_at_a_time = self.shared.configuring.lock().await;
        // Somebody else may have changed it since it was looked at last.
        topics.forget(&self.shared.naming.topic(topic));
        let known = self.known(topic).await.map_err(failed)?;
        let known = known.ok_or_else(|| ConfigureError::Unknown(topic.clone()))?;
        if known.topic.config != *from {
            return Err(ConfigureError::Changed(topic.clone()));
        }
        if to == *from {
            return Ok(known.topic);
        }
        if !known.partitioned {
            return Err(not_partitioned(&to).into());
        }
        let change = Change {
            shared: &self.shared,
            known: &known,
            from,
            to: &to,
        };
        change.before().await.map_err(not_configured)?;
        let mut properties = config::properties(from, &to);
        if config::compacts(&to) {
            properties.extend(in_pulsar_format());
        }
        let set = admin.set_properties(&known.pulsar, &properties).await;
        topics.forget(&known.pulsar);
        match set {
            Ok(()) => {}
            Err(AdminError::NotFound(_)) => return Err(ConfigureError::Unknown(topic.clone())),
            Err(error) => return Err(failed(error)),
        }
        let in_force = change.after().await;
        let known = known.with(to);
        topics.remember(known.clone());
        in_force.map_err(not_configured)?;
        Ok(known.topic)
    }

    fn supports(&self, config: &TopicConfig) -> Result<(), UnsupportedConfig> {
        config::supports(config, &self.shared.options.topic_defaults)?;
        let brokers = self.shared.brokers.get().map(String::as_str);
        compaction::check(config, brokers)
    }

    async fn find_anew(&self, topic: &TopicName) -> Result<Option<Topic>, CatalogError> {
        let Shared { topics, naming, .. } = &*self.shared;
        topics.forget(&naming.topic(topic));
        self.find(topic).await
    }

    async fn find(&self, topic: &TopicName) -> Result<Option<Topic>, CatalogError> {
        let known = self.known(topic).await;
        Ok(known
            .map_err(|error| CatalogError::Unavailable(error.into()))?
            .map(|k| k.topic))
    }

    async fn list(&self) -> Result<Vec<Topic>, CatalogError> {
        let failed = |error: AdminError| CatalogError::Unavailable(error.into());
        let names = self.names().await.map_err(failed)?;
        let found: Vec<Option<Known>> = stream::iter(names)
            .map(async |name| self.known(&name).await)
            .buffered(LISTED_AT_ONCE)
            .try_collect()
            .await
            .map_err(failed)?;
        Ok(found
            .into_iter()
            .flatten()
            .map(|known| known.topic)
            .collect())
    }

    async fn open(&self, id: &PartitionId) -> Result<PulsarPartition, OpenError> {
        if self.shared.closing.load(Ordering::Acquire) {
            return Err(OpenError::Unavailable("the gateway is closing".into()));
        }
        let known = self
            .known(&id.topic)
            .await
            .map_err(|error| OpenError::Unavailable(error.into()))?
            .ok_or(OpenError::Unknown)?;
        loop {
            let log = self.log(&known, id.index).await?;
            // It was not used for so long that it is closed? Then it is opened anew.
            if let Some(held) = Held::of(&log) {
                return Ok(PulsarPartition::new(held));
            }
        }
    }

    async fn allocate_producer_ids(&self, count: u32) -> Result<Range<i64>, CatalogError> {
        producer_ids::take(&self.shared, count).await
    }
}

/// The property of a topic that is written in the format `pulsar` by every gateway.
fn in_pulsar_format() -> [(String, String); 1] {
    [(EntryFormat::PROPERTY.to_owned(), "PULSAR".to_owned())]
}

fn unavailable(error: AdminError) -> CreateError {
    CreateError::Unavailable(error.into())
}

fn open_error(error: OpeningError) -> OpenError {
    match error {
        OpeningError::Take(TakeError::Deleted)
        | OpeningError::Reader(pulsar_client::ReaderError::NotFound(_))
        | OpeningError::Bounds(BoundsError::Admin(AdminError::NotFound(_))) => OpenError::Unknown,
        OpeningError::Take(TakeError::NotOwner(_)) => OpenError::NotOwner,
        OpeningError::Bounds(error @ BoundsError::Unnumbered(_)) => {
            OpenError::Unusable(error.to_string())
        }
        error => OpenError::Unavailable(error.into()),
    }
}

fn not_created(error: PolicyError) -> CreateError {
    match error {
        PolicyError::Unsupported(unsupported) => unsupported.into(),
        PolicyError::Unavailable(error) => CreateError::Unavailable(error),
    }
}

fn not_configured(error: PolicyError) -> ConfigureError {
    match error {
        PolicyError::Unsupported(unsupported) => unsupported.into(),
        PolicyError::Unavailable(error) => ConfigureError::Unavailable(error),
    }
}

/// Why a topic of Pulsar that has no partitions is not configured.
fn not_partitioned(config: &TopicConfig) -> UnsupportedConfig {
    let first = config.iter().next();
    UnsupportedConfig {
        name: first.map_or("configuration", |(spec, _)| spec.name),
        value: first.map_or_else(String::new, |(_, value)| value.to_string()),
        reason: "this topic of Pulsar is not partitioned".to_owned(),
    }
}
