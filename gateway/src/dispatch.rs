//! From a frame to the row of the table that serves it, and from its answer to a frame.
use std::{net::SocketAddr, sync::Arc, time::Instant};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kop_wire::kafka_protocol::messages::ApiKey;

use crate::{
    api::{self, Answer as _, Api, Body, Call, Order, Reply, Turn, api_versions, shape},
    budget::Share,
    gateway::Gateway,
    metrics::{Measured, Times},
};

/// A request that can be served: its row, and its bytes behind the header.
pub(crate) struct Request {
    api: &'static Api,
    version: i16,
    correlation_id: i32,
    client_id: Option<String>,
    body: Bytes,
    /// Bytes of the whole frame, its length included.
    size: usize,
    arrived: Instant,
    /// Memory that the request is accounted to until it is answered.
    held: Option<Share>,
}

/// A response as it is written, or what else becomes of the connection.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// An answer is written.
    Write(Response),
    /// Nothing is written.
    Silent,
    /// The connection is closed when everything before is written; the text says why, where that is
    /// worth a line.
    Close(Option<String>),
}

/// An answer's bytes.
#[derive(Debug)]
pub(crate) struct Response {
    /// All of it, length and header included.
    pub(crate) chunks: Vec<Bytes>,
    /// How many bytes that is.
    pub(crate) bytes: usize,
    /// The memory that they are accounted to.
    pub(crate) held: Option<Share>,
    /// To be told when they are written.
    pub(crate) measured: Option<Measured>,
}

/// What a frame turned out to be.
pub(crate) enum Arrived {
    /// A request to be served in its turn.
    Request(Request),
    /// Something that is answered without being served.
    Settled(Outcome),
    /// Nothing that could be answered; the text says why.
    Refused(String),
}

/// Bytes that are no request of any API and version served here.
#[derive(Debug, thiserror::Error)]
enum Unserved {
    #[error("request header cut short")]
    Header,
    #[error("API key {0} is not served")]
    Api(i16),
    #[error("{api} version {version} is not served")]
    Version { api: &'static str, version: i16 },
    #[error("unreadable {api} request of version {version}: {cause}")]
    Shape {
        api: &'static str,
        version: i16,
        cause: shape::Misshapen,
    },
}

/// Reads a frame's header and finds its row.
pub(crate) fn arrived(frame: Bytes, held: Option<Share>) -> Arrived {
    match parse(frame, held) {
        Ok(arrived) => arrived,
        Err(unserved) => Arrived::Refused(unserved.to_string()),
    }
}

fn parse(mut frame: Bytes, held: Option<Share>) -> Result<Arrived, Unserved> {
    let cut = |_| Unserved::Header;
    let size = kop_wire::frame::PREFIX + frame.len();
    let key = frame.try_get_i16().map_err(cut)?;
    let version = frame.try_get_i16().map_err(cut)?;
    let correlation_id = frame.try_get_i32().map_err(cut)?;
    let api = api::find(key).ok_or(Unserved::Api(key))?;
    if !api.versions.contains(&version) {
        if api.key == ApiKey::ApiVersions {
            return Ok(Arrived::Settled(version_fallback(correlation_id)));
        }
        return Err(Unserved::Version {
            api: api.name,
            version,
        });
    }
    let client_id = client_id(&mut frame)?;
    if api.key.request_header_version(version) >= 2 {
        shape::skip_tags(&mut frame).map_err(|_| Unserved::Header)?;
    }
    shape::check(api.key, version, &frame).map_err(|cause| Unserved::Shape {
        api: api.name,
        version,
        cause,
    })?;
    Ok(Arrived::Request(Request {
        api,
        version,
        correlation_id,
        client_id,
        body: frame,
        size,
        arrived: Instant::now(),
        held,
    }))
}

/// The client's name for itself: a length, −1 for none, and text.
fn client_id(frame: &mut Bytes) -> Result<Option<String>, Unserved> {
    let length = frame.try_get_i16().map_err(|_| Unserved::Header)?;
    let Ok(length) = usize::try_from(length) else {
        return Ok(None);
    };
    if frame.len() < length {
        return Err(Unserved::Header);
    }
    let text = String::from_utf8(frame.split_to(length).to_vec());
    text.map(Some).map_err(|_| Unserved::Header)
}

fn version_fallback(correlation_id: i32) -> Outcome {
    match api_versions::unsupported().into_reply(0) {
        Ok(reply) => outcome(correlation_id, reply, (None, None)),
        Err(cause) => Outcome::Close(Some(cause.to_string())),
    }
}

impl Request {
    /// Its row, its version and its body.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn into_parts(self) -> (&'static Api, i16, Bytes) {
        (self.api, self.version, self.body)
    }

    /// How it stands to the other requests of its connection.
    pub(crate) fn order(&self) -> Order {
        self.api.order
    }

    /// Serves it.
    pub(crate) async fn serve(
        self,
        gateway: Arc<Gateway>,
        from: (SocketAddr, usize),
        turn: Option<Turn>,
    ) -> Outcome {
        let Self {
            api,
            version,
            correlation_id,
            client_id,
            body,
            size,
            arrived,
            held,
        } = self;
        let begun = Instant::now();
        gateway.metrics.requests.arrived(api, size);
        let call = Arc::new(Call::new(
            Arc::clone(&gateway),
            version,
            client_id,
            from,
            size,
            turn,
        ));
        let served = (api.serve)(Arc::clone(&call), body).await;
        drop(held);
        // Whoever has not taken its turn has had it, but not before those that came earlier.
        if let Some(turn) = call.take_turn() {
            drop(turn.come().await);
        }
        let times = Times {
            arrived,
            begun,
            waited: call.waited(),
        };
        let measured = gateway
            .metrics
            .requests
            .answered(api, call.refused(), times);
        match served {
            Ok(reply) => {
                let refused = call
                    .refused()
                    .map(|error| format!("{} refused: {error}", api.name));
                outcome(correlation_id, reply, (refused, Some(measured)))
            }
            Err(malformed) => Outcome::Close(Some(malformed.to_string())),
        }
    }
}

/// Puts length and response header in front of a body.
fn outcome(
    correlation_id: i32,
    reply: Reply,
    (refused, measured): (Option<String>, Option<Measured>),
) -> Outcome {
    let Body {
        header_version,
        chunks,
        held,
    } = match reply {
        Reply::Answered(body) => body,
        Reply::Silent => {
            if let Some(measured) = measured {
                measured.written(0);
            }
            return Outcome::Silent;
        }
        Reply::Close => return Outcome::Close(refused),
    };
    // Header version 1 adds its tagged fields, of which there are none.
    let header = if header_version >= 1 { 5 } else { 4 };
    let size = header + chunks.iter().map(Bytes::len).sum::<usize>();
    let Some(prefix) = kop_wire::frame::prefix(size) else {
        return Outcome::Close(Some(format!(
            "response of {size} bytes is larger than a frame"
        )));
    };
    let mut chunks = chunks.into_iter();
    let first = chunks.next().unwrap_or_default();
    // A small body goes out in one piece with its header.
    let joined = if first.len() <= 4096 { first.len() } else { 0 };
    let mut head = BytesMut::with_capacity(prefix.len() + header + joined);
    head.put_slice(&prefix);
    head.put_i32(correlation_id);
    if header_version >= 1 {
        head.put_u8(0);
    }
    let mut written = Vec::with_capacity(2 + chunks.len());
    if joined > 0 {
        head.put_slice(&first);
        written.push(head.freeze());
    } else {
        written.extend([head.freeze(), first]);
    }
    written.extend(chunks.filter(|chunk| !chunk.is_empty()));
    Outcome::Write(Response {
        bytes: prefix.len() + size,
        chunks: written,
        held,
        measured,
    })
}

#[cfg(test)]
mod tests;
