//! The door for fuzz targets: what a connection does with a client's bytes up to the decoded request.
//! Built with the feature `fuzzing` only.
//!
//! Each function panics where something is wrong with the *gateway*; bytes that are wrong are refused
//! in silence.
use bytes::{Bytes, BytesMut};
use kop_wire::{
    frame,
    kafka_protocol::protocol::{Decodable, Encodable},
};

use crate::{
    api::{Call, shape},
    dispatch::{Arrived, arrived},
};

/// Decodes the body of a request of that version, advancing past it, and encodes what was read; `None`
/// where the body cannot be decoded.
pub(crate) type Reread = fn(version: i16, body: &mut Bytes) -> Option<Bytes>;

/// The [`Reread`] of the requests that a handler takes.
pub(crate) const fn reread_by<Request, Answering>(
    _: fn(&'static Call, Request) -> Answering,
) -> Reread
where
    Request: Decodable + Encodable + PartialEq + std::fmt::Debug,
{
    reread::<Request>
}

fn reread<Request>(version: i16, body: &mut Bytes) -> Option<Bytes>
where
    Request: Decodable + Encodable + PartialEq + std::fmt::Debug,
{
    let request = Request::decode(body, version).ok()?;
    let mut written = BytesMut::new();
    request
        .encode(&mut written, version)
        .expect("what was read can be written");
    let written = written.freeze();
    let again = Request::decode(&mut written.clone(), version);
    assert_eq!(again.expect("what was written can be read"), request);
    Some(written)
}

/// Takes what a connection receives: cuts it into frames of at most `limit` bytes and gives each to
/// [`request`], until the rest is no whole frame.
///
/// # Panics
/// Where [`request`] does.
pub fn connection(received: &[u8], limit: usize) {
    let mut received = BytesMut::from(received);
    while let Ok(Some(request_frame)) = frame::take(&mut received, limit) {
        request(request_frame);
    }
}

/// Takes a frame without its length: finds its row in the table of APIs, walks its shape and decodes it.
///
/// # Panics
/// Where the walk and the decoder do not agree on where the body ends, or the decoded request does not
/// come back from its own bytes.
pub fn request(frame: Bytes) {
    let Arrived::Request(request) = arrived(frame, None) else {
        return;
    };
    let (api, version, body) = request.into_parts();
    let behind = shape::walk(api.key, version, &body).expect("it was walked when it arrived");
    let mut rest = body.clone();
    // The walk does not look at texts: the decoder may find one that is not UTF-8.
    let Some(written) = (api.reread)(version, &mut rest) else {
        return;
    };
    assert_eq!(rest, behind, "{} version {version}", api.name);
    assert_eq!(
        shape::walk(api.key, version, &written),
        Ok(&[][..]),
        "{} version {version} written again",
        api.name
    );
}
