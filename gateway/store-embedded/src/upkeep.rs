//! The thread that removes what is no longer kept: what was deleted or truncated, what has grown too old
//! or too much, and in compacted topics what was superseded. It does a little at a time, and never holds
//! up the writer thread, which alone moves the start of a log.
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use kop_store::{Cause, TruncateError};
use kop_wire::Offset;
use tokio::sync::oneshot;

use crate::{
    EmbeddedOptions,
    format::LogId,
    keyspaces::Keyspaces,
    log::Log,
    topics::Topics,
    writer::{Command, Reply, Stopped},
};

mod compaction;
mod counted;
mod removal;
mod retention;
mod space;

use counted::Counted;
pub(crate) use removal::Removal;

/// How often every log is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// How often a failure is worth a line.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What the thread is given to do.
pub(crate) enum Task {
    /// What was deleted or truncated.
    Remove(Removal),
    /// To look at every log now rather than when the time has come.
    #[cfg(test)]
    Check(Reply<()>),
}

/// The thread while it runs.
#[derive(Debug)]
pub(crate) struct Running {
    /// Without them the thread ends.
    tasks: Option<mpsc::Sender<Task>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Gives the thread something to do; where it has ended, the next start of the store does it.
    pub(crate) fn send(&self, task: Task) {
        if let Some(tasks) = &self.tasks {
            let _ = tasks.send(task);
        }
    }

    /// Has the thread leave everything as it is, and end.
    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks = None;
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for its end.
    pub(crate) fn join(mut self) {
        self.stop();
        if self.thread.join().is_err() {
            tracing::error!("upkeep of the store panicked");
        }
    }
}

/// What the thread works with. Only it moves what stands here.
pub(crate) struct Upkeep {
    keyspaces: Keyspaces,
    topics: Arc<Topics>,
    options: EmbeddedOptions,
    commands: mpsc::Sender<Command>,
    stop: Arc<AtomicBool>,
    counted: HashMap<LogId, Counted>,
    /// When a failure was told last.
    told: Option<Instant>,
    space: space::Space,
}

impl Upkeep {
    pub(crate) fn new(
        keyspaces: Keyspaces,
        topics: Arc<Topics>,
        options: EmbeddedOptions,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        Self {
            space: space::Space::new(&keyspaces.segments),
            keyspaces,
            topics,
            options,
            commands,
            stop: Arc::default(),
            counted: HashMap::new(),
            told: None,
        }
    }

    /// Begins, with what was still to be removed.
    pub(crate) fn start(self, removals: Vec<Removal>) -> io::Result<Running> {
        let (tasks, tasks_from) = mpsc::channel();
        for removal in removals {
            // The receiver is right here.
            let _ = tasks.send(Task::Remove(removal));
        }
        let stop = Arc::clone(&self.stop);
        let thread = thread::Builder::new()
            .name("kop-upkeep".to_owned())
            .spawn(move || self.run(&tasks_from))?;
        let tasks = Some(tasks);
        Ok(Running {
            tasks,
            stop,
            thread,
        })
    }

    /// Serves until the writer thread, which holds the other end, has ended.
    fn run(mut self, tasks: &mpsc::Receiver<Task>) {
        self.load();
        let mut due = Instant::now() + EVERY;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            match tasks.recv_timeout(left) {
                Ok(Task::Remove(removal)) => self.remove(removal),
                #[cfg(test)]
                Ok(Task::Check(reply)) => {
                    self.check();
                    let _ = reply.send(());
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.check();
                    due = Instant::now() + EVERY;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn remove(&mut self, removal: Removal) {
        let removed = removal::remove(
            &self.keyspaces,
            removal,
            &mut self.counted,
            &mut self.space,
            &self.stop,
        );
        if let Err(error) = removed {
            if !self.stopped() {
                tracing::warn!(%error, ?removal, "not removed; the next start tries again");
            }
            self.counted.clear();
            self.load();
        }
    }

    /// Reads how much is dead, where it is not known any more.
    fn load(&mut self) {
        if let Err(error) = self.space.load(&self.keyspaces)
            && !self.stopped()
        {
            tracing::warn!(%error, "not known how much of the segments is of no use");
        }
    }

    fn check(&mut self) {
        let logs = self.topics.logs();
        if self.counted.len() > logs.len() {
            let there: std::collections::HashSet<_> = logs.iter().map(|log| log.id).collect();
            self.counted.retain(|log, _| there.contains(log));
        }
        for log in logs {
            if self.stopped() {
                return;
            }
            let id = log.id;
            if let Err(error) = self.check_log(&log) {
                self.counted.remove(&id);
                self.load();
                // What fails for one log fails for many, again and again.
                let again = self.told.is_some_and(|told| told.elapsed() < TOLD_EVERY);
                if !again && !self.stopped() {
                    self.told = Some(Instant::now());
                    tracing::warn!(%error, log = ?id, "log not tidied; it is tried again");
                }
            }
        }
        if let Err(error) = self.space.give_back(&self.keyspaces, &self.stop) {
            self.load();
            if !self.stopped() {
                tracing::warn!(%error, "space not given back; it is tried again");
            }
        }
    }

    fn check_log(&mut self, log: &Arc<Log>) -> Result<(), Cause> {
        let (settings, bounds) = (log.live.get(), log.bounds());
        if bounds.deleted || bounds.high == Offset(0) {
            return Ok(());
        }
        let now_ms = self.options.clock.now_ms();
        let counted = self.counted.entry(log.id).or_default();
        if settings.deletes {
            let cut = retention::cut(
                &self.keyspaces,
                log.id,
                bounds,
                &settings,
                (counted, now_ms),
            )?;
            if let Some(offset) = cut {
                self.truncate(log, offset)?;
            }
        }
        if settings.compacts {
            self.compact(log, &settings)?;
        }
        Ok(())
    }

    fn truncate(&self, log: &Arc<Log>, offset: Offset) -> Result<(), Cause> {
        let log = Arc::clone(log);
        match self.ask(|reply| Command::TruncateBefore { log, offset, reply })? {
            // It was deleted or shortened meanwhile.
            Ok(()) | Err(TruncateError::Deleted | TruncateError::OutOfRange { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks the writer thread and waits for its answer.
    fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(command(reply));
        sent.map_err(|_| Stopped::Closed)?;
        answer.blocking_recv().map_err(|_| Stopped::Closed)
    }
}
