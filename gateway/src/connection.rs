//! One connection: requests in, answers out in the order of the requests.
//!
//! One task owns it. It reads while there is room for more requests, serves several at a time as
//! their [`Order`](crate::api::Order) allows, and writes each answer when it is the oldest one
//! missing. A client that is slow to read its answers is read from no further.
use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{net::TcpStream, time::Instant};
use tracing::{debug, info};

use crate::{
    dispatch::{self, Arrived, Outcome},
    gateway::Gateway,
    sparingly::Sparingly,
};

mod incoming;
mod outgoing;
mod pipeline;
mod stranger;

use incoming::{Incoming, Received};
use outgoing::Outgoing;
use pipeline::Pipeline;

/// Bytes of answers that may wait to be written before no more requests are read.
const MOST_UNWRITTEN: usize = 1 << 20;
/// Longest time between two looks at the time limits.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A crowd of clients that make no sense is worth one line a second.
static REFUSED: Sparingly = Sparingly::every(Duration::from_secs(1));

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    /// The client closed it, or the gateway is stopping and has answered everything.
    #[error("closed")]
    Closed,
    /// What came in makes no sense; the text says why.
    #[error("{0}")]
    Refused(String),
    /// The client asked for nothing for too long.
    #[error("idle")]
    Idle,
    /// The client stopped halfway.
    #[error("{0}")]
    Stalled(&'static str),
    /// The socket failed.
    #[error("socket failed")]
    Io(#[from] io::Error),
}

/// Serves a connection until it ends; `listener` is the one it came in on.
pub(crate) async fn serve(
    gateway: Arc<Gateway>,
    stream: TcpStream,
    peer: SocketAddr,
    listener: usize,
) {
    let counted = &gateway.metrics.connections;
    counted.accepted.inc();
    let (_open, cut) = (Counted::new(&counted.open), counted.cut.clone());
    let ended = Connection::new(gateway, stream, peer, listener).run().await;
    match ended {
        Ended::Closed | Ended::Io(_) | Ended::Idle => debug!(%peer, %ended, "connection ended"),
        Ended::Refused(_) | Ended::Stalled(_) => {
            cut.inc();
            match REFUSED.now() {
                Some(0) => info!(%peer, reason = %ended, "connection closed"),
                Some(more_before) => {
                    info!(%peer, reason = %ended, more_before, "connection closed");
                }
                None => debug!(%peer, reason = %ended, "connection closed"),
            }
        }
    }
}

/// A connection among those that are open, however it ends.
struct Counted(Gauge);

impl Counted {
    fn new(open: &Gauge) -> Self {
        open.inc();
        Self(open.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

struct Connection {
    gateway: Arc<Gateway>,
    incoming: Incoming,
    pipeline: Pipeline,
    outgoing: Outgoing,
    /// No more requests are read.
    closing: Option<Ended>,
}

impl Connection {
    fn new(gateway: Arc<Gateway>, stream: TcpStream, peer: SocketAddr, listener: usize) -> Self {
        let (reader, writer) = stream.into_split();
        let limits = gateway.config.limits;
        Self {
            incoming: Incoming::new(
                reader,
                (limits.request_bytes, limits.connection_stall),
                gateway.request_memory.clone(),
                gateway.metrics.connections.received.clone(),
            ),
            pipeline: Pipeline::new(Arc::clone(&gateway), (peer, listener)),
            outgoing: Outgoing::new(writer, gateway.metrics.connections.sent.clone()),
            closing: None,
            gateway,
        }
    }

    async fn run(mut self) -> Ended {
        let mut draining = self.gateway.draining.clone();
        if *draining.borrow_and_update() {
            return Ended::Closed;
        }
        let limits = self.gateway.config.limits;
        let look_again = LOOK_AGAIN
            .min(limits.connection_idle)
            .min(limits.connection_stall);
        let alarm = tokio::time::sleep(look_again);
        tokio::pin!(alarm);
        loop {
            if let Some(ended) = self.finished() {
                return ended;
            }
            let has_room = self.outgoing.unwritten() < MOST_UNWRITTEN;
            self.pipeline.hold(!has_room);
            let reading = self.closing.is_none()
                && self.pipeline.len() < limits.requests_in_flight
                && has_room;
            if !reading {
                self.incoming.pause();
            }
            tokio::select! {
                biased;
                written = self.outgoing.write(), if !self.outgoing.is_empty() => {
                    if let Err(error) = written {
                        return error.into();
                    }
                }
                () = self.pipeline.advance(), if self.pipeline.is_running() => self.answer(),
                received = self.incoming.next(), if reading => self.received(received),
                _ = draining.changed(), if self.closing.is_none() => {
                    self.closing = Some(Ended::Closed);
                }
                () = &mut alarm => {
                    // Set once and looked at when it rings, not at every request.
                    let (deadline, ended) = self.deadline();
                    if deadline <= Instant::now() {
                        return ended;
                    }
                    alarm.as_mut().reset(deadline.min(Instant::now() + look_again));
                }
            }
        }
    }

    /// When to give up on the client, if nothing happens until then, and why.
    fn deadline(&self) -> (Instant, Ended) {
        let limits = &self.gateway.config.limits;
        if let Some(since) = self.outgoing.stalled_since() {
            let ended = Ended::Stalled("the client does not take its answers");
            (since + limits.connection_stall, ended)
        } else if let Some(deadline) = self.incoming.deadline() {
            let ended = Ended::Stalled("a request began and did not arrive in time");
            (deadline, ended)
        } else if self.pipeline.is_empty() {
            let idle_at = self.incoming.last_request() + limits.connection_idle;
            (idle_at, Ended::Idle)
        } else {
            (Instant::now() + LOOK_AGAIN, Ended::Idle)
        }
    }

    /// Why the connection is over, if it is: what was read has been worked off and written.
    fn finished(&mut self) -> Option<Ended> {
        self.closing.as_ref()?;
        if self.pipeline.is_empty() && self.outgoing.is_empty() {
            return self.closing.take();
        }
        None
    }

    fn received(&mut self, received: io::Result<Received>) {
        match received {
            Ok(Received::Frame(frame, held)) => {
                match dispatch::arrived(frame.clone(), Some(held)) {
                    Arrived::Request(request) => self.pipeline.push(request),
                    Arrived::Settled(outcome) => self.pipeline.push_settled(outcome),
                    Arrived::Refused(_) if stranger::is_pulsar(&frame) => {
                        self.refuse("it speaks Pulsar's binary protocol, not Kafka's".to_owned());
                    }
                    Arrived::Refused(reason) => self.refuse(reason),
                }
            }
            // What it asked for is still done, but nobody waits with it for something to happen.
            Ok(Received::End) => {
                self.pipeline.abandon();
                self.closing = Some(Ended::Closed);
            }
            Ok(Received::Garbage(error, None)) => self.refuse(error.to_string()),
            Ok(Received::Garbage(_, Some(speaks))) => self.refuse(speaks.to_owned()),
            Err(error) => {
                self.pipeline.abandon();
                self.closing = Some(error.into());
            }
        }
        self.answer();
    }

    /// Hands over to writing what has been answered, in order.
    fn answer(&mut self) {
        while let Some(outcome) = self.pipeline.pop() {
            match outcome {
                Outcome::Write(response) => self.outgoing.push(response),
                Outcome::Silent => {}
                Outcome::Close(reason) => {
                    self.pipeline.clear();
                    match reason {
                        Some(reason) => self.refuse(reason),
                        None => self.closing = Some(Ended::Closed),
                    }
                }
            }
        }
    }

    /// Reads no more; what came before is still answered.
    fn refuse(&mut self, reason: String) {
        self.closing = Some(Ended::Refused(reason));
    }
}
