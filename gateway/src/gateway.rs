//! What all connections share.
use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use kop_config::{Config, HostPort};
use kop_coordinator::GroupConfig;
use kop_store::{Fetched, PartitionId, ReadError};
use kop_wire::Offset;
use tokio::sync::watch;

use crate::{
    api::{FetchSessions, LateReads, init_producer_id::ProducerIds},
    budget::Budget,
    cluster::Cluster,
    coordination::Coordination,
    metrics::Metrics,
    partitions::Partitions,
    store::{Store, StorePartition},
    topics::Topics,
};

/// What a read of a partition brought.
type ReadOf = (StorePartition, Result<Fetched, ReadError>);

/// One gateway: its configuration, its store, and what it remembers.
pub(crate) struct Gateway {
    /// How it was configured.
    pub(crate) config: Config,
    /// The gateways that serve the cluster, this one among them.
    pub(crate) cluster: Cluster,
    /// Name of this cluster, the same after a restart.
    pub(crate) cluster_id: String,
    /// Where clients of each listener are told to connect, in the order of `config.listeners`.
    pub(crate) advertised: Vec<HostPort>,
    /// What keeps the records.
    pub(crate) store: Store,
    /// Partitions that have been opened.
    pub(crate) partitions: Partitions,
    /// Consumer groups.
    pub(crate) coordination: Coordination,
    /// Topics by their ids.
    pub(crate) topics: Arc<Topics>,
    /// What clients fetch, so that they need not say it each time.
    pub(crate) fetch_sessions: Mutex<FetchSessions>,
    /// Reads that were not done when their fetch was answered.
    pub(crate) late_reads: LateReads<(PartitionId, Offset), ReadOf>,
    /// Producer ids that have been allocated and not yet been given out.
    pub(crate) producer_ids: ProducerIds,
    /// Bytes of requests that are being read or answered.
    pub(crate) request_memory: Budget,
    /// Bytes of requests whose memory their batches stand in, for as long as a store or a reader has any.
    pub(crate) kept_memory: Budget,
    /// Bytes of fetched records that wait to be written.
    pub(crate) fetch_memory: Budget,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Becomes true when the gateway is asked to stop.
    pub(crate) draining: watch::Receiver<bool>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("cluster_id", &self.cluster_id)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// The gateway on a store that is open, in its cluster. `advertised` are the addresses that
    /// clients are told, in the order of `config.listeners`.
    pub(crate) fn new(
        config: Config,
        store: Store,
        (cluster, advertised): (Cluster, Vec<HostPort>),
        (metrics, draining): (Arc<Metrics>, watch::Receiver<bool>),
    ) -> Arc<Self> {
        let groups = group_config(&config.groups);
        let memory = config.limits.memory_bytes;
        let newest = config.store.tail_cache_bytes().unwrap_or_default();
        Arc::new(Self {
            cluster_id: store.cluster_id(),
            advertised,
            coordination: Coordination::new(
                store.clone(),
                groups,
                store.topic_names(),
                metrics.groups.clone(),
                cluster.clone(),
            ),
            cluster,
            store,
            partitions: Partitions::default(),
            topics: Arc::default(),
            fetch_sessions: Mutex::default(),
            late_reads: LateReads::default(),
            producer_ids: ProducerIds::default(),
            request_memory: Budget::new(memory),
            // As much as stores keep in any case, and what readers have from there.
            kept_memory: Budget::new(newest.saturating_add(memory / 2)),
            fetch_memory: Budget::new(memory),
            metrics,
            draining,
            config,
        })
    }

    /// This gateway's node id, as Kafka's messages carry it.
    pub(crate) fn node_id(&self) -> kop_wire::kafka_protocol::messages::BrokerId {
        self.config.node_id.into()
    }
}

/// The coordinators' rules: what is configured, and limits that are not.
fn group_config(configured: &kop_config::Groups) -> GroupConfig {
    let kop_config::Groups {
        initial_rebalance_delay,
        min_session_timeout,
        max_session_timeout,
        max_size,
        offsets_retention,
        offsets_retention_check_interval,
        offset_metadata_bytes,
    } = *configured;
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    GroupConfig {
        initial_rebalance_delay_ms: millis(initial_rebalance_delay),
        min_session_timeout_ms: millis(min_session_timeout),
        max_session_timeout_ms: millis(max_session_timeout),
        max_group_size: max_size,
        offset_retention_ms: millis(offsets_retention),
        offset_retention_check_ms: millis(offsets_retention_check_interval),
        max_offset_metadata_bytes: offset_metadata_bytes,
        ..GroupConfig::default()
    }
}
