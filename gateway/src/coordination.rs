//! The door to the coordinators: finds the shard that a group lives in, and asks it.
//!
//! A shard is one partition of `__consumer_offsets`: a task that owns the pure machine
//! ([`kop_coordinator::Groups`]) of the groups in it. Shards start when they are first asked, and end
//! when their partition cannot be read or written: the next request starts them anew from the log,
//! so a failure and a restart are one path.
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kop_coordinator::{
    GroupConfig, GroupId, ListedGroup, Name, Reply, Request, Survey, TopicNames, partition_of,
};
use kop_store::{Catalog, CatalogError, CreateError, NewTopic, PartitionId, TopicConfig};
use kop_wire::TopicName;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tracing::{Instrument as _, info_span, warn};

use crate::{
    cluster::{Cluster, Leader},
    metrics::GroupCounters,
    sparingly::Sparingly,
    store::{OFFSETS_PARTITIONS, Store, error_chain},
};

mod appender;
mod clock;
mod deleted_topics;
mod loader;
mod shard;
mod stored_names;
mod timers;

#[cfg(test)]
mod tests;

use shard::Rules;

/// Requests that may wait for one shard; more wait at their connections.
const MAILBOX: usize = 1024;
/// Shards that are asked at a time, where all are: each may have to read its log first.
const ASKED_AT_ONCE: usize = 8;

/// How long one shard may take to say how it stands.
const SURVEY_TIME: Duration = Duration::from_secs(1);

/// How long the end waits for a log that does not answer.
const CLOSE_GRACE: Duration = Duration::from_secs(10);

/// While the store takes no writes, a shard ends with each commit, and begins anew with the next.
static ENDED: Sparingly = Sparingly::every(Duration::from_secs(10));

/// Why a coordinator gave no answer of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CoordinationError {
    /// The shard still reads its log.
    #[error("coordinator is loading")]
    Loading,
    /// Another gateway has the shard.
    #[error("not the coordinator")]
    NotCoordinator,
    /// The shard's log cannot be read or written now, or the gateway stops.
    #[error("coordinator not available")]
    Unavailable,
}

/// All coordinators of this gateway. Clones are handles to the same.
pub(crate) struct Coordination<C = Store>(Arc<Inner<C>>);

struct Inner<C> {
    catalog: C,
    cluster: Cluster,
    rules: Rules,
    topic: TopicName,
    known: Mutex<Known>,
    phase: watch::Sender<Phase>,
}

#[derive(Default)]
struct Known {
    /// Number of partitions of `__consumer_offsets`, once that is known.
    partitions: Option<u32>,
    shards: HashMap<i32, mpsc::Sender<Envelope>>,
}

/// How far the gateway is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// All is served.
    Serving,
    /// Nobody may wait for others any more.
    Draining,
    /// Shards end.
    Closing,
}

/// A request on its way to a shard.
#[derive(Debug)]
struct Envelope {
    question: Question,
    reply: ReplySlot,
}

/// What a shard is asked.
#[derive(Debug)]
enum Question {
    /// Something about one of its groups.
    Request(Request),
    /// Which groups it has.
    List,
    /// How it stands, with at most so many committed offsets.
    Survey(usize),
    /// To remove the offsets of a topic that is gone, by the name it has in records.
    ForgetTopic(Name),
}

type ReplySlot = oneshot::Sender<Result<Reply, CoordinationError>>;

impl<C> Clone for Coordination<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> fmt::Debug for Coordination<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coordination")
            .field("config", &self.0.rules.config)
            .finish_non_exhaustive()
    }
}

impl<C: Catalog> Coordination<C> {
    /// Coordinators that keep their records in this catalog, of the groups that are this gateway's in
    /// the cluster. None runs before it is asked.
    pub(crate) fn new(
        catalog: C,
        config: GroupConfig,
        names: TopicNames,
        counters: GroupCounters,
        cluster: Cluster,
    ) -> Self {
        let topic = TopicName::new(kop_store::CONSUMER_OFFSETS);
        Self(Arc::new(Inner {
            catalog,
            cluster,
            rules: Rules {
                config,
                names,
                counters,
            },
            topic: topic.expect("Kafka's own name is a legal one"),
            known: Mutex::default(),
            phase: watch::Sender::new(Phase::Serving),
        }))
    }

    /// Hands a request to its group's shard and waits for the answer, which for joins and syncs may
    /// take as long as a rebalance. Whoever stops waiting takes nothing back.
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, CoordinationError> {
        let group = request.group().clone();
        let shard = self.shard_of(&group).await?;
        put(shard, Question::Request(request)).await
    }

    /// All groups of the shards that this gateway has, by name. Shards that nobody has asked for
    /// anything yet read their logs for it.
    ///
    /// # Errors
    /// Where a shard cannot answer: a list with groups missing would be taken for the whole.
    pub(crate) async fn list(&self) -> Result<Vec<ListedGroup>, CoordinationError> {
        let partitions = match self.existing_partitions().await? {
            Some(partitions) => i32::try_from(partitions).unwrap_or(i32::MAX),
            // Where no group has ever been, there is nothing to list, and nothing to make.
            None => return Ok(Vec::new()),
        };
        let lists = stream::iter(0..partitions)
            .map(|index| async move { self.list_shard(index).await })
            .buffer_unordered(ASKED_AT_ONCE);
        let mut groups: Vec<ListedGroup> = lists.try_concat().await?;
        groups.sort_by(|a, b| a.group.cmp(&b.group));
        Ok(groups)
    }

    /// How the shards stand that answer soon, each with at most so many committed offsets. Those that
    /// nobody has asked for anything yet are left out, unless they are to be started for it.
    pub(crate) async fn survey(&self, start: bool, most: usize) -> Vec<Survey> {
        let shards: Vec<_> = if start {
            let partitions = self.existing_partitions().await.unwrap_or_default();
            let partitions = i32::try_from(partitions.unwrap_or(0)).unwrap_or(i32::MAX);
            // Others have the rest.
            let shards = (0..partitions).filter_map(|index| self.shard(index).ok());
            shards.collect()
        } else {
            self.0.lock().shards.values().cloned().collect()
        };
        let surveys = stream::iter(shards)
            .map(|shard| timeout(SURVEY_TIME, put(shard, Question::Survey(most))))
            .buffer_unordered(ASKED_AT_ONCE)
            .filter_map(async |answer| match answer {
                Ok(Ok(Reply::Survey(survey))) => Some(survey),
                _ => None,
            });
        surveys.collect().await
    }

    async fn list_shard(&self, index: i32) -> Result<Vec<ListedGroup>, CoordinationError> {
        let listed = match self.shard(index) {
            Ok(shard) => put(shard, Question::List).await,
            Err(error) => Err(error),
        };
        match listed {
            Ok(Reply::ListGroups(groups)) => Ok(groups),
            // Its owner lists it.
            Err(CoordinationError::NotCoordinator) => Ok(Vec::new()),
            Err(error) => Err(error),
            Ok(_) => Err(CoordinationError::Unavailable),
        }
    }

    /// Node id of the gateway that coordinates a group. Where it is this one, the shard starts, so
    /// that it loads while the client connects.
    pub(crate) async fn coordinator(&self, group: &GroupId) -> Result<i32, CoordinationError> {
        let index = partition_of(group.as_str(), self.partitions().await?);
        let leader = self.0.cluster.leader(&self.0.partition(index));
        let Leader { node, .. } = leader.ok_or(CoordinationError::Unavailable)?;
        match self.shard(index) {
            Ok(_) | Err(CoordinationError::NotCoordinator) => Ok(node),
            Err(error) => Err(error),
        }
    }

    /// Ends the shards that this gateway no longer has, so that what they know is not taken for true
    /// when it has them again.
    pub(crate) fn retire(&self) {
        // A shard ends when nobody can reach it any more.
        let keep =
            |index: &i32, _: &mut _| self.0.cluster.leads(&self.0.partition(*index)).is_some();
        self.0.lock().shards.retain(keep);
    }

    /// From now on nobody waits for others: those who wait in a rebalance are told to ask again.
    pub(crate) fn drain(&self) {
        self.0.phase.send_if_modified(|phase| {
            let was_serving = *phase == Phase::Serving;
            *phase = (*phase).max(Phase::Draining);
            was_serving
        });
    }

    /// Ends all shards when they have answered what has reached them, and waits until they have.
    pub(crate) async fn close(&self) {
        self.0.phase.send_replace(Phase::Closing);
        // Each shard holds a receiver of the phase.
        if timeout(CLOSE_GRACE, self.0.phase.closed()).await.is_err() {
            warn!("group shards still wait for their logs and are left behind");
        }
    }

    async fn shard_of(&self, group: &GroupId) -> Result<mpsc::Sender<Envelope>, CoordinationError> {
        let partitions = self.partitions().await?;
        self.shard(partition_of(group.as_str(), partitions))
    }

    fn shard(&self, index: i32) -> Result<mpsc::Sender<Envelope>, CoordinationError> {
        let mut known = self.0.lock();
        if self.0.cluster.leads(&self.0.partition(index)).is_none() {
            return Err(CoordinationError::NotCoordinator);
        }
        if let Some(shard) = known.shards.get(&index).filter(|shard| !shard.is_closed()) {
            return Ok(shard.clone());
        }
        // Shards take their receivers under the lock, so none starts that `close` does not see.
        if *self.0.phase.borrow() == Phase::Closing {
            return Err(CoordinationError::Unavailable);
        }
        let shard = self.start(index);
        known.shards.insert(index, shard.clone());
        Ok(shard)
    }

    fn start(&self, index: i32) -> mpsc::Sender<Envelope> {
        let (sender, mailbox) = mpsc::channel(MAILBOX);
        let id = self.0.partition(index);
        let phase = self.0.phase.subscribe();
        let inner = Arc::clone(&self.0);
        let shard = async move {
            let ended = shard::run(&inner.catalog, &id, &inner.rules, mailbox, phase).await;
            if let Err(error) = ended {
                if let Some(more_before) = ENDED.now() {
                    let cause = error_chain(&error);
                    warn!(cause, more_before, "group shard ended");
                }
                if error.means_no_topic() {
                    inner.lock().partitions = None;
                }
            }
        };
        tokio::spawn(shard.instrument(info_span!("group_shard", partition = index)));
        sender
    }

    /// How many partitions `__consumer_offsets` has; makes it where there is none.
    async fn partitions(&self) -> Result<u32, CoordinationError> {
        if let Some(partitions) = self.0.lock().partitions {
            return Ok(partitions);
        }
        let partitions = self.find_or_create().await.map_err(|cause| {
            warn!(%cause, "no topic for consumer groups");
            CoordinationError::Unavailable
        })?;
        self.0.lock().partitions = Some(partitions);
        Ok(partitions)
    }

    /// How many partitions `__consumer_offsets` has, if there is one.
    async fn existing_partitions(&self) -> Result<Option<u32>, CoordinationError> {
        if let Some(partitions) = self.0.lock().partitions {
            return Ok(Some(partitions));
        }
        let topic = self.0.catalog.find(&self.0.topic).await.map_err(|cause| {
            warn!(%cause, "cannot look for consumer groups");
            CoordinationError::Unavailable
        })?;
        let partitions = topic.map(|topic| topic.partitions);
        if partitions.is_some() {
            self.0.lock().partitions = partitions;
        }
        Ok(partitions)
    }

    async fn find_or_create(&self) -> Result<u32, NoTopic> {
        if let Some(topic) = self.0.catalog.find(&self.0.topic).await? {
            return Ok(topic.partitions);
        }
        let new = NewTopic {
            name: self.0.topic.clone(),
            partitions: OFFSETS_PARTITIONS,
            config: TopicConfig::new(),
        };
        match self.0.catalog.create(new).await {
            Ok(topic) => Ok(topic.partitions),
            Err(CreateError::Exists(_)) => {
                let topic = self.0.catalog.find(&self.0.topic).await?;
                topic.map(|topic| topic.partitions).ok_or(NoTopic::Vanished)
            }
            Err(error) => Err(error.into()),
        }
    }
}

async fn put(
    shard: mpsc::Sender<Envelope>,
    question: Question,
) -> Result<Reply, CoordinationError> {
    let (reply, answer) = oneshot::channel();
    let envelope = Envelope { question, reply };
    let sent = shard.send(envelope).await;
    sent.map_err(|_| CoordinationError::Unavailable)?;
    answer.await.unwrap_or(Err(CoordinationError::Unavailable))
}

impl<C> Inner<C> {
    fn partition(&self, index: i32) -> PartitionId {
        PartitionId {
            topic: self.topic.clone(),
            index,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no `__consumer_offsets`.
#[derive(Debug, thiserror::Error)]
enum NoTopic {
    #[error("cannot look it up: {0}")]
    Find(#[from] CatalogError),
    #[error("cannot make it: {0}")]
    Create(#[from] CreateError),
    #[error("it was there and is gone")]
    Vanished,
}
