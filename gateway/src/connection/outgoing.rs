//! The writing half: chunks, never copied together.
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

use bytes::{Buf as _, Bytes};
use prometheus_client::metrics::counter::Counter;
use tokio::{io::AsyncWriteExt as _, net::tcp::OwnedWriteHalf, time::Instant};

use crate::budget::Share;

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
    /// Everything before was accounted to this.
    Release(Share),
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

    pub(super) fn push(&mut self, chunks: Vec<Bytes>, held: Option<Share>) {
        if self.queue.is_empty() {
            self.progress = Instant::now();
        }
        self.unwritten += chunks.iter().map(Bytes::len).sum::<usize>();
        self.queue.extend(
            chunks
                .into_iter()
                .filter(|c| !c.is_empty())
                .map(Queued::Chunk),
        );
        self.queue.extend(held.map(Queued::Release));
    }

    /// Writes as much as the socket takes at once. May be dropped and called again.
    pub(super) async fn write(&mut self) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); AT_ONCE];
        let mut count = 0;
        let chunks = self.queue.iter().filter_map(|queued| match queued {
            Queued::Chunk(chunk) => Some(chunk),
            Queued::Release(_) => None,
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

    /// Drops `written` bytes from the front, and the shares behind what is wholly written.
    fn forget(&mut self, mut written: usize) {
        while let Some(first) = self.queue.pop_front() {
            match first {
                Queued::Chunk(mut chunk) if chunk.len() > written => {
                    chunk.advance(written);
                    self.queue.push_front(Queued::Chunk(chunk));
                    return;
                }
                Queued::Chunk(chunk) => written -= chunk.len(),
                Queued::Release(share) => drop(share),
            }
        }
    }
}
