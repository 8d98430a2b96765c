//! A Kafka gateway in front of Apache Pulsar, or on an embedded store.
