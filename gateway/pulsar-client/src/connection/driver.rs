//! The task that owns a socket: bytes in, bytes out, time. What they mean is the
//! [`Multiplexer`]'s.
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use pulsar_protocol::{
    Command,
    frame::{self, FrameError},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior},
};

use super::{Event, NO_CREDENTIALS, Target, auth_response, multiplexer::Multiplexer};
use crate::{
    Cause,
    authentication::Identity,
    transport::{ReadHalf, WriteHalf},
};

/// Room made for a read, at least.
const READ_ROOM: usize = 64 * 1024;
/// Room below which more is made.
const LEAST_READ_ROOM: usize = 8 * 1024;
/// Pieces written at once.
const WRITE_PIECES: usize = 64;
/// Events taken at once.
const EVENTS: usize = 128;
/// How long it is tried to answer a challenge. Brokers wait a minute as they come.
const ANSWER_WITHIN: Duration = Duration::from_secs(45);
/// Between two tries of that. They are looks at what there is: who asks an issuer has pauses of its own.
const ANSWER_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Driver {
    pub(super) target: Target,
    pub(super) read: ReadHalf,
    pub(super) write: WriteHalf,
    pub(super) inbox: BytesMut,
    pub(super) frame_limit: usize,
    pub(super) events: mpsc::UnboundedReceiver<Event>,
    /// Weak, so that the connection ends with its last handle.
    pub(super) own_events: mpsc::WeakUnboundedSender<Event>,
    pub(super) identity: Identity,
    /// Whether the broker's last challenge is yet to be answered.
    pub(super) answering: Arc<AtomicBool>,
    pub(super) keep_alive: Duration,
    pub(super) timeout: Duration,
    pub(super) tick: Duration,
    pub(super) multiplexer: Multiplexer,
    pub(super) ended: watch::Sender<Option<Cause>>,
}

impl Driver {
    /// Runs until the connection ends, and tells everyone who waits for it.
    pub(super) async fn run(mut self) {
        let cause = self.drive().await;
        tracing::debug!(target = %self.target, %cause, "connection ended");
        // First the connection, so that whoever is told below opens another one.
        self.ended.send_replace(Some(cause.clone()));
        self.multiplexer.end(&cause);
        self.events.close();
        while let Some(event) = self.events.recv().await {
            self.multiplexer.refuse(event, &cause);
        }
    }

    async fn drive(&mut self) -> Cause {
        let mut clock = tokio::time::interval(self.tick);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_sign = Instant::now();
        let mut last_ping = last_sign;
        let mut events = Vec::with_capacity(EVENTS);
        let mut unflushed = false;
        let mut orphaned = false;
        // What came with the greeting's answer.
        if let Err(cause) = self.take_frames() {
            return cause;
        }
        loop {
            if orphaned && self.multiplexer.outbox.is_empty() && !unflushed {
                return Cause::Closed;
            }
            if let Err(error) = self.make_room() {
                return Cause::Disconnected(error.to_string());
            }
            tokio::select! {
                read = self.read.read_buf(&mut self.inbox) => {
                    match read {
                        Ok(0) => return Cause::Disconnected("closed by the broker".to_owned()),
                        Ok(_) => {}
                        Err(error) => return Cause::Disconnected(error.to_string()),
                    }
                    last_sign = Instant::now();
                    if let Err(cause) = self.take_frames() {
                        return cause;
                    }
                }
                progress = write_some(&mut self.write, &self.multiplexer.outbox),
                    if unflushed || !self.multiplexer.outbox.is_empty() =>
                {
                    match progress {
                        Ok(Progress::Written(count)) => {
                            drop_written(&mut self.multiplexer.outbox, count);
                            unflushed = true;
                        }
                        Ok(Progress::Flushed) => unflushed = false,
                        Err(error) => return Cause::Disconnected(error.to_string()),
                    }
                }
                count = self.events.recv_many(&mut events, EVENTS), if !orphaned => {
                    orphaned = count == 0;
                    // Whoever is about to send does so first: what is written together costs both sides
                    // less than one frame after the other.
                    tokio::task::yield_now().await;
                    while events.len() < EVENTS && let Ok(event) = self.events.try_recv() {
                        events.push(event);
                    }
                    let now = Instant::now();
                    for event in events.drain(..) {
                        self.multiplexer.apply(event, now);
                    }
                }
                now = clock.tick() => {
                    let expired = self.multiplexer.expire(now);
                    // A broker that answers nothing at all is not there any more: its machine has
                    // gone, and took the connection along without a word.
                    let silence = now - last_sign;
                    if silence >= self.keep_alive * 2 || expired && silence >= self.timeout {
                        return Cause::Disconnected("no sign of life from the broker".to_owned());
                    }
                    if now - last_ping >= self.keep_alive {
                        last_ping = now;
                        self.multiplexer.ping(None);
                    }
                }
            }
        }
    }

    /// Makes room for what is missing of the next frame.
    fn make_room(&mut self) -> Result<(), FrameError> {
        let missing = frame::missing(&self.inbox, self.frame_limit)?;
        let spare = self.inbox.capacity() - self.inbox.len();
        if spare < missing.max(LEAST_READ_ROOM) {
            self.inbox.reserve(missing.max(READ_ROOM));
        }
        Ok(())
    }

    fn take_frames(&mut self) -> Result<(), Cause> {
        let now = Instant::now();
        loop {
            let frame = match frame::decode(&mut self.inbox, self.frame_limit) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(error) => return Err(Cause::Disconnected(error.to_string())),
            };
            match frame.command.command {
                Some(Command::AuthChallenge(_)) => self.answer_challenge(),
                Some(command) => self.multiplexer.receive(command, frame.trailer, now),
                None => tracing::debug!(kind = frame.command.kind, "unknown command ignored"),
            }
        }
    }

    /// Gets other credentials, beside this task, and has them written. A challenge that comes meanwhile
    /// is answered by the same.
    fn answer_challenge(&mut self) {
        if self.answering.swap(true, Ordering::Relaxed) {
            return;
        }
        let identity = self.identity.clone();
        let events = self.own_events.clone();
        let target = self.target.clone();
        let answering = Arc::clone(&self.answering);
        tokio::spawn(async move {
            let answer = answer(&identity, &events).await;
            // Before the broker has the answer, behind which it may ask again.
            answering.store(false, Ordering::Relaxed);
            match (answer, events.upgrade()) {
                (Ok(frame), Some(events)) => drop(events.send(Event::Write(frame))),
                (_, None) => {}
                // The broker closes the connection, which everyone concerned is told.
                (Err(reason), _) => tracing::warn!(%target, reason, "challenge not answered"),
            }
        });
    }
}

/// The answer to a challenge. Tries again for a while, because the connection is lost without one.
async fn answer(
    identity: &Identity,
    events: &mpsc::WeakUnboundedSender<Event>,
) -> Result<Bytes, String> {
    let give_up = Instant::now() + ANSWER_WITHIN;
    loop {
        match auth_response(identity).await {
            Ok(answer) => return answer.ok_or_else(|| NO_CREDENTIALS.to_owned()),
            Err(error) if Instant::now() >= give_up || events.upgrade().is_none() => {
                return Err(error.to_string());
            }
            Err(error) => tracing::debug!(%error, "challenge not answered yet"),
        }
        tokio::time::sleep(ANSWER_PAUSE).await;
    }
}

enum Progress {
    Written(usize),
    Flushed,
}

/// Writes from the outbox; flushes (TLS keeps bytes back) where it is empty.
async fn write_some(write: &mut WriteHalf, outbox: &VecDeque<Bytes>) -> io::Result<Progress> {
    if outbox.is_empty() {
        write.flush().await?;
        return Ok(Progress::Flushed);
    }
    let mut pieces = [io::IoSlice::new(&[]); WRITE_PIECES];
    let mut count = 0;
    for (piece, bytes) in pieces.iter_mut().zip(outbox) {
        *piece = io::IoSlice::new(bytes);
        count += 1;
    }
    match write
        .write_vectored(pieces.get(..count).unwrap_or_default())
        .await?
    {
        0 => Err(io::ErrorKind::WriteZero.into()),
        written => Ok(Progress::Written(written)),
    }
}

fn drop_written(outbox: &mut VecDeque<Bytes>, mut count: usize) {
    while let Some(first) = outbox.front_mut() {
        if count < first.len() {
            first.advance(count);
            return;
        }
        count -= first.len();
        outbox.pop_front();
    }
}
