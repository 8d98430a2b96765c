//! Stories told with real parts: Kafka's own clients, a real Pulsar, a real Kubernetes, each a process
//! that the story starts and stops. To them the gateway and the operator are black boxes.
//!
//! A part that is missing makes a test fail and say how to get it; nothing is skipped.

pub mod apache_kafka;
pub mod authority;
pub mod bench;
pub mod capture;
pub mod chaos;
pub mod clients;
pub mod cluster;
pub mod exact;
pub mod gateway;
pub mod gateways;
pub mod install;
pub mod issuer;
pub mod kop;
pub mod load;
pub mod matrix;
pub mod native;
pub mod process;
pub mod pulsar;
pub mod random;
pub mod scratch;
pub mod story;
pub mod stub;
pub mod tokens;
pub mod wait;
pub mod wire;
