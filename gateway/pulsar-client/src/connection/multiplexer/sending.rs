//! Entries on their way: the line, the receipts, the refusals.
use pulsar_protocol::{
    ServerError,
    command::{SendError as RefusedSend, SendReceipt},
};
use tokio::time::Instant;

use super::{
    super::load::{MAX_PENDING_BYTES, MAX_PENDING_ENTRIES},
    Line, Multiplexer, NO_REQUEST, PendingSend, close_producer,
};
use crate::{Cause, Receipt, SendError};

impl Multiplexer {
    /// Writes entries in line, as far as the broker takes more.
    pub(super) fn advance_line(&mut self, now: Instant) {
        while self.in_flight < MAX_PENDING_ENTRIES && self.in_flight_bytes < MAX_PENDING_BYTES {
            let Some(entry) = self.line.pop_front() else {
                return;
            };
            let Some(slot) = self.producers.get_mut(&entry.producer) else {
                self.not_sent(entry, &Cause::ClosedByBroker);
                continue;
            };
            let Line {
                sequence_id,
                head,
                payload,
                size,
                reply,
                ..
            } = entry;
            let deadline = now + self.timeout;
            slot.pending.push_back(PendingSend {
                sequence_id,
                size,
                deadline,
                reply,
            });
            self.in_flight += 1;
            self.in_flight_bytes += size;
            self.write(head);
            for part in payload {
                self.write(part);
            }
        }
    }

    pub(super) fn receipt(&mut self, receipt: &SendReceipt) {
        let id = receipt.producer_id;
        let Some(slot) = self.producers.get_mut(&id) else {
            return;
        };
        let stored = receipt
            .message_id
            .as_ref()
            .filter(|position| position.ledger_id != u64::MAX && position.entry_id != u64::MAX);
        let place = slot
            .pending
            .iter()
            .position(|send| send.sequence_id == receipt.sequence_id);
        match (place, stored) {
            // Late: the entry was given up.
            (None, _) => {}
            (Some(0), Some(position)) => {
                let receipt = Receipt {
                    ledger: position.ledger_id,
                    entry: position.entry_id,
                    sequence_id: receipt.sequence_id,
                };
                self.settle(id, 0, Ok(receipt));
            }
            // Discarded ones are answered at once, past those that are being stored.
            (Some(place), None) => self.settle(id, place, Err(SendError::Duplicate)),
            (Some(_), Some(_)) => {
                let cause = Cause::Disconnected("receipts out of order".to_owned());
                self.write(close_producer(id, NO_REQUEST));
                self.end_producer(id, &cause);
            }
        }
    }

    pub(super) fn refused_send(&mut self, refusal: RefusedSend) {
        let id = refusal.producer_id;
        let Some(slot) = self.producers.get_mut(&id) else {
            return;
        };
        let place = slot
            .pending
            .iter()
            .position(|send| send.sequence_id == refusal.sequence_id);
        let Some(place) = place else { return };
        let error = ServerError::from_code(refusal.error);
        self.settle(
            id,
            place,
            Err(SendError::Refused {
                error,
                message: refusal.message,
            }),
        );
    }

    /// Answers one written entry of a producer.
    fn settle(&mut self, producer: u64, place: usize, outcome: Result<Receipt, SendError>) {
        let send = self
            .producers
            .get_mut(&producer)
            .and_then(|slot| slot.pending.remove(place));
        if let Some(PendingSend { size, reply, .. }) = send {
            self.landed(size);
            let _ = reply.send(outcome);
        }
    }

    pub(super) fn landed(&mut self, size: usize) {
        self.in_flight -= 1;
        self.in_flight_bytes -= size;
        self.load.give_back(size);
    }

    pub(super) fn not_sent(&mut self, entry: Line, cause: &Cause) {
        self.load.give_back(entry.size);
        let _ = entry.reply.send(Err(SendError::NotSent(cause.clone())));
    }

    pub(super) fn drop_from_line(&mut self, producer: u64) {
        if self.line.iter().any(|entry| entry.producer == producer) {
            for entry in std::mem::take(&mut self.line) {
                if entry.producer == producer {
                    self.not_sent(entry, &Cause::Closed);
                } else {
                    self.line.push_back(entry);
                }
            }
        }
    }
}
