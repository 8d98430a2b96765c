//! The door for fuzz targets: what a connection does with a client's bytes up to the decoded request.
//! Built with the feature `fuzzing` only.
//!
//! Each function panics where something is wrong with the *gateway*; bytes that are wrong are refused
//! in silence.
use bytes::{Bytes, BytesMut};
use kop_wire::{frame, kafka_protocol::protocol::Decodable};

use crate::{
    api::{Call, shape},
    dispatch::{Arrived, arrived},
};

/// Decodes the body of a request of that version, advancing past it; says whether it could.
pub(crate) type Reread = fn(version: i16, body: &mut Bytes) -> bool;

/// The [`Reread`] of the requests that a handler takes.
pub(crate) const fn reread_by<Request: Decodable, Answering>(
    _: fn(&'static Call, Request) -> Answering,
) -> Reread {
    |version, body| Request::decode(body, version).is_ok()
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
/// Where the walk and the decoder do not agree on where the body ends.
pub fn request(frame: Bytes) {
    let Arrived::Request(request) = arrived(frame, None) else {
        return;
    };
    let (api, version, mut body) = request.into_parts();
    let walked = body.clone();
    let behind = shape::walk(api.key, version, &walked).expect("it was walked when it arrived");
    // The walk does not look at texts: the decoder may find one that is not UTF-8.
    if (api.reread)(version, &mut body) {
        assert_eq!(body, behind, "{} version {version}", api.name);
    }
}
