//! What the actors of a run share: what they have seen, how far they are, and whether it goes on.

use super::checker::{Checker, Commits, fault::Fault};
use anyhow::{Error, Result, anyhow};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long an actor may be without progress, whatever happens.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// action: everybody does what they do.
    /// transition: to `Finishing` when nothing breaks any more.
    Running,
    /// action: producers send nothing new, and end when all is acknowledged.
    /// transition: to `Reading` when all producers have ended.
    Finishing,
    /// action: readers and members of groups read to the end.
    /// transition: to `Over` when they have, or somebody failed.
    Reading,
    /// action: everybody ends. End.
    Over,
}

/// What an actor has done.
#[derive(Debug, Clone, Copy)]
struct Progress {
    times: u64,
    last: Instant,
    longest: Duration,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    failure: Option<Error>,
    progress: BTreeMap<String, Progress>,
    /// How often something happened, by its name.
    counts: BTreeMap<String, u64>,
    /// The longest that something took, by its name.
    longest: BTreeMap<String, Duration>,
}

/// One run.
#[derive(Debug)]
pub struct Course {
    /// HOST:PORT of each gateway, by node id less one.
    pub gateways: Vec<String>,
    checker: Mutex<Checker>,
    commits: Mutex<Commits>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Course {
    /// A run before these gateways.
    #[must_use]
    pub fn new(gateways: Vec<String>, checker: Checker) -> Arc<Self> {
        Arc::new(Self {
            gateways,
            checker: Mutex::new(checker),
            commits: Mutex::default(),
            state: Mutex::new(State {
                phase: Phase::Running,
                failure: None,
                progress: BTreeMap::new(),
                counts: BTreeMap::new(),
                longest: BTreeMap::new(),
            }),
            changed: Condvar::new(),
        })
    }

    /// What is known of the log.
    pub fn checker(&self) -> MutexGuard<'_, Checker> {
        self.checker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of groups.
    pub fn commits(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the run is.
    pub fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Whether nobody is to go on.
    pub fn is_over(&self) -> bool {
        self.phase() == Phase::Over
    }

    /// The next phase, or one after that.
    pub fn enter(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = phase.max(state.phase);
        drop(state);
        self.changed.notify_all();
    }

    /// Somebody saw what must not be: the run is over.
    pub fn fail(&self, error: Error) {
        self.state().failure.get_or_insert(error);
        self.enter(Phase::Over);
    }

    /// What the first one who failed said.
    pub fn failure(&self) -> Result<()> {
        match self.state().failure.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Waits for the next phase, but not longer than that.
    pub fn wait(&self, longest: Duration) {
        let state = self.state();
        let phase = state.phase;
        let waited = self
            .changed
            .wait_timeout_while(state, longest, |state| state.phase == phase);
        drop(waited);
    }

    /// Starts an actor. When it fails the run does.
    pub fn spawn(
        self: &Arc<Self>,
        name: String,
        act: impl FnOnce(&Course) -> Result<()> + Send + 'static,
    ) -> JoinHandle<()> {
        let course = Arc::clone(self);
        std::thread::spawn(move || {
            if let Err(error) = act(&course) {
                course.fail(error.context(name));
            }
        })
    }

    /// An actor begins, or has got on.
    pub fn progress(&self, actor: &str) {
        let mut state = self.state();
        let now = Instant::now();
        match state.progress.get_mut(actor) {
            Some(known) => {
                known.times += 1;
                known.longest = known.longest.max(now - known.last);
                known.last = now;
            }
            None => {
                let known = Progress {
                    times: 0,
                    last: now,
                    longest: Duration::ZERO,
                };
                state.progress.insert(actor.to_owned(), known);
            }
        }
    }

    /// An actor has ended and need not get on.
    pub fn done(&self, actor: &str) {
        if let Some(known) = self.state().progress.get_mut(actor) {
            known.last = Instant::now() + Duration::from_secs(86_400);
        }
    }

    /// Who has not got on for too long.
    ///
    /// # Errors
    /// Names one.
    pub fn check_progress(&self) -> Result<()> {
        let state = self.state();
        let mut stuck = state
            .progress
            .iter()
            .filter(|(_, known)| known.last.elapsed() > PATIENCE);
        match stuck.next() {
            Some((actor, _)) => Err(anyhow!("{actor} has not got on for {PATIENCE:?}")),
            None => Ok(()),
        }
    }

    /// Something happened.
    pub fn count(&self, what: &str) {
        *self.state().counts.entry(what.to_owned()).or_default() += 1;
    }

    /// Something took so long.
    pub fn took(&self, what: &str, time: Duration) {
        let mut state = self.state();
        let longest = state.longest.entry(what.to_owned()).or_default();
        *longest = time.max(*longest);
    }

    /// Tells the checker, whose complaint is an error of the actor.
    ///
    /// # Errors
    /// What the checker found.
    pub fn tell<T>(&self, tell: impl FnOnce(&mut Checker) -> Result<T, Fault>) -> Result<T> {
        Ok(tell(&mut self.checker())?)
    }

    /// What happened, in lines.
    pub fn summary(&self) -> String {
        let state = self.state();
        let mut lines = Vec::new();
        for (what, times) in &state.counts {
            lines.push(format!("{what}: {times}"));
        }
        for (what, time) in &state.longest {
            lines.push(format!("slowest {what}: {} ms", time.as_millis()));
        }
        for (actor, known) in &state.progress {
            let longest = known.longest.as_millis();
            lines.push(format!(
                "{actor}: {} steps, {longest} ms between two at most",
                known.times
            ));
        }
        lines.join("\n")
    }
}
