//! A thin client for Pulsar's binary protocol.
