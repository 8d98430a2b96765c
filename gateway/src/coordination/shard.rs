//! One shard: loads its log, then turns commands into records and replies, one step after another.
use std::{collections::HashMap, time::Duration};

use kop_coordinator::{
    Command, GroupConfig, GroupError, Groups, Output, Reply, Request, Ticket, TopicNames,
};
use kop_store::{AppendError, Catalog, OpenError, Partition, PartitionId, ReadError};
use kop_wire::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, sleep_until},
};

use crate::metrics::GroupCounters;

use super::{
    CoordinationError, Envelope, MAILBOX, Phase, Question, ReplySlot,
    appender::{self, WriteError},
    clock::Clock,
    loader::{self, LoadError},
    timers::Timers,
};

/// How long requests wait for a shard that loads before they are told so. Most logs are read sooner,
/// and a client that is told waits longer.
const LOADING_GRACE: Duration = Duration::from_millis(500);

/// Why a shard ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShardError {
    #[error("open the group log")]
    Open(#[from] OpenError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl ShardError {
    /// The topic may have been deleted, and must be looked for again.
    pub(super) fn means_no_topic(&self) -> bool {
        matches!(
            self,
            Self::Open(OpenError::Unknown)
                | Self::Load(LoadError::Read(ReadError::Deleted))
                | Self::Write(WriteError::Append(AppendError::Deleted))
        )
    }

    fn told(&self) -> CoordinationError {
        match self {
            Self::Open(OpenError::NotOwner)
            | Self::Write(WriteError::Append(AppendError::NotOwner)) => {
                CoordinationError::NotCoordinator
            }
            Self::Open(_) | Self::Load(_) | Self::Write(_) => CoordinationError::Unavailable,
        }
    }
}

/// What all shards go by.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) config: GroupConfig,
    pub(super) names: TopicNames,
    /// What happens in all shards is counted together.
    pub(super) counters: GroupCounters,
}

/// Serves the mailbox until the gateway closes, or the log fails.
pub(super) async fn run<C: Catalog>(
    catalog: &C,
    id: &PartitionId,
    rules: &Rules,
    mut mailbox: mpsc::Receiver<Envelope>,
    mut phase: watch::Receiver<Phase>,
) -> Result<(), ShardError> {
    let loaded = tokio::select! {
        loaded = open(catalog, id, rules) => loaded,
        () = answer_while_loading(&mut mailbox) => return Ok(()),
        _ = phase.wait_for(|phase| *phase == Phase::Closing) => return Ok(()),
    };
    let (partition, groups) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            mailbox.close();
            while let Some(envelope) = mailbox.recv().await {
                give(envelope.reply, Err(error.told()));
            }
            return Err(error);
        }
    };
    let mut shard = Shard {
        partition,
        groups,
        counters: rules.counters.clone(),
        clock: Clock::start(),
        timers: Timers::default(),
        waiting: HashMap::new(),
        last_ticket: 0,
    };
    let served = shard.serve(&mut mailbox, &mut phase).await;
    let told = served
        .as_ref()
        .map_or_else(ShardError::told, |()| CoordinationError::Unavailable);
    mailbox.close();
    shard.dismiss(told);
    while let Some(envelope) = mailbox.recv().await {
        give(envelope.reply, Err(told));
    }
    served
}

async fn open<C: Catalog>(
    catalog: &C,
    id: &PartitionId,
    rules: &Rules,
) -> Result<(C::Partition, Groups), ShardError> {
    let partition = catalog.open(id).await?;
    let mut groups = Groups::new(rules.config.clone(), rules.names.clone());
    loader::load(&partition, &mut groups).await?;
    Ok((partition, groups))
}

/// Returns only when nobody is left to ask.
async fn answer_while_loading(mailbox: &mut mpsc::Receiver<Envelope>) {
    sleep(LOADING_GRACE).await;
    while let Some(envelope) = mailbox.recv().await {
        let told = while_loading(&envelope.question);
        give(envelope.reply, told);
    }
}

/// What a client is told before the shard knows anything. Clients take "loading" for a fatal answer to
/// a heartbeat and to a sync, so Kafka tells them something else, which does no harm.
fn while_loading(question: &Question) -> Result<Reply, CoordinationError> {
    match question {
        Question::Request(Request::Heartbeat(_)) => Ok(Reply::Heartbeat(Ok(()))),
        Question::Request(Request::Sync(_)) => {
            Ok(Reply::Sync(Err(GroupError::RebalanceInProgress)))
        }
        _ => Err(CoordinationError::Loading),
    }
}

/// Whoever asked may be gone by now, and then misses nothing.
fn give(slot: ReplySlot, reply: Result<Reply, CoordinationError>) {
    drop(slot.send(reply));
}

/// A shard whose log is loaded.
struct Shard<P> {
    partition: P,
    groups: Groups,
    counters: GroupCounters,
    clock: Clock,
    timers: Timers,
    /// Who waits for which ticket.
    waiting: HashMap<Ticket, ReplySlot>,
    last_ticket: u64,
}

impl<P: Partition> Shard<P> {
    async fn serve(
        &mut self,
        mailbox: &mut mpsc::Receiver<Envelope>,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<(), ShardError> {
        let mut output = self.groups.resume(self.clock.now());
        self.settle(&mut output).await?;
        let mut requests = Vec::new();
        loop {
            if !self.wait(mailbox, phase, &mut requests).await {
                self.dismiss(CoordinationError::NotCoordinator);
                return Ok(());
            }
            let mut output = Output::default();
            for envelope in requests.drain(..) {
                let command = self.command(envelope);
                self.step(command, &mut output).await?;
            }
            // After all that had come: a heartbeat that lay here while the log was slow counts.
            let now = self.clock.now();
            while let Some(timer) = self.timers.pop_due(now) {
                self.step(Command::Timer(timer), &mut output).await?;
            }
            self.settle(&mut output).await?;
            match *phase.borrow() {
                Phase::Serving => {}
                Phase::Draining => self.dismiss(CoordinationError::Unavailable),
                // What has reached the shard is answered before it ends.
                Phase::Closing if mailbox.is_empty() => return Ok(()),
                Phase::Closing => {}
            }
        }
    }

    /// Returns when there is something to do, with all requests that have come. Answers whether
    /// anybody can still reach the shard.
    async fn wait(
        &self,
        mailbox: &mut mpsc::Receiver<Envelope>,
        phase: &mut watch::Receiver<Phase>,
        requests: &mut Vec<Envelope>,
    ) -> bool {
        let due = async {
            match self.timers.next() {
                Some(at) => sleep_until(self.clock.instant(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            received = mailbox.recv_many(requests, MAILBOX) => received > 0,
            () = due => true,
            _ = phase.changed() => true,
        }
    }

    fn command(&mut self, envelope: Envelope) -> Command {
        let Envelope { question, reply } = envelope;
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.waiting.insert(ticket, reply);
        match question {
            Question::Request(request) => Command::Request(ticket, request),
            Question::List => Command::ListGroups(ticket),
            Question::Survey(most) => Command::Survey(ticket, most),
            Question::ForgetTopic(topic) => Command::ForgetTopic(ticket, topic),
        }
    }

    /// Lets the machine decide; nothing of it is visible yet, but for timers.
    async fn step(&mut self, command: Command, output: &mut Output) -> Result<(), ShardError> {
        if command.sweeps() {
            self.settle(output).await?;
        }
        let mut step = self.groups.handle(self.clock.now(), command);
        for change in step.timers.drain(..) {
            self.timers.apply(change);
        }
        output.extend(step);
        Ok(())
    }

    /// Makes what was decided durable, then true, then known.
    async fn settle(&mut self, output: &mut Output) -> Result<(), ShardError> {
        let Output {
            records,
            replies,
            timers,
            counts,
        } = std::mem::take(output);
        for change in timers {
            self.timers.apply(change);
        }
        let timestamp = Timestamp(i64::try_from(self.clock.now()).unwrap_or(i64::MAX));
        if !records.is_empty() {
            appender::append(&self.partition, timestamp, &records).await?;
        } else if !replies.is_empty() {
            // What is told is what memory holds, which is true as long as nobody else has the log.
            self.partition.confirm().await.map_err(WriteError::from)?;
        }
        for record in &records {
            self.groups.replay(record, timestamp.0);
        }
        self.counters.add(counts);
        for (ticket, reply) in replies {
            if let Some(slot) = self.waiting.remove(&ticket) {
                give(slot, Ok(reply));
            }
        }
        Ok(())
    }

    /// Nobody waits any longer.
    fn dismiss(&mut self, told: CoordinationError) {
        for (_, slot) in self.waiting.drain() {
            give(slot, Err(told));
        }
    }
}
