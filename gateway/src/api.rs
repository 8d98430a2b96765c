//! The one table of APIs: what is served, in which versions, by whom.
//!
//! A handler is `async fn handle(&Call, Request) -> Response` in a file of its own. What ApiVersions
//! tells clients is computed from this table, so nothing can be advertised that is not served.
use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI16, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use kop_wire::kafka_protocol::{ResponseError, messages::ApiKey, protocol::Decodable};

use crate::gateway::Gateway;

mod alter_configs;
mod answer;
pub(crate) mod api_versions;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod elect_leaders;
pub(crate) mod error;
mod fetch;
mod find_coordinator;
mod groups;
mod heartbeat;
mod incremental_alter_configs;
pub(crate) mod init_producer_id;
mod join_group;
mod leaders;
mod leave_group;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
pub(crate) mod shape;
mod sync_group;
mod target;

pub(crate) use answer::{Answer, Body, Reply};
pub(crate) use fetch::{late::LateReads, sessions::Sessions as FetchSessions};

/// One request being served, and who sent it.
#[derive(Debug)]
pub(crate) struct Call {
    /// The gateway it came to.
    pub(crate) gateway: Arc<Gateway>,
    /// The version of the API that the request is in, one of its row's.
    pub(crate) version: i16,
    /// What the client calls itself.
    pub(crate) client_id: Option<String>,
    /// Where it came from.
    pub(crate) peer: SocketAddr,
    /// Which of the configured listeners it came in on.
    pub(crate) listener: usize,
    /// Its size with all that stands around it, in bytes.
    pub(crate) size: usize,
    turn: Mutex<Option<Turn>>,
    refused: AtomicI16,
    /// Nanoseconds in which it waited for what others do.
    waited: AtomicU64,
}

/// A place in the order of one connection's appends: dropping it lets the next one go.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Resolves when the append before this one has been handed to the store.
    pub(crate) before: Option<tokio::sync::oneshot::Receiver<()>>,
    /// Dropped when this one has been.
    pub(crate) after: tokio::sync::oneshot::Sender<()>,
}

impl Turn {
    /// Waits for its place. The result is to be dropped once the appends have been handed over.
    pub(crate) async fn come(self) -> impl Sized + Send {
        if let Some(before) = self.before {
            // Its sender is only ever dropped, never used.
            let _ = before.await;
        }
        self.after
    }
}

impl Call {
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        version: i16,
        client_id: Option<String>,
        (peer, listener): (SocketAddr, usize),
        size: usize,
        turn: Option<Turn>,
    ) -> Self {
        Self {
            gateway,
            version,
            client_id,
            peer,
            listener,
            size,
            turn: Mutex::new(turn),
            refused: AtomicI16::new(0),
            waited: AtomicU64::new(0),
        }
    }

    /// Notes an error of the answer, for the metrics; the first one counts. Gives its code.
    pub(crate) fn refuse(&self, error: ResponseError) -> i16 {
        let code = error.code();
        // The first one stays; a later one that loses against it is no loss.
        let _ = self
            .refused
            .compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
        code
    }

    /// Notes time in which the request waited for what others do, for the metrics.
    pub(crate) fn note_wait(&self, waited: Duration) {
        let nanos = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.waited.fetch_add(nanos, Ordering::Relaxed);
    }

    /// All the time that was noted.
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited.load(Ordering::Relaxed))
    }

    /// The first error that was noted.
    pub(crate) fn refused(&self) -> Option<ResponseError> {
        ResponseError::try_from_code(self.refused.load(Ordering::Relaxed))
    }

    /// The request's place among the appends of its connection, once.
    pub(crate) fn take_turn(&self) -> Option<Turn> {
        self.turn
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// How a request stands to the others of its connection. Answers go out in the order of the requests
/// in any case; this says when work may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// When all before it have been worked off, but for those that [wait](Order::Waits).
    Serial,
    /// As `Serial`, but several of these run at a time, their appends in the order of the requests.
    Appends,
    /// As `Serial`, but may wait for what others do, so those behind it do not wait for it.
    Waits,
}

/// A request that does not follow its API's schema; the connection is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    /// It cannot be read.
    #[error("unreadable {api} request of version {version}: {cause}")]
    Request {
        /// Name of the API.
        api: &'static str,
        /// The version it claims.
        version: i16,
        /// What is wrong.
        cause: String,
    },
    /// The answer could not be written in the request's version: a mistake of the gateway.
    #[error("unwritable {api} response of version {version}: {cause}")]
    Response {
        /// Name of the API.
        api: &'static str,
        /// The version that was asked for.
        version: i16,
        /// What is wrong.
        cause: String,
    },
}

/// A row of the table.
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) name: &'static str,
    /// Versions that are served.
    pub(crate) versions: RangeInclusive<i16>,
    /// Lowest version that clients are told of.
    pub(crate) advertised_from: i16,
    pub(crate) order: Order,
    pub(crate) serve: fn(Arc<Call>, Bytes) -> BoxFuture<'static, Result<Reply, Malformed>>,
    /// Decodes a body as `serve` does.
    #[cfg(feature = "fuzzing")]
    pub(crate) reread: crate::fuzzing::Reread,
}

/// One row: key and request type, versions, order, the handler's module.
macro_rules! api {
    ($name:ident, $versions:expr, $order:ident, $module:ident) => {
        Api {
            key: ApiKey::$name,
            name: stringify!($name),
            versions: $versions,
            advertised_from: *$versions.start(),
            order: Order::$order,
            serve: |call, body| {
                Box::pin(async move {
                    let request = decode(stringify!($name), &call, body)?;
                    let answer = $module::handle(&call, request).await;
                    answer
                        .into_reply(call.version)
                        .map_err(|cause| Malformed::Response {
                            api: stringify!($name),
                            version: call.version,
                            cause: cause.to_string(),
                        })
                })
            },
            #[cfg(feature = "fuzzing")]
            reread: crate::fuzzing::reread_by($module::handle),
        }
    };
}

/// Every API that is served, by key.
pub(crate) static APIS: &[Api] = &[
    // Clients of librdkafka take a broker that does not name versions 0 to 2 for one that cannot
    // take compressed batches (KAFKA-18659): they are told of them, and never use them.
    Api {
        advertised_from: 0,
        ..api!(Produce, 3..=13, Appends, produce)
    },
    api!(Fetch, 4..=18, Waits, fetch),
    api!(ListOffsets, 1..=10, Serial, list_offsets),
    api!(Metadata, 0..=13, Serial, metadata),
    api!(OffsetCommit, 2..=9, Serial, offset_commit),
    api!(OffsetFetch, 1..=9, Serial, offset_fetch),
    api!(FindCoordinator, 0..=6, Serial, find_coordinator),
    api!(JoinGroup, 0..=9, Waits, join_group),
    api!(Heartbeat, 0..=4, Serial, heartbeat),
    api!(LeaveGroup, 0..=5, Serial, leave_group),
    api!(SyncGroup, 0..=5, Waits, sync_group),
    api!(DescribeGroups, 0..=6, Serial, describe_groups),
    api!(ListGroups, 0..=5, Serial, list_groups),
    api!(ApiVersions, 0..=4, Serial, api_versions),
    api!(CreateTopics, 2..=7, Serial, create_topics),
    api!(DeleteTopics, 1..=6, Serial, delete_topics),
    api!(DeleteRecords, 0..=2, Serial, delete_records),
    api!(InitProducerId, 0..=5, Serial, init_producer_id),
    api!(DeleteGroups, 0..=2, Serial, delete_groups),
    api!(OffsetDelete, 0..=0, Serial, offset_delete),
    api!(OffsetForLeaderEpoch, 2..=4, Serial, offset_for_leader_epoch),
    api!(DescribeConfigs, 1..=4, Serial, describe_configs),
    api!(AlterConfigs, 0..=2, Serial, alter_configs),
    api!(DescribeLogDirs, 1..=4, Serial, describe_log_dirs),
    api!(CreatePartitions, 0..=3, Serial, create_partitions),
    api!(ElectLeaders, 0..=2, Serial, elect_leaders),
    api!(
        IncrementalAlterConfigs,
        0..=1,
        Serial,
        incremental_alter_configs
    ),
    api!(
        ListPartitionReassignments,
        0..=0,
        Serial,
        list_partition_reassignments
    ),
    api!(DescribeProducers, 0..=0, Serial, describe_producers),
    api!(DescribeCluster, 0..=2, Serial, describe_cluster),
    api!(
        DescribeTopicPartitions,
        0..=0,
        Serial,
        describe_topic_partitions
    ),
];

/// The row of an API.
pub(crate) fn find(key: i16) -> Option<&'static Api> {
    APIS.iter().find(|api| api.key as i16 == key)
}

fn decode<Request: Decodable>(
    api: &'static str,
    call: &Call,
    mut body: Bytes,
) -> Result<Request, Malformed> {
    Request::decode(&mut body, call.version).map_err(|cause| Malformed::Request {
        api,
        version: call.version,
        cause: cause.to_string(),
    })
}
