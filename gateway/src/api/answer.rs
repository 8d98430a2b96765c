//! What a handler answers, and how it becomes bytes.
use bytes::{Bytes, BytesMut};
use kop_wire::kafka_protocol::protocol::{Encodable, HeaderVersion};

use crate::budget::Share;

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It is answered.
    Answered(Body),
    /// It asked for no answer.
    Silent,
    /// It asked for no answer and failed: closing the connection is how its sender learns it.
    Close,
}

/// The body of a response, in pieces so that records need not be copied.
#[derive(Debug)]
pub(crate) struct Body {
    /// Version of the response header that goes before it.
    pub(crate) header_version: i16,
    /// The bytes, one piece behind the other.
    pub(crate) chunks: Vec<Bytes>,
    /// Memory that the chunks are accounted to until they are written.
    pub(crate) held: Option<Share>,
}

/// What a handler may return.
pub(crate) trait Answer {
    /// Writes it in a version that the request's row serves.
    ///
    /// # Errors
    /// Only where the handler filled in what this version cannot say.
    fn into_reply(self, version: i16) -> Result<Reply, UnwritableAnswer>;
}

/// A response says what its version cannot.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UnwritableAnswer(String);

impl<Response: Encodable + HeaderVersion> Answer for Response {
    fn into_reply(self, version: i16) -> Result<Reply, UnwritableAnswer> {
        let unwritable = |cause: &dyn std::fmt::Display| UnwritableAnswer(cause.to_string());
        let size = self
            .compute_size(version)
            .map_err(|cause| unwritable(&cause))?;
        let mut bytes = BytesMut::with_capacity(size);
        self.encode(&mut bytes, version)
            .map_err(|cause| unwritable(&cause))?;
        Ok(Reply::Answered(Body {
            header_version: Response::header_version(version),
            chunks: vec![bytes.freeze()],
            held: None,
        }))
    }
}
