//! The operator that gives a Pulsar deployment the Kafka protocol.
