//! Kafka offsets and records on Apache Pulsar topics.
