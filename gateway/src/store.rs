//! The engine that was chosen at start, behind one type.
use std::{ops::Range, sync::Arc};

use kop_config::{Config, OAuth2Config, PulsarConfig, StoreConfig};
use kop_store::{
    AppendError, Appended, Catalog, CatalogError, ConfigureError, CreateError, DeleteError,
    Fetched, GrowError, NewTopic, OpenError, Partition, PartitionId, ReadError, ReadLimit,
    TimestampedOffset, Topic, TopicConfig, TopicDefaults, TopicSettings, TruncateError,
    UnsupportedConfig, Watermarks, producer_state::ActiveProducer,
};
use kop_store_embedded::{Clock, Durability, EmbeddedOptions, EmbeddedPartition, EmbeddedStore};
use kop_store_pulsar::{
    EntryFormat, PulsarAuthentication, PulsarOptions, PulsarPartition, PulsarStore,
    WeakPulsarPartition,
};
use kop_wire::{Batch, Offset, Timestamp, TopicName};
use tracing::{info, warn};

use crate::cluster::{Cluster, JoinError, Member};

/// Partitions of `__consumer_offsets`, where the gateway makes it.
pub(crate) const OFFSETS_PARTITIONS: u32 = 50;

/// What keeps the records. Clones are handles to the same store.
#[derive(Clone)]
pub(crate) enum Store {
    /// A directory of this machine.
    Embedded(EmbeddedStore),
    /// Topics of a Pulsar cluster.
    Pulsar(PulsarStore),
}

/// A partition of whichever engine was chosen.
#[derive(Debug, Clone)]
pub(crate) enum StorePartition {
    /// In a directory of this machine.
    Embedded(EmbeddedPartition),
    /// A topic of a Pulsar cluster.
    Pulsar(PulsarPartition),
}

/// A handle that does not keep a partition open, where the engine closes those that nobody uses.
#[derive(Debug, Clone)]
pub(crate) enum WeakStorePartition {
    /// In a directory of this machine.
    Embedded(EmbeddedPartition),
    /// A topic of a Pulsar cluster.
    Pulsar(WeakPulsarPartition),
}

/// Why there is no store to serve from.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// The directory cannot be used.
    #[error(transparent)]
    Embedded(#[from] kop_store_embedded::OpenStoreError),
    /// Pulsar cannot be used.
    #[error(transparent)]
    Pulsar(#[from] kop_store_pulsar::ConnectError),
    /// Opening it ended by a mistake in the engine.
    #[error("opening the store failed")]
    Stopped(#[from] tokio::task::JoinError),
}

impl Store {
    /// Opens the store that the configuration names.
    pub(crate) async fn open(config: &Config) -> Result<Self, OpenStoreError> {
        match &config.store {
            StoreConfig::Embedded {
                data_dir,
                durability,
            } => {
                let options = EmbeddedOptions {
                    directory: data_dir.clone(),
                    durability: match durability {
                        kop_config::Durability::Sync => Durability::Sync,
                        kop_config::Durability::Os => Durability::Os,
                    },
                    defaults: topic_defaults(config),
                    clock: Clock::system(),
                };
                info!(
                    directory = %data_dir.display(),
                    durability = ?durability,
                    "opening the embedded store"
                );
                let opening = tokio::task::spawn_blocking(|| EmbeddedStore::open(options));
                Ok(Self::Embedded(opening.await??))
            }
            StoreConfig::Pulsar(pulsar) => {
                let options = pulsar_options(pulsar.clone(), config);
                Ok(Self::Pulsar(PulsarStore::connect(options).await?))
            }
        }
    }

    /// Name of the engine as the process's `ready` line says it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Pulsar(_) => "pulsar",
        }
    }

    /// Name of the cluster that clients see: the same after a restart, and for all gateways of one
    /// Pulsar.
    pub(crate) fn cluster_id(&self) -> String {
        match self {
            Self::Embedded(store) => store.cluster_id().to_owned(),
            Self::Pulsar(store) => store.cluster_id(),
        }
    }

    /// Gives up the partitions that others lead: all but those that `keep` names.
    pub(crate) fn keep_only(&self, keep: impl Fn(&PartitionId) -> bool) {
        match self {
            // Nobody else can have its directory.
            Self::Embedded(_) => {}
            Self::Pulsar(store) => store.keep_only(keep),
        }
    }

    /// Has the store ask who leads what.
    pub(crate) fn follow(&self, cluster: &Cluster) {
        match self {
            Self::Embedded(_) => {}
            Self::Pulsar(store) => store.follow(Arc::new(cluster.clone())),
        }
    }

    /// Others share the store from now on.
    pub(crate) fn note_others(&self) {
        match self {
            Self::Embedded(_) => {}
            Self::Pulsar(store) => store.note_others(),
        }
    }

    /// Notes which producers can have written nothing before now, by their ids.
    pub(crate) async fn mark_producer_ids(&self) {
        let marked = match self {
            Self::Embedded(_) => Ok(()),
            Self::Pulsar(store) => store.mark_producer_ids().await,
        };
        if let Err(error) = marked {
            let error = error_chain(&error);
            warn!(
                error,
                "no producer ids taken for a new view of the gateways"
            );
        }
    }

    /// Looks again at a topic that another gateway has changed, where partitions of it are open.
    pub(crate) async fn look_anew(&self, topic: &TopicName) -> Result<Option<Topic>, CatalogError> {
        match self {
            Self::Embedded(_) => Ok(None),
            Self::Pulsar(store) => store.look_anew(topic).await,
        }
    }

    /// Forgets what is remembered of all topics; answers those that have open partitions.
    pub(crate) fn forget_topics(&self) -> Vec<TopicName> {
        match self {
            Self::Embedded(_) => Vec::new(),
            Self::Pulsar(store) => store.forget_topics(),
        }
    }

    /// The cluster of the gateways that share this store, with `member` in it.
    pub(crate) async fn join(&self, member: Member) -> Result<Cluster, JoinError> {
        match self {
            Self::Embedded(_) => Ok(Cluster::alone(member)),
            Self::Pulsar(store) => Cluster::join(store.membership().await?, member).await,
        }
    }

    /// Brings what is written to its place and gives back what is owned.
    pub(crate) async fn close(&self) {
        match self {
            Self::Embedded(store) => {
                if let Err(error) = store.close().await {
                    warn!(error = error_chain(&error), "store not closed cleanly");
                }
            }
            Self::Pulsar(store) => store.close().await,
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// What holds for topics that do not say.
pub(crate) fn topic_defaults(config: &Config) -> TopicDefaults {
    TopicDefaults {
        max_message_bytes: config.limits.message_bytes,
        retention_ms: match config.store {
            StoreConfig::Embedded { .. } => config.default_retention_ms,
            // A namespace decides, unless the topic sets one of its limits: then the other is none.
            StoreConfig::Pulsar(_) => -1,
        },
    }
}

pub(crate) fn pulsar_options(pulsar: PulsarConfig, config: &Config) -> PulsarOptions {
    let PulsarConfig {
        service_url,
        admin_url,
        authentication,
        ca_file,
        tenant,
        namespace,
        metadata_namespace,
        entry_format,
        tail_cache_bytes,
    } = pulsar;
    PulsarOptions {
        service_url,
        admin_url,
        authentication: authentication.map(pulsar_authentication),
        ca_file,
        tenant,
        namespace,
        metadata_namespace,
        entry_format: match entry_format {
            kop_config::EntryFormat::Pulsar => EntryFormat::Pulsar,
            kop_config::EntryFormat::Kafka => EntryFormat::Kafka,
        },
        offsets_partitions: OFFSETS_PARTITIONS,
        tail_cache_bytes,
        read_ahead_bytes: config.limits.memory_bytes,
        node_name: format!("kop-gateway-{}", config.node_id),
        topic_defaults: topic_defaults(config),
        unused_open: PulsarOptions::UNUSED_OPEN,
    }
}

fn pulsar_authentication(authentication: kop_config::PulsarAuthentication) -> PulsarAuthentication {
    match authentication {
        kop_config::PulsarAuthentication::TokenFile(path) => PulsarAuthentication::TokenFile(path),
        kop_config::PulsarAuthentication::OAuth2(oauth2) => {
            let OAuth2Config {
                issuer_url,
                credentials_file,
                audience,
                scope,
            } = *oauth2;
            PulsarAuthentication::OAuth2 {
                issuer_url,
                credentials_file,
                audience,
                scope,
            }
        }
    }
}

impl StorePartition {
    /// A handle that does not keep the partition open.
    pub(crate) fn downgrade(&self) -> WeakStorePartition {
        match self {
            Self::Embedded(partition) => WeakStorePartition::Embedded(partition.clone()),
            Self::Pulsar(partition) => WeakStorePartition::Pulsar(partition.downgrade()),
        }
    }

    /// Whether the handle is of no use any more while the partition may be: it is to be opened anew.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Embedded(_) => false,
            Self::Pulsar(partition) => partition.is_over(),
        }
    }

    /// Has the partition ready for the appends that will come.
    pub(crate) fn prepare(&self) {
        match self {
            Self::Embedded(_) => {}
            Self::Pulsar(partition) => partition.prepare(),
        }
    }
}

impl WeakStorePartition {
    /// A handle; `None` where the partition is closed, and is to be opened anew.
    pub(crate) fn upgrade(&self) -> Option<StorePartition> {
        match self {
            Self::Embedded(partition) => Some(StorePartition::Embedded(partition.clone())),
            Self::Pulsar(partition) => partition.upgrade().map(StorePartition::Pulsar),
        }
    }

    /// Whether the partition is closed.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Embedded(_) => false,
            Self::Pulsar(partition) => partition.is_over(),
        }
    }

    /// Where the partition ends as far as it is known, which is not to use it.
    pub(crate) fn end(&self) -> Option<Offset> {
        match self {
            Self::Embedded(partition) => Some(partition.watermarks().high),
            Self::Pulsar(partition) => partition.end(),
        }
    }
}

impl Catalog for Store {
    type Partition = StorePartition;

    async fn create(&self, topic: NewTopic) -> Result<Topic, CreateError> {
        match self {
            Self::Embedded(store) => store.create(topic).await,
            Self::Pulsar(store) => store.create(topic).await,
        }
    }

    async fn delete(&self, topic: &TopicName) -> Result<(), DeleteError> {
        match self {
            Self::Embedded(store) => store.delete(topic).await,
            Self::Pulsar(store) => store.delete(topic).await,
        }
    }

    async fn grow(&self, topic: &TopicName, partitions: u32) -> Result<Topic, GrowError> {
        match self {
            Self::Embedded(store) => store.grow(topic, partitions).await,
            Self::Pulsar(store) => store.grow(topic, partitions).await,
        }
    }

    async fn configure(
        &self,
        topic: &TopicName,
        from: &TopicConfig,
        to: TopicConfig,
    ) -> Result<Topic, ConfigureError> {
        match self {
            Self::Embedded(store) => store.configure(topic, from, to).await,
            Self::Pulsar(store) => store.configure(topic, from, to).await,
        }
    }

    fn supports(&self, config: &TopicConfig) -> Result<(), UnsupportedConfig> {
        match self {
            Self::Embedded(store) => store.supports(config),
            Self::Pulsar(store) => store.supports(config),
        }
    }

    async fn find_anew(&self, topic: &TopicName) -> Result<Option<Topic>, CatalogError> {
        match self {
            Self::Embedded(store) => store.find_anew(topic).await,
            Self::Pulsar(store) => store.find_anew(topic).await,
        }
    }

    async fn find(&self, topic: &TopicName) -> Result<Option<Topic>, CatalogError> {
        match self {
            Self::Embedded(store) => store.find(topic).await,
            Self::Pulsar(store) => store.find(topic).await,
        }
    }

    async fn list(&self) -> Result<Vec<Topic>, CatalogError> {
        match self {
            Self::Embedded(store) => store.list().await,
            Self::Pulsar(store) => store.list().await,
        }
    }

    async fn open(&self, id: &PartitionId) -> Result<StorePartition, OpenError> {
        match self {
            Self::Embedded(store) => store.open(id).await.map(StorePartition::Embedded),
            Self::Pulsar(store) => store.open(id).await.map(StorePartition::Pulsar),
        }
    }

    async fn allocate_producer_ids(&self, count: u32) -> Result<Range<i64>, CatalogError> {
        match self {
            Self::Embedded(store) => store.allocate_producer_ids(count).await,
            Self::Pulsar(store) => store.allocate_producer_ids(count).await,
        }
    }
}

impl Partition for StorePartition {
    async fn append(&self, batch: Batch) -> Result<Appended, AppendError> {
        match self {
            Self::Embedded(partition) => partition.append(batch).await,
            Self::Pulsar(partition) => partition.append(batch).await,
        }
    }

    async fn read(&self, from: Offset, limit: ReadLimit) -> Result<Fetched, ReadError> {
        match self {
            Self::Embedded(partition) => partition.read(from, limit).await,
            Self::Pulsar(partition) => partition.read(from, limit).await,
        }
    }

    fn settings(&self) -> TopicSettings {
        match self {
            Self::Embedded(partition) => partition.settings(),
            Self::Pulsar(partition) => partition.settings(),
        }
    }

    async fn end(&self) -> Result<Offset, ReadError> {
        match self {
            Self::Embedded(partition) => partition.end().await,
            Self::Pulsar(partition) => partition.end().await,
        }
    }

    async fn confirm(&self) -> Result<(), AppendError> {
        match self {
            Self::Embedded(partition) => partition.confirm().await,
            Self::Pulsar(partition) => partition.confirm().await,
        }
    }

    fn watermarks(&self) -> Watermarks {
        match self {
            Self::Embedded(partition) => partition.watermarks(),
            Self::Pulsar(partition) => partition.watermarks(),
        }
    }

    async fn advanced(&self, past: Offset) {
        match self {
            Self::Embedded(partition) => partition.advanced(past).await,
            Self::Pulsar(partition) => partition.advanced(past).await,
        }
    }

    async fn offset_at(&self, time: Timestamp) -> Result<Option<TimestampedOffset>, ReadError> {
        match self {
            Self::Embedded(partition) => partition.offset_at(time).await,
            Self::Pulsar(partition) => partition.offset_at(time).await,
        }
    }

    async fn newest(&self) -> Result<Option<TimestampedOffset>, ReadError> {
        match self {
            Self::Embedded(partition) => partition.newest().await,
            Self::Pulsar(partition) => partition.newest().await,
        }
    }

    async fn producers(&self) -> Result<Vec<ActiveProducer>, ReadError> {
        match self {
            Self::Embedded(partition) => partition.producers().await,
            Self::Pulsar(partition) => partition.producers().await,
        }
    }

    async fn stored_bytes(&self) -> Result<u64, ReadError> {
        match self {
            Self::Embedded(partition) => partition.stored_bytes().await,
            Self::Pulsar(partition) => partition.stored_bytes().await,
        }
    }

    async fn truncate_before(&self, offset: Offset) -> Result<(), TruncateError> {
        match self {
            Self::Embedded(partition) => partition.truncate_before(offset).await,
            Self::Pulsar(partition) => partition.truncate_before(offset).await,
        }
    }
}
