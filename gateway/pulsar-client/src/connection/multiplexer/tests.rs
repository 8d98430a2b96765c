use futures::FutureExt as _;
use proptest::prelude::*;
use pulsar_protocol::{
    MessageIdData,
    command::{CloseProducer, ProducerSuccess, SendError as RefusedSend, SendReceipt},
};

use super::*;
use crate::{
    Receipt,
    connection::load::{MAX_PENDING_BYTES, MAX_PENDING_ENTRIES},
};

const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
enum Step {
    Open {
        producer: u64,
    },
    Send {
        producer: u64,
        size: usize,
    },
    /// The broker stores the producer's next entry.
    Receipt {
        producer: u64,
    },
    /// The broker refuses, or discards, one of the producer's entries.
    Refuse {
        producer: u64,
        place: usize,
        discard: bool,
    },
    ClosedByBroker {
        producer: u64,
    },
    Close {
        producer: u64,
    },
    Wait {
        seconds: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let producer = 0..3_u64;
    prop_oneof![
        1 => producer.clone().prop_map(|producer| Step::Open { producer }),
        12 => (producer.clone(), 1..8_000_000_usize)
            .prop_map(|(producer, size)| Step::Send { producer, size }),
        8 => producer.clone().prop_map(|producer| Step::Receipt { producer }),
        2 => (producer.clone(), 0..20_usize, any::<bool>())
            .prop_map(|(producer, place, discard)| Step::Refuse { producer, place, discard }),
        1 => producer.clone().prop_map(|producer| Step::ClosedByBroker { producer }),
        1 => producer.prop_map(|producer| Step::Close { producer }),
        1 => (0..4_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

type Answer = oneshot::Receiver<Result<Receipt, SendError>>;

/// Both ends of one multiplexer: those who send, and a broker that has read all that was written.
struct World {
    multiplexer: Multiplexer,
    load: Arc<Load>,
    now: Instant,
    next: u64,
    answers: Vec<(u64, Answer)>,
}

impl World {
    fn new() -> Self {
        let load = Arc::new(Load::default());
        Self {
            multiplexer: Multiplexer::new(load.clone(), TIMEOUT),
            load,
            now: Instant::now(),
            next: 0,
            answers: Vec::new(),
        }
    }

    fn take(&mut self, step: Step) {
        self.next += 1;
        let number = self.next;
        match step {
            Step::Open { producer } => {
                let (reply, _answer) = oneshot::channel();
                let (closed, _) = watch::channel(None);
                self.multiplexer.end_producer(producer, &Cause::Closed);
                let opens = Opens::Producer {
                    id: producer,
                    closed,
                };
                let request = Event::Request {
                    id: number,
                    frame: Bytes::new(),
                    opens,
                    reply,
                };
                self.multiplexer.apply(request, self.now);
                // Whoever opened it is kept out of the way: an answer would find them gone.
                self.multiplexer.requests.remove(&number);
            }
            Step::Send { producer, size } => {
                assert!(self.load.take(size));
                let (reply, answer) = oneshot::channel();
                let line = Line {
                    producer,
                    sequence_id: number,
                    head: Bytes::from_static(b"head"),
                    payload: vec![],
                    size,
                    reply,
                };
                self.multiplexer.apply(Event::Send(line), self.now);
                self.answers.push((number, answer));
            }
            Step::Receipt { producer } => {
                if let Some(sequence_id) = self.pending(producer, 0) {
                    self.receipt(producer, sequence_id, MessageIdData::of(1, number));
                }
            }
            Step::Refuse {
                producer,
                place,
                discard,
            } => {
                let Some(sequence_id) = self.pending(producer, place) else {
                    return;
                };
                if discard {
                    self.receipt(producer, sequence_id, MessageIdData::of(u64::MAX, u64::MAX));
                } else {
                    let refusal = RefusedSend {
                        producer_id: producer,
                        sequence_id,
                        ..RefusedSend::default()
                    };
                    self.receive(Command::SendError(refusal));
                }
            }
            Step::ClosedByBroker { producer } => {
                let close = CloseProducer {
                    producer_id: producer,
                    request_id: 0,
                };
                self.receive(Command::CloseProducer(close));
            }
            Step::Close { producer } => {
                let close = Event::CloseProducer {
                    id: producer,
                    request: number,
                    reply: None,
                };
                self.multiplexer.apply(close, self.now);
            }
            Step::Wait { seconds } => {
                self.now += Duration::from_secs(seconds);
                self.multiplexer.expire(self.now);
            }
        }
    }

    fn pending(&self, producer: u64, place: usize) -> Option<u64> {
        let slot = self.multiplexer.producers.get(&producer)?;
        slot.pending.get(place).map(|send| send.sequence_id)
    }

    fn receipt(&mut self, producer_id: u64, sequence_id: u64, position: MessageIdData) {
        self.receive(Command::SendReceipt(SendReceipt {
            producer_id,
            sequence_id,
            message_id: Some(position),
            highest_sequence_id: None,
        }));
    }

    fn receive(&mut self, command: Command) {
        self.multiplexer.receive(command, Bytes::new(), self.now);
    }

    fn check(&self) {
        let multiplexer = &self.multiplexer;
        let pending: Vec<&PendingSend> = multiplexer
            .producers
            .values()
            .flat_map(|slot| &slot.pending)
            .collect();
        assert_eq!(multiplexer.in_flight, pending.len());
        let bytes: usize = pending.iter().map(|send| send.size).sum();
        assert_eq!(multiplexer.in_flight_bytes, bytes);
        // What waits, waits for a reason.
        let full = multiplexer.in_flight >= MAX_PENDING_ENTRIES
            || multiplexer.in_flight_bytes >= MAX_PENDING_BYTES;
        assert!(full || multiplexer.line.is_empty());
        assert!(multiplexer.in_flight_bytes < MAX_PENDING_BYTES + 8_000_000);
    }
}

proptest! {
    #[test]
    fn every_entry_is_answered_once_and_every_place_is_given_back(
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut world = World::new();
        for producer in 0..3 {
            world.take(Step::Open { producer });
        }
        for step in steps {
            world.take(step);
            world.check();
        }
        world.multiplexer.end(&Cause::Timeout);
        world.check();
        prop_assert!(world.multiplexer.line.is_empty());
        for (number, answer) in world.answers {
            let answer = answer.now_or_never();
            prop_assert!(matches!(answer, Some(Ok(_))), "{}: {:?}", number, answer);
        }
        // The load is what a newcomer sees.
        prop_assert!(world.load.light().now_or_never().is_some());
        prop_assert!(world.load.is_unused());
    }
}

#[test]
fn a_producer_that_waits_to_become_exclusive_does_not_time_out() {
    let mut world = World::new();
    let (reply, mut answer) = oneshot::channel();
    let opens = Opens::Producer {
        id: 5,
        closed: watch::channel(None).0,
    };
    let request = Event::Request {
        id: 9,
        frame: Bytes::new(),
        opens,
        reply,
    };
    world.multiplexer.apply(request, world.now);
    let mut success = ProducerSuccess {
        request_id: 9,
        producer_ready: Some(false),
        ..ProducerSuccess::default()
    };
    world.receive(Command::ProducerSuccess(success.clone()));
    world.take(Step::Wait { seconds: 1000 });
    assert!(answer.try_recv().is_err());
    success.producer_ready = Some(true);
    world.receive(Command::ProducerSuccess(success));
    assert!(matches!(
        answer.try_recv(),
        Ok(Ok(Command::ProducerSuccess(_)))
    ));
}

#[test]
fn a_request_without_answer_times_out_and_what_it_would_have_opened_is_closed() {
    let mut world = World::new();
    let (reply, mut answer) = oneshot::channel();
    let opens = Opens::Producer {
        id: 5,
        closed: watch::channel(None).0,
    };
    let request = Event::Request {
        id: 9,
        frame: Bytes::from_static(b"open"),
        opens,
        reply,
    };
    world.multiplexer.apply(request, world.now);
    world.take(Step::Wait { seconds: 9 });
    assert!(answer.try_recv().is_err());
    world.take(Step::Wait { seconds: 1 });
    assert!(matches!(answer.try_recv(), Ok(Err(Cause::Timeout))));
    assert_eq!(
        world.multiplexer.outbox,
        [Bytes::from_static(b"open"), close_producer(5, NO_REQUEST)]
    );
    assert!(world.multiplexer.producers.is_empty());
}
