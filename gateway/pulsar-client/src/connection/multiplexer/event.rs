//! What handles ask of their connection, and what it gives them.
use std::sync::{Arc, OnceLock, atomic::AtomicUsize};

use bytes::Bytes;
use pulsar_protocol::Command;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{Cause, EntryId, ReadError, Receipt, SendError};

/// Where an entry's receipt goes.
pub(super) type SendReply = oneshot::Sender<Result<Receipt, SendError>>;

/// What handles ask of their connection.
#[derive(Debug)]
pub(crate) enum Event {
    /// Write a request, and hand over its answer.
    Request {
        id: u64,
        frame: Bytes,
        opens: Opens,
        reply: oneshot::Sender<Result<Command, Cause>>,
    },
    /// Write an entry when its turn comes.
    Send(Line),
    /// Write that.
    Write(Bytes),
    /// The producer's handle is gone, or is closing: its name is to be let go. Whoever waits for the
    /// broker's answer gets it in `reply`.
    CloseProducer {
        id: u64,
        request: u64,
        reply: Option<oneshot::Sender<Result<Command, Cause>>>,
    },
    /// Ask the broker for a sign of life; the reply comes with it.
    Ping(oneshot::Sender<()>),
    /// The reader's handle is gone.
    CloseReader { id: u64 },
}

/// An entry in line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) producer: u64,
    pub(crate) sequence_id: u64,
    /// The frame up to the payload.
    pub(crate) head: Bytes,
    pub(crate) payload: Vec<Bytes>,
    /// Bytes of both.
    pub(crate) size: usize,
    pub(crate) reply: SendReply,
}

/// What a request makes, if the broker agrees.
#[derive(Debug)]
pub(crate) enum Opens {
    Nothing,
    Producer {
        id: u64,
        closed: watch::Sender<Option<Cause>>,
    },
    Reader {
        id: u64,
        delivery: Delivery,
    },
}

impl Opens {
    pub(super) fn resource(&self) -> Option<Resource> {
        match self {
            Self::Nothing => None,
            Self::Producer { id, .. } => Some(Resource::Producer(*id)),
            Self::Reader { id, .. } => Some(Resource::Reader(*id)),
        }
    }
}

/// Where a reader's entries go.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) entries: mpsc::Sender<RawEntry>,
    /// Bytes in there.
    pub(crate) buffered: Arc<AtomicUsize>,
    /// How many there may be.
    pub(crate) limit: usize,
    /// Why no more come; `Ok` at the end of a terminated topic. Set before `entries` is dropped.
    pub(crate) end: Arc<OnceLock<Result<(), ReadError>>>,
}

/// An entry as it came, not yet looked into.
#[derive(Debug)]
pub(crate) struct RawEntry {
    pub(crate) id: EntryId,
    pub(crate) bytes: Bytes,
}

/// A producer or a reader, by its id.
#[derive(Debug, Clone, Copy)]
pub(super) enum Resource {
    Producer(u64),
    Reader(u64),
}
