//! The gateways that serve one cluster together: who is in, and who leads which partition.
//!
//! ```text
//! seat ──announces──► the gateways' log ──► reader ──► View (pure) ──► who asks here
//! watch ─probes its neighbour, wins a dead one's seat and announces that it is gone─┘
//! ```
//!
//! The view says who *should* lead. That only one gateway *does* write to a partition is proved by
//! the store, whatever the views of the gateways are at a moment.
use std::{sync::Arc, time::Duration};

use kop_config::HostPort;
use kop_store::PartitionId;
use kop_store_pulsar::{MembershipError, MembershipLog, SeatError, Views};
use kop_wire::TopicName;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use uuid::Uuid;

mod announcement;
mod changes;
mod placement;
mod reader;
mod seat;
mod view;
mod watcher;

use changes::Changes;

pub(crate) use announcement::{Address, Member};
pub(crate) use changes::Changed;
pub(crate) use view::{Leader, View};

/// The one view, and leader epoch, where nobody else could be in.
const ALONE: i32 = 0;
/// How long a predecessor with the same node id may take to be found dead.
const SEAT_PATIENCE: Duration = Duration::from_secs(12);
/// How long a gateway may take to read what was announced before it.
const JOINING: Duration = Duration::from_secs(60);
/// How long leaving may take; the others find out in any case.
const LEAVING: Duration = Duration::from_secs(5);

/// The cluster as this gateway sees it. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    node: i32,
    incarnation: Uuid,
    views: watch::Receiver<Arc<View>>,
    /// Asks the seat's task to leave; `None` where nobody else could be in.
    leave: Option<mpsc::Sender<oneshot::Sender<()>>>,
    /// Topics that this gateway has changed, for the others to hear.
    to_tell: Arc<Changes>,
    /// Topics that any gateway has changed.
    heard: Arc<Changes>,
}

/// Why a gateway is not in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The node id is somebody's.
    #[error(
        "node id {node} is taken by a gateway that runs; give each gateway a --node-id of its own"
    )]
    NodeTaken {
        /// The node id.
        node: i32,
        /// What the broker says.
        #[source]
        source: SeatError,
    },
    /// Pulsar does not let us announce ourselves.
    #[error("cannot announce this gateway to the others")]
    Seat(#[source] SeatError),
    /// What the others announced cannot be read.
    #[error("cannot read which gateways there are")]
    Log(#[from] MembershipError),
    /// The announcement was not read back in time.
    #[error("the gateways' topic was not read within {} s", JOINING.as_secs())]
    Slow,
}

impl Views for Cluster {
    fn number(&self) -> i32 {
        self.views.borrow().number()
    }

    fn led_since(&self, partition: &PartitionId) -> Option<i32> {
        self.leads(partition)
    }
}

impl Cluster {
    /// A gateway that is alone, for stores that only one process can have.
    pub(crate) fn alone(member: Member) -> Self {
        let (node, incarnation) = (member.node, member.incarnation);
        let mut view = View::empty(ALONE - 1);
        view.follow(&announcement::Announcement::Join(member));
        let (_, views) = watch::channel(Arc::new(view));
        Self {
            node,
            incarnation,
            views,
            leave: None,
            to_tell: Arc::default(),
            heard: Arc::default(),
        }
    }

    /// Comes in, and returns when this gateway knows of all who are.
    ///
    /// # Errors
    /// Where the node id is taken, or the log of announcements cannot be used.
    pub(crate) async fn join(log: MembershipLog, member: Member) -> Result<Self, JoinError> {
        let (node, incarnation) = (member.node, member.incarnation);
        let seat = log
            .seat(node, SEAT_PATIENCE)
            .await
            .map_err(|source| match source {
                SeatError::Taken(_) => JoinError::NodeTaken { node, source },
                SeatError::Unavailable(_) => JoinError::Seat(source),
            })?;
        let announcements = log.follow().await?;
        let (sender, mut views) = watch::channel(Arc::default());
        let (to_tell, heard) = (Arc::<Changes>::default(), Arc::<Changes>::default());
        tokio::spawn(reader::follow(announcements, sender, Arc::clone(&heard)));
        let (leave, leaving) = mpsc::channel(1);
        tokio::spawn(seat::keep(
            log.clone(),
            seat,
            (member, Arc::clone(&to_tell)),
            views.clone(),
            leaving,
        ));
        let is_in = |view: &Arc<View>| view.has(node, incarnation);
        let joined = timeout(JOINING, views.wait_for(is_in)).await;
        drop(joined.map_err(|_| JoinError::Slow)?);
        tokio::spawn(watcher::watch(log, node, views.clone()));
        Ok(Self {
            node,
            incarnation,
            views,
            leave: Some(leave),
            to_tell,
            heard,
        })
    }

    /// Who is in now.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.views.borrow())
    }

    /// The views from now on. The receiver's end is the end of the news, not of the cluster.
    pub(crate) fn views(&self) -> watch::Receiver<Arc<View>> {
        self.views.clone()
    }

    /// Resolves when who comes and goes is not seen any more; never where nobody else could be in.
    pub(crate) async fn blinded(&self) {
        if self.leave.is_none() {
            std::future::pending::<()>().await;
        }
        let mut views = self.views();
        while views.changed().await.is_ok() {}
    }

    /// Who leads a partition now; `None` while nobody is in.
    pub(crate) fn leader(&self, partition: &PartitionId) -> Option<Leader> {
        self.views.borrow().leader(partition)
    }

    /// The leader epoch in which this gateway leads a partition now, if it does.
    pub(crate) fn leads(&self, partition: &PartitionId) -> Option<i32> {
        if self.leave.is_none() {
            return Some(ALONE);
        }
        let view = self.views.borrow();
        let leader = view.leader(partition)?;
        let here = leader.node == self.node && view.has(self.node, self.incarnation);
        here.then_some(leader.epoch)
    }

    /// Whether there are others who can take over.
    pub(crate) fn has_others(&self) -> bool {
        self.views
            .borrow()
            .members()
            .any(|member| member.node != self.node)
    }

    /// The members and where clients of a listener connect to each, by node id.
    pub(crate) fn brokers(&self, listener: &str) -> Vec<(i32, HostPort)> {
        let view = self.views.borrow();
        let address = |member: &Member| Some((member.node, member.address(listener)?));
        view.members().filter_map(address).collect()
    }

    /// Tells the others, in a moment, that this gateway has made, deleted, grown or configured a topic.
    pub(crate) fn topic_changed(&self, topic: &TopicName) {
        // Whoever comes in later remembers nothing yet.
        if self.has_others() {
            self.to_tell.note(topic.into());
        }
    }

    /// Waits until topics have changed, by any gateway, and answers which; `None` where nobody else could
    /// change any.
    pub(crate) async fn changed_topics(&self) -> Option<Changed> {
        self.leave.as_ref()?;
        self.heard.any().await;
        Some(self.heard.take())
    }

    /// They could not be looked at now, and are heard of again.
    pub(crate) fn look_again_at(&self, changed: Changed) {
        self.heard.note(changed);
    }

    /// Tells the others that this gateway goes, and returns when it is out. They find out themselves
    /// if it could not be told.
    pub(crate) async fn leave(&self) {
        let Some(leave) = &self.leave else { return };
        let left = async {
            let (done, left) = oneshot::channel();
            leave.send(done).await.ok()?;
            left.await.ok()?;
            let is_out = |view: &Arc<View>| !view.has(self.node, self.incarnation);
            self.views().wait_for(is_out).await.ok().map(drop)
        };
        if timeout(LEAVING, left).await.ok().flatten().is_none() {
            tracing::warn!("the other gateways could not be told that this one goes");
        }
    }
}
