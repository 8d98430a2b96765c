//! The reading half: frames, each in memory of its own.
use std::{io, pin::Pin, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use kop_wire::frame::{self, FrameError};
use prometheus_client::metrics::counter::Counter;
use tokio::{io::AsyncReadExt as _, net::tcp::OwnedReadHalf, time::Instant};

use super::stranger;
use crate::budget::{Budget, Share};

/// What is read at a time while no large frame is arriving.
const BUFFER: usize = 16 * 1024;
/// What is read first where the frame before was much larger than that, and the next one probably is: of a
/// large frame, what is read before its size is known is copied.
const HEAD: usize = 512;
/// So much of a frame is read before memory is taken for all of it: announcing a large one costs its
/// sender something.
const EARNEST: usize = 64 * 1024;
/// A frame up to this size has room made for it at once: what is not sent is not touched. That is what
/// producers send at the most as they come (`max.request.size`).
const AT_ONCE: usize = 1 << 20;
/// Once a frame has begun to arrive, every so many bytes win it a second more.
const BYTES_PER_SECOND: usize = 256 * 1024;

type Taking = Pin<Box<dyn Future<Output = Share> + Send>>;

/// What came next.
#[derive(Debug)]
pub(super) enum Received {
    /// A whole frame, without its length, and the memory it is accounted to.
    Frame(Bytes, Share),
    /// The client will send no more.
    End,
    /// Bytes that are no frame, and what they rather look like.
    Garbage(FrameError, Option<&'static str>),
}

/// A socket's frames, one after the other.
pub(super) struct Incoming {
    reader: OwnedReadHalf,
    limit: usize,
    /// Time for a frame to arrive, from its first byte on.
    patience: Duration,
    budget: Budget,
    counter: Counter,
    /// Empty, and without memory, while the connection is idle.
    buffer: BytesMut,
    /// The last frame was much larger than what is read at a time.
    large: bool,
    frame: Option<Arriving>,
    /// When the first byte of the frame that is arriving came.
    since: Option<Instant>,
    last_request: Instant,
}

/// A frame whose size is known.
struct Arriving {
    size: usize,
    body: BytesMut,
    memory: Memory,
}

enum Memory {
    /// Not asked for: hardly anything has come.
    Unasked,
    Awaited(Taking),
    Taken(Share),
}

impl Arriving {
    /// How much of it may be here before there is memory for all of it.
    fn earnest(&self) -> usize {
        self.size.min(EARNEST)
    }
}

impl Incoming {
    pub(super) fn new(
        reader: OwnedReadHalf,
        (limit, patience): (usize, Duration),
        budget: Budget,
        counter: Counter,
    ) -> Self {
        Self {
            reader,
            limit,
            patience,
            budget,
            counter,
            buffer: BytesMut::new(),
            large: false,
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
        let here = self.frame.as_ref().map_or(0, |frame| frame.body.len());
        let seconds = u32::try_from(here / BYTES_PER_SECOND).unwrap_or(u32::MAX);
        self.since
            .map(|since| since + self.patience + Duration::from_secs(1) * seconds)
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
                    Err(garbage) => {
                        let speaks = stranger::speaks(&self.buffer);
                        return Ok(Received::Garbage(garbage, speaks));
                    }
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
        self.buffer.reserve(if self.large { HEAD } else { BUFFER });
        let read = self.reader.read_buf(&mut self.buffer).await?;
        self.counter.inc_by(read as u64);
        if read > 0 && self.since.is_none() {
            self.since = Some(Instant::now());
        }
        Ok(read)
    }

    fn begin(&mut self, size: usize) {
        self.large = size > 2 * BUFFER;
        let room = if size <= AT_ONCE { size } else { 0 };
        self.frame = Some(Arriving {
            size,
            body: BytesMut::with_capacity(room),
            memory: Memory::Unasked,
        });
        drop(self.buffer.split_to(frame::PREFIX));
    }

    /// Completes the frame that has begun; `None` where the stream ends within it.
    async fn body(&mut self) -> io::Result<Option<Received>> {
        let Some(frame) = &mut self.frame else {
            return Ok(None);
        };
        if let Memory::Unasked = frame.memory {
            let earnest = frame.earnest();
            if !receive(
                &mut self.reader,
                &mut self.buffer,
                frame,
                earnest,
                &self.counter,
            )
            .await?
            {
                return Ok(None);
            }
            frame.memory = match self.budget.try_take(frame.size) {
                Some(share) => Memory::Taken(share),
                None => Memory::Awaited(Box::pin(self.budget.take(frame.size))),
            };
        }
        if let Memory::Awaited(taking) = &mut frame.memory {
            let share = taking.await;
            // The gateway's time, not the client's.
            self.since = Some(Instant::now());
            frame.memory = Memory::Taken(share);
        }
        let size = frame.size;
        if !receive(
            &mut self.reader,
            &mut self.buffer,
            frame,
            size,
            &self.counter,
        )
        .await?
        {
            return Ok(None);
        }
        self.last_request = Instant::now();
        self.since = (!self.buffer.is_empty()).then_some(self.last_request);
        Ok(self.frame.take().and_then(|frame| match frame.memory {
            Memory::Taken(share) => Some(Received::Frame(frame.body.freeze(), share)),
            Memory::Unasked | Memory::Awaited(_) => None,
        }))
    }
}

/// Reads until so much of a frame is here; false where the stream ends before.
async fn receive(
    reader: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
    frame: &mut Arriving,
    until: usize,
    counter: &Counter,
) -> io::Result<bool> {
    let body = &mut frame.body;
    body.reserve(until.saturating_sub(body.len()));
    let buffered = buffer.len().min(until.saturating_sub(body.len()));
    body.extend_from_slice(&buffer.split_to(buffered));
    while body.len() < until {
        let missing = until - body.len();
        let read = reader.read_buf(&mut (&mut *body).limit(missing)).await?;
        if read == 0 {
            return Ok(false);
        }
        counter.inc_by(read as u64);
    }
    Ok(true)
}
