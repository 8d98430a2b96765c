//! The writer of one partition: the one task that owns its producer.
//!
//! A receipt tells where an entry stands, not its offset. The writer knows the index of one entry, the
//! anchor, or that there is none yet and where the first one will stand. While receipts come with the
//! entry right behind it, offsets follow by arithmetic, and that nothing else stands in between is proved
//! by the entry ids. Otherwise the entry's true index is asked for before the append is answered.
use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc, time::Duration};

use kop_store::{
    AppendError, Appended,
    producer_state::{ActiveProducer, Verdict},
};
use kop_wire::{Batch, BatchHeader, Offset};
use pulsar_client::{
    CloseReason, OutgoingEntry, Receipt, SendError, protocol::prost::Message as _,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout},
};

use crate::{
    admin::Position,
    bounds::{Anchor, Bounds, BoundsError},
    clock,
    entry::{self, EncodeError, Placed, Span, Stamp},
    log::{Life, Log},
    metrics::Metrics,
    ownership::Owned,
    usage::Held,
};

pub(crate) mod history;
mod owner;
mod refused;

pub(crate) use history::History;
use history::{Topic, Written};
use refused::Refused;

/// Entries of one partition that may wait for their receipts.
const MAX_IN_FLIGHT: usize = 512;
/// Bytes of them.
const MAX_IN_FLIGHT_BYTES: usize = 16 * 1024 * 1024;
/// How long the tail reader may take to bring an entry before its index is asked for.
const TAIL_PATIENCE: Duration = Duration::from_millis(20);
/// Bytes of a note's field beside its content, at the most.
const NOTE_FRAME: usize = 16;

/// One batch to be appended.
pub(crate) struct Append {
    pub(crate) batch: Batch,
    pub(crate) reply: oneshot::Sender<Result<Appended, AppendError>>,
    /// Whoever asked may go, and the log stays open until it is answered.
    pub(crate) _held: Held,
}

/// What a writer is asked for.
pub(crate) enum Asked {
    /// To append a batch. Boxed, because a channel has room for 32 of these from the beginning.
    Append(Box<Append>),
    /// To own the partition, where it is not owned yet: appends will come.
    Own,
    /// To tell which producers it knows.
    Producers(oneshot::Sender<Vec<ActiveProducer>>),
}

impl Append {
    fn answer(self, answer: Result<Appended, AppendError>) {
        // Whoever asked may have gone.
        drop(self.reply.send(answer));
    }
}

struct InFlight {
    receipt: Pin<Box<dyn Future<Output = Result<Receipt, SendError>> + Send>>,
    append: Append,
    messages: i64,
    sent: Instant,
    /// When it was written, as the entry says.
    time: u64,
}

/// The writer's state.
pub(crate) struct Writer {
    log: Arc<Log>,
    inbox: mpsc::UnboundedReceiver<Asked>,
    owned: Option<Owned>,
    anchor: Option<Anchor>,
    /// Where the first entry of all would stand: nothing had ever been written when the log was opened, and
    /// its ledger was open.
    begins: Option<Position>,
    /// End of the last record at the anchor or before it; behind it there are only markers up to there.
    end: i64,
    /// Nothing had ever been written when the log was opened.
    untouched: bool,
    history: History,
    refused: Refused,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    /// End of the last record that is surely behind every earlier owner's; known from the barrier on.
    settled: Option<i64>,
    /// The next append, where it cannot be judged before those in flight are answered.
    waiting: Option<Append>,
    /// An entry failed: what is in flight is waited for, then ownership is taken anew.
    failed: bool,
    /// An entry has no index: nothing more is written before the log is opened anew, and looked at.
    unusable: bool,
}

enum Admission {
    Send,
    /// Only once nothing is in flight.
    Later,
    Answer(Result<Appended, AppendError>),
}

enum Event {
    Receipt(Result<Receipt, SendError>),
    Asked(Asked),
    Drained,
    Lost(CloseReason),
    Life,
}

impl Writer {
    /// A writer that already owns the partition, or will when it has something to write. In a `new` topic
    /// nobody else's appends can arrive yet.
    pub(crate) fn new(
        log: Arc<Log>,
        inbox: mpsc::UnboundedReceiver<Asked>,
        owned: Option<Owned>,
        bounds: Bounds,
        (history, untouched): (History, bool),
    ) -> Self {
        Self {
            log,
            inbox,
            owned,
            anchor: bounds.last,
            begins: bounds.begins,
            end: bounds.high,
            untouched,
            history,
            refused: Refused::default(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            settled: None,
            waiting: None,
            failed: false,
            unusable: false,
        }
    }

    /// Writes until the partition is closed or deleted.
    pub(crate) async fn run(mut self, mut life: watch::Receiver<Life>) {
        let mut drained = false;
        while !(drained && self.in_flight.is_empty() && self.waiting.is_none()) {
            // Looked at before waiting: it may have changed before this task began.
            let state = *life.borrow_and_update();
            match state {
                Life::Serving => {}
                Life::Closing | Life::Unused => self.inbox.close(),
                Life::Deleted => return self.refuse_all(|| AppendError::Deleted),
                Life::Lost => return self.refuse_all(|| AppendError::NotOwner),
            }
            match self.event(&mut life, drained).await {
                Event::Receipt(receipt) => self.answered(receipt).await,
                Event::Asked(Asked::Append(append)) => self.waiting = Some(*append),
                Event::Asked(Asked::Own) => {
                    // The first append tells what is wrong.
                    if let Err(error) = self.own().await {
                        tracing::debug!(topic = %self.log.topic, %error, "not owned yet");
                    }
                }
                // Whoever asked may have gone.
                Event::Asked(Asked::Producers(reply)) => {
                    let _ = reply.send(self.history.state().active());
                }
                Event::Drained => drained = true,
                Event::Lost(reason) => {
                    tracing::info!(topic = %self.log.topic, %reason, "ownership lost");
                    self.fail(self.anchor);
                }
                Event::Life => {}
            }
            self.recover();
            self.accept().await;
            self.recover();
        }
        if let Some(owned) = self.owned.take() {
            owned.release().await;
        }
    }

    /// After a failure, once nothing is in flight any more.
    fn recover(&mut self) {
        if !self.failed || !self.in_flight.is_empty() {
            return;
        }
        self.failed = false;
        self.owned = None;
        self.settled = None;
        // What a coordinator knows may not be all that is written by now, and must not be acted on: whoever
        // has it next reads the log anew. And whoever opens a log without indexes anew is told so, before
        // more is written to it.
        if self.log.is_group_log() || self.unusable {
            self.log.end(Life::Lost);
        }
    }

    async fn event(&mut self, life: &mut watch::Receiver<Life>, drained: bool) -> Event {
        let room = !drained
            && !self.failed
            && self.waiting.is_none()
            && self.in_flight.len() < MAX_IN_FLIGHT
            && self.in_flight_bytes < MAX_IN_FLIGHT_BYTES;
        let owned = self.owned.as_mut();
        let watched = owned.is_some() && !self.failed;
        tokio::select! {
            biased;
            receipt = first(&mut self.in_flight) => Event::Receipt(receipt),
            asked = self.inbox.recv(), if room => asked.map_or(Event::Drained, Event::Asked),
            reason = lost(owned), if watched => Event::Lost(reason),
            changed = life.changed() => match changed {
                Ok(()) => Event::Life,
                Err(_) => Event::Drained,
            },
        }
    }

    /// Sends what waits, if it may be sent now.
    async fn accept(&mut self) {
        if self.failed {
            return;
        }
        let Some(append) = self.waiting.take() else {
            return;
        };
        if let Err(error) = self.own().await {
            return self.refuse_waiting(append, error);
        }
        match self.admit(&append.batch).await {
            Ok(Admission::Send) => self.send(append).await,
            Ok(Admission::Later) => self.waiting = Some(append),
            Ok(Admission::Answer(answer)) => append.answer(answer),
            Err(error) => self.refuse(append, error),
        }
    }

    fn refuse(&mut self, append: Append, error: AppendError) {
        match error {
            AppendError::Unavailable(_) | AppendError::NotOwner => {
                self.refused.note(append.batch.header());
            }
            AppendError::Unusable(_) => (self.failed, self.unusable) = (true, true),
            _ => {}
        }
        append.answer(Err(error));
    }

    async fn admit(&mut self, batch: &Batch) -> Result<Admission, AppendError> {
        let header = batch.header();
        if !header.is_idempotent() || self.history.follows_in_flight(header) {
            return Ok(Admission::Send);
        }
        if !self.in_flight.is_empty() && self.history.needs_quiet(header, &self.log.shared) {
            return Ok(Admission::Later);
        }
        while self.history.must_read(header, &self.log.shared) {
            Box::pin(self.read_history()).await?;
        }
        match self.history.state().check(header)? {
            Verdict::Write => match self.missing_before(header) {
                None => Ok(Admission::Send),
                Some(expected) => Err(AppendError::OutOfOrderSequence {
                    expected,
                    found: header.base_sequence,
                }),
            },
            Verdict::Duplicate { base_offset } => Ok(Admission::Answer(Ok(Appended {
                base_offset,
                log_start: Offset(self.log.log_start()),
                duplicate: true,
                log_append_time: None,
            }))),
        }
    }

    /// The sequence number that has to come before a batch of a producer of which nothing is known.
    fn missing_before(&self, header: &BatchHeader) -> Option<i32> {
        if self.history.state().knows(header.producer_id) || header.is_control() {
            return None;
        }
        let begins =
            || header.base_sequence > 0 && self.history.is_new(header, &Topic::of(&self.log));
        self.refused
            .before(header)
            .or_else(|| begins().then_some(0))
    }

    async fn send(&mut self, append: Append) {
        let Some(owned) = &mut self.owned else {
            return append.answer(Err(AppendError::NotOwner));
        };
        let batch = &append.batch;
        let stamp = Stamp {
            sequence_id: owned.next_sequence(),
            now: clock::now_millis(),
            compacted: self.log.compacts(),
        };
        let mut entry = match entry::encode(self.log.layout, batch, stamp) {
            Ok(entry) => entry,
            Err(
                error @ (EncodeError::Batch(_) | EncodeError::Gaps { .. } | EncodeError::Build(_)),
            ) => {
                return append.answer(Err(AppendError::Refused(error.to_string())));
            }
        };
        let limit = owned.max_message_size();
        let size = entry.metadata.encoded_len() + entry.payload.len();
        if size > limit {
            return append.answer(Err(AppendError::TooLarge { size, limit }));
        }
        if !self.log.is_group_log()
            && let Some(note) = self.history.note()
            && size + note.len() + NOTE_FRAME <= limit
        {
            entry.metadata.gateway_note = Some(note);
            self.history.noted();
        }
        owned.ready().await;
        let receipt = owned.send(OutgoingEntry {
            sequence_id: stamp.sequence_id,
            num_messages: entry.messages,
            metadata: entry.metadata,
            payload: vec![entry.payload],
            checksum: entry.checksum,
        });
        self.history.sent(batch.header());
        self.in_flight_bytes += batch.bytes().len();
        self.in_flight.push_back(InFlight {
            receipt: Box::pin(receipt),
            append,
            messages: i64::from(entry.messages),
            sent: Instant::now(),
            time: stamp.now,
        });
    }

    /// The first entry in flight has been answered.
    async fn answered(&mut self, receipt: Result<Receipt, SendError>) {
        let Some(InFlight {
            append,
            messages,
            sent,
            time,
            ..
        }) = self.in_flight.pop_front()
        else {
            return;
        };
        self.in_flight_bytes -= append.batch.bytes().len();
        self.history.answered(append.batch.header());
        let before = self.anchor;
        let placed = match receipt {
            Ok(receipt) => self.place(receipt, messages).await,
            Err(error) => Err(self.send_failed(error)),
        };
        let answer = placed.map(|(position, span)| {
            let header = append.batch.header();
            let written = Written {
                position,
                span,
                time,
            };
            let bytes = append.batch.bytes().len();
            self.history.written(header, written, bytes);
            self.refused.written(header);
            self.settled = self.settled.map(|_| span.end);
            let placed = Placed {
                base: Offset(span.base),
                batch: append.batch.clone(),
            };
            self.log.written(position, placed, span);
            if let Some(owned) = &self.owned
                && self.log.is_group_log()
            {
                self.log.proved(owned.holder(), sent);
            }
            Appended {
                base_offset: Offset(span.base),
                log_start: Offset(self.log.log_start()),
                duplicate: false,
                log_append_time: None,
            }
        });
        match answer {
            // The broker never saw what is too large.
            answer @ (Ok(_) | Err(AppendError::TooLarge { .. })) => append.answer(answer),
            Err(error) => {
                self.fail(before);
                self.refuse(append, error);
            }
        }
    }

    /// An entry may be stored behind `last` or not. Those in flight behind it may be answered well, but
    /// what producers have written is to be read from there on.
    fn fail(&mut self, last: Option<Anchor>) {
        self.failed = true;
        self.history.interrupt(last);
    }

    /// The offsets of an entry of ours, proved.
    async fn place(
        &mut self,
        receipt: Receipt,
        messages: i64,
    ) -> Result<(Position, Span), AppendError> {
        let position = Position {
            ledger: receipt.ledger,
            entry: receipt.entry,
        };
        let base = match self.anchor {
            Some(anchor) if position.follows(anchor.position) => Some(anchor.index + 1),
            None if self.begins == Some(position) && self.is_numbered() => Some(0),
            _ => None,
        };
        let span = match base {
            Some(base) => Span {
                base,
                end: base + messages,
            },
            None => {
                let span = Box::pin(self.look_up(position, messages)).await?;
                if let Some(owned) = &self.owned {
                    self.log.shared.numbering.note(owned.connection());
                }
                span
            }
        };
        let rises = self.anchor.is_none_or(|anchor| span.base > anchor.index);
        if !rises || span.end - span.base != messages {
            self.log.mismatch(position, span);
            self.anchor = None;
            let problem = format!("entry {position} has offsets {}..{}", span.base, span.end);
            return Err(AppendError::Unavailable(problem.into()));
        }
        self.anchor = Some(Anchor {
            position,
            index: span.end - 1,
        });
        self.end = span.end;
        Ok((position, span))
    }

    /// Whether the broker is known to number what is written through it.
    fn is_numbered(&self) -> bool {
        let owned = self.owned.as_ref();
        owned.is_some_and(|owned| self.log.shared.numbering.has(owned.connection()))
    }

    /// Asks for an entry's offsets: the tail reader brings them in a moment, the admin API else.
    async fn look_up(&mut self, position: Position, messages: i64) -> Result<Span, AppendError> {
        Metrics::add(&self.log.shared.metrics.unproven_receipts);
        self.log.interrupt();
        let mut high = self.log.follow();
        let brought = timeout(TAIL_PATIENCE, async {
            loop {
                if let Some(span) = self.log.seen(position) {
                    return span;
                }
                if high.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        });
        if !self.log.is_group_log()
            && let Ok(span) = brought.await
        {
            return Ok(span);
        }
        let facts = self
            .log
            .shared
            .admin
            .entry(&self.log.topic, position)
            .await
            .map_err(|error| AppendError::Unavailable(error.into()))?;
        let facts = facts.ok_or_else(|| AppendError::Unavailable("the entry is gone".into()))?;
        let Some(index) = facts.index else {
            return Err(BoundsError::Unnumbered(self.log.topic.clone()).into());
        };
        Ok(Span {
            base: index + 1 - messages,
            end: index + 1,
        })
    }

    fn send_failed(&self, error: SendError) -> AppendError {
        if self.log.is_deleted() {
            return AppendError::Deleted;
        }
        tracing::warn!(topic = %self.log.topic, %error, "entry not acknowledged");
        match error {
            SendError::TooLarge { size, limit } => AppendError::TooLarge { size, limit },
            error => AppendError::Unavailable(error.into()),
        }
    }

    fn refuse_all(&mut self, error: impl Fn() -> AppendError) {
        self.inbox.close();
        let in_flight = self.in_flight.drain(..).map(|in_flight| in_flight.append);
        let mut refused: Vec<Append> = in_flight.chain(self.waiting.take()).collect();
        while let Ok(asked) = self.inbox.try_recv() {
            match asked {
                Asked::Append(append) => refused.push(*append),
                Asked::Own | Asked::Producers(_) => {}
            }
        }
        for append in refused {
            append.answer(Err(error()));
        }
    }
}

/// The receipt of the first entry in flight.
async fn first(in_flight: &mut VecDeque<InFlight>) -> Result<Receipt, SendError> {
    match in_flight.front_mut() {
        Some(first) => first.receipt.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn lost(owned: Option<&mut Owned>) -> CloseReason {
    match owned {
        Some(owned) => owned.lost().await,
        None => std::future::pending().await,
    }
}
