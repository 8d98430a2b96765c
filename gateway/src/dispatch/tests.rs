use kop_wire::kafka_protocol::messages::{ApiVersionsResponse, ResponseHeader};
use kop_wire::kafka_protocol::protocol::Decodable as _;

use super::*;

fn header(key: i16, version: i16, client_id: Option<&str>) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_i16(key);
    bytes.put_i16(version);
    bytes.put_i32(77);
    match client_id {
        Some(id) => {
            bytes.put_i16(i16::try_from(id.len()).unwrap());
            bytes.put_slice(id.as_bytes());
        }
        None => bytes.put_i16(-1),
    }
    bytes
}

fn refused(frame: BytesMut) -> String {
    match arrived(frame.freeze(), None) {
        Arrived::Refused(reason) => reason,
        Arrived::Request(_) | Arrived::Settled(_) => panic!("not refused"),
    }
}

#[test]
fn a_version_of_api_versions_that_is_too_new_is_answered_in_version_0() {
    let Arrived::Settled(Outcome::Write(response)) = arrived(header(18, 99, None).freeze(), None)
    else {
        panic!("not answered");
    };
    let mut bytes = Bytes::from(response.chunks.concat());
    assert_eq!(bytes.len(), response.bytes);
    assert_eq!(bytes.get_i32(), i32::try_from(bytes.len()).unwrap());
    assert_eq!(
        ResponseHeader::decode(&mut bytes, 0)
            .unwrap()
            .correlation_id,
        77
    );
    let response = ApiVersionsResponse::decode(&mut bytes, 0).unwrap();
    assert!(bytes.is_empty());
    assert_eq!(response.error_code, 35);
    let ranges: Vec<_> = response
        .api_keys
        .iter()
        .map(|k| (k.api_key, k.min_version, k.max_version))
        .collect();
    assert_eq!(ranges, [(18, 0, 4)]);
}

#[test]
fn what_is_not_served_is_refused_with_a_reason() {
    assert_eq!(refused(header(4711, 0, None)), "API key 4711 is not served");
    assert_eq!(
        refused(header(0, 2, None)),
        "Produce version 2 is not served"
    );
    assert_eq!(refused(BytesMut::new()), "request header cut short");
    let mut cut = header(3, 1, Some("client"));
    cut.truncate(12);
    assert_eq!(refused(cut), "request header cut short");
}

#[test]
fn a_request_that_does_not_follow_its_schema_is_refused() {
    let mut frame = header(3, 1, Some("client"));
    frame.put_i32(1000);
    assert_eq!(
        refused(frame),
        "unreadable Metadata request of version 1: cut short"
    );
}

#[test]
fn a_response_is_framed_with_its_header() {
    let chunks = vec![Bytes::from_static(b"ab"), Bytes::from_static(b"cde")];
    let body = Body {
        header_version: 1,
        chunks,
        held: None,
    };
    let Outcome::Write(response) = outcome(5, Reply::Answered(body), (None, None)) else {
        panic!("not written");
    };
    assert_eq!(response.bytes, 14);
    assert_eq!(response.chunks.concat(), b"\0\0\0\x0a\0\0\0\x05\0abcde");
}
