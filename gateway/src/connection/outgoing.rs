//! The writing half: chunks, never copied together.
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

use bytes::{Buf as _, Bytes};
use prometheus_client::metrics::counter::Counter;
use tokio::{io::AsyncWriteExt as _, net::tcp::OwnedWriteHalf, time::Instant};

use crate::{budget::Share, dispatch::Response, metrics::Measured};

/// Chunks handed to the system in one call.
const AT_ONCE: usize = 64;

/// Answers that wait to be written.
pub(super) struct Outgoing {
    writer: OwnedWriteHalf,
    counter: Counter,
    queue: VecDeque<Queued>,
    unwritten: usize,
    progress: Instant,
}

enum Queued {
    Chunk(Bytes),
    /// All of an answer is before this.
    End(End),
}

/// What is done when an answer is written.
struct End {
    bytes: usize,
    held: Option<Share>,
    measured: Option<Measured>,
}

impl End {
    fn reached(self) {
        let Self {
            bytes,
            held,
            measured,
        } = self;
        drop(held);
        if let Some(measured) = measured {
            measured.written(bytes);
        }
    }
}

impl Outgoing {
    pub(super) fn new(writer: OwnedWriteHalf, counter: Counter) -> Self {
        let progress = Instant::now();
        Self {
            writer,
            counter,
            queue: VecDeque::new(),
            unwritten: 0,
            progress,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes that wait to be written.
    pub(super) fn unwritten(&self) -> usize {
        self.unwritten
    }

    /// Since when the client has taken nothing of what waits; `None` where nothing waits.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        (!self.queue.is_empty()).then_some(self.progress)
    }

    pub(super) fn push(&mut self, response: Response) {
        let Response {
            chunks,
            bytes,
            held,
            measured,
        } = response;
        if self.queue.is_empty() {
            self.progress = Instant::now();
        }
        self.unwritten += bytes;
        self.queue.extend(
            chunks
                .into_iter()
                .filter(|c| !c.is_empty())
                .map(Queued::Chunk),
        );
        self.queue.push_back(Queued::End(End {
            bytes,
            held,
            measured,
        }));
    }

    /// Writes as much as the socket takes at once. May be dropped and called again.
    pub(super) async fn write(&mut self) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); AT_ONCE];
        let mut count = 0;
        let chunks = self.queue.iter().filter_map(|queued| match queued {
            Queued::Chunk(chunk) => Some(chunk),
            Queued::End(_) => None,
        });
        for (slice, chunk) in slices.iter_mut().zip(chunks) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        let written = match slices.get(..count) {
            Some(slices) if count > 0 => self.writer.write_vectored(slices).await?,
            _ => 0,
        };
        if written == 0 && count > 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.counter.inc_by(written as u64);
        self.unwritten -= written;
        self.progress = Instant::now();
        self.forget(written);
        Ok(())
    }

    /// Drops `written` bytes from the front, and ends the answers that are wholly written.
    fn forget(&mut self, mut written: usize) {
        while let Some(first) = self.queue.pop_front() {
            match first {
                Queued::Chunk(mut chunk) if chunk.len() > written => {
                    chunk.advance(written);
                    self.queue.push_front(Queued::Chunk(chunk));
                    return;
                }
                Queued::Chunk(chunk) => written -= chunk.len(),
                Queued::End(end) => end.reached(),
            }
        }
    }
}
