//! Going on after the disk refused a write.
//!
//! A failed write or sync may be on the disk, in part or as a whole, and after a failed sync what the
//! system shows of a file may not be what is on the disk. So nothing is written behind it: everyone is
//! told that the disk takes no writes, while reads go on. Once the disk takes some again, the key-value
//! store is closed, its journals and the segment are cut off behind what was durable, and it is opened
//! again. What was
//! refused is then as if it had never been.
use std::{
    error::Error as _,
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use kop_store::{
    AppendError, CatalogError, Cause, ConfigureError, CreateError, DeleteError, GrowError,
    ReadError, TruncateError,
};

use super::{Closing, Command, Ground, Stopped, Writer, commit::RecentBatches};
use crate::{
    EmbeddedOptions,
    acknowledged::Acknowledged,
    engine::deleted,
    format::Damaged,
    frame::Place,
    journal,
    keyspaces::Keyspaces,
    segments::{appending::Appending, recovery},
    upkeep,
};

/// How long to wait before the disk is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// What the disk has to take before it counts as having room: enough to go on for a while, so that a
/// disk with hardly any room is not tried over and over.
const PROBE: usize = 8 * 1024 * 1024;
const PROBE_FILE: &str = "probe";
/// A disk that refuses writes time and again is told of this often.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How a failure ended.
pub(super) enum Revived {
    /// The store takes writes again.
    Writer(Box<Writer>),
    /// It was closed before it did.
    Closed {
        reply: Closing,
        reason: Arc<str>,
        upkeep: upkeep::Running,
    },
}

/// What is left of a writer whose store is closed.
struct Remains {
    ground: Ground,
    recent: RecentBatches,
    acknowledged: Acknowledged,
    /// Where the first append would stand that was refused.
    appended: Place,
    /// From this sequence number on, writes may be on the disk or not.
    unsure_from: u64,
}

impl Writer {
    /// Refuses everything until the disk takes writes again, and then goes on behind the last write that
    /// is durable.
    pub(super) fn revive(
        self,
        error: fjall::Error,
        closing: Closing,
        commands: &mpsc::Receiver<Command>,
    ) -> Revived {
        let Self {
            ground,
            keyspaces,
            appenders: _,
            recent,
            appending,
            unflushed: _,
            mut upkeep,
            acknowledged,
            failed: _,
            last_failure,
        } = self;
        let mut reason = reason(&error);
        let now = Instant::now();
        let is_new = last_failure.is_none_or(|last| now.duration_since(last) > TOLD_EVERY);
        if is_new {
            tracing::error!(%reason, "the disk refused a write: writes are refused until it takes some");
        }
        let last_failure = if is_new { Some(now) } else { last_failure };
        upkeep.stop();
        let remains = Remains {
            unsure_from: keyspaces.durable_below(),
            ground,
            recent,
            acknowledged,
            appended: appending.place(),
        };
        drop(appending);
        // Reads go on for as long as it is open.
        let mut still_open = Some(keyspaces);
        let mut closing = closing.map(Some);
        loop {
            closing = closing.or_else(|| refuse(commands, &reason));
            if let Some(reply) = closing {
                remains.ground.close_logs();
                return Revived::Closed {
                    reply,
                    reason,
                    upkeep,
                };
            }
            if !upkeep.has_ended() {
                continue;
            }
            if let Err(error) = probe(&remains.ground.options.directory) {
                reason = error.to_string().into();
                continue;
            }
            remains.ground.opened.set(None);
            drop(still_open.take());
            match remains.open() {
                Ok((keyspaces, appending, new)) => {
                    upkeep.join();
                    if is_new {
                        tracing::info!("the disk takes writes again");
                    }
                    return Revived::Writer(Box::new(remains.into_writer(
                        keyspaces,
                        (appending, new),
                        last_failure,
                    )));
                }
                // Among others where a reader has not let go yet.
                Err(error) => {
                    reason = error.to_string().into();
                    tracing::warn!(%reason, "the store does not open again; it is tried again");
                }
            }
        }
    }
}

impl Remains {
    /// Opens the key-value store again, as it was when the last write was durable.
    fn open(&self) -> Result<(Keyspaces, Appending, upkeep::Running), Cause> {
        let EmbeddedOptions {
            directory,
            durability,
            ..
        } = &self.ground.options;
        journal::cut_from(&self.ground.database, self.unsure_from)?;
        let keyspaces = Keyspaces::open(directory, *durability)?;
        recovery::cut_from(&keyspaces.segments, self.appended)?;
        let recovered = recovery::recover(&keyspaces, Some(self.acknowledged.path()))?;
        for log in self.ground.topics.logs() {
            let bounds = log.bounds();
            if keyspaces.end(log.id, bounds.start)? != bounds.high {
                return Err(Damaged("end of a log").into());
            }
        }
        let appending = recovered.go_on(&keyspaces.segments, *durability)?;
        let upkeep = self.ground.keep_up(&keyspaces, deleted(&keyspaces)?)?;
        Ok((keyspaces, appending, upkeep))
    }

    fn into_writer(
        self,
        keyspaces: Keyspaces,
        (appending, upkeep): (Appending, upkeep::Running),
        last_failure: Option<Instant>,
    ) -> Writer {
        self.ground.opened.set(Some(keyspaces.clone()));
        let mut writer = Writer::new(
            self.ground,
            keyspaces,
            appending,
            (upkeep, self.acknowledged),
        );
        writer.recent = self.recent;
        writer.last_failure = last_failure;
        writer
    }
}

/// Refuses what is asked for, for a while; what to answer if it is to be closed.
fn refuse(commands: &mpsc::Receiver<Command>, reason: &Arc<str>) -> Option<Closing> {
    let until = Instant::now() + AGAIN;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match commands.recv_timeout(left) {
            Ok(Command::Close(reply)) => return Some(reply),
            Ok(command) => command.refuse(&Stopped::Failed(Arc::clone(reason))),
            Err(mpsc::RecvTimeoutError::Timeout) => return None,
            Err(mpsc::RecvTimeoutError::Disconnected) => return Some(None),
        }
    }
}

/// Whether the disk takes some more.
fn probe(directory: &Path) -> io::Result<()> {
    let path = directory.join(PROBE_FILE);
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![1; PROBE])?;
        file.sync_all()
    });
    let removed = fs::remove_file(path);
    written.and(removed)
}

/// The system's own words, where it has any.
pub(super) fn reason(error: &fjall::Error) -> Arc<str> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(system) = cause.downcast_ref::<io::Error>() {
            return system.to_string().into();
        }
        source = cause.source();
    }
    match error {
        fjall::Error::Poisoned => "a write in the background failed".into(),
        error => error.to_string().into(),
    }
}

impl Command {
    /// Answers that it is not done. Whoever waited may be gone.
    fn refuse(self, stopped: &Stopped) {
        let cause = || stopped.clone().into();
        match self {
            Self::Append { batch, reply, .. } => {
                // Taken, so that it counts as abandoned no more.
                drop(batch.take());
                let _ = reply.send(Err(AppendError::Storage(cause())));
            }
            Self::Create { reply, .. } => {
                let _ = reply.send(Err(CreateError::Unavailable(cause())));
            }
            Self::Delete { reply, .. } => {
                let _ = reply.send(Err(DeleteError::Unavailable(cause())));
            }
            Self::Grow { reply, .. } => {
                let _ = reply.send(Err(GrowError::Unavailable(cause())));
            }
            Self::Configure { reply, .. } => {
                let _ = reply.send(Err(ConfigureError::Unavailable(cause())));
            }
            Self::TruncateBefore { reply, .. } => {
                let _ = reply.send(Err(TruncateError::Unavailable(cause())));
            }
            Self::Settle { reply, .. } => {
                let _ = reply.send(Err(cause()));
            }
            #[cfg(test)]
            Self::Check(reply) => drop(reply),
            Self::Producers { reply, .. } => {
                let _ = reply.send(Err(ReadError::Unavailable(cause())));
            }
            Self::AllocateProducerIds { reply, .. } => {
                let _ = reply.send(Err(CatalogError::Unavailable(cause())));
            }
            Self::Close(_) => {}
        }
    }
}
