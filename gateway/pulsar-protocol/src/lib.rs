//! Frames and commands of Pulsar's binary protocol.
