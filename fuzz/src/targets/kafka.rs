//! Requests of Kafka clients, from the socket's bytes to decoded requests.
use bytes::Bytes;
use kop_gateway::fuzzing;

/// Largest frame taken, in bytes: inputs are no larger, so it decides only about what they claim.
const LIMIT: usize = 1024 * 1024;

/// What a connection receives: frames with their lengths in front.
pub fn kafka_connection(bytes: &[u8]) {
    fuzzing::connection(bytes, LIMIT);
}

/// One frame without its length: header and body of any API in any version.
pub fn kafka_request(bytes: &[u8]) {
    fuzzing::request(Bytes::copy_from_slice(bytes));
}
