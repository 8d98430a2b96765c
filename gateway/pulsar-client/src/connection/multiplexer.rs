//! Requests, producers and readers of one connection. No I/O and no clock: the
//! [`Driver`](super::driver::Driver) feeds it and writes what is in the outbox.
mod event;
mod sending;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use pulsar_protocol::{
    Command, ServerError,
    command::{CloseConsumer, CloseProducer, MigratedResource, Ping, Pong, Success},
    frame,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

pub(crate) use self::event::{Delivery, Event, Line, Opens, RawEntry};
use self::event::{Resource, SendReply};
use super::load::Load;
use crate::{Cause, EntryId, ReadError, SendError};

/// A request id for closing what nobody waits for. Brokers use it too.
const NO_REQUEST: u64 = u64::MAX;

#[derive(Debug)]
struct PendingRequest {
    reply: oneshot::Sender<Result<Command, Cause>>,
    opens: Option<Resource>,
    /// None while a producer waits for its turn.
    deadline: Option<Instant>,
}

#[derive(Debug)]
struct PendingSend {
    sequence_id: u64,
    size: usize,
    deadline: Instant,
    reply: SendReply,
}

#[derive(Debug)]
struct ProducerSlot {
    /// Written and without receipt, in order.
    pending: VecDeque<PendingSend>,
    closed: watch::Sender<Option<Cause>>,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Multiplexer {
    /// To be written, in order.
    pub(super) outbox: VecDeque<Bytes>,
    requests: HashMap<u64, PendingRequest>,
    producers: HashMap<u64, ProducerSlot>,
    readers: HashMap<u64, Delivery>,
    /// Who waits for which of the broker's signs of life, in the order in which they were asked for.
    pings: VecDeque<Option<oneshot::Sender<()>>>,
    /// Entries that wait until fewer are without receipt.
    line: VecDeque<Line>,
    in_flight: usize,
    in_flight_bytes: usize,
    load: Arc<Load>,
    timeout: Duration,
}

impl Multiplexer {
    pub(super) fn new(load: Arc<Load>, timeout: Duration) -> Self {
        Self {
            outbox: VecDeque::new(),
            requests: HashMap::new(),
            producers: HashMap::new(),
            readers: HashMap::new(),
            pings: VecDeque::new(),
            line: VecDeque::new(),
            in_flight: 0,
            in_flight_bytes: 0,
            load,
            timeout,
        }
    }

    /// Puts bytes in line for the socket.
    pub(super) fn write(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.outbox.push_back(bytes);
        }
    }

    /// Asks the broker for a sign of life, for someone or just so that there is one.
    pub(super) fn ping(&mut self, reply: Option<oneshot::Sender<()>>) {
        self.pings.push_back(reply);
        self.write(frame::encode(Command::Ping(Ping {})));
    }

    /// Does what a handle asks.
    pub(super) fn apply(&mut self, event: Event, now: Instant) {
        self.obey(event, now);
        // Whatever ended has made room.
        self.advance_line(now);
    }

    fn obey(&mut self, event: Event, now: Instant) {
        match event {
            Event::Request {
                id,
                frame,
                opens,
                reply,
            } => {
                let resource = opens.resource();
                match opens {
                    Opens::Nothing => {}
                    // Known from here on: the broker may close it right after its answer.
                    Opens::Producer { id, closed } => {
                        let slot = ProducerSlot {
                            pending: VecDeque::new(),
                            closed,
                        };
                        self.producers.insert(id, slot);
                    }
                    Opens::Reader { id, delivery } => {
                        self.readers.insert(id, delivery);
                    }
                }
                let deadline = Some(now + self.timeout);
                self.requests.insert(
                    id,
                    PendingRequest {
                        reply,
                        opens: resource,
                        deadline,
                    },
                );
                self.write(frame);
            }
            Event::Send(entry) => self.line.push_back(entry),
            Event::Write(bytes) => self.write(bytes),
            Event::CloseProducer { id, request, reply } => {
                if !self.producers.contains_key(&id) {
                    if let Some(reply) = reply {
                        let _ = reply.send(Ok(Command::Success(Success {
                            request_id: request,
                        })));
                    }
                    return;
                }
                self.drop_from_line(id);
                self.write(close_producer(id, request));
                match reply {
                    // Receipts come before the answer; what has none then has failed.
                    Some(reply) => {
                        let opens = Some(Resource::Producer(id));
                        let deadline = Some(now + self.timeout);
                        self.requests.insert(
                            request,
                            PendingRequest {
                                reply,
                                opens,
                                deadline,
                            },
                        );
                    }
                    None => self.end_producer(id, &Cause::Closed),
                }
            }
            Event::Ping(reply) => self.ping(Some(reply)),
            Event::CloseReader { id } => {
                if self.readers.remove(&id).is_some() {
                    self.write(close_reader(id));
                }
            }
        }
    }

    /// Answers what can no longer be done.
    pub(super) fn refuse(&mut self, event: Event, cause: &Cause) {
        match event {
            Event::Request { reply, opens, .. } => {
                if let Opens::Producer { closed, .. } = opens {
                    closed.send_replace(Some(cause.clone()));
                }
                let _ = reply.send(Err(cause.clone()));
            }
            Event::Send(entry) => self.not_sent(entry, cause),
            Event::CloseProducer {
                reply: Some(reply), ..
            } => {
                let _ = reply.send(Err(cause.clone()));
            }
            Event::CloseProducer { reply: None, .. }
            | Event::Write(_)
            | Event::Ping(_)
            | Event::CloseReader { .. } => {}
        }
    }

    /// Takes a command of the broker.
    pub(super) fn receive(&mut self, command: Command, trailer: Bytes, now: Instant) {
        self.understand(command, trailer);
        self.advance_line(now);
    }

    fn understand(&mut self, command: Command, trailer: Bytes) {
        match command {
            Command::SendReceipt(receipt) => self.receipt(&receipt),
            Command::SendError(error) => self.refused_send(error),
            Command::Message(message) => {
                let id = EntryId {
                    ledger: message.message_id.ledger_id,
                    entry: message.message_id.entry_id,
                };
                self.deliver(message.consumer_id, RawEntry { id, bytes: trailer });
            }
            Command::Ping(_) => self.write(frame::encode(Command::Pong(Pong {}))),
            Command::Pong(_) => {
                if let Some(Some(reply)) = self.pings.pop_front() {
                    // Whoever asked may have gone.
                    let _ = reply.send(());
                }
            }
            Command::CloseProducer(close) => {
                self.end_producer(close.producer_id, &Cause::ClosedByBroker);
            }
            Command::CloseConsumer(close) => {
                self.end_reader(
                    close.consumer_id,
                    Err(ReadError::Unavailable(Cause::ClosedByBroker)),
                );
            }
            Command::ReachedEndOfTopic(end) => {
                self.write(close_reader(end.consumer_id));
                self.end_reader(end.consumer_id, Ok(()));
            }
            Command::TopicMigrated(migrated) => {
                let id = migrated.resource_id;
                match migrated.resource_type() {
                    MigratedResource::Producer => self.end_producer(id, &Cause::ClosedByBroker),
                    MigratedResource::Consumer => {
                        self.end_reader(id, Err(ReadError::Unavailable(Cause::ClosedByBroker)));
                    }
                }
            }
            Command::ProducerSuccess(success) if !success.producer_ready() => {
                if let Some(request) = self.requests.get_mut(&success.request_id) {
                    request.deadline = None;
                }
            }
            Command::Error(error) => {
                let cause = Cause::Broker {
                    error: ServerError::from_code(error.error),
                    message: error.message,
                };
                self.answer(error.request_id, Err(cause));
            }
            Command::Success(ref success) => self.answer(success.request_id, Ok(command)),
            Command::ProducerSuccess(ref success) => self.answer(success.request_id, Ok(command)),
            Command::PartitionMetadataResponse(ref answer) => {
                self.answer(answer.request_id, Ok(command));
            }
            Command::LookupTopicResponse(ref answer) => {
                self.answer(answer.request_id, Ok(command));
            }
            Command::GetLastMessageIdResponse(ref answer) => {
                self.answer(answer.request_id, Ok(command));
            }
            Command::GetTopicsOfNamespaceResponse(ref answer) => {
                self.answer(answer.request_id, Ok(command));
            }
            // Readers stand alone in their subscriptions; nothing else concerns a client.
            other => tracing::trace!(kind = other.kind(), "command ignored"),
        }
    }

    /// Gives up what the broker has not answered in time; whether there was anything.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let late: Vec<u64> = self
            .requests
            .iter()
            .filter(|(_, request)| request.deadline.is_some_and(|deadline| deadline <= now))
            .map(|(id, _)| *id)
            .collect();
        let mut expired = !late.is_empty();
        for id in late {
            self.answer(id, Err(Cause::Timeout));
        }
        // A broker that hands its topics over may drop sends without a word. What the producer
        // wrote behind such a gap cannot be trusted to be in order, so the producer ends.
        let silent: Vec<u64> = self
            .producers
            .iter()
            .filter(|(_, slot)| {
                slot.pending
                    .front()
                    .is_some_and(|send| send.deadline <= now)
            })
            .map(|(id, _)| *id)
            .collect();
        expired |= !silent.is_empty();
        for id in silent {
            self.write(close_producer(id, NO_REQUEST));
            self.end_producer(id, &Cause::Timeout);
        }
        self.advance_line(now);
        expired
    }

    /// Ends everything.
    pub(super) fn end(&mut self, cause: &Cause) {
        self.pings.clear();
        for (_, request) in std::mem::take(&mut self.requests) {
            let _ = request.reply.send(Err(cause.clone()));
        }
        for id in self.producers.keys().copied().collect::<Vec<_>>() {
            self.end_producer(id, cause);
        }
        for id in self.readers.keys().copied().collect::<Vec<_>>() {
            self.end_reader(id, Err(ReadError::Unavailable(cause.clone())));
        }
        while let Some(entry) = self.line.pop_front() {
            self.not_sent(entry, cause);
        }
    }

    /// Hands over a request's answer. What was opened for a caller who is gone, or was not opened
    /// after all, ends here.
    fn answer(&mut self, id: u64, answer: Result<Command, Cause>) {
        // An answer that comes too late: what it opened has been closed already.
        let Some(PendingRequest { reply, opens, .. }) = self.requests.remove(&id) else {
            return;
        };
        let closes = matches!(answer, Ok(Command::Success(_)));
        let failed = answer.as_ref().err().cloned();
        let timed_out = matches!(failed, Some(Cause::Timeout));
        let abandoned = reply.send(answer).is_err();
        match opens {
            None => {}
            Some(Resource::Producer(producer)) => {
                // `Success` is the answer to closing it, `ProducerSuccess` the one to opening it.
                if closes {
                    self.end_producer(producer, &Cause::Closed);
                } else if abandoned || failed.is_some() {
                    if abandoned || timed_out {
                        self.write(close_producer(producer, NO_REQUEST));
                    }
                    self.end_producer(producer, &failed.unwrap_or(Cause::Closed));
                }
            }
            Some(Resource::Reader(reader)) if abandoned || failed.is_some() => {
                if abandoned || timed_out {
                    self.write(close_reader(reader));
                }
                let cause = failed.unwrap_or(Cause::Closed);
                self.end_reader(reader, Err(ReadError::Unavailable(cause)));
            }
            Some(Resource::Reader(_)) => {}
        }
    }

    fn end_producer(&mut self, id: u64, cause: &Cause) {
        let Some(slot) = self.producers.remove(&id) else {
            return;
        };
        // First the producer, so that whoever is told below sees that it has ended.
        slot.closed.send_replace(Some(cause.clone()));
        for PendingSend { size, reply, .. } in slot.pending {
            self.landed(size);
            let _ = reply.send(Err(SendError::Unavailable(cause.clone())));
        }
    }

    fn deliver(&mut self, id: u64, entry: RawEntry) {
        let Some(delivery) = self.readers.get(&id) else {
            return;
        };
        let size = entry.bytes.len();
        let buffered = delivery.buffered.load(Ordering::Relaxed);
        if buffered > delivery.limit {
            self.overrun(id);
            return;
        }
        // Counted first: the reader takes it off as soon as it has the entry.
        delivery.buffered.fetch_add(size, Ordering::Relaxed);
        match delivery.entries.try_send(entry) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => self.overrun(id),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                self.readers.remove(&id);
                self.write(close_reader(id));
            }
        }
    }

    fn overrun(&mut self, id: u64) {
        self.write(close_reader(id));
        self.end_reader(id, Err(ReadError::Overrun));
    }

    fn end_reader(&mut self, id: u64, end: Result<(), ReadError>) {
        if let Some(delivery) = self.readers.remove(&id) {
            let _ = delivery.end.set(end);
        }
    }
}

fn close_producer(id: u64, request: u64) -> Bytes {
    let close = CloseProducer {
        producer_id: id,
        request_id: request,
    };
    frame::encode(Command::CloseProducer(close))
}

fn close_reader(id: u64) -> Bytes {
    let close = CloseConsumer {
        consumer_id: id,
        request_id: NO_REQUEST,
    };
    frame::encode(Command::CloseConsumer(close))
}

#[cfg(test)]
mod tests;
