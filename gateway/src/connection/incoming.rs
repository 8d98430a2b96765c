//! The reading half: frames, each in memory of its own.
use std::{io, pin::Pin, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use kop_wire::frame::{self, FrameError};
use prometheus_client::metrics::counter::Counter;
use tokio::{io::AsyncReadExt as _, net::tcp::OwnedReadHalf, time::Instant};

use crate::budget::{Budget, Share};

/// What is read at a time while no large frame is arriving.
const BUFFER: usize = 16 * 1024;
/// Frames up to this size are not accounted to the shared budget: their number is bounded by that of
/// connections and of requests in flight.
const SMALL: usize = 4 * 1024;
/// Time for a frame to arrive from its first byte on, and a second more for every so many bytes.
const FRAME_TIME: Duration = Duration::from_secs(30);
const BYTES_PER_SECOND: usize = 256 * 1024;

type Taking = Pin<Box<dyn Future<Output = Share> + Send>>;

/// What came next.
#[derive(Debug)]
pub(super) enum Received {
    /// A whole frame, without its length, and the memory it is accounted to.
    Frame(Bytes, Option<Share>),
    /// The client will send no more.
    End,
    /// Bytes that are no frame.
    Garbage(FrameError),
}

/// A socket's frames, one after the other.
pub(super) struct Incoming {
    reader: OwnedReadHalf,
    limit: usize,
    budget: Budget,
    counter: Counter,
    /// Empty, and without memory, while the connection is idle.
    buffer: BytesMut,
    frame: Option<Arriving>,
    /// When the first byte of the frame that is arriving came.
    since: Option<Instant>,
    last_request: Instant,
}

/// A frame that does not fit into the buffer's rest.
struct Arriving {
    size: usize,
    memory: Memory,
}

enum Memory {
    Awaited(Taking),
    Taken(Option<Share>, BytesMut),
}

impl Incoming {
    pub(super) fn new(
        reader: OwnedReadHalf,
        limit: usize,
        budget: Budget,
        counter: Counter,
    ) -> Self {
        Self {
            reader,
            limit,
            budget,
            counter,
            buffer: BytesMut::new(),
            frame: None,
            since: None,
            last_request: Instant::now(),
        }
    }

    /// Nothing is being read: the time until it is again is not the client's.
    pub(super) fn pause(&mut self) {
        if self.since.is_some() {
            self.since = Some(Instant::now());
        }
    }

    /// When a frame that has begun to arrive must be here; `None` between frames, and while it is the
    /// gateway that has no memory for it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if let Some(Arriving {
            memory: Memory::Awaited(_),
            ..
        }) = &self.frame
        {
            return None;
        }
        let size = self.frame.as_ref().map_or(0, |frame| frame.size);
        let seconds = u32::try_from(size / BYTES_PER_SECOND).unwrap_or(u32::MAX);
        self.since
            .map(|since| since + FRAME_TIME + Duration::from_secs(1) * seconds)
    }

    /// When the last frame was complete, or the connection began.
    pub(super) fn last_request(&self) -> Instant {
        self.last_request
    }

    /// The next frame. May be dropped and called again: what has arrived stays.
    pub(super) async fn next(&mut self) -> io::Result<Received> {
        loop {
            if self.frame.is_none() {
                match frame::announced(&self.buffer, self.limit) {
                    Err(garbage) => return Ok(Received::Garbage(garbage)),
                    Ok(Some(size)) => self.begin(size),
                    Ok(None) => {
                        if self.fill().await? == 0 {
                            return Ok(Received::End);
                        }
                        continue;
                    }
                }
            }
            match self.body().await? {
                Some(received) => return Ok(received),
                None => return Ok(Received::End),
            }
        }
    }

    /// Reads some bytes into the buffer; 0 at the end of the stream.
    async fn fill(&mut self) -> io::Result<usize> {
        if self.buffer.is_empty() {
            // An idle connection holds no buffer.
            self.buffer = BytesMut::new();
            self.reader.readable().await?;
        }
        self.buffer.reserve(BUFFER);
        let read = self.reader.read_buf(&mut self.buffer).await?;
        self.counter.inc_by(read as u64);
        if read > 0 && self.since.is_none() {
            self.since = Some(Instant::now());
        }
        Ok(read)
    }

    fn begin(&mut self, size: usize) {
        let memory = if size <= SMALL {
            Memory::Taken(None, BytesMut::with_capacity(size))
        } else {
            Memory::Awaited(Box::pin(self.budget.take(size)))
        };
        self.frame = Some(Arriving { size, memory });
        drop(self.buffer.split_to(frame::PREFIX));
    }

    /// Completes the frame that has begun; `None` where the stream ends within it.
    async fn body(&mut self) -> io::Result<Option<Received>> {
        let Some(Arriving { size, memory }) = &mut self.frame else {
            return Ok(None);
        };
        if let Memory::Awaited(taking) = memory {
            let share = taking.await;
            self.since = Some(Instant::now());
            *memory = Memory::Taken(Some(share), BytesMut::with_capacity(*size));
        }
        let Memory::Taken(_, body) = memory else {
            return Ok(None);
        };
        let buffered = self.buffer.len().min(*size - body.len());
        body.extend_from_slice(&self.buffer.split_to(buffered));
        while body.len() < *size {
            let missing = *size - body.len();
            let read = self
                .reader
                .read_buf(&mut (&mut *body).limit(missing))
                .await?;
            if read == 0 {
                return Ok(None);
            }
            self.counter.inc_by(read as u64);
        }
        self.last_request = Instant::now();
        self.since = (!self.buffer.is_empty()).then_some(self.last_request);
        Ok(self.frame.take().and_then(|frame| match frame.memory {
            Memory::Taken(share, body) => Some(Received::Frame(body.freeze(), share)),
            Memory::Awaited(_) => None,
        }))
    }
}
